"""The selectors that PSR is measured against. Each returns a `Selection` and honours pins and vetoes alike.

Unlike the greedy selection, a baseline takes every candidate as eligible unless it is told otherwise: the
papers run them on the raw pool. Except for `k_medoids`, a smaller K gives a prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from psr_studio.method._arrays import finite, to_numpy
from psr_studio.method._distances import pairwise_sq_distances
from psr_studio.method._picks import (
    Selection,
    as_mask,
    check_ipc,
    check_marks,
    check_pin_count,
    pick_in_order,
)

Grower = Callable[[np.ndarray, np.ndarray, int], list[int]]


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


CAO2_ORDERS = ("by budget", "surest", "least sure")


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
    """Choose K candidates that the teacher classifies rightly, by its confidence (CaO2's sample selection).

    Its release takes the surest first and suggests the least sure first for 50 images per class: "by budget"
    changes over at K = 50. A class that runs short is filled with the wrong ones, the surest first. Ties go
    to the lowest index.

    Args:
        difficulty: (N,) one minus the teacher's confidence in the class, without temperature.
        eligible: (N,) bool, the teacher classifies it rightly.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN signals, an unknown order.
    """
    if order not in CAO2_ORDERS:
        raise ValueError(f'The order is "{order}", but it must be one of: {", ".join(CAO2_ORDERS)}.')
    values = finite(difficulty, "difficulty")
    right = as_mask(eligible, len(values))
    least_sure_first = order == "least sure" or (order == "by budget" and ipc >= 50)
    ranked = np.argsort(np.where(right & least_sure_first, -values, values), kind="stable")
    return pick_in_order(ranked, ipc, right, pinned, vetoed, on_shortage, 1 - values)


def k_center(
    embeddings: Any,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
    *,
    distances: Any = None,
) -> Selection:
    """Choose K centres by farthest-first traversal (Gonzalez 1985): at most twice the least covering radius.

    Starts from the pins, or from the candidate of the least total squared distance to the others.

    Args:
        embeddings: (N, D) teacher features; not read, and may be None, when `distances` is given.
        distances: (N, N) from `pairwise_sq_distances`, to spare their computation.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    sq = to_numpy(pairwise_sq_distances(embeddings) if distances is None else distances).astype(np.float64)

    def grow(open_: np.ndarray, pins: np.ndarray, count: int) -> list[int]:
        nearest = sq[pins].min(axis=0) if len(pins) else -sq[open_].sum(axis=0)
        grown: list[int] = []
        for _ in range(count):
            pick = int(np.where(open_, nearest, -np.inf).argmax())
            nearest = np.minimum(nearest, sq[pick]) if grown or len(pins) else sq[pick].copy()
            open_[pick] = False
            grown.append(pick)
        return grown

    return _grown(grow, len(sq), ipc, eligible, pinned, vetoed, on_shortage)


def k_medoids(
    embeddings: Any,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
    *,
    distances: Any = None,
    max_swaps: int = 200,
) -> Selection:
    """Choose the K candidates of least encoding error: summed squared distance to the nearest (PSR eq. 2).

    Greedy building, then the best swap again and again while one helps (PAM): a local optimum. Pins are never
    swapped out; the error counts the eligible candidates.

    Args:
        embeddings: (N, D) teacher features; not read, and may be None, when `distances` is given.
        distances: (N, N) from `pairwise_sq_distances`, to spare their computation.
        max_swaps: stop after this many swaps.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    sq = to_numpy(pairwise_sq_distances(embeddings) if distances is None else distances).astype(np.float64)
    columns = sq[:, as_mask(eligible, len(sq))]  # (N, P): to the points whose error counts

    def grow(open_: np.ndarray, pins: np.ndarray, count: int) -> list[int]:
        medoids = pins.tolist()
        for _ in range(count):
            nearest = columns[medoids].min(axis=0) if medoids else np.full(columns.shape[1], np.inf)
            error = np.where(open_, np.minimum(columns, nearest).sum(axis=1), np.inf)
            medoids.append(int(error.argmin()))
            open_[medoids[-1]] = False
        for _ in range(max_swaps if count else 0):
            gain, out, into = _best_swap(columns, medoids, open_, len(pins))
            if not gain > 1e-12 * columns.max(initial=0.0):
                break
            open_[medoids[out]], open_[into] = True, False
            medoids[out] = into
        return medoids[len(pins) :]

    return _grown(grow, len(sq), ipc, eligible, pinned, vetoed, on_shortage)


def herding(
    embeddings: Any,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
) -> Selection:
    """Choose K candidates whose running mean stays nearest the mean of the class (herding: Welling 2009).

    Each pick brings the mean of all picks so far closest to the mean of the eligible candidates, the form of
    Rebuffi et al. (2017). Ties go to the lowest index.

    Args:
        embeddings: (N, D) teacher features, finite.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    values = finite(embeddings, "embeddings")
    counted = values[as_mask(eligible, len(values))]
    mean = counted.mean(axis=0) if len(counted) else 0.0  # with none eligible nothing is grown

    def grow(open_: np.ndarray, pins: np.ndarray, count: int) -> list[int]:
        total = values[pins].sum(axis=0)
        grown: list[int] = []
        for size in range(len(pins) + 1, len(pins) + count + 1):
            error = (((total + values) / size - mean) ** 2).sum(axis=1)
            pick = int(np.where(open_, error, np.inf).argmin())
            total, open_[pick] = total + values[pick], False
            grown.append(pick)
        return grown

    return _grown(grow, len(values), ipc, eligible, pinned, vetoed, on_shortage)


def _grown(
    grow: Grower, n: int, ipc: int, eligible: Any, pinned: Any, vetoed: Any, on_shortage: str
) -> Selection:
    """Let `grow` add to the pins as many eligible candidates as there are, then fill by lowest index."""
    ipc = check_ipc(ipc, n)
    pins, is_vetoed = check_marks(n, pinned, vetoed)
    check_pin_count(len(pins), ipc)
    open_ = as_mask(eligible, n) & ~is_vetoed
    open_[pins] = False
    grown = np.array(grow(open_, pins, min(ipc - len(pins), int(open_.sum()))), dtype=np.int64)
    order = np.concatenate([grown, np.setdiff1d(np.arange(n), grown)])
    return pick_in_order(order, ipc, eligible, pinned, vetoed, on_shortage)


def _best_swap(
    columns: np.ndarray, medoids: list[int], open_: np.ndarray, n_pins: int
) -> tuple[float, int, int]:
    """Return the largest drop of the encoding error by one swap, the place of who leaves, and who enters.

    With d1 and d2 the distances of a point to its nearest and second nearest medoid, a newcomer at distance d
    changes the point's share to min(d, d1) when its nearest medoid stays, and to min(d, d2) when that one
    leaves.
    """
    to_medoids = columns[medoids]  # (K, P)
    owner = to_medoids.argmin(axis=0)
    first = to_medoids[owner, np.arange(len(owner))]
    to_medoids[owner, np.arange(len(owner))] = np.inf
    second = to_medoids.min(axis=0)
    stays = np.minimum(columns - first, 0.0).sum(axis=1)  # (N,) change when the owner of each point stays
    leaves = np.minimum(columns, second) - np.minimum(columns, first)  # (N, P) what its leaving adds; >= 0
    ownership = (owner[:, None] == np.arange(len(medoids))).astype(np.float64)  # (P, K)
    change = stays[:, None] + leaves @ ownership
    change[~open_] = np.inf
    change[:, :n_pins] = np.inf
    into, out = np.unravel_index(change.argmin(), change.shape)
    return -float(change[into, out]), int(out), int(into)
