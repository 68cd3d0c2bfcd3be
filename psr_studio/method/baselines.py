"""The selectors that rank: each candidate has its place in an order, and the first K are taken.

Unlike the greedy selection, a baseline takes every candidate as eligible unless it is told otherwise: the
papers run them on the raw pool. A smaller K gives a prefix (`cao2` turns its order round at K = 50).
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from psr_studio.method.arrays import finite
from psr_studio.method.picks import Request, Selection, as_mask, pick_in_order

CAO2_ORDERS = ("by budget", "surest", "least sure")


def random_select(n_candidates: int, ipc: int, seed: int = 0, **request: Unpack[Request]) -> Selection:
    """Choose K of the N candidates at random; the seed decides the whole order, so a smaller K is a prefix.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`.
    """
    order = np.random.default_rng(seed).permutation(n_candidates)
    return pick_in_order(order, ipc, **request)


def generate_and_use(n_candidates: int, ipc: int, **request: Unpack[Request]) -> Selection:
    """Choose the first K of the pool, as a pipeline without curation does (PSR section 1).

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`.
    """
    return pick_in_order(np.arange(n_candidates), ipc, **request)


def top_confidence(reliability: Any, ipc: int, **request: Unpack[Request]) -> Selection:
    """Choose the K candidates (N,) of highest reliability (PSR eq. 1 alone); ties go to the lowest index.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals.
    """
    return _highest(finite(reliability, "reliability"), ipc, request)


def lowest_entropy(entropy: Any, ipc: int, **request: Unpack[Request]) -> Selection:
    """Choose the K candidates (N,) of lowest entropy (PSR eq. 6 alone); ties go to the lowest index.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals.
    """
    return _highest(-finite(entropy, "entropy"), ipc, request)


def _highest(values: np.ndarray, ipc: int, request: Request) -> Selection:
    return pick_in_order(np.argsort(-values, kind="stable"), ipc, values=values, **request)


def cao2(difficulty: Any, ipc: int, *, order: str = "by budget", **request: Unpack[Request]) -> Selection:
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
    is_correct = as_mask(request.get("eligible"), len(values))
    least_sure_first = order == "least sure" or (order == "by budget" and ipc >= 50)
    ranked = np.argsort(np.where(is_correct & least_sure_first, -values, values), kind="stable")
    return pick_in_order(ranked, ipc, values=1 - values, **request)
