"""Difficulty-guided sampling: which share of easy and hard images a class gets (DGS section 3.2 and 3.3).

All functions serve one class. Difficulties are those of `signals.difficulty`, in [0, 1]; there are ten bins
of width 0.1.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from psr_studio.method.arrays import Array, like, to_float64
from psr_studio.method.bins import N_BINS, bin_of, draw_counts, histogram, nearest_bin, spread_counts
from psr_studio.method.picks import Selection, check_ipc, check_marks
from psr_studio.method.smoothing import (
    BIN_CONSTANT,
    THRESHOLD_GRID,
    choose_ranks,
    choose_thresholds,
    smooth,
    smooth_by_ranks,
)

# Images per bin, easy to hard, at 10, 20 and 50 images per class: DGS figure 8 draws these shapes without numbers, its
# authors' code has them (SumomoTaku/DiffGuideSamp).
TARGET_COUNTS = {
    "hill": {  # most in the middle
        10: (1, 0, 1, 0, 3, 3, 1, 0, 0, 1),
        20: (1, 1, 1, 2, 5, 5, 2, 1, 1, 1),
        50: (1, 3, 5, 6, 10, 10, 6, 5, 3, 1),
    },
    "ground": {10: (1,) * 10, 20: (2,) * 10, 50: (5,) * 10},  # the same everywhere
    "slope": {  # falls
        10: (3, 3, 1, 1, 0, 0, 1, 1, 0, 0),
        20: (5, 5, 2, 2, 1, 1, 1, 1, 1, 1),
        50: (10, 10, 6, 6, 5, 5, 3, 3, 1, 1),
    },
    "cliff": {  # falls steeply
        10: (6, 3, 0, 1, 0, 0, 0, 0, 0, 0),
        20: (9, 6, 1, 1, 1, 1, 1, 0, 0, 0),
        50: (20, 15, 3, 3, 2, 2, 2, 1, 1, 1),
    },
}
TARGETS = ("scale", *TARGET_COUNTS, "drawn")

__all__ = [
    "BIN_CONSTANT",
    "N_BINS",
    "TARGETS",
    "TARGET_COUNTS",
    "THRESHOLD_GRID",
    "DifficultySelection",
    "bin_of",
    "choose_thresholds",
    "difficulty_select",
    "histogram",
    "smooth",
    "target_counts",
    "target_histogram",
]


def target_histogram(
    name: str = "scale", original: Any = None, drawn: Any = None, ipc: int = 50
) -> np.ndarray:
    """Return the wanted share (10,) of each bin: the original's ("scale", DGS section 3.2) or a fixed shape.

    Args:
        name: one of `TARGETS`.
        original: (N,) smoothed difficulties of the original images of the class; read by "scale" only.
        drawn: (10,) shares or counts of any sum; read by "drawn" only.
        ipc: images per class; a named shape is that of the nearest budget in `TARGET_COUNTS`, the smaller on a tie.

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
        counts = TARGET_COUNTS[name]
        nearest = min(counts, key=lambda k: abs(k - ipc))
        return np.array(counts[nearest]) / nearest
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


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The difficulties of a class, smoothed (DGS eq. 7-9): the pool (N,) and the original images (P,), if known.

    Attributes:
        pool_thresholds, original_thresholds: (bottom, top) of `choose_thresholds`, each by its own values.
    """

    pool: np.ndarray
    pool_thresholds: tuple[float, float]
    original: np.ndarray | None
    original_thresholds: tuple[float, float] | None

    def counts(self, ipc: int, target: str = "scale", drawn: Any = None) -> np.ndarray:
        """Count the slots of each bin (10,) at a budget of K = `ipc`, 0 for none (DGS Algorithm 1, lines 2-7).

        Raises:
            ValueError: as `target_histogram`.
        """
        shares = target_histogram(target, self.original, drawn, ipc)
        return target_counts(shares, ipc) if ipc else np.zeros(N_BINS, np.int64)


def smoothed(pool: Any, original: Any = None, lam: float = 0.5, ranks_of: int = 0) -> Smoothed:
    """Smooth the raw difficulties of a class, and those of its original images.

    Each is smoothed by its own thresholds, as DGS prints it; or, at a budget of K = `ranks_of`, both by the rank counts
    found on the pool, as its authors' code does it.

    Raises:
        ValueError: as `smooth`.
    """
    if ranks_of:
        bottom, top = choose_ranks(pool, ranks_of, lam)

        def by_ranks(values: Any) -> tuple[np.ndarray, tuple[float, float]]:
            return smooth_by_ranks(values, bottom, top), (bottom / len(values), top / len(values))

        return Smoothed(*by_ranks(pool), *((None, None) if original is None else by_ranks(original)))
    thresholds = choose_thresholds(pool, lam)
    if original is None:
        return Smoothed(smooth(pool, *thresholds), thresholds, None, None)
    real = choose_thresholds(original, lam)
    return Smoothed(smooth(pool, *thresholds), thresholds, smooth(original, *real), real)


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
    plan = plan_bins(pool_difficulty, counts, pinned, vetoed)
    check_ipc(int(plan.taken.sum()) + len(plan.pins), len(plan.bins))
    values = None if scores is None else _check_scores(scores, len(plan.bins))
    if within_bin not in ("random", "psr"):
        raise ValueError(f'within_bin is "{within_bin}", but it must be one of: random, psr.')
    if within_bin == "random":
        return serve(plan, by_chance(len(plan.bins), seed), values)
    if values is None:
        raise ValueError('within_bin="psr" needs scores, one for each candidate.')
    return serve(plan, by_score(values), values)


class Plan(NamedTuple):
    """What each bin gives, before anything is chosen inside one."""

    bins: np.ndarray  # (N,) of each candidate
    pins: np.ndarray  # in the order pinned
    open_: np.ndarray  # (N,) bool, neither pinned nor vetoed
    own: np.ndarray  # (10,) slots that a bin serves itself
    taken: np.ndarray  # (10,) with those it serves for others
    moves: tuple[tuple[int, int, int], ...]


def plan_bins(
    pool_difficulty: Any, counts: Any, pinned: Any = (), vetoed: Any = (), lots: np.ndarray | None = None
) -> Plan:
    """Check the request, let the pins use up slots, and spread what bins cannot serve themselves.

    Args:
        lots: (N,) the order in which what short bins miss is drawn from all that is left, as the authors' code of DGS
            does it; None takes it from the nearest bins.

    Raises:
        ValueError: as `difficulty_select`; no slot at all is a plan too.
    """
    bins = bin_of(pool_difficulty)
    wanted = _check_counts(counts)
    ipc = int(wanted.sum())
    check_ipc(max(ipc, 1), len(bins))
    pins, is_vetoed = check_marks(len(bins), pinned, vetoed)
    if len(pins) > ipc or ipc > len(bins) - is_vetoed.sum():
        marks = f"{len(pins)} candidates are pinned and {is_vetoed.sum()} of {len(bins)} vetoed"
        raise ValueError(f"The counts sum to {ipc}, but {marks}.")
    for pin in pins:
        wanted[nearest_bin(int(bins[pin]), wanted)] -= 1
    open_ = ~is_vetoed
    open_[pins] = False
    available = np.bincount(bins[open_], minlength=N_BINS)
    if lots is None:
        taken, moves = spread_counts(wanted, available)
    else:
        taken, moves = draw_counts(wanted, bins[lots[open_[lots]]])
    return Plan(bins, pins, open_, np.minimum(wanted, available), taken, moves)


def by_chance(n_candidates: int, seed: int) -> np.ndarray:
    """All candidates in the order in which a bin gives them away at random."""
    return np.random.default_rng(seed).permutation(n_candidates)


def by_score(scores: np.ndarray) -> np.ndarray:
    """All candidates by descending score, the lowest index on a tie."""
    return np.argsort(-scores, kind="stable")


def serve(plan: Plan, queue: np.ndarray, scores: np.ndarray | None) -> DifficultySelection:
    """Let every bin give what the plan says, in the order of a queue (N,) of all candidates."""
    values = np.zeros(len(plan.bins)) if scores is None else scores
    queue = queue[plan.open_[queue]]
    queues = [queue[plan.bins[queue] == k] for k in range(N_BINS)]
    right = [queues[k][: plan.own[k]] for k in range(N_BINS)]
    substitutes = [queues[k][plan.own[k] : plan.taken[k]] for k in range(N_BINS)]
    indices = np.concatenate([plan.pins, *right, *substitutes])
    n_filled = sum(len(part) for part in substitutes)
    return DifficultySelection(
        indices=indices,
        scores=values[indices],
        terms=np.zeros((len(indices), 3)),
        filled=np.arange(len(indices)) >= len(indices) - n_filled,
        shortfall=n_filled,
        substitutions=plan.moves,
    )


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
