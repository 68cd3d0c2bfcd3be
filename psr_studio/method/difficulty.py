"""Difficulty-guided sampling: which share of easy and hard images a class gets (DGS section 3.2 and 3.3).

All functions serve one class. Difficulties are those of `signals.difficulty`, in [0, 1]; there are ten bins
of width 0.1.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from psr_studio.method._arrays import Array, like, like_float, to_float64
from psr_studio.method._bins import N_BINS, bin_of, check_difficulty, histogram, nearest_bin, spread_counts
from psr_studio.method._kernels_difficulty import threshold_costs
from psr_studio.method._picks import Selection, check_ipc, check_marks

FLOOR = 1e-6  # epsilon of DGS eq. 8: lower difficulties count as this much, so that the logarithm is finite

# Added to each bin before a divergence is taken (DGS names none). Much smaller, empty bins of a small pool
# would outweigh everything: 60 images would be smoothed far less than the 6,000 they are compared with.
BIN_CONSTANT = 1e-3

# Ours, the paper names no grid: shares in steps of 0.02, all pairs whose sum stays below 1.
THRESHOLD_GRID = tuple(round(0.02 * step, 2) for step in range(50))

# Shares per bin, easy to hard. DGS figure 8 draws these shapes without numbers; ours keep its order,
# "increasingly larger ratios of easy examples" from left to right.
TARGET_SHAPES = {
    "hill": (1, 2, 3, 4, 5, 5, 4, 3, 2, 1),  # most in the middle
    "ground": (1, 1, 1, 1, 1, 1, 1, 1, 1, 1),  # the same everywhere
    "slope": (10, 9, 8, 7, 6, 5, 4, 3, 2, 1),  # falls evenly
    "cliff": (512, 256, 128, 64, 32, 16, 8, 4, 2, 1),  # halves from bin to bin
}
TARGETS = ("scale", *TARGET_SHAPES, "drawn")

__all__ = [
    "BIN_CONSTANT",
    "N_BINS",
    "TARGETS",
    "TARGET_SHAPES",
    "THRESHOLD_GRID",
    "DifficultySelection",
    "bin_of",
    "choose_thresholds",
    "difficulty_select",
    "histogram",
    "sampling_plan",
    "slots_per_bin",
    "smooth",
    "target_counts",
    "target_histogram",
]


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
    if not (0 <= bottom < 1 and 0 <= top < 1 and bottom + top < 1):
        raise ValueError(f"The shares are {bottom} and {top}, but both must lie in [0, 1) and sum below 1.")
    difficulties = check_difficulty(values)
    low, high = _log(_quantiles(np.sort(difficulties), np.array([bottom, 1 - top])))
    return like_float(_log_ramp(_log(difficulties), low, high), values)


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


@lru_cache(maxsize=4096)  # no budget, target, pin or veto changes them: a slider move searches nothing again
def _search(ascending: bytes, lam: float) -> tuple[float, float]:
    """Do the search of `choose_thresholds` over sorted float64 difficulties, given as bytes."""
    difficulties = np.frombuffer(ascending)
    original = histogram(difficulties) + BIN_CONSTANT
    log_target = lam * np.log(original / original.sum()) - (1 - lam) * np.log(N_BINS)
    lows = _log(_quantiles(difficulties, np.array(THRESHOLD_GRID)))
    highs = _log(_quantiles(difficulties, 1 - np.array(THRESHOLD_GRID)))
    costs = np.full((len(lows), len(lows)), np.inf)
    threshold_costs(_log(difficulties), lows, highs, log_target, BIN_CONSTANT, costs)  # eq. 9
    return _first_lowest(costs)


def _first_lowest(costs: np.ndarray) -> tuple[float, float]:
    """Return the shares of the lowest cost (S, S): on a tie the smaller sum, then the smaller bottom share."""
    bottom, top = np.nonzero(costs <= costs.min() + 1e-12)
    first = np.lexsort((bottom, bottom + top))[0]
    return THRESHOLD_GRID[bottom[first]], THRESHOLD_GRID[top[first]]


def target_histogram(name: str = "scale", original: Any = None, drawn: Any = None) -> np.ndarray:
    """Return the wanted share (10,) of each bin: the original's ("scale", DGS section 3.2) or a fixed shape.

    Args:
        name: one of `TARGETS`.
        original: (N,) smoothed difficulties of the original images of the class; read by "scale" only.
        drawn: (10,) shares or counts of any sum; read by "drawn" only.

    Raises:
        ValueError: an unknown name, "scale" without an original, bars that are not ten finite numbers of at
            least 0 with one above 0.
    """
    if name not in TARGETS:
        raise ValueError(f'The target is "{name}", but it must be one of: {", ".join(TARGETS)}.')
    if name == "drawn":
        bars = np.zeros(0) if drawn is None else to_float64(drawn)
        if bars.shape != (N_BINS,) or not (np.isfinite(bars) & (bars >= 0)).all() or not bars.any():
            raise ValueError(f"A drawn target needs {N_BINS} finite bars of at least 0, and one above 0.")
        return bars / bars.sum()
    if name != "scale":
        shape = np.array(TARGET_SHAPES[name], dtype=np.float64)
        return shape / shape.sum()
    if original is None:
        raise ValueError('The target "scale" needs the difficulties of the original images.')
    return histogram(original)


def target_counts(histogram: Array, ipc: int) -> Array:
    """Scale a histogram to the budget (DGS section 3.2), by largest remainder; the easier bin wins a tie.

    Args:
        histogram: (B,) shares or counts, at least 0, not all 0.
        ipc: images per class, K.

    Returns:
        (B,) int64, summing to K.

    Raises:
        ValueError: negative, NaN or all-zero bins, K below 1.
    """
    shares = to_float64(histogram)
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise ValueError("A histogram needs finite bins of at least 0, and at least one above 0.")
    if ipc < 1:
        raise ValueError(f"ipc is {ipc}, but at least 1 image per class is needed.")
    quotas = shares / shares.sum() * operator.index(ipc)
    counts = np.floor(quotas).astype(np.int64)
    # Remainders are compared to nine digits, so that equal ones tie whatever their rounding errors.
    rest = np.argsort(-np.round(quotas - counts, 9), kind="stable")[: ipc - counts.sum()]
    counts[rest] += 1
    return like(counts, histogram)


def sampling_plan(
    pool_difficulty: Array,
    original_difficulty: Any,
    ipc: int,
    target: str = "scale",
    lam: float = 0.5,
    drawn: Any = None,
) -> tuple[Array, np.ndarray]:
    """Smooth pool and original, each by its own thresholds, and count the slots (DGS Algorithm 1, lines 2-7).

    Args:
        pool_difficulty: (N,) raw difficulties of the pool of a class, in [0, 1].
        original_difficulty: (P,) raw difficulties of its original images; read by the target "scale" only.
        ipc: images per class, K. target: one of `TARGETS`. lam: as in `choose_thresholds`.
        drawn: (10,) bars, read by the target "drawn" only.

    Returns:
        The smoothed pool (N,) and the counts (10,), as `difficulty_select` takes them.

    Raises:
        ValueError: as `smooth`, `target_histogram` and `target_counts`.
    """
    original = original_difficulty if target == "scale" else None
    if original is not None:
        original = smooth(to_float64(original), *choose_thresholds(original, lam))
    counts = target_counts(target_histogram(target, original, drawn), ipc)
    return smooth(pool_difficulty, *choose_thresholds(pool_difficulty, lam)), counts


@dataclass(frozen=True, eq=False)
class DifficultySelection(Selection):
    """A `Selection` by difficulty, easy bins first and substitutes last; `filled` marks the substitutes.

    Attributes:
        substitutions: (wanted bin, bin that gave, how many), one for each pair of bins.
    """

    substitutions: tuple[tuple[int, int, int], ...] = ()


def difficulty_select(
    pool_difficulty: Any,
    counts: Any,
    seed: int = 0,
    pinned: Any = (),
    vetoed: Any = (),
    *,
    within_bin: str = "random",
    scores: Any = None,
) -> DifficultySelection:
    """Sample the pool without replacement so that each bin gives its count (DGS Algorithm 1, line 8).

    A bin short of candidates is filled from the nearest bin that has some left after every bin served itself,
    the easier one on a tie. A pin uses up a slot of its own bin, or of the nearest bin that has one.

    Args:
        pool_difficulty: (N,) smoothed difficulties of the pool, in [0, 1].
        counts: (10,) from `target_counts`; their sum is K.
        seed: decides the picks inside each bin.
        pinned, vetoed: positions (or bool masks) of marked candidates.
        within_bin: "random" as in the paper, or "psr" (ours): by descending `scores`, the lowest index on a
            tie.
        scores: (N,) a score of each candidate, larger is better; reported as the score of each pick when
            given.

    Raises:
        ValueError: K over the pool or below 1, fewer candidates than K left after vetoes, counts that are not
            ten whole numbers of at least 0, an unknown `within_bin`, "psr" without scores, NaN scores or
            difficulties.
    """
    plan = _plan(pool_difficulty, counts, pinned, vetoed)
    bins, pins = plan.bins, plan.pins
    values = np.zeros(len(bins)) if scores is None else _check_scores(scores, len(bins))
    queue = _order_within(within_bin, scores is not None, values, seed)
    queue = queue[plan.open_[queue]]
    queues = [queue[bins[queue] == k] for k in range(N_BINS)]
    right = [queues[k][: plan.own[k]] for k in range(N_BINS)]
    substitutes = [queues[k][plan.own[k] : plan.taken[k]] for k in range(N_BINS)]
    indices = np.concatenate([pins, *right, *substitutes])
    n_filled = sum(len(part) for part in substitutes)
    return DifficultySelection(
        indices=indices,
        scores=values[indices],
        terms=np.zeros((len(indices), 3)),
        filled=np.arange(len(indices)) >= len(indices) - n_filled,
        shortfall=n_filled,
        substitutions=plan.moves,
    )


def slots_per_bin(pool_difficulty: Any, counts: Any, pinned: Any = (), vetoed: Any = ()) -> np.ndarray:
    """Return how many (10,) each bin gives beside the pins in `difficulty_select`, substitutes included.

    Raises:
        ValueError: as `difficulty_select` about counts, difficulties and marks.
    """
    return _plan(pool_difficulty, counts, pinned, vetoed).taken


class _Plan(NamedTuple):
    """What each bin gives, before anything is chosen inside one."""

    bins: np.ndarray  # (N,) of each candidate
    pins: np.ndarray  # in the order pinned
    open_: np.ndarray  # (N,) bool, neither pinned nor vetoed
    own: np.ndarray  # (10,) slots that a bin serves itself
    taken: np.ndarray  # (10,) with those it serves for others
    moves: tuple[tuple[int, int, int], ...]


def _plan(pool_difficulty: Any, counts: Any, pinned: Any, vetoed: Any) -> _Plan:
    """Check the request, let the pins use up slots, and spread what bins cannot serve themselves."""
    bins = bin_of(pool_difficulty)
    wanted = _check_counts(counts)
    ipc = check_ipc(int(wanted.sum()), len(bins))
    pins, is_vetoed = check_marks(len(bins), pinned, vetoed)
    if len(pins) > ipc or ipc > len(bins) - is_vetoed.sum():
        marks = f"{len(pins)} candidates are pinned and {is_vetoed.sum()} of {len(bins)} vetoed"
        raise ValueError(f"The counts sum to {ipc}, but {marks}.")
    for pin in pins:
        wanted[nearest_bin(int(bins[pin]), wanted)] -= 1
    open_ = ~is_vetoed
    open_[pins] = False
    available = np.bincount(bins[open_], minlength=N_BINS)
    taken, moves = spread_counts(wanted, available)
    return _Plan(bins, pins, open_, np.minimum(wanted, available), taken, moves)


def _order_within(within_bin: str, has_scores: bool, values: np.ndarray, seed: int) -> np.ndarray:
    """Return all candidates in the order in which a bin gives them away."""
    if within_bin not in ("random", "psr"):
        raise ValueError(f'within_bin is "{within_bin}", but it must be one of: random, psr.')
    if within_bin == "psr" and not has_scores:
        raise ValueError('within_bin="psr" needs scores, one for each candidate.')
    if within_bin == "psr":
        return np.argsort(-values, kind="stable")
    return np.random.default_rng(seed).permutation(len(values))


def _check_counts(counts: Any) -> np.ndarray:
    """Return the counts as a new int64 array (10,)."""
    values = to_float64(counts)
    if values.shape != (N_BINS,) or not ((values >= 0) & (values == np.floor(values))).all():
        raise ValueError(f"Counts must be {N_BINS} whole numbers of at least 0, one for each bin.")
    return values.astype(np.int64)


def _check_scores(scores: Any, n_candidates: int) -> np.ndarray:
    """Return the scores as float64 (N,)."""
    values = to_float64(scores)
    if values.shape != (n_candidates,) or not np.isfinite(values).all():
        raise ValueError(f"Scores must be {n_candidates} finite numbers, one for each candidate.")
    return values


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
