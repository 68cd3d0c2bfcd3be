"""The one event that every long step yields; the page, the command line and the tests consume it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Progress:
    """How far a stage is. Stages are generators of these; closing the generator cancels the stage.

    Attributes:
        stage: its name in the table of stages.
        done: units finished, 0 <= done <= total.
        total: units of the whole stage, including those found finished on disk.
        message: one line for the screen.
        class_id: the class that was worked on, if one.
        part_done: a whole unit was just written: a safe place to stop without losing work.
        previews: last pictures, each uint8 (H, W, channels).
        metrics: named numbers for live curves, such as {"loss": 0.31}.
        seconds: wall time since the stage began.
        resumed: units of `done` that an earlier run had finished; they count for no rate.
        lasting: the message is worth keeping in view, such as the cost of what begins now.
    """

    stage: str
    done: int
    total: int
    message: str = ""
    class_id: int | None = None
    part_done: bool = False
    previews: tuple[np.ndarray, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    resumed: int = 0
    lasting: bool = False

    @property
    def fraction(self) -> float:
        """Share done, in [0, 1]; an empty stage counts as finished."""
        return min(1.0, self.done / self.total) if self.total > 0 else 1.0

    @property
    def rate(self) -> float:
        """Units per second of this run; 0 while no time has passed."""
        return max(0, self.done - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    def waited(self, elapsed: float, step: int, since: float) -> tuple[float, float | None]:
        """Rate and seconds left some time after this event, when no other has come.

        The time left is counted down as long as the next `step` units are not overdue; from then on they are taken to
        be about done, and the rate falls with the time that they took.

        Args:
            elapsed: seconds since this event. step: units that the last advance brought.
            since: seconds of this event since that advance.
        """
        new, left = self.done - self.resumed, self.total - self.done
        if new <= 0 or left <= 0 or self.seconds <= 0:
            return self.rate, self.eta_seconds
        now, step = self.seconds + elapsed, max(1, min(step, left))
        slowest = (new + step) / now
        paced = new / max(self.seconds - since, 1e-9)
        return min(paced, slowest), max(left / paced - since - elapsed, (left - step) / slowest, 0.0)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at the present rate, or None while the rate is unknown."""
        left = max(0, self.total - self.done)
        if left == 0:
            return 0.0
        return left / self.rate if self.rate > 0 else None
