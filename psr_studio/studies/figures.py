"""The figure of a study, drawn from what there is: lines by budget, rows at one, a heatmap of pool sizes, or bars by
student.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from psr_studio.core.palette import COLORS, GRID, INK
from psr_studio.studies.entries import Entry
from psr_studio.studies.study import Kind, Study

HEIGHT = 460
LINE = 24  # of a heatmap, where there are many
MARGINS = {"l": 60, "r": 12, "t": 76, "b": 100}
BEST = "#D55E00"  # the frame of the best pool size at a budget
SHOWN_MISSING = 3
# What is drawn, with the dash of its line and its symbol.
SIGNS = {"sets": ("solid", "circle"), "controls": ("dash", "diamond"), "published": ("dot", "square")}


def study_figure(study: Study, entries: Sequence[Entry]) -> go.Figure:
    """Accuracies with their spread; what is missing is said below the title and left open in the figure."""
    figure = DRAW[study.kind](study, entries)
    lacking = [entry for entry in entries if entry.mean is None]
    title = f"{study.title} ({study.place})"
    if lacking:
        title += f"<br><sub>Missing: {_listed(lacking)}.</sub>"
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "tickfont": {"color": INK}}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "xanchor": "left", "pad": {"l": 12}},
        template="none",
        font={"family": "system-ui, sans-serif", "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": -0.2},
        margin=MARGINS,
        height=figure.layout.height or HEIGHT,
    )


def _listed(lacking: Sequence[Entry]) -> str:
    named = [f"{entry.images} at {entry.ipc}, {entry.student}" for entry in lacking[:SHOWN_MISSING]]
    more = f" and {len(lacking) - SHOWN_MISSING} more" if len(lacking) > SHOWN_MISSING else ""
    return f"{'; '.join(named)}{more}"


def _series(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries by what they are trained on, and by student where there are several."""
    several = len({entry.student for entry in entries}) > 1
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        name = entry.images if entry.row or entry.mean is None else f"{entry.images}, {entry.source}"
        found.setdefault(f"{name}, {entry.student}" if several else name, []).append(entry)
    return found


def _kind(entry: Entry) -> str:
    """Which of `SIGNS` it has."""
    if entry.row is None and entry.mean is not None:
        return "published"
    return "controls" if entry.control else "sets"


def _lines(study: Study, entries: Sequence[Entry]) -> go.Figure:
    figure = go.Figure()
    budgets = sorted({entry.ipc for entry in entries if entry.ipc is not None})
    asked = {entry.ipc for entry in entries if entry.ipc is not None and _kind(entry) != "published"}
    if len(asked) == 1:
        (ipc,) = asked
        return _rows([entry for entry in entries if entry.ipc in (ipc, None)], ipc)
    for number, (name, own) in enumerate(_series(entries).items()):
        by_budget = {entry.ipc: entry for entry in own}
        points = [by_budget.get(ipc) for ipc in budgets]
        dash, _ = SIGNS[_kind(own[0])]
        figure.add_scatter(
            x=[str(ipc) for ipc in budgets],
            y=[point.mean if point else None for point in points],
            error_y={"array": [(point.std if point else None) or 0 for point in points], "thickness": 1},
            mode="lines+markers",
            name=name,
            line={"color": COLORS[number % len(COLORS)], "dash": dash, "width": 2},
            connectgaps=False,
            hovertemplate="%{y:.1f} % at %{x} a class",
        )
    figure.update_xaxes(title_text="images per class", type="category")
    return figure.update_yaxes(title_text="top-1 after the last epoch, %")


def _rows(entries: Sequence[Entry], ipc: int) -> go.Figure:
    """A row for each set at a single budget, where lines would be points above each other."""
    series = {name: own[0] for name, own in _series(entries).items()}
    order = sorted(series, key=lambda name: list(SIGNS).index(_kind(series[name])))
    figure = go.Figure()
    for number, (kind, (_, symbol)) in enumerate(SIGNS.items()):
        own = [name for name in order if _kind(series[name]) == kind]
        figure.add_scatter(
            x=[series[name].mean for name in own],
            y=own,
            error_x={"array": [series[name].std or 0 for name in own], "thickness": 1},
            mode="markers",
            name=kind,
            marker={"color": COLORS[number], "symbol": symbol, "size": 9},
            hovertemplate="%{x:.1f} %",
        )
    figure.update_layout(height=max(HEIGHT, MARGINS["t"] + MARGINS["b"] + LINE * len(order)))
    figure.update_xaxes(title_text=f"top-1 after the last epoch, %, {ipc} a class")
    return figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=order[::-1], automargin=True
    )


def _heatmap(study: Study, entries: Sequence[Entry]) -> go.Figure:
    """Budgets across, levels upwards; the best of each budget is framed."""
    rows = [entry for entry in entries if not entry.control and (entry.row or entry.mean is None)]
    levels = list(dict.fromkeys(entry.images for entry in rows))
    budgets = sorted({entry.ipc for entry in rows if entry.ipc is not None})
    at = {(entry.images, entry.ipc): entry.mean for entry in rows}
    means = [[at.get((level, ipc)) for ipc in budgets] for level in levels]
    figure = go.Figure(
        go.Heatmap(
            x=[str(ipc) for ipc in budgets],
            y=levels,
            z=means,
            text=[["missing" if mean is None else f"{mean:.1f}" for mean in row] for row in means],
            texttemplate="%{text}",
            colorscale="Blues",
            hoverongaps=False,
            colorbar={"title": "top-1, %"},
        )
    )
    for column in range(len(budgets)):
        known = {place: mean for place, row in enumerate(means) if (mean := row[column]) is not None}
        if known:
            best = max(known, key=known.__getitem__)  # of equal ones the smallest pool
            figure.add_shape(
                type="rect", x0=column - 0.5, x1=column + 0.5, y0=best - 0.5, y1=best + 0.5,
                line={"color": BEST, "width": 3},
            )  # fmt: skip
    for place, row in enumerate(means):
        for column, mean in enumerate(row):
            if mean is None:
                figure.add_annotation(x=column, y=place, text="missing", showarrow=False)
    figure.update_xaxes(title_text="images per class", type="category")
    figure.update_layout(height=max(HEIGHT, MARGINS["t"] + MARGINS["b"] + LINE * len(levels)))
    return figure.update_yaxes(title_text=study.axis, type="category", automargin=True)


def _bars(study: Study, entries: Sequence[Entry]) -> go.Figure:
    figure = go.Figure()
    students = list(dict.fromkeys(entry.student for entry in entries))
    groups: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        groups.setdefault(f"{entry.images}, {entry.ipc} a class", {})[entry.student] = entry
    for number, (name, bars) in enumerate(groups.items()):
        known = [bars.get(student) for student in students]
        figure.add_bar(
            x=students,
            y=[entry.mean if entry else None for entry in known],
            error_y={"array": [(entry.std if entry else None) or 0 for entry in known], "thickness": 1},
            name=name,
            marker={"color": COLORS[number % len(COLORS)]},
        )
    figure.update_layout(barmode="group")
    figure.update_xaxes(title_text="student")
    return figure.update_yaxes(title_text="top-1 after the last epoch, %")


DRAW: dict[Kind, Callable[[Study, Sequence[Entry]], go.Figure]] = {
    "lines": _lines,
    "heatmap": _heatmap,
    "bars": _bars,
}
