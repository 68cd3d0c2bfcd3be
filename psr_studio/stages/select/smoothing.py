"""Difficulties before and after the smoothing of DGS, class by class, and what the target makes of a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from psr_studio.method.bins import N_BINS, bin_of
from psr_studio.method.difficulty import target_counts, target_histogram
from psr_studio.method.smoothing import choose_thresholds, smooth
from psr_studio.recipe.tables import SelectRecipe

EDGES = tuple(round(k / N_BINS, 1) for k in range(N_BINS + 1))


@dataclass(frozen=True, eq=False)
class Smoothed:
    """One class, smoothed by the thresholds that eq. 9 finds: pool (n,), real images (m,) or None."""

    class_id: int
    pool: np.ndarray
    pool_thresholds: tuple[float, float]
    original: np.ndarray | None
    original_thresholds: tuple[float, float]


def smoothed(class_id: int, pool: np.ndarray, original: np.ndarray | None, lam: float) -> Smoothed:
    """Smooth pool and real images of a class, each by its own thresholds (DGS eq. 7-9)."""
    own = choose_thresholds(pool, lam)
    if original is None:
        return Smoothed(class_id, smooth(pool, *own), own, None, (0.0, 0.0))
    real = choose_thresholds(original, lam)
    return Smoothed(class_id, smooth(pool, *own), own, smooth(original, *real), real)


def bars(parts: Sequence[np.ndarray | None]) -> list[int]:
    """How many values of all parts fall into each of the ten bins."""
    values = np.concatenate([p for p in parts if p is not None] or [np.zeros(0)])
    return np.bincount(bin_of(values), minlength=N_BINS).tolist() if len(values) else [0] * N_BINS


def wanted_counts(found: Smoothed, rules: SelectRecipe, budget: int) -> np.ndarray | None:
    """(10,) images of each bin that DGS aims at; None where "scale" has no real images to go by."""
    if not budget:
        return np.zeros(N_BINS, np.int64)
    if rules.target == "scale" and found.original is None:
        return None
    return target_counts(target_histogram(rules.target, found.original, rules.drawn), budget)
