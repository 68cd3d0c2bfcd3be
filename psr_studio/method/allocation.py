"""Spending one budget unevenly over the classes, where it buys most. Ours: neither paper does this.

Both papers give every class the same K, and that stays the default. Classes differ, though: in one the tenth
image still shows something new, in another it repeats the third. The greedy selection measures this as it goes:
the gain of each further pick. Here the slots of all classes go to the largest gains.

Shape letters: C classes, N candidates, n_c candidates of one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from psr_studio.method.arrays import finite, to_float64
from psr_studio.method.distances import ClassDistances

# Gains closer than this share of the largest one are ties, whatever their rounding errors.
TIE = 1e-9


def allocate(gains: Sequence[Any], total: int, floor: Any = 1, ceiling: Any = None) -> np.ndarray:
    """Split a total over the classes so that the summed gain is the largest, within a floor and a ceiling.

    The rule: after the floors, each next slot goes to the class whose next image gains most; on a tie to the
    class with the fewest so far, then to the lowest class, so equal gains give an even split. Gains are first
    made non-increasing by averaging where they rise (`non_increasing`): a class whose next image gains little
    and the one after it much is then not passed over. For gains that never rise the split is optimal.

    Args:
        gains: for each class (n_c,) gains in pick order; a class gets at most n_c. They must be in one unit
            across classes: see `comparable_gains`.
        total: slots in all.
        floor, ceiling: least and most slots of a class, one number or (C,); no ceiling when None.

    Returns:
        (C,) int64 slots, summing to `total`.

    Raises:
        ValueError: floors above, or ceilings below, the total; a floor above what a class has; NaN gains.
    """
    floors, caps = _limits(gains, floor, ceiling)
    if not floors.sum() <= total <= caps.sum():
        span = f"{floors.sum()} to {caps.sum()}"
        raise ValueError(f"{total} images are to be split, but floors and ceilings leave room for {span}.")
    tails = [
        non_increasing(finite(values, "gains")[least:most])
        for values, least, most in zip(gains, floors, caps, strict=True)
    ]
    slopes = np.concatenate([*tails, np.zeros(0)])
    depths = np.concatenate([np.arange(a, b) for a, b in zip(floors, caps, strict=True)] or [np.zeros(0)])
    owners = np.repeat(np.arange(len(floors)), caps - floors)
    unit = TIE * max(float(np.abs(slopes).max(initial=0.0)), 1e-300)
    order = np.lexsort((owners, depths, -np.round(slopes / unit)))
    taken = order[: total - floors.sum()]
    return floors + np.bincount(owners[taken], minlength=len(floors))


def non_increasing(gains: Any) -> np.ndarray:
    """Average gains over the stretches where they rise: slopes of the least concave curve above their sum.

    The sum over any finished stretch stays what it was. A curve that never rises is returned as it is.

    Args:
        gains: (n,) in pick order.
    """
    sums: list[float] = []
    sizes: list[int] = []
    for gain in to_float64(gains):
        sums.append(float(gain))
        sizes.append(1)
        while len(sums) > 1 and sums[-2] * sizes[-1] < sums[-1] * sizes[-2]:
            sums[-2:], sizes[-2:] = [sums[-2] + sums[-1]], [sizes[-2] + sizes[-1]]
    return np.repeat([total / size for total, size in zip(sums, sizes, strict=True)], sizes)


def comparable_gains(
    reliability: Any,
    entropy: Any,
    distances: ClassDistances,
    orders: Sequence[np.ndarray],
    weights: tuple[float, float, float],
) -> list[np.ndarray]:
    """Return for each class what each pick adds, in one unit for all classes.

    The scores of the greedy selection are normalised inside each class, so that those of two classes say
    nothing about each other. Here the terms of PSR eq. 8 are raw, with diversity in units of the mean squared
    distance of all candidates to the first pick of their class: alpha * rel - beta * ent + gamma * d / unit.

    Args:
        reliability, entropy: (N,) over the pool. distances: of the pool.
        orders: for each class of `distances` its picks as positions in the pool, in pick order.
        weights: (alpha, beta, gamma).
    """
    place = np.empty(len(distances.order), np.int64)
    place[distances.order] = np.arange(len(place))
    local = [place[picks] - distances.starts[c] for c, picks in enumerate(orders)]
    blocks = [distances.block(c) for c in range(len(orders))]
    firsts = [block[int(picks[0])] for block, picks in zip(blocks, local, strict=True) if len(picks)]
    unit = float(np.concatenate(firsts).mean(dtype=np.float64)) if firsts else 0.0
    rel, ent = to_float64(reliability), to_float64(entropy)
    return [
        pick_gains(rel[orders[c]], ent[orders[c]], blocks[c], local[c], weights, unit)
        for c in range(len(orders))
    ]


def pick_gains(
    reliability: np.ndarray,
    entropy: np.ndarray,
    distances: np.ndarray,
    picks: np.ndarray,
    weights: tuple[float, float, float],
    unit: float,
) -> np.ndarray:
    """Return (k,) alpha * rel - beta * ent + gamma * d / unit of each pick, d to the nearest earlier one.

    The first pick has no earlier one: it counts as far away as the farthest candidate is from it, so that the
    curve does not start with a dip.

    Args:
        reliability, entropy: (k,) of the picks. distances: (n, n) of the class. picks: (k,) rows of it.
        weights: (alpha, beta, gamma). unit: what counts as a distance of 1; 0 leaves diversity out.
    """
    alpha, beta, gamma = weights
    gains = alpha * reliability - beta * entropy
    if not len(picks) or not unit > 0:
        return gains
    among = distances[np.ix_(picks, picks)].astype(np.float64)
    among[np.triu_indices(len(picks))] = np.inf  # later ones and itself do not count
    nearest = among.min(axis=1)
    nearest[0] = distances[int(picks[0])].max()
    return gains + gamma * nearest / unit


def _limits(gains: Sequence[Any], floor: Any, ceiling: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return least and most slots (C,) of each class."""
    sizes = np.array([len(values) for values in gains], np.int64)
    floors = np.broadcast_to(np.asarray(floor, np.int64), sizes.shape)
    caps = sizes if ceiling is None else np.minimum(sizes, np.asarray(ceiling, np.int64))
    wrong = np.flatnonzero((floors < 0) | (floors > caps))
    if len(wrong):
        c = wrong[0]
        raise ValueError(f"Class {c} should get {floors[c]} or more, but {caps[c]} is the most it can get.")
    return floors, caps
