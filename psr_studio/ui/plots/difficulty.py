"""The difficulty figures of DGS over the present pool: densities as in its Fig. 2, the steps of Fig. 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from psr_studio.core.palette import COLORS
from psr_studio.core.words import plural
from psr_studio.stages.select.steering import Steered
from psr_studio.ui.plots.curves import styled

FINE_BINS = 200  # of a density curve
BANDWIDTH = 0.02  # in difficulty; narrow enough to show the peak of easy images
NAMED_CLASSES = 3
MARGIN = {"l": 56, "r": 12, "t": 40, "b": 64}
COLOR = {"original": COLORS[0], "pool": COLORS[4], "target": COLORS[3], "picked": COLORS[2]}
TITLE = {"original": "real images", "pool": "pool", "target": "target", "picked": "picked"}
ROWS = {"raw": "as labels give it", "smoothed": "after smoothing"}


def densities(
    groups: Sequence[tuple[str, Mapping[str, np.ndarray | None]]],
) -> go.Figure:
    """Kernel density estimates of difficulty, one panel under the other per group (DGS Fig. 2).

    Args:
        groups: title and, by kind ("original", "pool", "picked"), raw difficulties in [0, 1]; None or none
            leaves a curve out.
    """
    figure = make_subplots(len(groups), 1, subplot_titles=[title for title, _ in groups])
    x = (np.arange(FINE_BINS) + 0.5) / FINE_BINS
    for line, (_, values) in enumerate(groups, 1):
        for kind, given in values.items():
            if given is None or not len(given):
                continue
            figure.add_scatter(
                x=x, y=density(given), row=line, col=1, mode="lines", name=TITLE[kind], legendgroup=kind,
                showlegend=line == 1, line={"color": COLOR[kind], "width": 2.5},
                hovertemplate=f"{TITLE[kind]}: %{{y:.2f}} at %{{x:.2f}}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(range=[0, 1]).update_xaxes(title_text="difficulty", row=len(groups), col=1)
    figure.update_yaxes(title_text="density", rangemode="tozero")
    return styled(figure, 60 + 220 * len(groups), margin=MARGIN, bargap=0)


def steering(found: Steered, smoothed: bool = False) -> go.Figure:
    """Candidates by interval of difficulty, or of the smoothed one: asked for, steered to, achieved."""
    figure = go.Figure()
    edges = [f"{k / 10:.1f} to {(k + 1) / 10:.1f}" for k in range(len(found.asked))]
    series = {"asked for": "target", "steered to": "original", "achieved": "pool"}
    for (name, kind), counts in zip(series.items(), found, strict=True):
        figure.add_bar(
            x=edges, y=counts, name=name, marker={"color": COLOR[kind]},
            hovertemplate=f"{name}: %{{y:.3g}} at %{{x}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="smoothed difficulty" if smoothed else "difficulty")
    figure.update_yaxes(title_text="candidates")
    return styled(figure, 260, margin=MARGIN, barmode="group")


def density(values: np.ndarray) -> np.ndarray:
    """A Gaussian kernel density estimate on `FINE_BINS` points of [0, 1], reflected at both ends; its mean is 1."""
    counts = np.histogram(values, FINE_BINS, (0.0, 1.0))[0].astype(np.float64)
    reach = int(np.ceil(4 * BANDWIDTH * FINE_BINS))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (BANDWIDTH * FINE_BINS)) ** 2)
    padded = np.pad(counts, reach, mode="symmetric")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid") * FINE_BINS / max(len(values), 1)


def steps(found: Mapping[str, Any]) -> go.Figure:
    """Real images, pool, target and picks by bin: on the left before smoothing, on the right after it (DGS Fig. 7).

    Args:
        found: an answer of `stages.lab.distributions`; the target is of smoothed difficulties only, and a
            selector that aims at none has no line for it.
    """
    kinds = [kind for kind in TITLE if _counts(found, "smoothed", kind) is not None]
    titles = [
        _cell_title(kind, _counts(found, row, kind), row, found["means"][row].get(kind))
        for kind in kinds
        for row in ROWS
    ]
    figure = make_subplots(len(kinds), len(ROWS), subplot_titles=titles, vertical_spacing=0.36 / len(kinds))
    edges = np.array(found["edges"])
    for column, (row, words) in enumerate(ROWS.items(), 1):
        for line, kind in enumerate(kinds, 1):
            bars = _counts(found, row, kind)
            if bars is None:
                continue
            figure.add_bar(
                x=(edges[:-1] + edges[1:]) / 2, y=bars, width=0.095, row=line, col=column,
                marker={"color": COLOR[kind]}, showlegend=False,
                customdata=[f"{a:.1f} to {b:.1f}" for a, b in zip(edges[:-1], edges[1:], strict=True)],
                hovertemplate="%{y} at %{customdata}<extra></extra>",
            )  # fmt: skip
        figure.update_xaxes(title_text=words, row=len(kinds), col=column)
    figure.update_xaxes(range=[0, 1], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    styled(figure, 90 + 120 * len(kinds), margin={**MARGIN, "l": 36}, bargap=0)
    return figure.update_annotations(font_size=11)  # two titles beside each other in a narrow panel


def substitution_text(substituted: Sequence[Mapping[str, int]], class_names: Sequence[str]) -> str:
    """Which bins of difficulty were short and what filled them; "" when every bin had enough."""
    if not substituted:
        return ""
    lines = [_one_substitution(row, class_names) for row in substituted[: 2 * NAMED_CLASSES]]
    more = len(substituted) - len(lines)
    rest = f" {plural(more, 'more substitution')} like these." if more > 0 else ""
    total = sum(row["count"] for row in substituted)
    return f"{plural(total, 'image')} came from a neighbouring bin. {' '.join(lines)}{rest}"


def _one_substitution(row: Mapping[str, int], class_names: Sequence[str]) -> str:
    wanted, giver = (f"{b / 10:.1f} to {(b + 1) / 10:.1f}" for b in (row["bin"], row["taken_from"]))
    name = class_names[row["class_id"]]
    return f'"{name}" lacked {row["wanted"]} at {wanted}: {row["count"]} from {giver}.'


def _counts(found: Mapping[str, Any], row: str, kind: str) -> Sequence[float] | None:
    if kind == "target":
        return found["target"] if row == "smoothed" else None
    return found[row][kind]


def _cell_title(kind: str, bars: Sequence[float] | None, row: str, mean: float | None) -> str:
    """The kind with its mean, as DGS prints it; a target is known by its bins alone."""
    if bars is None:
        return "" if row == "raw" else f"{TITLE[kind]}: none"
    total = float(np.sum(bars))
    if not total:
        return f"{TITLE[kind]}: none"
    if mean is None:
        mean = float(np.dot(bars, np.arange(len(bars)) + 0.5)) / len(bars) / total
    return f"{TITLE[kind]} ({int(total):,}), mean {mean:.2f}"
