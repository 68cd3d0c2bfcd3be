"""Spreading difficulties over [0, 1] before they are binned, and the search for its thresholds (DGS eq. 7-9)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from psr_studio.method.arrays import Array, like_float
from psr_studio.method.bins import N_BINS, check_difficulty, histogram
from psr_studio.method.kernels.thresholds import threshold_costs

FLOOR = 1e-6  # epsilon of DGS eq. 8: lower difficulties count as this much, so that the logarithm is finite

CODE_FLOOR = 1e-4  # the same in the authors' code, also of what comes out

# Added to each bin before a divergence is taken (DGS names none). Much smaller, empty bins of a small pool
# would outweigh everything: 60 images would be smoothed far less than the 6,000 they are compared with.
BIN_CONSTANT = 1e-3

# Ours, the paper names no grid: shares in steps of 0.02, all pairs whose sum stays below 1.
THRESHOLD_GRID = tuple(round(0.02 * step, 2) for step in range(50))
_AT_BOTH_ENDS = np.concatenate([np.array(THRESHOLD_GRID), 1 - np.array(THRESHOLD_GRID)])
_BOTTOM, _TOP = np.indices((len(THRESHOLD_GRID),) * 2).reshape(2, -1)
# All pairs, the smaller sum first, then the smaller bottom share.
_BY_SUM = np.lexsort((_BOTTOM, _BOTTOM + _TOP))


def smooth(values: Array, bottom: float = 0.0, top: float = 0.0) -> Array:
    """Spread difficulties over [0, 1] by winsorising both ends and taking a logarithm (DGS eq. 7 and 8).

    The lowest share `bottom` is raised to its quantile, the highest share `top` lowered to its own; then
    f(d) = ln(d / min) / ln(max / min). Order is kept; a constant becomes 0.

    Departure: eq. 8 as printed multiplies the ends by a step function, which would set them to epsilon; the
    text says thresholds remove extreme values, so the ends are moved to the quantiles instead.

    Args:
        values: (N,) difficulties in [0, 1].
        bottom: share of the easiest, in [0, 1). top: share of the hardest, in [0, 1), together below 1.

    Returns:
        (N,) in [0, 1].

    Raises:
        ValueError: no value, NaN or values outside [0, 1], shares out of range.
    """
    return smooth_between(values, *ends(values, bottom, top))


def ends(values: Any, bottom: float, top: float) -> tuple[float, float]:
    """The difficulties that `smooth` moves either end of some values to, with the same arguments and errors."""
    if not (0 <= bottom < 1 and 0 <= top < 1 and bottom + top < 1):
        raise ValueError(f"The shares are {bottom} and {top}, but both must lie in [0, 1) and sum below 1.")
    low, high = _quantiles(np.sort(check_difficulty(values)), np.array([bottom, 1 - top]))
    return float(low), float(high)


def smooth_between(values: Array, low: float, high: float) -> Array:
    """As `smooth`, by the `ends` of other values: equal difficulties become equal, whatever set they are of."""
    limits = _log(np.array([low, high]))
    return like_float(_log_ramp(_log(check_difficulty(values)), *limits), values)


def choose_thresholds(values: Any, lam: float = 0.5) -> tuple[float, float]:
    """Choose the shares that `smooth` moves: smooth enough, yet near the original (DGS eq. 9).

    Minimises lam * KL(hist f || hist P) + (1 - lam) * KL(hist f || uniform) over `THRESHOLD_GRID` for both
    shares. On a tie the smaller sum of shares wins, then the smaller bottom share.

    Args:
        values: (N,) difficulties in [0, 1].
        lam: weight of staying near the original, in [0, 1].

    Returns:
        (bottom, top), shares in [0, 1).

    Raises:
        ValueError: no value, NaN or values outside [0, 1], `lam` outside [0, 1].
    """
    if not 0 <= lam <= 1:
        raise ValueError(f"lam is {lam}, but it must lie in [0, 1].")
    return _search(np.sort(check_difficulty(values)).tobytes(), float(lam))


def smooth_by_ranks(values: Any, bottom: int = 0, top: int = 0) -> np.ndarray:
    """Spread difficulties as the authors' code of DGS does: the ends are moved to values by rank.

    The `bottom` lowest are raised to the next one, the `top` highest lowered to the next, then eq. 7. Difficulties
    count with four decimals; a lowest value of 0 counts as 1e-4, and what comes out below 1e-4 is raised to it.

    Args:
        values: (N,) difficulties in [0, 1]. bottom, top: what lies beyond the middle counts as the middle.

    Returns:
        (N,) float64 in [1e-4, 1].

    Raises:
        ValueError: no value, NaN or values outside [0, 1].
    """
    stored = np.maximum(_as_stored(check_difficulty(values)), CODE_FLOOR)
    ascending, middle = np.sort(stored), (len(stored) - 1) // 2
    low, high = np.log([ascending[min(bottom, middle)], ascending[::-1][min(top, middle)]])
    logs = np.log(stored)
    return np.maximum(_log_ramp(logs, low, high), CODE_FLOOR)


def choose_ranks(values: Any, ipc: int, lam: float = 0.5) -> tuple[int, int]:
    """Choose how many values `smooth_by_ranks` moves at either end: DGS eq. 9 as its authors' code has it.

    Minimises lam * KL(hist P || hist f) + (1 - lam) * KL(uniform || hist f) over 0 .. K / 2 - 1 at both ends, the
    divergences the other way round than printed; an empty bin of f makes them infinite. The first lowest counts, fewer
    at the bottom first. Departure: where all are infinite, or K is 1 and there is nothing to search, none is moved.

    Args:
        values: (N,) difficulties in [0, 1]. ipc: K. lam: in [0, 1]; the code has 0.5.

    Raises:
        ValueError: no value, NaN or values outside [0, 1].
    """
    ascending = _as_stored(np.sort(check_difficulty(values)))
    n, original = len(ascending), histogram(ascending)
    logs = np.log(np.maximum(ascending, CODE_FLOOR))
    most = max(1, min(ipc // 2, (n + 1) // 2))
    low, high = (part[..., None] for part in np.meshgrid(logs[:most], logs[::-1][:most], indexing="ij"))
    edges = low + (high - low) * np.arange(1, N_BINS) / N_BINS
    below = np.searchsorted(logs, edges).astype(np.float64)  # (b, t, 9): how many values lie below each edge
    shares = np.diff(below, axis=2, prepend=0.0, append=float(n)) / n
    shares[(high <= low)[..., 0]] = np.eye(N_BINS)[0]  # all alike: all in the first bin
    with np.errstate(divide="ignore"):
        logs_of_shares = np.log(shares)
    wanted = lam * original + (1 - lam) / N_BINS
    costs = -np.where(wanted > 0, wanted * logs_of_shares, 0.0).sum(
        axis=2
    )  # eq. 9 but for what no pair changes
    bottom, top = np.unravel_index(costs.argmin(), costs.shape)
    return int(bottom), int(top)


def _as_stored(values: np.ndarray) -> np.ndarray:
    """Difficulties with the four decimals of the authors' files."""
    return np.round(values, 4)


