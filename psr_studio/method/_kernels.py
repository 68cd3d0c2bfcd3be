"""The compiled inner loop of the greedy selection (PSR eq. 7 and 8), one class after another.

Shape letters: N candidates grouped by class, m candidates of one class, C classes, K = ipc. No fast-math
anywhere, and no fused multiply-add: the picks equal those of plain float64 arithmetic that reads the same
float32 distances.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

# How the diversity term is scaled at each step.
RAW, POOL, REMAINING, FROZEN = 0, 1, 2, 3


class Candidates(NamedTuple):
    """Candidates grouped by class, and the class borders: class c holds `starts[c]` to `starts[c + 1]`."""

    reliability: np.ndarray  # (N,) float64
    entropy: np.ndarray  # (N,) float64
    eligible: np.ndarray  # (N,) bool
    vetoed: np.ndarray  # (N,) bool
    starts: np.ndarray  # (C + 1,) int64
    pins: np.ndarray  # int64, counted inside the class, in the order pinned
    pin_starts: np.ndarray  # (C + 1,) int64, borders of the classes in `pins`
    distances: np.ndarray  # float32, one flattened (m, m) block per class
    distance_starts: np.ndarray  # (C + 1,) int64, borders of the classes in `distances`


class Rule(NamedTuple):
    """How to choose: the weights of PSR eq. 8 and the decisions around it."""

    alpha: float
    beta: float
    gamma: float
    normalize: bool
    scaling: int
    fill: bool


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call and keep the result on disk, where there is a folder that can be written."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba finds no folder to keep compiled code in
        return njit(nogil=True)(function)


@_compiled
def _weighted_term(
    values: np.ndarray, counted: np.ndarray, weight: float, normalize: bool, out: np.ndarray
) -> None:
    """Write weight * min-max(values) into `out`; the `counted` candidates set the scale (PSR section 3.2)."""
    low, high = np.inf, -np.inf
    for i in range(values.size):
        if counted[i]:
            low = min(low, values[i])
            high = max(high, values[i])
    for i in range(values.size):
        if not normalize:
            out[i] = weight * values[i]
        elif high > low:
            out[i] = weight * ((values[i] - low) / (high - low))
        else:
            out[i] = 0.0  # constant, or nothing that counts


@_compiled
def _absorb(nearest: np.ndarray, row: np.ndarray, counted: np.ndarray) -> float:
    """Lower `nearest` to the distances of the new member (PSR eq. 7); return the largest of the counted."""
    high = 0.0
    for i in range(nearest.size):
        distance = np.float64(row[i])
        nearest[i] = distance if distance < nearest[i] else nearest[i]
    for i in range(nearest.size):
        if nearest[i] > high and counted[i]:
            high = nearest[i]
    return high


@_compiled
def _range_of_remaining(nearest: np.ndarray, counted: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """Return minimum and width of the distances over the counted candidates that are not chosen yet."""
    low, high = np.inf, -np.inf
    for i in range(nearest.size):
        if counted[i] and not chosen[i]:
            low = min(low, nearest[i])
            high = max(high, nearest[i])
    return (low, high - low) if high > low else (0.0, 0.0)


@_compiled
def _best_score(
    static: np.ndarray, nearest: np.ndarray, gamma: float, low: float, width: float, scores: np.ndarray
) -> int:
    """Return the candidate of the highest score (PSR eq. 8); on a tie the lowest index, -1 if all are closed.

    `static` is alpha * reliability - beta * entropy, -inf for a candidate that must not be taken; `scores`
    is room to work in.
    """
    if width > 0.0:
        for i in range(static.size):
            scores[i] = static[i] + gamma * ((nearest[i] - low) / width)
    else:
        scores[:] = static
    best, best_score = -1, -np.inf
    for i in range(static.size):
        if scores[i] > best_score:
            best, best_score = i, scores[i]
    return best


@_compiled
def _most_reliable(reliability: np.ndarray, allowed: np.ndarray) -> int:
    """Return the allowed candidate of highest raw reliability; on a tie the lowest index, -1 if none."""
    best, best_value = -1, -np.inf
    for i in range(reliability.size):
        if allowed[i] and reliability[i] > best_value:
            best, best_value = i, reliability[i]
    return best


@_compiled
def _diversity_scale(
    step: int,
    scaling: int,
    widest: float,
    first_widest: float,
    nearest: np.ndarray,
    counted: np.ndarray,
    chosen: np.ndarray,
) -> tuple[float, float]:
    """Return what to subtract from a distance and to divide it by; width 0 makes the diversity term 0."""
    if step == 0:  # no distance yet
        return 0.0, 0.0
    if scaling == RAW:
        return 0.0, 1.0
    if scaling == POOL:  # a chosen candidate's own distance is 0, so min-max is d / max d
        return 0.0, widest
    if scaling == FROZEN:
        return 0.0, first_widest
    return _range_of_remaining(nearest, counted, chosen)


@_compiled
def _greedy_class(
    pool: Candidates, c: int, rule: Rule, picks: np.ndarray, terms: np.ndarray, filled: np.ndarray
) -> int:
    """Select class c; write into picks (K,), terms (K, 3), filled (K,); return how many were found."""
    a, b, d = pool.starts[c], pool.starts[c + 1], pool.distance_starts[c]
    reliability, eligible, vetoed = pool.reliability[a:b], pool.eligible[a:b], pool.vetoed[a:b]
    pins = pool.pins[pool.pin_starts[c] : pool.pin_starts[c + 1]]
    m = b - a
    reliability_term, entropy_term = np.empty(m), np.empty(m)
    _weighted_term(reliability, eligible, rule.alpha, rule.normalize, reliability_term)
    _weighted_term(pool.entropy[a:b], eligible, rule.beta, rule.normalize, entropy_term)
    open_, spare = (
        eligible & ~vetoed,
        ~eligible & ~vetoed,
    )  # still to be had: right ones, fillers
    static = np.where(open_, reliability_term - entropy_term, -np.inf)  # what no pick changes in eq. 8
    nearest, chosen, scores = np.full(m, np.inf), np.zeros(m, np.bool_), np.empty(m)
    widest = first_widest = 0.0
    for step in range(picks.size):
        low, width = _diversity_scale(step, rule.scaling, widest, first_widest, nearest, eligible, chosen)
        if step < pins.size:
            pick = pins[step]
        elif step == 0:
            pick = _most_reliable(reliability, open_)
        else:
            pick = _best_score(static, nearest, rule.gamma, low, width, scores)
        if pick < 0 and rule.fill:
            pick = _most_reliable(reliability, spare)
            filled[step] = True
        if pick < 0:
            return step
        picks[step] = pick
        terms[step, 0], terms[step, 1] = reliability_term[pick], 0.0 - entropy_term[pick]
        terms[step, 2] = rule.gamma * ((nearest[pick] - low) / width) if width > 0.0 else 0.0
        chosen[pick], open_[pick], spare[pick], static[pick] = True, False, False, -np.inf
        row = d + pick * m
        widest = _absorb(nearest, pool.distances[row : row + m], eligible)
        if step == 0:
            first_widest = widest
    return picks.size


@_compiled
def greedy_classes(
    pool: Candidates, rule: Rule, picks: np.ndarray, terms: np.ndarray, filled: np.ndarray, counts: np.ndarray
) -> None:
    """Select every class of a pool; the picks count inside their class.

    Args:
        picks: (C, K) int64, terms: (C, K, 3) float64, filled: (C, K) bool, counts: (C,) int64;
            zeros on entry, written.
    """
    for c in range(counts.size):
        counts[c] = _greedy_class(pool, c, rule, picks[c], terms[c], filled[c])
