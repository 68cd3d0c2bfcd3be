"""The selectors that rank: each candidate has its place in an order, and the first K are taken.

Unlike the greedy selection, a baseline takes every candidate as eligible unless it is told otherwise: the
papers run them on the raw pool. A smaller K gives a prefix, but for `cao2`, which turns its order round at K = 50, and
`coverage_centric`, which divides K anew.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from psr_studio.method.arrays import finite
from psr_studio.method.picks import Request, Selection, as_mask, check_marks, pick_in_order

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


def moderate(embeddings: Any, ipc: int, **request: Unpack[Request]) -> Selection:
    """Choose the K candidates whose distance to the centre of the class is nearest to the median distance.

    The moderate coreset of Xia et al. (2023), with the mean of the eligible candidates as the centre, as their text has
    it. Ties go to the lowest index.

    Args:
        embeddings: (N, D) teacher features, finite.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    counted = as_mask(request.get("eligible"), len(embeddings))
    away = center_distances(embeddings, counted)
    middle = np.median(away[counted]) if counted.any() else 0.0
    return pick_in_order(np.argsort(np.abs(away - middle), kind="stable"), ipc, values=away, **request)


def center_distances(embeddings: Any, counted: np.ndarray | None = None) -> np.ndarray:
    """Distances (N,) of features (N, D) to the mean of those counted, bool (N,); None counts all.

    Raises:
        ValueError: NaN embeddings.
    """
    values = finite(embeddings, "embeddings")
    part = values if counted is None else values[counted]
    return np.linalg.norm(values - (part.mean(axis=0) if len(part) else 0.0), axis=1)


def coverage_centric(
    difficulty: Any,
    ipc: int,
    *,
    cutoff: float = 0.3,
    strata: int = 50,
    seed: int = 0,
    **request: Unpack[Request],
) -> Selection:
    """Choose K candidates alike from every stratum of difficulty, the hardest left out (CCS, Zheng et al. 2023).

    The hardest share `cutoff` is cut off; the range of the others is divided into `strata` of equal width. From the
    smallest stratum on, each gives its share of what is still to be chosen, or all that it has (their Algorithm 1). A
    class that runs short is filled with those cut off, the easiest first. Departure: the published importance of an
    image is its margin over a training; here it is the teacher's difficulty.

    Args:
        difficulty: (N,) raw difficulties in [0, 1]. cutoff: in [0, 1). strata: at least 1. seed: decides the draws.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals.
    """
    values = finite(difficulty, "difficulty")
    n = len(values)
    pins, is_vetoed = check_marks(n, request.get("pinned"), request.get("vetoed"))
    by_ease = np.argsort(values, kind="stable")
    by_ease = by_ease[~is_vetoed[by_ease]]
    kept = np.zeros(n, bool)
    kept[by_ease[: len(by_ease) - int(cutoff * len(by_ease))]] = True
    lots = np.random.default_rng(seed).permutation(n)
    lots = lots[kept[lots] & ~np.isin(lots, pins)]
    drawn = _alike(values[lots], max(ipc - len(pins), 0), strata)
    order = list(
        dict.fromkeys([*lots[drawn], *lots, *by_ease, *range(n)])
    )  # those cut off come by their ease
    asked: Request = {**request, "eligible": kept}
    return pick_in_order(np.array(order), ipc, values=values, **asked)


def _alike(values: np.ndarray, count: int, strata: int) -> np.ndarray:
    """Positions of the first of each stratum in the order given: so many in all, the smallest strata served first."""
    span = np.ptp(values) if len(values) else 0.0
    place = ((values - values.min()) / span * strata).astype(int) if span else np.zeros(len(values), int)
    place = np.minimum(place, strata - 1)
    sizes = np.bincount(place, minlength=strata)
    used = [k for k in np.argsort(sizes, kind="stable") if sizes[k]]
    found = []
    for i, k in enumerate(used):
        share = min(int(sizes[k]), count // (len(used) - i))
        found.append(np.flatnonzero(place == k)[:share])
        count -= share
    return np.concatenate(found) if found else np.zeros(0, int)
