"""The selectors that rank: each candidate has its place in an order, and the first K are taken.

Unlike the greedy selection, a baseline takes every candidate as eligible unless it is told otherwise: the
papers run them on the raw pool. A smaller K gives a prefix (`cao2` turns its order round at K = 50).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psr_studio.method.arrays import finite
from psr_studio.method.picks import Selection, as_mask, pick_in_order

CAO2_ORDERS = ("by budget", "surest", "least sure")


def random_select(
    n_candidates: int,
    ipc: int,
    seed: int = 0,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
) -> Selection:
    """Choose K of the N candidates at random; the seed decides the whole order, so a smaller K is a prefix.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`.
    """
    order = np.random.default_rng(seed).permutation(n_candidates)
    return pick_in_order(order, ipc, eligible, pinned, vetoed, on_shortage)


def generate_and_use(
    n_candidates: int,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
) -> Selection:
    """Choose the first K of the pool, as a pipeline without curation does (PSR section 1).

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`.
    """
    return pick_in_order(np.arange(n_candidates), ipc, eligible, pinned, vetoed, on_shortage)


def top_confidence(
    reliability: Any,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
) -> Selection:
    """Choose the K candidates (N,) of highest reliability (PSR eq. 1 alone); ties go to the lowest index.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals.
    """
    values = finite(reliability, "reliability")
    order = np.argsort(-values, kind="stable")
    return pick_in_order(order, ipc, eligible, pinned, vetoed, on_shortage, values)


def lowest_entropy(
    entropy: Any,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
) -> Selection:
    """Choose the K candidates (N,) of lowest entropy (PSR eq. 6 alone); ties go to the lowest index.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals.
    """
    values = -finite(entropy, "entropy")
    order = np.argsort(-values, kind="stable")
    return pick_in_order(order, ipc, eligible, pinned, vetoed, on_shortage, values)


def cao2(
    difficulty: Any,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
    *,
    order: str = "by budget",
) -> Selection:
    """Choose K candidates that the teacher classifies correctly, by its confidence (CaO2's sample selection).

    Its release takes the surest first and suggests the least sure first for 50 images per class: "by budget"
    changes over at K = 50. A class that runs short is filled with those it takes for another, the surest first. Ties go
    to the lowest index.

    Args:
        difficulty: (N,) one minus the teacher's confidence in the class, without temperature.
        eligible: (N,) bool, the teacher classifies it correctly.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals, an unknown order.
    """
    if order not in CAO2_ORDERS:
        raise ValueError(f'The order is "{order}", but it must be one of: {", ".join(CAO2_ORDERS)}.')
    values = finite(difficulty, "difficulty")
    is_correct = as_mask(eligible, len(values))
    least_sure_first = order == "least sure" or (order == "by budget" and ipc >= 50)
    ranked = np.argsort(np.where(is_correct & least_sure_first, -values, values), kind="stable")
    return pick_in_order(ranked, ipc, is_correct, pinned, vetoed, on_shortage, 1 - values)
