"""What became of a pool that was steered by difficulty: asked for, steered to and achieved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from psr_studio.method.bins import N_BINS, bin_of
from psr_studio.method.smoothing import smooth_between
from psr_studio.stages.generate import targets
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.storage.workspace import Workspace


class Steered(NamedTuple):
    """Candidates of a class by interval of difficulty, smoothed where the targets are, (10,) each.

    Attributes:
        asked: as many as the real images have. steered: by the target of each. achieved: by the teacher.
    """

    asked: np.ndarray
    steered: np.ndarray
    achieved: np.ndarray


def steered(ws: Workspace, scored: ScoredPool, class_id: int) -> Steered | None:
    """The three histograms of a class; None of a pool that was not steered by difficulty."""
    wanted = targets.asked(ws, scored.pool, class_id)
    members = np.arange(scored.n)[scored.members(class_id)]
    if wanted is None or not len(members):
        return None
    _, intervals = scored.pool.steering_at(members)
    members, intervals = (
        members[intervals >= 0],
        intervals[intervals >= 0],
    )  # no variations, which have no target
    share = float(scored.pool.settings["steering"].get("uncertainty", 0.0))
    found = scored.measure(share)[members]
    if wanted.ends is not None:
        found = smooth_between(found, *wanted.ends)
    achieved = np.bincount(bin_of(found), minlength=N_BINS)
    return Steered(wanted.counts, np.bincount(intervals, minlength=N_BINS), achieved)
