"""What a selector answers with; light, so that it can be named where NumPy is not imported yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen candidates of one class, in pick order; NumPy arrays whatever came in, k <= K picks.

    Attributes:
        indices: (k,) int64, positions in the arrays that were passed in.
        scores: (k,) float64, the score of each pick when it was taken: the row sum of `terms` for the greedy
            step, the value a baseline ranked by (0 where it ranks by nothing).
        terms: (k, 3) float64, alpha * reliability, -beta * entropy, gamma * diversity; zeros for a baseline.
        filled: (k,) bool, True for a pick taken only because the eligible candidates had run out.
        shortfall: slots of the K without an eligible candidate: the filled ones and the empty ones.
    """

    indices: np.ndarray
    scores: np.ndarray
    terms: np.ndarray
    filled: np.ndarray
    shortfall: int

    def first(self, k: int) -> Selection:
        """The first k picks, which with a rule that adds one at a time are what k alone would give."""
        n = min(k, len(self.indices))
        filled = self.filled[:n]
        missing = k - n + int(filled.sum())
        return Selection(self.indices[:n], self.scores[:n], self.terms[:n], filled, missing)
