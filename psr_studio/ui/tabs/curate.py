"""Curate: the workbench at full width, and what to do with the selection on it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import gradio as gr

from psr_studio.core.errors import StudioError
from psr_studio.core.refused import NAME_RULE
from psr_studio.core.words import plural
from psr_studio.stages import select
from psr_studio.storage.workspace import StageStatus
from psr_studio.ui.curate.island import AS_SHOWN, curate_island, shown_field
from psr_studio.ui.curate.workbench import check_name
from psr_studio.ui.markup import note, status_line
from psr_studio.ui.panels.difficulty import DifficultyPanel
from psr_studio.ui.panels.frame import bench, beside
from psr_studio.ui.panels.picker import CURRENT, LOOK_AGAIN, SelectionPicker
from psr_studio.ui.panels.tune import TunePanel
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, QUIET, said

SAVED = {"fresh": "Saved", "stale": "Not saved", "missing": "Not saved"}


class CurateTab:
    """The second tab, and the home of the page."""

    id, picker = select.STAGE.tab, None

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.difficulty = DifficultyPanel(screen)
        self.tune = TunePanel(screen)

    def build(self) -> None:
        """Draw it here."""
        with gr.Row(elem_classes="psr-actions"):
            self.status = gr.HTML(elem_id="psr-curate-status")
            self.name = gr.Textbox(
                CURRENT,
                placeholder="name",
                label="Name of the selection",
                show_label=False,
                container=False,
                max_lines=1,
                min_width=130,
                scale=0,
                elem_id="psr-save-name",
            )
            self.save = gr.Button("Save selection as", size="sm", min_width=60, scale=0, elem_id="psr-save")
            self.to_refine = gr.Button(
                "Refine selection", size="sm", min_width=60, scale=0, elem_id="psr-to-refine"
            )
            self.to_export = gr.Button(
                "Export selection", size="sm", min_width=60, scale=0, elem_id="psr-to-export"
            )
        self.shown = shown_field()
        with bench():
            self.island = curate_island(self.screen.token)
            with beside():
                self.difficulty.build()
                self.tune.build()

    def connect(self, tabs: gr.Tabs, pickers: Sequence[SelectionPicker]) -> None:
        """Events; `pickers` propose on the other tabs what is saved here."""
        inputs = [tabs, *(picker.dropdown for picker in pickers)]

        def propose(tab: str | None) -> list[Any]:
            return [gr.Tabs(selected=tab) if tab else gr.skip(), *(picker.update() for picker in pickers)]

        presses = (
            (self.save.click, None),
            (self.name.submit, None),
            (self.to_refine.click, "refine"),
            (self.to_export.click, "export"),
        )
        for press, tab in presses:
            given = [self.name, self.shown]
            saved = answered(press, said(self._save), given, self.status, js=AS_SHOWN, **PRESSED)
            saved.success(partial(propose, tab), None, inputs, **QUIET)
            saved.success(None, js=LOOK_AGAIN, **QUIET)
        self.name.change(self._named, self.name, self.status, trigger_mode="always_last", **QUIET)
        self.island.curated(lambda: self._status(), None, self.status, trigger_mode="always_last", **QUIET)
        self.difficulty.connect(self.island)
        self.tune.connect(self.island)

    def panes(self) -> list[Any]:
        """Itself, the workbench and the search below it."""
        return [self, CuratePool(self), self.tune, self.tune.jobs, *self.tune.settings.parts()]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.status]

    def version(self) -> Hashable:
        """Changes with the saved selections; moves of the sliders tell of themselves."""
        return self.screen.status()["select"], self.screen.workbench.revision

    def values(self) -> list[Any]:
        """Whether the selection on screen is saved."""
        return [self._status()]

    def _save(self, name: str, shown: str = "") -> str:
        with self.screen.workbench.as_seen(shown):
            return self._save_shown(name)

    def _save_shown(self, name: str) -> str:
        name = (name or "").strip() or CURRENT
        earlier = next((row for row in self.screen.workbench.selections() if row["name"] == name), None)
        saved = self.screen.workbench.save(name)
        if earlier and not earlier["current"]:  # that it is saved is said beside the button
            gr.Info(
                f'Replaced the {plural(earlier["images"], "image")} that "{saved["name"]}" had.', duration=4
            )
        return self._status()

    def _named(self, name: str) -> str:
        """While a name is typed that cannot be used, what it may hold is said; later it would be an alarm."""
        try:
            check_name((name or "").strip() or CURRENT)
        except StudioError:
            return status_line(StageStatus("stale", NAME_RULE), words={"stale": "Name"})
        return self._status()

    def _status(self) -> str:
        try:
            return status_line(saved_status(self.screen), words=SAVED)
        except StudioError:  # no scored pool: the workbench says what to do
            return note("")


class CuratePool:
    """Makes the workbench load again when the pool or its scores change; at first it loads by itself."""

    draws_itself_first = True

    def __init__(self, tab: CurateTab) -> None:
        self.tab = tab

    @property
    def outputs(self) -> list[gr.components.Component]:
        """The workbench."""
        return [self.tab.island]

    def version(self) -> Hashable:
        """What the workbench has loaded."""
        return tuple(self.tab.screen.workbench.now().values())

    def values(self) -> list[Any]:
        """What to compare with: the pool with its scores, the selection, and what is not scored yet."""
        return [{"token": self.tab.screen.token, "base": "", **self.tab.screen.workbench.now()}]


def saved_status(screen: Screen) -> StageStatus:
    """Whether the selection on screen is the one that the next steps work on."""
    found = screen.status()["select"]
    live = screen.workbench.candidate_ids()
    if found.state == "missing":
        return StageStatus("missing", "The next steps work on a saved selection.")
    if live is None:
        return found
    record = screen.studio.workspace.ledger.selection(screen.studio.recipe.select.name)
    if not screen.workbench.shows(record):
        newest_first = reversed(screen.studio.workspace.ledger.selections())
        kept = next(filter(screen.workbench.shows, newest_first), None)
        if kept is None:
            return StageStatus("stale", f'"{record.name}" differs from the screen.')
        return StageStatus(
            "fresh", f'"{kept.name}", {plural(len(live), "image")}; the steps have "{record.name}".'
        )
    if found.state == "stale":
        return found
    return StageStatus("fresh", f'"{record.name}", {plural(len(live), "image")}.')
