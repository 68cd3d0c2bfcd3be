"""Which selection a step works on: as the sliders stand now, or one that was saved under a name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gradio as gr

from psr_studio.errors import SelectionError
from psr_studio.recipe import Recipe, SelectRecipe
from psr_studio.records import SelectionRecord
from psr_studio.stages.saved import restored_settings
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import plural

LIVE = "\0live"  # no saved selection can have this name
CURRENT = "current"
TAKEN_OVER = tuple(f.name for f in fields(SelectRecipe) if f.name != "name")


class SelectionPicker:
    """A dropdown of selections.

    Args:
        live: propose the sliders as they stand, which are saved as "current" when used; else a saved one.
    """

    def __init__(self, screen: Screen, live: bool) -> None:
        self.screen = screen
        self.live = live

    def build(self, elem_id: str) -> None:
        """Draw it here."""
        self.dropdown = gr.Dropdown(
            self._choices(),
            value=self._value(),
            label="Selection",
            info="Others are saved on the Curate tab.",
            elem_id=elem_id,
        )

    def update(self) -> gr.Dropdown:
        """The dropdown with the selections there are now."""
        return gr.Dropdown(self._choices(), value=self._value())

    def version(self) -> tuple:
        """Changes whenever the dropdown should."""
        saved = self.screen.studio.workspace.ledger.selections()
        return tuple((record.name, record.created) for record in saved), self.screen.studio.recipe.select.name

    def use(self, name: str | None) -> dict[str, Any]:
        """Settings that make the recipe work on the chosen selection; the live one is saved first.

        Raises:
            SelectionError: nothing is chosen, or it cannot be selected as the sliders stand.
        """
        studio = self.screen.studio
        if name == LIVE:
            self.screen.selections.save(CURRENT)
            return {"select.name": CURRENT}
        if not name:
            raise SelectionError("There is no selection yet.", 'Press "Save selection as" on the Curate tab.')
        return settings_of(studio.workspace.ledger.selection(name), studio.recipe)

    def _choices(self) -> list[tuple[str, str]]:
        saved = self.screen.studio.workspace.ledger.selections()
        named = [(f"{r.name} ({plural(len(r.candidate_ids), 'image')})", r.name) for r in reversed(saved)]
        return [("As on the Curate tab now", LIVE), *named]

    def _value(self) -> str:
        saved = [record.name for record in self.screen.studio.workspace.ledger.selections()]
        wanted = self.screen.studio.recipe.select.name
        if self.live or not saved:
            return LIVE
        return wanted if wanted in saved else saved[-1]


def settings_of(record: SelectionRecord, recipe: Recipe) -> dict[str, Any]:
    """The recipe settings a saved selection was made with, so that its steps are not called stale."""
    values = {f"select.{k}": v for k, v in restored_settings(record, TAKEN_OVER).items() if k in TAKEN_OVER}
    values["select.name"] = record.name
    most = max(values.get("select.ipc", 0), *(values.get("select.budgets") or (0,)))
    if most > recipe.pool.pool_size:
        values["pool.pool_size"] = most
    return values
