"""The compiled inner loop of the greedy selection (PSR eq. 7 and 8), one class after another.

Shape letters: N candidates grouped by class, m candidates of one class, C classes, K = ipc. No fast-math
anywhere, and no fused multiply-add: the picks equal those of plain float64 arithmetic that reads the same
float32 distances.

What makes it fast: every loop over candidates turns into vector instructions, and the exact score, with its
division in float64, is worked out for few. A compiler may not reorder a maximum of floats, because of NaN and
the sign of zero, but it may reorder one of whole numbers; and the bits of floats of at least 0, read as whole
numbers, are in the order of the floats. So minima and maxima are taken over the bits. The best score is looked
for with rough scores in float32 first, whose error is bounded: who is further below the highest rough score
than the errors of two cannot be the best, and the others are compared exactly.

Candidates are gone through in blocks of 64, with whole numbers without a sign as indices: one with a sign may
count from the end, and asking whether it does keeps a loop from turning into vector instructions. The highest
rough score of each block tells where the best can be, and who comes next: as a rule that is the next pick, so its
row of distances is fetched while the row of this one is worked on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from psr_studio.method.kernels.compiled import bits_of, compiled, number_of, prefetch

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
    groups: np.ndarray  # (N,) int64, the part of its class that a candidate is of; empty without limits
    quotas: np.ndarray  # (C, G) int64, how many each part of a class may give beside the pins


class Rule(NamedTuple):
    """How to choose: the weights of PSR eq. 8 and the decisions around it."""

    alpha: float
    beta: float
    gamma: float
    normalize: bool
    scaling: int
    fill: bool


class _Room(NamedTuple):
    """What one class is worked out in; allocated once for many classes, at the size of the largest.

    The padding after the m candidates, up to whole blocks, is closed and not counted; a row of distances is read
    as long, into the row after it, so that no loop ends in a slow remainder.
    """

    static: np.ndarray  # (m + padding,) float64, the part of eq. 8 that no pick changes; -inf where closed
    raised: np.ndarray  # (m + padding,) float32, the same moved up so that no open one is below 0
    rough: np.ndarray  # (m + padding,) int32, the bits of the rough scores
    tops: np.ndarray  # int32, the highest of each block of them
    nearest: np.ndarray  # (m + padding,) float32, squared distance to the nearest chosen one (PSR eq. 7)
    counted: np.ndarray  # (m + padding,) int32, all bits set for who sets the scale of diversity, else 0
    open_: np.ndarray  # (m,) bool, right ones still to be had
    spare: np.ndarray  # (m,) bool, the others still to be had


BLOCK = np.uint64(64)  # candidates gone through together: four vectors of sixteen float32 numbers
ROUGHNESS = 2.0**-20  # error of a rough score, as a share of the largest it can be: 16 times half a last bit
HUGE = 1e30  # beyond it, or below its inverse, float32 comes near its end, and all are compared exactly
LINE = 16  # float32 numbers in a line of the cache
FETCHED = 65536  # float32 numbers of the distances of a class that are fetched all before its turn
CLOSED = np.int32(-0x800000)  # the bits of -inf, the rough score of a closed candidate
INF_BITS = np.int32(0x7F800000)  # of float32 infinity


@compiled
def padded(m: int) -> int:
    """Return m rounded up to whole blocks."""
    return int(-(-m // BLOCK) * BLOCK)


@compiled
def _range(values: np.ndarray, counted: np.ndarray) -> tuple[float, float]:
    """Return minimum and width of the counted values; width 0 when nothing counts."""
    low, high = np.inf, -np.inf
    for i in range(values.size):
        if counted[i]:
            low = min(low, values[i])
            high = max(high, values[i])
    return (low, high - low) if high > low else (0.0, 0.0)


@compiled
def _term(value: float, weight: float, low: float, width: float) -> float:
    """Return weight * min-max(value) (PSR section 3.2); 0 for a constant term."""
    return weight * ((value - low) / width) if width > 0.0 else 0.0


@compiled
def _fill_static(room: _Room, reliability: np.ndarray, entropy: np.ndarray, rule: Rule, scales: Any) -> float:
    """Write alpha * reliability - beta * entropy, normalised, and -inf for candidates that are not open.

    Returns how far the highest of the open ones is above the lowest, and as much more as rounding can move
    sums of float64 numbers of that size, in units of `ROUGHNESS`.
    """
    low, width, entropy_low, entropy_width = scales
    alpha, beta = rule.alpha if width > 0.0 else 0.0, rule.beta if entropy_width > 0.0 else 0.0
    width, entropy_width = width if width > 0.0 else 1.0, entropy_width if entropy_width > 0.0 else 1.0
    lowest, highest = np.inf, -np.inf
    for i in range(reliability.size):
        first = alpha * ((reliability[i] - low) / width)
        second = beta * ((entropy[i] - entropy_low) / entropy_width)
        room.static[i] = (first - second) + 0.0 if room.open_[i] else -np.inf  # + 0.0: no negative zero
        if room.open_[i]:
            lowest, highest = min(lowest, room.static[i]), max(highest, room.static[i])
    room.static[reliability.size :] = -np.inf
    for i in range(room.static.size):
        room.raised[i] = room.static[i] - lowest if room.static[i] > -np.inf else -np.inf
    if not highest >= lowest:
        return 0.0
    return highest - lowest + 2.0**-30 * max(abs(lowest), abs(highest))


@compiled
def _absorb(
    nearest: np.ndarray, row: np.ndarray, counted: np.ndarray, distances: np.ndarray, ahead: int, share: int
) -> float:
    """Lower `nearest` to the distances of the new member (PSR eq. 7); return the largest of the counted.

    The distances are given as bits of float32 numbers of at least 0, which are in the order of the numbers.
    Meanwhile `share` numbers a block are fetched of `distances`, from `ahead` on.
    """
    high, blocks = np.int32(0), np.uint64(row.size) // BLOCK
    for b in range(blocks):
        for i in range(ahead, ahead + share, LINE):
            prefetch(distances, i)
        ahead += share
        for i in range(b * BLOCK, b * BLOCK + BLOCK):
            nearest[i] = min(nearest[i], row[i])
            high = max(high, nearest[i] & counted[i])
    for i in range(blocks * BLOCK, np.uint64(row.size)):  # the last row of all has no row after it
        nearest[i] = min(nearest[i], row[i])
        high = max(high, nearest[i] & counted[i])
    return np.float64(number_of(high))


@compiled
def _smallest(nearest: np.ndarray, counted: np.ndarray) -> float:
    """Return the smallest of the counted distances, given as bits; infinity when nothing counts."""
    low = INF_BITS
    for i in range(nearest.size):
        low = min(low, nearest[i] if counted[i] else INF_BITS)
    return np.float64(number_of(low))


@compiled
def _best(room: _Room, gamma: float, scale: tuple[float, float], spread: float, farthest: float) -> int:
    """Return the candidate of the highest score (PSR eq. 8); on a tie the lowest index, -1 if all are closed.

    Args:
        scale: (low, width); diversity is gamma * (nearest - low) / width.
        spread: from `_fill_static`. farthest: `nearest` of no open candidate is larger.
    """
    static, raised, nearest, (low, width) = room.static, room.raised, room.nearest, scale
    rough, tops = room.rough, room.tops
    if not width > 0.0:
        gamma, low, width = 0.0, 0.0, 1.0
    highest = CLOSED
    slope = gamma / width
    factor, base = np.float32(slope), np.float32(low)
    for b in range(np.uint64(tops.size)):
        top = CLOSED
        for i in range(b * BLOCK, b * BLOCK + BLOCK):
            rough[i] = bits_of(raised[i] + factor * (nearest[i] - base))
            top = max(top, rough[i])
        tops[b] = top
        highest = max(highest, top)
    largest = spread + slope * (farthest - low)
    least = np.int32(0)
    if 1.0 / HUGE < largest < HUGE and slope < HUGE and (slope == 0.0 or slope > 1.0 / HUGE):
        lowered = np.float64(number_of(highest)) - 2.0 * ROUGHNESS * largest
        least = bits_of(np.float32(max(lowered, 0.0)))
    else:  # rough scores say nothing
        rough[:], tops[:] = 0, 0
    best, best_score = -1, -np.inf
    for b in range(np.uint64(tops.size)):
        if tops[b] >= least:
            first, last = _span(rough, b, least)
            for i in range(first, last + 1):
                if rough[i] >= least:
                    score = static[i] + gamma * ((np.float64(nearest[i]) - low) / width)
                    if score > best_score:
                        best, best_score = i, score
    return best


@compiled
def _span(rough: np.ndarray, block: int, least: int) -> tuple[int, int]:
    """Return the first and the last of a block whose rough score is at least `least`."""
    n = np.int32(rough.size)
    first, last = n, np.int32(-1)
    for i in range(block * BLOCK, block * BLOCK + BLOCK):
        first = min(first, np.int32(i) if rough[i] >= least else n)
        last = max(last, np.int32(i) if rough[i] >= least else np.int32(-1))
    return int(first), int(last)


@compiled
def _runner_up(room: _Room, best: int) -> int:
    """Return who had the highest rough score after the best one, which loses its own: a guess at the next pick.

    Groups may have closed since, and rough scores may say nothing, so use it for nothing but fetching ahead.
    """
    rough, tops = room.rough, room.tops
    rough[best], own, top = CLOSED, np.uint64(best) // BLOCK, CLOSED
    for i in range(own * BLOCK, own * BLOCK + BLOCK):
        top = max(top, rough[i])
    tops[own] = top
    block = np.uint64(tops.argmax())
    return _span(rough, block, tops[block])[0]


@compiled
def _most_reliable(reliability: np.ndarray, allowed: np.ndarray) -> int:
    """Return the allowed candidate of highest raw reliability; on a tie the lowest index, -1 if none."""
    best, best_value = -1, -np.inf
    for i in range(reliability.size):
        if allowed[i] and reliability[i] > best_value:
            best, best_value = i, reliability[i]
    return best


@compiled
def _close(room: _Room, pick: int) -> None:
    """Take one candidate out of those still to be had."""
    room.open_[pick], room.spare[pick] = False, False
    room.static[pick], room.raised[pick] = -np.inf, -np.inf


@compiled
def _close_group(room: _Room, groups: np.ndarray, group: int) -> None:
    """Take out all candidates of one part of the class."""
    for i in range(groups.size):
        if groups[i] == group:
            _close(room, i)


@compiled
def _count_against(room: _Room, groups: np.ndarray, left: np.ndarray, group: int) -> None:
    """One of a group was picked: its quota falls, and when nothing is left of it the group closes."""
    left[group] -= 1
    if left[group] == 0:
        _close_group(room, groups, group)


@compiled
def _next_block(pool: Candidates, c: int) -> tuple[int, int]:
    """Return the borders of the distances of the class after `c`, to be fetched while c is worked on.

    Which row is read next is known only when it is needed, and memory is a hundred steps away; a small block
    is at hand by then, a large one would push out what is.
    """
    if c + 2 >= pool.distance_starts.size:
        return 0, 0
    first, last = pool.distance_starts[c + 1], pool.distance_starts[c + 2]
    return (first, last) if last - first <= FETCHED else (0, 0)


@compiled
def _greedy_class(
    pool: Candidates,
    c: int,
    rule: Rule,
    room: _Room,
    picks: np.ndarray,
    terms: np.ndarray,
    filled: np.ndarray,
) -> int:
    """Select class c; write into picks (K,), terms (K, 3), filled (K,); return how many were found."""
    a, b = pool.starts[c], pool.starts[c + 1]
    reliability, entropy = pool.reliability[a:b], pool.entropy[a:b]
    eligible, pins = pool.eligible[a:b], pool.pins[pool.pin_starts[c] : pool.pin_starts[c + 1]]
    distances, start = pool.distances.view(np.int32), pool.distance_starts[c]
    m, n = b - a, room.static.size
    left, groups = pool.quotas[c].copy(), pool.groups[a:b] if pool.groups.size else pool.groups
    for i in range(m):
        room.open_[i] = eligible[i] and not pool.vetoed[a + i]
        room.spare[i] = not eligible[i] and not pool.vetoed[a + i]
        room.counted[i] = -1 if eligible[i] else 0
    rel_low, rel_width, ent_low, ent_width = 0.0, 1.0, 0.0, 1.0
    if rule.normalize:
        rel_low, rel_width = _range(reliability, eligible)
        ent_low, ent_width = _range(entropy, eligible)
    for group in range(left.size):
        if left[group] == 0:
            _close_group(room, groups, group)
    spread = _fill_static(room, reliability, entropy, rule, (rel_low, rel_width, ent_low, ent_width))
    room.nearest[:m], room.nearest[m:], room.counted[m:] = np.inf, 0.0, 0
    nearest = room.nearest.view(np.int32)
    low = width = high = 0.0  # no distance yet
    ahead, end = _next_block(pool, c)
    share = -(-(end - ahead) // (picks.size * room.tops.size * LINE)) * LINE
    for step in range(picks.size):
        if step < pins.size:
            pick = pins[step]
        elif step == 0:
            pick = _most_reliable(reliability, room.open_)
        else:
            pick = _best(room, rule.gamma, (low, width), spread, high)
        if pick < 0 and rule.fill:
            pick = _most_reliable(reliability, room.spare)
            filled[step] = True
        if pick < 0:
            return step
        picks[step] = pick
        terms[step, 0] = _term(reliability[pick], rule.alpha, rel_low, rel_width)
        terms[step, 1] = 0.0 - _term(entropy[pick], rule.beta, ent_low, ent_width)
        terms[step, 2] = _term(np.float64(room.nearest[pick]), rule.gamma, low, width)
        _close(room, pick)
        if left.size and step >= pins.size:
            _count_against(room, groups, left, groups[pick])
        row = start + pick * m
        if rule.scaling == REMAINING:
            room.counted[pick] = 0
        if m * m > FETCHED and pins.size < step < picks.size - 1:
            ahead, share = start + _runner_up(room, pick) * m, np.int64(BLOCK)
        high = _absorb(nearest, distances[row : row + n], room.counted, distances, ahead, share)
        ahead += share * room.tops.size
        if rule.scaling == RAW:
            width = 1.0
        elif rule.scaling == POOL or (rule.scaling == FROZEN and step == 0):
            width = high  # a chosen candidate's own distance is 0, so min-max is d / max d
        elif rule.scaling == REMAINING:
            low = _smallest(nearest, room.counted)
            low, width = (low, high - low) if high > low else (0.0, 0.0)
    return picks.size


@compiled
def greedy_classes(
    pool: Candidates,
    rule: Rule,
    slots: np.ndarray,
    picks: np.ndarray,
    terms: np.ndarray,
    filled: np.ndarray,
    counts: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Select the classes from `first` to before `last`; the picks count inside their class.

    Args:
        slots: (C + 1,) int64; class c writes from `slots[c]` to before `slots[c + 1]`, its budget.
        picks: (T,) int64, terms: (T, 3) float64, filled: (T,) bool, counts: (C,) int64; zeros on entry,
            written.
    """
    largest = 0
    for c in range(first, last):
        largest = max(largest, padded(pool.starts[c + 1] - pool.starts[c]))
    static, raised, nearest = np.empty(largest), np.empty(largest, np.float32), np.empty(largest, np.float32)
    rough, counted = np.empty(largest, np.int32), np.empty(largest, np.int32)
    open_, spare = np.empty(largest, np.bool_), np.empty(largest, np.bool_)
    tops = np.empty(largest // BLOCK, np.int32)
    for c in range(first, last):
        n = padded(pool.starts[c + 1] - pool.starts[c])
        room = _Room(
            static[:n], raised[:n], rough[:n], tops[: n // BLOCK], nearest[:n], counted[:n], open_, spare
        )
        a, b = slots[c], slots[c + 1]
        counts[c] = _greedy_class(pool, c, rule, room, picks[a:b], terms[a:b], filled[a:b])
