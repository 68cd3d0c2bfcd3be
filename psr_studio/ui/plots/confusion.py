"""The confusion matrix as a heatmap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from psr_studio.stages.select.query import clause_text
from psr_studio.ui.plots.curves import HEIGHT, styled

WRITTEN = 12  # classes up to which every cell has its number
NAMED = 40  # and up to which every class has its name


def confusion_figure(matrix: np.ndarray, class_names: Sequence[str]) -> go.Figure:
    """Rows are the classes, columns what they are predicted as; `matrix` (C, C) holds shares in [0, 1].

    The page's script reads of `meta` what query a cell stands for (static/panels/confusion.js).
    """
    percent, n = 100 * matrix, len(class_names)
    places = list(range(n))
    pairs = [[f"{true} taken for {predicted}" for predicted in class_names] for true in class_names]
    figure = go.Figure(
        go.Heatmap(
            z=percent,
            customdata=pairs,
            zmin=0,
            zmax=100,
            colorscale="Viridis",
            textfont={"color": "white", "shadow": "auto"},
            texttemplate="%{z:.0f}" if n <= WRITTEN else None,
            hovertemplate="%{customdata}: %{z:.1f} %<extra></extra>",
            colorbar={"title": {"text": "%"}, "thickness": 10},
        )
    )
    asked = {
        what: [clause_text(what, name) for name in class_names] for what in ("class", "predicted", "leans")
    }
    figure.update_layout(meta=asked)
    axis = {"tickvals": places, "ticktext": list(class_names)} if n <= NAMED else {}
    figure.update_xaxes(title_text="predicted", **axis)
    figure.update_yaxes(title_text="class", autorange="reversed", **axis)
    margin = {"l": 96, "r": 12, "t": 12, "b": 84}
    figure = styled(figure, HEIGHT if n <= NAMED else 2 * HEIGHT, margin=margin)
    return figure.update_xaxes(showgrid=False).update_yaxes(showgrid=False)
