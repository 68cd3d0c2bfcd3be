"""What driver and workers send each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from psr_studio.core.errors import StudioError
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Group
from psr_studio.stages.cost import Cost
from psr_studio.storage.records import EvaluationRecord, SelectionRecord


@dataclass(frozen=True)
class Task:
    """All that a worker must know to take part in a step.

    Attributes:
        stage: its name, of one that is shared.
        root: the workspace; the same folder for all.
        token: name of a file that the driver put there, so that a worker sees whether it is.
        total: units of the whole step. found: those that were on the disk.
        threads: of a CPU; as many as the driver would take, since their number may change rounding.
        selections: what is refined or trained on. The ledger is SQLite, which must not be opened from several machines.
        options: what `run` of the stage is given beside its share.
        measure: tell what the step costs before it begins.
    """

    stage: str
    root: Path
    token: str
    recipe: Recipe
    total: int
    found: int
    threads: int
    selections: tuple[SelectionRecord, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    measure: bool = False


class Signal(Enum):
    """What a worker sends without further words."""

    READY = "its networks are open, it waits for a group"
    OVER = "all that was assigned to it is written"


@dataclass(frozen=True)
class Ended:
    """A worker that ended without having been asked to, and what it wrote last."""

    words: str


Message = Progress | Cost | EvaluationRecord | StudioError | Signal | Ended


class WorkerPool(Protocol):
    """Workers somewhere. Numbers of workers are never used twice.

    Attributes:
        size: how many work at once. place: where, in words.
        n_devices: how many workers can be at full speed at once; more of them share.
    """

    size: int
    place: str
    n_devices: int

    def start(self, task: Task) -> int:
        """Start a worker and return its number; it sends READY when it is up."""

    def assign(self, worker: int, group: Group | None) -> None:
        """Give a group to a worker that is READY; None lets it end."""

    def receive(self, seconds: float) -> list[tuple[int, Message]]:
        """The messages that came, waited for as long as that; [] when none did."""

    def stop(self, worker: int) -> None:
        """End a worker at once."""

    def close(self) -> None:
        """End them all."""
