"""The selectors that look at where candidates lie: each picture should stand for many others.

Each returns a `Selection` and honours pins and vetoes alike; every candidate counts as eligible unless it is
told otherwise, as the papers run them on the raw pool. Except for `k_medoids`, a smaller K gives a prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

import numpy as np

from psr_studio.method.arrays import finite, to_numpy
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.kernels.coresets import (
    build_medoids,
    grow_centers,
    grow_herd,
    next_of_herd,
    swap_medoids,
)
from psr_studio.method.lazy_distances import LazyBlock
from psr_studio.method.picks import (
    Request,
    Selection,
    as_mask,
    check_ipc,
    check_marks,
    check_pin_count,
    pick_in_order,
)

Grower = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def k_center(embeddings: Any, ipc: int, *, distances: Any = None, **request: Unpack[Request]) -> Selection:
    """Choose K centres by farthest-first traversal (Gonzalez 1985): at most twice the least covering radius.

    Starts from the pins, or from the candidate of the least total squared distance to the others.

    Args:
        embeddings: (N, D) teacher features; not read, and may be None, when `distances` is given.
        distances: (N, N) from `pairwise_sq_distances`, to spare their computation.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    if isinstance(distances, LazyBlock):
        by_rows = partial(_centers_by_rows, distances)
        return _grown(by_rows, len(distances), ipc, request)
    sq = _distances(embeddings, distances)

    def grow(available: np.ndarray, pins: np.ndarray, count: int) -> np.ndarray:
        picks = np.empty(count, np.int64)
        nearest, n_first = sq[pins].min(axis=0, initial=np.inf), 0
        if not len(pins) and count:
            total = np.where(available, sq[available].sum(axis=0, dtype=np.float64), np.inf)
            picks[0], n_first = total.argmin(), 1
            nearest, available[picks[0]] = sq[picks[0]].copy(), False
        bits = np.where(available, nearest.view(np.int32), np.int32(-1))
        grow_centers(sq.view(np.int32), bits, picks[n_first:])
        return picks

    return _grown(grow, len(sq), ipc, request)


def _centers_by_rows(block: LazyBlock, available: np.ndarray, pins: np.ndarray, count: int) -> np.ndarray:
    """The same traversal where only the rows of the picks are computed."""
    picks, nearest = np.empty(count, np.int64), np.full(len(block), np.inf)
    for pin in pins:
        nearest = np.minimum(nearest, block.row(int(pin)))
    for step in range(count):
        far = nearest if step or len(pins) else -block.totals(available)
        picks[step] = np.where(available, far, -np.inf).argmax()
        available[picks[step]] = False
        nearest = np.minimum(nearest, block.row(int(picks[step])))
    return picks


