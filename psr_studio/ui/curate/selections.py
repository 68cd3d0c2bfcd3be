"""Named selections with notes: save, list, restore, delete, and two of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from psr_studio.core.errors import SelectionError
from psr_studio.recipe.keys import check_value
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.records import SelectionRecord
from psr_studio.ui.curate.pack import pack

if TYPE_CHECKING:
    from psr_studio.ui.curate.curation import Curation

LIVE = "live"  # in `compare`, the selection on screen; a saved one cannot have this name


class Selections:
    """The saved selections of one curation."""

    def __init__(self, curation: Curation, changed: Callable[[], None]) -> None:
        """`changed` is called after every change: the steps behind may be fresh or stale now."""
        self.curation = curation
        self.studio = curation.studio
        self._changed = changed
        self.lassoed: str | None = None  # saved from a lasso, and not worked on yet

    def listed(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        return listed(self.studio.workspace.ledger, self.curation.candidate_ids())

    def save(self, name: str, note: str | None = None) -> dict[str, Any]:
        """Save what is on screen; the next steps work on it from then on.

        Args:
            note: the user's words; None keeps those of an older selection of that name.
        """
        check_name(name)
        with self.curation.lock:
            record = self.studio.save_selection(name, self._note(name) if note is None else note)
        self.lassoed = None
        return self._row(record)

    def save_positions(self, positions: Sequence[int], name: str) -> dict[str, Any]:
        """Save just these candidates, in the given order by class, to be exported."""
        check_name(name)
        with self.curation.lock:
            record = self.studio.save_candidates(name, self.curation.candidate_ids_at(positions))
        self.lassoed = name
        return self._row(record)

    def restore(self, name: str) -> bytes:
        """Bring back settings, marks and locks, as one undoable action; answers with the selection."""
        return self.curation.act(lambda: self.studio.restore_selection(name))

    def annotate(self, name: str, note: str) -> dict[str, Any]:
        """Write a note beside a selection."""
        ledger = self.studio.workspace.ledger
        ledger.note_selection(name, note)
        return self._row(ledger.selection(name))

    def delete(self, name: str) -> None:
        """Forget a selection; SelectionError when there is none of that name."""
        ledger = self.studio.workspace.ledger
        ledger.selection(name)
        ledger.delete_selection(name)
        self._changed()

    def compare(self, a: str, b: str) -> bytes:
        """Two selections by name, or "live" for the one on screen."""
        with self.curation.lock:
            self.curation.shown()
            found = self.studio.compare(a, b)
        masks = {name: ("u8", found.pop(name)) for name in ("in_a", "in_b")}
        return pack(found, masks)

    def _note(self, name: str) -> str:
        return next((r.note for r in self.studio.workspace.ledger.selections() if r.name == name), "")

    def _row(self, record: SelectionRecord) -> dict[str, Any]:
        self._changed()
        return row(record, self.curation.candidate_ids())


def listed(ledger: Ledger, on_screen: Sequence[int] | None) -> list[dict[str, Any]]:
    """The saved selections, the newest first."""
    return [row(record, on_screen) for record in reversed(ledger.selections())]


def row(record: SelectionRecord, on_screen: Sequence[int] | None) -> dict[str, Any]:
    """One saved selection; `current` when its images are those on screen."""
    chosen = record.candidate_ids
    return {
        "name": record.name,
        "note": record.note,
        "created": record.created,
        "images": len(chosen),
        "selector": record.settings.get("selector", ""),
        "current": on_screen is not None and set(chosen) == set(on_screen),
    }


def check_name(name: str) -> None:
    """Raise StudioError unless a selection can have this name; LIVE stands for the screen."""
    if name == LIVE:
        raise SelectionError(f'"{LIVE}" stands for the selection on screen.', "Save it under another name.")
    check_value("select.name", name)
