"""Which selection a step works on: one that was saved under a name, or as the sliders stand now."""

from __future__ import annotations

from typing import Any

import gradio as gr

from psr_studio.core.errors import OvertakenError, SelectionError, StudioError
from psr_studio.core.words import plural
from psr_studio.recipe.keys import SELECT_KEYS
from psr_studio.recipe.schema import Recipe, SelectRecipe
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.saved import restored_settings
from psr_studio.storage.ledger import no_selection
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.records import SelectionRecord
from psr_studio.ui.curate.island import shown_field
from psr_studio.ui.panels.controls import WIDE
from psr_studio.ui.screen import Screen

LIVE = "\0live"  # no saved selection can have this name
LIVE_WORDS = "As on the Curate tab now"
CURRENT = SelectRecipe().name
TAKEN_OVER = tuple(key.removeprefix("select.") for key in SELECT_KEYS if key != "select.name")
REFINED = {"fresh": "refined", "stale": "refined with other settings", "partial": "partly refined"}
# The panel of saved selections is no part of Gradio's page: it is told to look again.
LOOK_AGAIN = "() => { document.dispatchEvent(new Event('psr-saved')); }"


class SelectionPicker:
    """A dropdown of selections that says of each how many images it holds, and whether it is refined.

    Proposed is the one saved last, from a lasso too, the same on every tab; the sliders as they stand while none is
    saved. Used, these are saved as "current". What is chosen holds the name of a selection and a hash of its content,
    so that a page never works on what another page has saved under this name since.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def build(self, elem_id: str) -> None:
        """Draw it here."""
        self.dropdown = gr.Dropdown(
            self.choices(),
            value=self.proposed(),
            label="Selection",
            info=self._info(),
            elem_id=elem_id,
            elem_classes=WIDE,
        )
        self.shown = shown_field()

    def update(self) -> gr.Dropdown:
        """The dropdown with the selections there are now."""
        return gr.Dropdown(self.choices(), value=self.proposed(), info=self._info())

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.dropdown]

    def version(self) -> tuple:
        """Changes whenever the dropdown should."""
        saved = [(r.name, r.created) for r in self._saved()]
        status = self.screen.status()
        seen = self.screen.workbench.revision, self.screen.refined_state(), status["refine"], status["select"]
        return saved, self.screen.workbench.lassoed, self.screen.studio.recipe.select.name, *seen

    def values(self) -> list[Any]:
        """The dropdown."""
        return [self.update()]

    def use(self, choice: str | None, shown: str = "") -> dict[str, Any]:
        """Settings that make the recipe work on what is chosen; the live selection is saved first.

        Args:
            shown: the fingerprint of what the page shows on its Curate tab, see `Workbench.as_seen`.

        Raises:
            OvertakenError: another page has saved other images under the name, or moved the sliders.
            SelectionError: nothing is chosen, or it cannot be selected as the sliders stand.
        """
        studio, workbench = self.screen.studio, self.screen.workbench
        if choice == LIVE:
            with workbench.as_seen(shown):
                workbench.lassoed = None
                workbench.save(CURRENT)
            return {"select.name": CURRENT}
        if not choice:
            raise no_selection()
        record = studio.workspace.ledger.selection(_name_of(choice))
        if "\0" in choice and choice != _choice(record):
            now = plural(len(record.candidate_ids), "image")
            raise OvertakenError(
                f'"{record.name}" was saved anew on another page and has {now} now.',
                'Look at "Selection", which shows it by now, then press again.',
            )
        workbench.lassoed = None
        return settings_of(record, studio.recipe)

    def proposed(self) -> str:
        """What the dropdown shows until the user chooses: a new lasso, or the selection worked on last."""
        record = self._proposed()
        return LIVE if record is None else _choice(record)

    def budget(self, choice: str | None) -> SelectRecipe:
        """The images per class of what is chosen, for numbers that follow them."""
        studio = self.screen.studio
        if not choice or choice == LIVE:
            return studio.curation.rules()
        try:
            record = studio.workspace.ledger.selection(_name_of(choice))
        except SelectionError:  # deleted on another page since
            return studio.recipe.select
        return studio.recipe.select.changed(_restored(record))

    def candidates(self, choice: str | None) -> list[int]:
        """Ids of what is chosen; none before the first selection.

        Raises:
            SelectionError: it was deleted on another page since.
        """
        if not choice or choice == LIVE:
            return self.screen.workbench.candidate_ids() or []
        return self.screen.studio.workspace.ledger.selection(_name_of(choice)).candidate_ids

    def name(self, choice: str | None) -> str:
        """Under which what is chosen is used."""
        return CURRENT if not choice or choice == LIVE else _name_of(choice)

    def is_refined(self, choice: str | None) -> bool:
        """Whether refined pictures of a selection are there, as the recipe would make them."""
        name = _name_of(choice) if choice else None
        if choice == LIVE:
            record = next((r for r in self._saved() if r.name == CURRENT), None)
            name = CURRENT if record is not None and self.screen.workbench.shows(record) else None
        return bool(name) and self._refined_state(str(name)) == "fresh"

    def require_refined(self, choice: str, otherwise: str) -> None:
        """Raise SelectionError unless the selection is refined; `otherwise` is how to do without, an order."""
        if not self.is_refined(choice):
            what = "What is on the Curate tab now" if choice == LIVE else f'"{_name_of(choice)}"'
            raise SelectionError(
                f"{what} is not refined with these settings.",
                f'{otherwise}, or press "Refine" on its tab first.',
            )

    # Inside

    def _saved(self) -> list[SelectionRecord]:
        return self.screen.studio.workspace.ledger.selections()

    def _proposed(self) -> SelectionRecord | None:
        saved = {record.name: record for record in self._saved()}
        wanted = self.screen.workbench.lassoed or self.screen.studio.recipe.select.name
        return saved.get(wanted) or next(reversed(saved.values()), None)

    def choices(self) -> list[tuple[str, str]]:
        """What can be taken, in words and by name: the selection on screen, then the saved ones, newest first."""
        named = []
        for record in reversed(self._saved()):
            state = self._state(record)
            images = plural(len(record.candidate_ids), "image")
            named.append((f"{record.name}: {images}, {state}", _choice(record)))
        live = self.screen.workbench.candidate_ids()
        shown = "" if live is None else f": {plural(len(live), 'image')}"
        return [(f"{LIVE_WORDS}{shown}", LIVE), *named]

    def _state(self, record: SelectionRecord) -> str:
        """Whether it is refined; of another pool, its candidates are not those that are here."""
        studio = self.screen.studio
        try:
            select.require(studio.workspace, record.name, studio.bundle)
        except SelectionError:
            return "of another pool"
        return REFINED.get(self._refined_state(record.name), "not refined")

    def _info(self) -> str:
        """Said where the sliders have gone on since."""
        proposed = self._proposed()
        if proposed is None:
            return f'Saved as "{CURRENT}" when it is used; other names are given on the Curate tab.'
        if self.screen.workbench.shows(proposed) or self.screen.workbench.candidate_ids() is None:
            return "The same on every tab. Others are saved on the Curate tab."
        return f'The Curate tab shows another selection than "{proposed.name}": save it there to use it here.'

    def _refined_state(self, name: str) -> str:
        if name == self.screen.studio.recipe.select.name:
            return self.screen.status()["refine"].state  # kept a while: it reads the head of every class
        if not self.screen.refined_state(name):
            return "missing"
        studio = self.screen.studio
        try:
            asked = studio.recipe.with_values({"select.name": name})
            return refine.status(studio.workspace, asked, studio.bundle).state
        except StudioError:  # its candidates are gone: the tab says so
            return "stale"


def _choice(record: SelectionRecord) -> str:
    """The value of a saved selection in the dropdown: its name, and what it is made of."""
    return f"{record.name}\0{stable_hash([record.picks, record.settings])[:12]}"


def _name_of(choice: str) -> str:
    return choice.partition("\0")[0]


def _restored(record: SelectionRecord) -> dict[str, Any]:
    return {key: v for key, v in restored_settings(record, TAKEN_OVER).items() if key in TAKEN_OVER}


def settings_of(record: SelectionRecord, recipe: Recipe) -> dict[str, Any]:
    """The recipe settings a saved selection was made with, so that its steps are not called stale."""
    restored = _restored(record)
    numbers = recipe.of_this_pool(recipe.select.changed(restored)).pool_numbers()
    values = {f"select.{key}": value for key, value in restored.items()}
    return {**values, **numbers, "select.name": record.name}
