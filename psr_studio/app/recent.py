"""Workspaces that were open or made on screen, the newest first; kept for the user, beside the locations of weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from psr_studio.core.remembered import home, keep_if_possible, recall
from psr_studio.storage.workspace import is_one

FILE = "workspaces.json"
MOST = 20


@dataclass(frozen=True)
class Recent:
    """A workspace that was open or made; `opened` in seconds since 1970."""

    path: Path
    opened: float


def recent() -> list[Recent]:
    """Those that are still there, the newest first."""
    return [found for found in _kept() if is_one(found.path)]


def beside(here: Path, named: str) -> Path:
    """A workspace by what a user typed while `here` was open: a path, or a name in the folder of that."""
    return here.parent / Path(named.strip()).expanduser()


def note_opened(path: Path) -> None:
    """Put a workspace first; where nothing can be kept it is only not remembered."""
    others = [found for found in _kept() if found.path != path]
    rows = [{"path": str(r.path), "opened": r.opened} for r in (Recent(path, time.time()), *others)]
    keep_if_possible(home() / FILE, rows[:MOST])


def _kept() -> list[Recent]:
    """What the file says; a damaged one only means that the list begins anew."""
    try:
        return [Recent(Path(str(row["path"])), float(row["opened"])) for row in recall(home() / FILE, [])]
    except (ValueError, TypeError, KeyError):
        return []