@lru_cache(maxsize=4096)  # no budget, target, pin or veto changes them: a slider move searches nothing again
def _search(ascending: bytes, lam: float) -> tuple[float, float]:
    """Do the search of `choose_thresholds` over sorted float64 difficulties, given as bytes."""
    difficulties = np.frombuffer(ascending)
    original = histogram(difficulties) + BIN_CONSTANT
    log_target = lam * np.log(original / original.sum()) - (1 - lam) * np.log(N_BINS)
    lows, highs = np.split(_log(_quantiles(difficulties, _AT_BOTH_ENDS)), 2)
    costs = np.full((len(lows), len(lows)), np.inf)
    threshold_costs(_log(difficulties), lows, highs, log_target, BIN_CONSTANT, costs)  # eq. 9
    return _first_lowest(costs)


def _first_lowest(costs: np.ndarray) -> tuple[float, float]:
    """Return the shares of the lowest cost (S, S): on a tie the smaller sum, then the smaller bottom share."""
    ordered = costs.ravel()[_BY_SUM]
    pair = _BY_SUM[(ordered <= ordered.min() + 1e-12).argmax()]
    return THRESHOLD_GRID[_BOTTOM[pair]], THRESHOLD_GRID[_TOP[pair]]


def _quantiles(ascending: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the quantiles of sorted values, as `np.quantile` does by default, without its set-up time."""
    place = shares * (len(ascending) - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(ascending) - 1)
    low, rest = ascending[below], place - below
    step = ascending[above] - low
    return np.where(rest < 0.5, low + step * rest, ascending[above] - step * (1 - rest))


def _log(values: Any) -> Any:
    """Return ln of values floored at epsilon (DGS eq. 8)."""
    return np.log(np.maximum(values, FLOOR))


def _log_ramp(logs: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return ln(d / min) / ln(max / min) of values clipped to [min, max], all as logarithms (DGS eq. 7)."""
    if not high > low:
        return np.zeros_like(logs)
    return (np.clip(logs, low, high) - low) / (high - low)
