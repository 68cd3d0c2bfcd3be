"""What driver and workers say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from psr_studio.core.errors import StudioError
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Group
from psr_studio.stages.cost import Cost
from psr_studio.storage.records import SelectionRecord


@dataclass(frozen=True)
class Order:
    """All that a worker must know to take part in a step.

    Attributes:
        stage: its name, of one that is shared.
        root: the workspace; the same folder for all.
        token: name of a file that the driver put there, so that a worker sees whether it is.
        total: units of the whole step. found: those that were on the disk.
        threads: of a CPU; as many as the driver would take, since their number may change rounding.
        selection: what is refined. The ledger is SQLite, which must not be opened from several machines.
        measure: say what the step costs before it begins.
    """

    stage: str
    root: Path
    token: str
    recipe: Recipe
    total: int
    found: int
    threads: int
    selection: SelectionRecord | None = None
    measure: bool = False


class Sign(Enum):
    """What a worker says without further words."""

    READY = "its networks are open, it asks for a group"
    OVER = "all it was handed is written"


@dataclass(frozen=True)
class Gone:
    """A worker that ended without having been asked to, and what it said last."""

    words: str


Said = Progress | Cost | StudioError | Sign | Gone


class Crew(Protocol):
    """Workers somewhere. Numbers of workers are never used twice.

    Attributes:
        size: how many work at once. place: where, in words.
        n_devices: how many workers can be at full speed at once; more of them share.
    """

    size: int
    place: str
    n_devices: int

    def hire(self, order: Order) -> int:
        """Start a worker and return its number; it says READY when it is up."""

    def give(self, worker: int, group: Group | None) -> None:
        """Hand a group to a worker that is READY; None lets it end."""

    def heard(self, seconds: float) -> list[tuple[int, Said]]:
        """What was said, waited for as long as that; [] when nothing was."""

    def dismiss(self, worker: int) -> None:
        """End a worker at once."""

    def close(self) -> None:
        """End them all."""
