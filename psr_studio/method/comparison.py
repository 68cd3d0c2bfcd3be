"""Whether one way is better than another: paired differences, their 95 % interval, and what would settle it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
    return Difference(n, mean, mean - half, mean + half, _needed(spread, abs(mean), n))


def _needed(spread: float, mean: float, n: int) -> int | None:
    """The least k from n to `MOST` whose interval is narrower than the mean; intervals narrow as k grows."""
    if not _half_width(spread, MOST) < mean:
        return None
    low, high = n - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _half_width(spread, middle) < mean else (middle, high)
    return high


def _half_width(spread: float, n: int) -> float:
    """Half of the 95 % interval of the mean of n values with that standard deviation."""
    return t_quantile(n - 1) * spread / math.sqrt(n)


@lru_cache(maxsize=MOST)
def t_quantile(freedom: int) -> float:
    """How far from 0 Student's t lies with a probability of 95 %, by bisection; `freedom` of 1 or more."""
    low, high = 0.0, 16.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < CONFIDENCE else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Probability that Student's t lies in [-t, t]: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = total = math.cos(angle) if odd else 1.0
    for k in range(1 + odd, freedom - 1, 2):
        term *= math.cos(angle) ** 2 * k / (k + 1)
        total += term
    if not odd:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + (math.sin(angle) * total if freedom > 1 else 0.0))
