"""Trials of a search as a figure: each by its number and what the proxy says of it, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from psr_studio.core.palette import COLORS, INK
from psr_studio.stages.tune.stage import describe
from psr_studio.storage.trials import TrialRecord
from psr_studio.ui.plots.curves import styled

SYMBOLS = (  # those after the colours have begun anew are hollow
    "circle", "diamond", "square", "triangle-up", "x", "cross", "star", "circle-open", "diamond-open", "square-open",
)  # fmt: skip
HEIGHT = 300


def trials_figure(trials: Sequence[TrialRecord], total: int) -> go.Figure:
    """A point per trial, a colour and a shape per selector, and a stepped line for the best so far.

    Args:
        trials: in any order, at least one.
        total: trials that will be made; the axis has room for them.
    """
    ordered = sorted(trials, key=lambda trial: trial.number)
    figure = go.Figure()
    figure.add_scatter(
        x=[trial.number + 1 for trial in ordered],
        y=100 * np.maximum.accumulate([trial.value for trial in ordered]),
        mode="lines", name="best so far", line={"color": INK, "width": 2, "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip
    names = list(dict.fromkeys(trial.settings["selector"] for trial in ordered))
    for place, name in enumerate(names):
        tried = [trial for trial in ordered if trial.settings["selector"] == name]
        figure.add_scatter(
            x=[trial.number + 1 for trial in tried],
            y=[100 * trial.value for trial in tried],
            text=[describe(trial.settings) for trial in tried],
            mode="markers", name=name,
            marker={"size": 9, "color": COLORS[place % len(COLORS)], "symbol": SYMBOLS[place % len(SYMBOLS)]},
            hovertemplate="trial %{x}: %{y:.2f} %<br>%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="trial", range=[0.5, total + 0.5])
    figure.update_yaxes(title_text=f"proxy {ordered[0].proxy}: held-out top-1, %")
    return styled(figure, HEIGHT, margin={"l": 60, "r": 12, "t": 12, "b": 72})
