"""Results by class beside the table of an evaluation: accuracy of each class and the confusion matrix."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from psr_studio.core.errors import StudioError
from psr_studio.stages.evaluate.by_class import ByClass, ClassResult, by_class, cells_of
from psr_studio.stages.evaluate.stage import Row
from psr_studio.stages.select.query import clause_text
from psr_studio.ui.markup import link_table, note
from psr_studio.ui.panels.controls import WIDE
from psr_studio.ui.panels.frame import box, halves, head
from psr_studio.ui.plots.confusion import confusion_figure
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import QUIET

ABOUT = (
    "Shares of the test images of each class, mean over the students, last epoch. A class opens on the map of Curate. "
    "A cell, or what a class is taken for, opens there the candidates of the class whose soft label has that "
    "other class as the most probable one; a cell of the diagonal those whose largest label is their own class."
)
HEAD = ("Class", "Images", "Last %", "Most often taken for", "%")


class ByClassPanel:
    """Shows one row of the table by class; the first one until another is chosen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def build(self) -> None:
        """Draw it here, with its event."""
        with box(visible=False, elem_id="psr-by-class") as self.box:
            with head("By class"):
                self.choice = gr.Dropdown(
                    [], label="Trained on", elem_id="psr-by-class-row", elem_classes=WIDE
                )
            with halves():
                self.table = gr.HTML()
                self.plot = gr.Plot(show_label=False, visible=False, elem_id="psr-confusion")
        answered(self.choice.input, self._drawn, self.choice, [self.table, self.plot], **QUIET)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.box, self.choice, self.table, self.plot]

    def version(self) -> Hashable:
        """Changes with every trained student."""
        recipe = self.screen.studio.recipe
        return self.screen.status()["evaluate"], recipe.select.name, recipe.evaluate

    def values(self) -> list[Any]:
        """The rows there are, and the first of them by class."""
        rows = self._rows()
        names = [_name(row) for row in rows]
        return [
            gr.Column(visible=bool(names)),
            gr.Dropdown(names, value=names[0] if names else None),
            *self._by_class(rows[0] if rows else None),
        ]

    def _rows(self) -> list[Row]:
        try:
            return self.screen.studio.table()
        except StudioError:  # the state of the tab says why
            return []

    def _drawn(self, name: str | None) -> list[Any]:
        return self._by_class(next((row for row in self._rows() if _name(row) == name), None))

    def _by_class(self, row: Row | None) -> list[Any]:
        if row is None:
            return ["", gr.Plot(visible=False)]
        try:
            found = by_class(row)
        except StudioError as err:
            return [note(f"{err.problem} {err.fix}"), gr.Plot(visible=False)]
        names = self.screen.studio.bundle.class_names
        figure = confusion_figure(found.matrix, [names[c] for c in found.classes])
        return [self._table(found), gr.Plot(figure, visible=True)]

    def _table(self, found: ByClass) -> str:
        names = self.screen.studio.bundle.class_names
        rows = [_linked(result, names) for result in sorted(found.results, key=lambda result: result.mean)]
        return link_table(HEAD, rows, right=(1, 2, 4)) + note(ABOUT)


def _linked(result: ClassResult, names: Sequence[str]) -> list[tuple[str, str]]:
    """The cells of a row, each with the address that it opens, "" for none."""
    name = names[result.class_id]
    images, accuracy, taken, share = cells_of(result, names)
    mistaken = ""
    if result.confused_with is not None:
        query = f"{clause_text('class', name)}, {clause_text('leans', names[result.confused_with])}"
        mistaken = f"#tab=curate&{urlencode({'find': query})}"
    opened = f"#tab=curate&class={result.class_id}"
    return [(name, opened), (images, ""), (accuracy, ""), (taken, mistaken), (share, "")]


def _name(row: Row) -> str:
    return f"{row.name}, {row.label_regime}"