def k_medoids(
    embeddings: Any, ipc: int, *, distances: Any = None, max_swaps: int = 200, **request: Unpack[Request]
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
    sq = _distances(embeddings, distances)
    counted = as_mask(request.get("eligible"), len(sq))

    def grow(available: np.ndarray, pins: np.ndarray, count: int) -> np.ndarray:
        medoids = np.concatenate([pins, np.empty(count, np.int64)])
        build_medoids(sq, counted, available, medoids, len(pins))
        if count:
            least = 1e-12 * float(sq[:, counted].max(initial=0.0))
            swap_medoids(sq, counted, available, medoids, len(pins), max_swaps, least)
        return medoids[len(pins) :]

    return _grown(grow, len(sq), ipc, request)


def herding(embeddings: Any, ipc: int, *, distances: Any = None, **request: Unpack[Request]) -> Selection:
    """Choose K candidates whose running mean stays nearest the mean of the class (herding: Welling 2009).

    Each pick brings the mean of all picks so far closest to the mean of the eligible candidates, the form of
    Rebuffi et al. (2017). Ties go to the lowest index.

    Args:
        embeddings: (N, D) teacher features, finite.
        distances: (N, N) from `pairwise_sq_distances`; with them a step costs N instead of N * D. Then
            `embeddings` may be None; without it, near ties are left to the rounding of the distances.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    if distances is None:
        values = finite(embeddings, "embeddings")
    else:  # distances of features that are not finite could not be computed
        values = np.zeros((0, 0)) if embeddings is None else to_numpy(embeddings)
    n = len(values) if distances is None else len(distances)
    counted = as_mask(request.get("eligible"), n)

    def grow(available: np.ndarray, pins: np.ndarray, count: int) -> np.ndarray:
        if distances is None:
            return _herd_by_features(values, counted, available, pins, count)
        members = np.concatenate([pins, np.empty(count, np.int64)])
        if isinstance(distances, LazyBlock):
            _herd_by_rows(distances, values, counted, available, members, len(pins))
        else:
            grow_herd(_distances(None, distances), values, counted, available, members, len(pins))
        return members[len(pins) :]

    return _grown(grow, n, ipc, request)


def _herd_by_rows(
    block: LazyBlock,
    values: np.ndarray,
    counted: np.ndarray,
    available: np.ndarray,
    members: np.ndarray,
    n_pins: int,
) -> None:
    """What `grow_herd` does, where only the rows of the picks are computed; the same arguments, written alike."""
    to_all, to_picks = block.totals(counted) / max(int(counted.sum()), 1), np.zeros(len(block))
    for step in range(len(members)):
        if step >= n_pins:
            members[step] = next_of_herd(to_all, to_picks, available, values, counted, members[:step])
        to_picks += block.row(int(members[step]))
        available[members[step]] = False


def _herd_by_features(
    values: np.ndarray, counted: np.ndarray, available: np.ndarray, pins: np.ndarray, count: int
) -> np.ndarray:
    """Herding as it is written down, every error from the features (N, D)."""
    mean = values[counted].mean(axis=0) if counted.any() else 0.0  # with none eligible nothing is grown
    total, grown = values[pins].sum(axis=0), np.empty(count, np.int64)
    for step in range(count):
        error = (((total + values) / (len(pins) + step + 1) - mean) ** 2).sum(axis=1)
        pick = int(np.where(available, error, np.inf).argmin())
        total, available[pick] = total + values[pick], False
        grown[step] = pick
    return grown


def facility_location(
    embeddings: Any, ipc: int, *, distances: Any = None, **request: Unpack[Request]
) -> Selection:
    """Choose K candidates, each the one that raises most the summed likeness of all to the nearest pick.

    Likeness is the largest squared distance less the squared distance, as jmschrei/apricot has it; raising its sum
    lowers that of PSR eq. 2. So this is the building of `k_medoids` without its swaps: at least 1 - 1/e of the best
    sum (Nemhauser et al. 1978), and a smaller K gives a prefix.

    Args and raises as `k_medoids`.
    """
    return k_medoids(embeddings, ipc, distances=distances, max_swaps=0, **request)


def log_determinant(
    embeddings: Any,
    ipc: int,
    *,
    distances: Any = None,
    reliability: Any = None,
    width: float = 1.0,
    quality: float = 0.0,
    **request: Unpack[Request],
) -> Selection:
    """Choose K candidates of greedily largest log det L, the likeliest set of a k-DPP (Kulesza & Taskar 2011).

    L_ij = q_i exp(-d_ij / (width * mean d)) q_j, with d the squared distances and q the reliability to the power
    `quality`. A pick divides its row out of what is left of the others, as a Cholesky decomposition does (Chen et al.
    2018, Algorithm 1): O(N K) a step, no determinant is taken. Copies of a pick add nothing and come last.

    Args:
        embeddings: (N, D) teacher features; not read, and may be None, when `distances` is given.
        distances: (N, N) from `pairwise_sq_distances`, to spare their computation.
        reliability: (N,) in [0, 1]; read where `quality` is above 0.

    Raises:
        ValueError: as `greedy_select` about K, marks and `on_shortage`; NaN embeddings.
    """
    sq = _distances(embeddings, distances)
    n = len(sq)
    scale = width * float(sq.sum(dtype=np.float64)) / max(n * (n - 1), 1)
    trust = np.maximum(finite(reliability, "reliability"), 1e-12) ** quality if quality else np.ones(n)

    def grow(available: np.ndarray, pins: np.ndarray, count: int) -> np.ndarray:
        rest, rows = (
            trust**2,
            np.zeros((len(pins) + count, n)),
        )  # what no pick explains yet, and what they explain
        picks = np.concatenate([pins, np.empty(count, np.int64)])
        for step in range(len(picks)):
            if step >= len(pins):
                picks[step] = np.where(available, rest, -1.0).argmax()
                available[picks[step]] = False
            pick = picks[step]
            if rest[pick] > 1e-10 * trust[pick] ** 2:
                alike = trust[pick] * trust * np.exp(-sq[pick] / scale if scale else -sq[pick])
                rows[step] = (alike - rows[:step, pick] @ rows[:step]) / np.sqrt(rest[pick])
                rest = np.maximum(rest - rows[step] ** 2, 0.0)
        return picks[len(pins) :]

    return _grown(grow, n, ipc, request)


def _distances(embeddings: Any, distances: Any) -> np.ndarray:
    """Return float32 (N, N), those given or computed."""
    values = pairwise_sq_distances(embeddings) if distances is None else distances
    return np.ascontiguousarray(to_numpy(values), dtype=np.float32)


def _grown(grow: Grower, n: int, ipc: int, request: Request) -> Selection:
    """Let `grow` add to the pins as many eligible candidates as there are, then fill by lowest index."""
    ipc = check_ipc(ipc, n)
    pins, is_vetoed = check_marks(n, request.get("pinned"), request.get("vetoed"))
    check_pin_count(len(pins), ipc)
    available = as_mask(request.get("eligible"), n) & ~is_vetoed
    available[pins] = False
    grown = grow(available, pins, min(ipc - len(pins), int(available.sum())))
    order = np.concatenate([grown, np.setdiff1d(np.arange(n), grown)])
    return pick_in_order(order, ipc, **request)
