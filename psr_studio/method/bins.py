"""The ten difficulty bins of DGS, and how a bin that runs short is served by its neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from psr_studio.method.arrays import name_some, to_float64

N_BINS = 10


def histogram(values: Any) -> np.ndarray:
    """Return the share (10,) of the values in each difficulty bin; the shares sum to 1.

    Raises:
        ValueError: no value, NaN or values outside [0, 1].
    """
    bins = bin_of(values)
    return np.bincount(bins, minlength=N_BINS) / len(bins)


def bin_of(values: Any) -> np.ndarray:
    """Return the bin 0..9 of each difficulty (N,); bin k is [k/10, (k+1)/10), and 1 belongs to the last.

    Raises:
        ValueError: no value, NaN or values outside [0, 1].
    """
    return np.minimum((check_difficulty(values) * N_BINS).astype(np.int64), N_BINS - 1)


def spread_counts(
    wanted: np.ndarray, available: np.ndarray
) -> tuple[np.ndarray, tuple[tuple[int, int, int], ...]]:
    """Serve each bin from itself, then short bins, easy ones first, from the nearest that has some left.

    Args:
        wanted: (B,) how many each bin should give. available: (B,) how many it has.

    Returns:
        How many each bin gives (B,), and the substitutions as (wanted bin, bin that gave, how many).

    Raises:
        ValueError: more wanted than available in all.
    """
    if wanted.sum() > available.sum():
        raise ValueError(f"{wanted.sum()} are wanted, but only {available.sum()} are there.")
    taken = np.minimum(wanted, available)
    moves: list[tuple[int, int, int]] = []
    for short in np.flatnonzero(wanted > taken):
        missing = int(wanted[short] - min(wanted[short], available[short]))
        while missing:
            giver = nearest_bin(int(short), available - taken)
            n = min(missing, int(available[giver] - taken[giver]))
            taken[giver] += n
            missing -= n
            moves.append((int(short), giver, n))
    return taken, tuple(moves)


def draw_counts(wanted: np.ndarray, lots: np.ndarray) -> tuple[np.ndarray, tuple[tuple[int, int, int], ...]]:
    """Serve each bin from itself, then short bins, easy ones first, by drawing from all that is left.

    Args:
        wanted: (B,) how many each bin should give. lots: (N,) the bins of what there is, in the order of the draw.

    Returns:
        As `spread_counts`.

    Raises:
        ValueError: more wanted than there is.
    """
    if wanted.sum() > len(lots):
        raise ValueError(f"{wanted.sum()} are wanted, but only {len(lots)} are there.")
    own = np.minimum(wanted, np.bincount(lots, minlength=len(wanted)))
    place = np.empty(len(lots), np.int64)  # of each among those of its bin
    for k in range(len(wanted)):
        place[lots == k] = np.arange(np.count_nonzero(lots == k))
    givers = lots[place >= own[lots]][: wanted.sum() - own.sum()]
    short = np.repeat(np.arange(len(wanted)), wanted - own)
    pairs, amounts = np.unique(np.stack([short, givers]), axis=1, return_counts=True)
    moves = tuple((int(to), int(giver), int(n)) for (to, giver), n in zip(pairs.T, amounts, strict=True))
    return own + np.bincount(givers, minlength=len(wanted)), moves


def nearest_bin(k: int, amounts: np.ndarray) -> int:
    """Return the bin nearest to `k` that has an amount above 0, the easier one on a tie."""
    candidates = np.flatnonzero(amounts > 0)
    return int(candidates[np.abs(candidates - k).argmin()])


def check_difficulty(values: Any) -> np.ndarray:
    """Return difficulties as float64 (N,), or say which are outside [0, 1]."""
    difficulties = to_float64(values)
    if difficulties.ndim != 1 or not len(difficulties):
        raise ValueError(
            f"Difficulties have shape {difficulties.shape}, but (N,) with one or more is needed."
        )
    if difficulties.min() >= 0 and difficulties.max() <= 1:  # false of NaN
        return difficulties
    outside = np.flatnonzero(~((difficulties >= 0) & (difficulties <= 1)))
    which = f"{len(outside)} of {len(difficulties)} difficulties"
    raise ValueError(f"{which} are outside [0, 1], at {name_some(outside)}.")
