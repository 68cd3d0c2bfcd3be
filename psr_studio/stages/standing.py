"""What stands where a step puts something whole in its place, in words for whoever stops it."""

from __future__ import annotations

from pathlib import Path

from psr_studio.storage.workspace import Workspace


class Standing:
    """Tells what stands at a place from what comes there later.

    Args:
        place: of a file or folder that a change may replace. noun: what lies there, such as "pool".
    """

    def __init__(self, ws: Workspace, place: Path, noun: str) -> None:
        self._ws, self._place, self._noun = ws, place, noun
        self._before = _number(place)

    def stopped_text(self) -> str:
        """What is on the disk now that the step has ended or was stopped."""
        if not all(note.committed for note in self._ws.ledger.noted_changes(self._ws.root).values()):
            doing = f"Stopped while the {self._noun} was put in its place"
            return f"{doing}: the next opening finishes that or takes it back."
        if _number(self._place) == self._before:
            return f"Stopped. The {self._noun} is as it was."
        return f"Stopped when all was done: the new {self._noun} is in its place, whole."


def _number(path: Path) -> int | None:
    """What is made anew has another number, as long as what it replaces is not removed before; None for nothing."""
    try:
        return path.stat().st_ino
    except OSError:
        return None
