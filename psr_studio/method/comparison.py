"""Whether one way is better than another: paired differences, their 95 % interval, and what would settle it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

CONFIDENCE = 0.95
MOST = 1000  # students beyond which nobody goes


@dataclass(frozen=True)
class Difference:
    """What one way is ahead of another over n pairs, such as students of the same seeds; shares, not points.

    Attributes:
        low, high: the 95 % interval of the mean by Student's t; infinite for a single pair.
        needed: pairs after which an interval of this spread would leave out 0; None where more than `MOST` would be.
    """

    n: int
    mean: float
    low: float
    high: float
    needed: int | None

    @property
    def verdict(self) -> str:
        """ "better", "worse", or "cannot tell with n = 3; about 9 more seeds would"."""
        if self.low > 0:
            return "better"
        if self.high < 0:
            return "worse"
        said = f"cannot tell with n = {self.n}"
        if self.n < 2:
            return f"{said}; 2 at least would begin to"
        if self.needed is None:
            return f"{said}; over {MOST:,} seeds would not"
        more = max(1, self.needed - self.n)
        return f"{said}; about {more} more seed{'' if more == 1 else 's'} would"


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Difference of pairs, first minus second.

    Raises:
        ValueError: no pair, two lengths.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values make no pairs.")
    apart = [a - b for a, b in zip(first, second, strict=True)]
    n, mean = len(apart), statistics.fmean(apart)
    if n < 2:
        return Difference(n, mean, -math.inf, math.inf, None)
    spread = statistics.stdev(apart)
    half = _half_width(spread, n)
    needed = next((k for k in range(n, MOST + 1) if _half_width(spread, k) < abs(mean)), None)
    return Difference(n, mean, mean - half, mean + half, needed)


def _half_width(spread: float, n: int) -> float:
    """Half of the 95 % interval of the mean of n values with that standard deviation."""
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(n)
