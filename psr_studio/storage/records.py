"""What the ledger keeps: selections, jobs and evaluations as plain frozen records."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SelectionRecord:
    """One saved selection. Every dict is by class; lists inside are parallel to `picks`, in pick order."""

    name: str
    picks: dict[int, list[int]]  # candidate ids
    scores: dict[int, list[float]]
    terms: dict[int, list[list[float]]]  # weighted reliability, entropy (negative), diversity
    filled: dict[int, list[bool]]  # taken although not eligible
    shortfall: dict[int, int]  # picks that were asked for beyond the eligible candidates
    settings: dict[str, Any]  # weights, ipc, temperature, selector, seed ...
    inputs_hash: str
    created: float = field(default_factory=time.time)  # seconds since 1970
    note: str = ""  # the user's own words
    marks: dict[str, list[int]] = field(default_factory=dict)  # "pin" in pin order and "veto", as they stood

    @property
    def candidate_ids(self) -> list[int]:
        """All picks, class by class, in pick order inside a class."""
        return [cid for class_id in sorted(self.picks) for cid in self.picks[class_id]]


@dataclass(frozen=True)
class JobRecord:
    """One long step that was asked for. `status`: queued, running, done, failed, cancelled or interrupted."""

    id: int
    stage: str
    params: dict[str, Any]
    status: str = "queued"
    done: int = 0
    total: int = 0
    message: str = ""
    problem: str = ""
    fix: str = ""
    created: float = 0.0
    started: float | None = None
    finished: float | None = None


@dataclass(frozen=True)
class EvaluationRecord:
    """One trained student: accuracies are shares in [0, 1] on the test set; `last` is the headline."""

    selection: str
    arm: str  # "refined", "selected", "random real", "generate-and-use" ...
    student: str
    protocol: str
    label_regime: str
    ipc: int
    seed: int
    n_images: int
    last: float
    best: float
    curve: list[tuple[int, float]]  # (epoch or step, accuracy)
    seconds: float
    inputs_hash: str
    created: float = field(default_factory=time.time)
    set_hash: str = ""  # of its images and labels; "" of a result from before they were noted
    training_hash: str = ""  # of how it was trained, but for the seed
    test_set: str = "original"  # which test images
    augmented: bool = True  # as its protocol does; of results from before this was noted, by default
    # Class, predicted class, test images, without those that are 0; of the last epoch, [] where it was not noted.
    confusion: list[tuple[int, int, int]] = field(default_factory=list)
    ece: float | None = None  # calibration error on all test images, last epoch; None where it was not noted
    pictures_hash: str = ""  # of its images alone, whatever their labels; "" where it was not noted
    test_images: str = ""  # where its test images lie, "" for the bundle's
