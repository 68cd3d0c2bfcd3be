"""Curves with plotly, drawn by the copy that Gradio ships; transparent, for light and dark alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import plotly.graph_objects as go

from psr_studio.core.palette import COLORS, GRID, INK

SMOOTHED = 10  # steps; each step draws its own noise level, so that single losses jump
THIN_LINES = 60  # beyond it single losses are only a grey area
HEIGHT = 360
TEXT = 12  # pixels, as in the workbench
MOST_TICKS = 12  # of an axis of epochs
TOP, BOTTOM = 40, 84  # pixels of the margins
TOOLS = 28  # pixels above the axes, in which the tools of a chart stand
STANDOFF = 6  # pixels from the ticks of the lower axis to its title
BELOW = 48  # pixels from the axis to the legend: ticks and the title of the axis stand between


@dataclass(frozen=True)
class Curve:
    """Points (epoch, share in [0, 1]) of one student; a `running` one is unfinished."""

    arm: str
    points: Sequence[tuple[float, float]]
    control: bool
    running: bool = False


def loss_figure(traces: np.ndarray, kl_steps: int, title: str) -> go.Figure:
    """The refinement loss of some pictures.

    Args:
        traces: (n, L) loss at each step; NaN where a picture had fewer steps.
        kl_steps: the last steps in which the teacher's label pulls; they are shaded.
    """
    steps = np.arange(1, traces.shape[1] + 1)
    figure = go.Figure()
    for trace in traces[:THIN_LINES]:
        figure.add_scatter(
            x=steps,
            y=trace,
            mode="lines",
            line={"width": 1, "color": GRID},
            showlegend=False,
            hoverinfo="skip",
        )
    mean = np.nanmean(traces, axis=0)
    figure.add_scatter(x=steps, y=mean, mode="lines", line={"width": 1.5, "color": COLORS[5]}, name="mean")
    if len(steps) >= 2 * SMOOTHED:
        figure.add_scatter(
            x=steps,
            y=running_mean(mean, SMOOTHED),
            mode="lines",
            line={"width": 3, "color": COLORS[0]},
            name=f"mean over {SMOOTHED} steps",
        )
    if kl_steps:
        figure.add_vrect(
            x0=len(steps) - kl_steps + 0.5,
            x1=len(steps) + 0.5,
            fillcolor=COLORS[1],
            opacity=0.15,
            line_width=0,
            annotation_text="label",
            annotation_position="top left",
        )
    return _whole_ticks(_titled(figure, title, "step", "loss"), len(steps))


def training_figure(curves: Mapping[str, Sequence[tuple[float, float]]]) -> go.Figure:
    """Losses of a training by name over its steps: the noise error on the left, all that are cosines on the right."""
    figure = go.Figure()
    for place, (name, points) in enumerate(curves.items()):
        on_left = name in ("loss", "noise")
        figure.add_scatter(
            x=[step for step, _ in points],
            y=[value for _, value in points],
            mode="lines", name=name, yaxis="y" if on_left else "y2",
            line={"width": 2, "color": COLORS[place % len(COLORS)], "dash": "solid" if on_left else "dot"},
        )  # fmt: skip
    _titled(figure, "Losses of fine-tuning", "step", "loss, noise error")
    right = {
        "title": {"text": "representativeness, diversity"},
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
    }
    figure.update_layout(yaxis2=right, margin={"l": 56, "r": 56, "t": TOP, "b": BOTTOM})
    return _whole_ticks(figure, max((step for points in curves.values() for step, _ in points), default=0))


def accuracy_figure(curves: Sequence[Curve], title: str) -> go.Figure:
    """Top-1 of students over epochs: one colour per arm, one line per student, controls dashed."""
    figure = go.Figure()
    arms = list(dict.fromkeys(curve.arm for curve in curves))
    named: set[str] = set()
    for curve in curves:
        dash = "dot" if curve.running else "dash" if curve.control else "solid"
        figure.add_scatter(
            x=[epoch for epoch, _ in curve.points],
            y=[100 * share for _, share in curve.points],
            mode="lines+markers",
            name=curve.arm,
            legendgroup=curve.arm,
            showlegend=curve.arm not in named,
            line={"color": COLORS[arms.index(curve.arm) % len(COLORS)], "dash": dash, "width": 2},
            marker={"size": 5},
            hovertemplate="%{y:.1f} % at epoch %{x}",
        )
        named.add(curve.arm)
    last = max((epoch for curve in curves for epoch, _ in curve.points), default=0)
    _titled(figure, title, "epoch", "top-1 on the test set, %")
    return _whole_ticks(figure, last)


def _whole_ticks(figure: go.Figure, last: float) -> go.Figure:
    """Ticks of what is counted, such as epochs, up to `last`."""
    return figure.update_xaxes(tickformat="d", tick0=0, dtick=whole_step(last))


def whole_step(last: float) -> int:
    """A step of 1, 2 or 5 times a power of ten that puts few ticks up to `last`, none of them at a fraction."""
    return next(n * 10**k for k in count() for n in (1, 2, 5) if last <= MOST_TICKS * n * 10**k)


def live_curves(curves: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """From a job's curves "top1/<arm>", the points of the student that each arm trained last."""
    found = {}
    for name, points in curves.items():
        if name.startswith("top1/"):
            begins = [i for i in range(1, len(points)) if points[i][0] <= points[i - 1][0]]
            found[name.removeprefix("top1/")] = list(points[begins[-1] if begins else 0 :])
    return found


def running_mean(values: np.ndarray, n: int) -> np.ndarray:
    """Mean over the last n values, over fewer at the start."""
    total = np.cumsum(values)
    total[n:] = total[n:] - total[:-n].copy()
    return total / np.minimum(np.arange(1, len(values) + 1), n)


def _titled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title={"text": title, "font": {"size": 13}, "x": 0, "xanchor": "left", "pad": {"l": 12}}
    )
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return styled(figure, HEIGHT)


def styled(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """The look that all figures share; `layout` changes what one of them needs otherwise."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "tickfont": {"color": INK},
        "title_font_size": TEXT,
    }
    figure.update_xaxes(**axis, title_standoff=STANDOFF)
    figure.update_yaxes(**axis)
    figure.update_annotations(font={"size": TEXT, "color": INK})
    figure.update_layout(
        template="none",
        font={"family": "IBM Plex Sans, system-ui, sans-serif", "color": INK, "size": TEXT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 56, "r": 12, "t": TOP, "b": BOTTOM},
        height=height,
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "rgba(128,138,153,0.6)", "activecolor": INK},
    )
    figure.update_layout(**layout)
    figure.layout.margin.t = max(figure.layout.margin.t, TOOLS)
    plot = height - figure.layout.margin.t - figure.layout.margin.b
    return figure.update_layout(legend={"orientation": "h", "yanchor": "top", "y": -BELOW / plot})
