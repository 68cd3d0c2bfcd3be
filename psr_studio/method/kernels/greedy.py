"""The compiled greedy selection (PSR eq. 7 and 8), class after class; `selection.greedy_reference` is its plain form.

Shape letters: N candidates grouped by class, m candidates of one class, C classes, K = ipc, G groups.

Both forms read the same float32 distances and pick alike, ties included. What makes this one fast, and what each part
saves on one core of the 8 ms of 1000 classes x 100, K = 50, and of the 12 ms of 10 classes x 2000, K = 1000:

- Maxima are taken over whole numbers (7 and 21 ms). A compiler may not reorder a maximum of floats, because of NaN
  and the sign of zero, so it takes them one by one; whole numbers it compares sixteen at a time. The bits of a float
  of at least 0, read as a whole number, are in the order of the floats, and those of a negative one are once all but
  its sign is inverted (`_key_of`).
- Distances are fetched from memory ahead of time (7 and 5 ms), while other work is done: those of the next class
  where they are few, else those to the candidate of the second highest score, as a rule the next pick.
- The maximum of each block of candidates is kept (0 and 4 ms): it says where the highest score and the second are.
- Scores are first taken with one multiplication, gamma / width * (d - low), and only those as near to the highest as
  rounding errors reach are compared by eq. 8 as it stands (0 and 3 ms).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from psr_studio.method.kernels.compiled import compiled, inlined, prefetch

# How the diversity term is scaled at each step.
RAW, POOL, REMAINING, FROZEN = 0, 1, 2, 3

BLOCK_SIZE = 128  # candidates in a block
# Without a sign, since an index with one may count from the end: asking whether it does keeps a loop from turning
# into vector instructions.
BLOCK = np.uint64(BLOCK_SIZE)
CACHE_LINE = 16  # float32 numbers
SMALL_CLASS = 65536  # distances (m * m) up to which those of a class are fetched before its turn
# More than twice what rounding moves a score, as a share of the largest weight: no term exceeds its weight. Weights
# below the smallest count as this much, as numbers near the end of float64 lose their digits.
ROUNDING, SMALLEST_WEIGHT = 2.0**-46, 1e-200

LOWEST_KEY = np.int64(-0x8000000000000000)
MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)  # all bits but the sign
INFINITY_BITS = np.int32(0x7F800000)  # of float32


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
    groups: np.ndarray  # (N,) int64, the group of each candidate; empty without quotas
    quotas: np.ndarray  # (C, G) int64, how many each group of a class may give beside the pins


class Rule(NamedTuple):
    """The weights of PSR eq. 8 and the decisions around it."""

    alpha: float
    beta: float
    gamma: float
    normalize: bool
    scaling: int
    fill: bool


class State(NamedTuple):
    """The selection of one class, step by step.

    The arrays of (M,) are m rounded up to whole blocks: what is added is not available and sets no scale.
    """

    reliability: np.ndarray  # (m,) float64
    entropy: np.ndarray  # (m,) float64
    ranges: tuple[float, float, float, float]  # minimum and width of reliability, then of entropy
    pins: np.ndarray  # in the order pinned
    groups: np.ndarray  # (m,) int64, or empty
    quotas: np.ndarray  # (G,) int64, what is left of them
    available: np.ndarray  # (m,) bool, eligible candidates that can be picked
    fillers: np.ndarray  # (m,) bool, ineligible candidates that can fill a short class
    sets_scale: np.ndarray  # (M,) int32, all bits set where a candidate sets the scale of diversity, else 0
    base: np.ndarray  # (M,) float64, alpha * rel - beta * ent of eq. 8; -inf where not available
    nearest: np.ndarray  # (M,) float32, squared distance to the nearest pick, eq. 7
    scale: np.ndarray  # (2,) float64, low and width: diversity is (nearest - low) / width
    keys: np.ndarray  # (M,) int64, keys of the scores
    block_keys: np.ndarray  # (M / BLOCK_SIZE,) int64, the highest key of each block
    picks: np.ndarray  # (K,) int64, counted inside the class
    terms: np.ndarray  # (K, 3) float64
    filled: np.ndarray  # (K,) bool


class Rows(NamedTuple):
    """The distances to each candidate of a class: those to candidate i from `start + i * stride` on."""

    bits: np.ndarray  # float32 distances as int32
    start: int
    stride: int


@inlined
def _key_of(score: float) -> np.int64:
    """Return a whole number that is in the order of the float64 scores."""
    bits = np.float64(score).view(np.int64)
    return bits ^ ((bits >> 63) & MAGNITUDE)


@inlined
def _score_of(key: int) -> float:
    """Return the score of a key."""
    return np.int64(key ^ ((key >> 63) & MAGNITUDE)).view(np.float64)


@inlined
def _number_of(bits: int) -> float:
    """Return the float32 number of these bits."""
    return np.float64(np.int32(bits).view(np.float32))


@inlined
def _min_and_width(values: np.ndarray, eligible: np.ndarray) -> tuple[float, float]:
    """Return minimum and width over the eligible; width 0 when there are none."""
    low, high = np.inf, -np.inf
    for i in range(values.size):
        if eligible[i]:
            low, high = min(low, values[i]), max(high, values[i])
    return (low, high - low) if high > low else (0.0, 0.0)


@inlined
def _term(weight: float, value: float, low: float, width: float) -> float:
    """Return weight * min-max(value) (PSR section 3.2); 0 for a constant term."""
    return weight * ((value - low) / width) if width > 0.0 else 0.0


@compiled
def begin(
    pool: Candidates, c: int, rule: Rule, picks: np.ndarray, terms: np.ndarray, filled: np.ndarray
) -> State:
    """Return class c before its first pick, to be written into picks (K,), terms (K, 3) and filled (K,)."""
    a, b = pool.starts[c], pool.starts[c + 1]
    m, n_blocks = b - a, -(-(b - a) // BLOCK_SIZE)
    reliability, entropy = pool.reliability[a:b], pool.entropy[a:b]
    eligible, vetoed = pool.eligible[a:b], pool.vetoed[a:b]
    rel_low, rel_width, ent_low, ent_width = 0.0, 1.0, 0.0, 1.0
    if rule.normalize:
        rel_low, rel_width = _min_and_width(reliability, eligible)
        ent_low, ent_width = _min_and_width(entropy, eligible)
    available, fillers = np.empty(m, np.bool_), np.empty(m, np.bool_)
    padded = n_blocks * BLOCK_SIZE
    sets_scale, base = np.zeros(padded, np.int32), np.full(padded, -np.inf)
    nearest = np.zeros(padded, np.float32)
    nearest[:m] = np.inf
    for i in range(m):
        available[i] = eligible[i] and not vetoed[i]
        fillers[i] = not eligible[i] and not vetoed[i]
        sets_scale[i] = -1 if eligible[i] else 0
        if available[i]:
            rel = _term(rule.alpha, reliability[i], rel_low, rel_width)
            ent = _term(rule.beta, entropy[i], ent_low, ent_width)
            base[i] = rel - ent
    groups, quotas = pool.groups[a:b] if pool.groups.size else pool.groups, pool.quotas[c].copy()
    for group in range(quotas.size):
        if quotas[group] == 0:
            _close_group(groups, group, available, fillers, base)
    return State(
        reliability, entropy, (rel_low, rel_width, ent_low, ent_width),
        pool.pins[pool.pin_starts[c] : pool.pin_starts[c + 1]], groups, quotas,
        available, fillers, sets_scale, base, nearest, np.zeros(2),
        np.empty(padded, np.int64), np.empty(n_blocks, np.int64), picks, terms, filled,
    )  # fmt: skip


@compiled
def run_steps(state: State, rule: Rule, first: int, last: int, rows: Rows, ahead: int, per_block: int) -> int:
    """Do the steps from `first` to before `last`; return how many picks there are after them.

    A step takes in the distances to the pick before it, then picks: `rows` must hold those of the picks before
    `last - 1`, of the last alone with a stride of 0.

    Args:
        ahead, per_block: distances to fetch from memory meanwhile: from `ahead` on, so many for each block of a row.
    """
    (
        reliability, entropy, (rel_low, rel_width, ent_low, ent_width), pins, groups, quotas, available, fillers,
        sets_scale, base, nearest, scale, keys, block_keys, picks, terms, filled,
    ) = state  # fmt: skip
    nearest_bits, (low, width) = nearest.view(np.int32), (scale[0], scale[1])
    guesses = rows.stride * rows.stride > SMALL_CLASS
    for step in range(first, last):
        if step > 0:
            before = picks[step - 1]
            if rule.scaling == REMAINING:
                sets_scale[before] = 0
            row = rows.start + before * rows.stride
            if guesses and step - 1 > pins.size:
                guess = _second_highest(keys, block_keys, before)
                ahead, per_block = rows.start + guess * rows.stride, BLOCK_SIZE
            high = _lower(
                nearest_bits, rows.bits[row : row + nearest.size], sets_scale, rows.bits, ahead, per_block
            )
            ahead += per_block * block_keys.size
            low, width = _scale(rule.scaling, step, low, width, high, nearest_bits, sets_scale)
        pinned = step < pins.size
        if pinned:
            pick = pins[step]
        elif step == 0:
            pick = _most_reliable(reliability, available)
        else:
            pick = _highest_score(base, nearest, keys, block_keys, rule, low, width)
        if pick < 0 and rule.fill:
            pick = _most_reliable(reliability, fillers)
        if pick < 0:
            return step
        picks[step], filled[step] = pick, fillers[pick] and not pinned
        terms[step, 0] = _term(rule.alpha, reliability[pick], rel_low, rel_width)
        terms[step, 1] = 0.0 - _term(rule.beta, entropy[pick], ent_low, ent_width)
        terms[step, 2] = _term(rule.gamma, np.float64(nearest[pick]), low, width)
        _close(pick, available, fillers, base)
        if quotas.size and not pinned:
            quotas[groups[pick]] -= 1
            if quotas[groups[pick]] == 0:
                _close_group(groups, groups[pick], available, fillers, base)
    scale[0], scale[1] = low, width
    return last


@inlined
def _close(i: int, available: np.ndarray, fillers: np.ndarray, base: np.ndarray) -> None:
    """Let nobody pick this candidate any more."""
    available[i], fillers[i], base[i] = False, False, -np.inf


@inlined
def _close_group(
    groups: np.ndarray, group: int, available: np.ndarray, fillers: np.ndarray, base: np.ndarray
) -> None:
    """Let nobody pick the candidates of a group any more."""
    for i in range(groups.size):
        if groups[i] == group:
            _close(i, available, fillers, base)


@inlined
def _most_reliable(reliability: np.ndarray, allowed: np.ndarray) -> int:
    """Return the allowed candidate of highest raw reliability; on a tie the lowest index, -1 if none."""
    best, highest = -1, -np.inf
    for i in range(reliability.size):
        if allowed[i] and reliability[i] > highest:
            best, highest = i, reliability[i]
    return best


@inlined
def _lower(
    nearest: np.ndarray,
    row: np.ndarray,
    sets_scale: np.ndarray,
    fetched: np.ndarray,
    ahead: int,
    per_block: int,
) -> float:
    """Lower `nearest` to the distances to a new pick (eq. 7); return the largest that sets the scale.

    Both are bits of float32 numbers of at least 0. Meanwhile `per_block` numbers a block are fetched of `fetched`.
    """
    high, n_blocks = np.int32(0), np.uint64(row.size) // BLOCK
    for b in range(n_blocks):
        for i in range(ahead, ahead + per_block, CACHE_LINE):
            prefetch(fetched, i)
        ahead += per_block
        for i in range(b * BLOCK, b * BLOCK + BLOCK):
            nearest[i] = min(nearest[i], row[i])
            high = max(high, nearest[i] & sets_scale[i])
    for i in range(n_blocks * BLOCK, np.uint64(row.size)):
        nearest[i] = min(nearest[i], row[i])
        high = max(high, nearest[i] & sets_scale[i])
    return _number_of(high)


@inlined
def _scale(
    scaling: int,
    step: int,
    low: float,
    width: float,
    high: float,
    nearest: np.ndarray,
    sets_scale: np.ndarray,
) -> tuple[float, float]:
    """Return low and width of diversity in this step; `high` is the largest distance that sets the scale."""
    if scaling == RAW:
        return 0.0, 1.0
    if scaling == POOL or (scaling == FROZEN and step == 1):
        return 0.0, high  # the nearest pick of a pick is itself, at distance 0: min-max is d / max d
    if scaling == REMAINING:
        low = _smallest(nearest, sets_scale)
        return (low, high - low) if high > low else (0.0, 0.0)
    return low, width


@inlined
def _smallest(nearest: np.ndarray, sets_scale: np.ndarray) -> float:
    """Return the smallest distance, of float32 bits, that sets the scale; infinity without one."""
    low = INFINITY_BITS
    for i in range(nearest.size):
        low = min(low, nearest[i] if sets_scale[i] else INFINITY_BITS)
    return _number_of(low)


@inlined
def _highest_score(
    base: np.ndarray,
    nearest: np.ndarray,
    keys: np.ndarray,
    block_keys: np.ndarray,
    rule: Rule,
    low: float,
    width: float,
) -> int:
    """Return the available candidate of the highest score (eq. 8), the lowest index on a tie; -1 if none."""
    slope = rule.gamma / width if width > 0.0 else 0.0
    highest = LOWEST_KEY
    for b in range(np.uint64(block_keys.size)):
        block_key = LOWEST_KEY
        for i in range(b * BLOCK, b * BLOCK + BLOCK):
            keys[i] = _key_of(base[i] + slope * (np.float64(nearest[i]) - low))
            block_key = max(block_key, keys[i])
        block_keys[b] = block_key
        highest = max(highest, block_key)
    error = ROUNDING * max(rule.alpha, rule.beta, rule.gamma, SMALLEST_WEIGHT)
    least = _key_of(_score_of(highest) - error)
    best, best_score = -1, -np.inf
    for b in range(np.uint64(block_keys.size)):
        if block_keys[b] >= least:
            first, last = _first_and_last(keys, b, least)
            for i in range(first, last + 1):
                score = base[i] + _term(rule.gamma, np.float64(nearest[i]), low, width)  # eq. 8
                if score > best_score:
                    best, best_score = i, score
    return best


@inlined
def _second_highest(keys: np.ndarray, block_keys: np.ndarray, best: int) -> int:
    """Return who had the second highest score, where `best` had the highest and loses its key."""
    keys[best] = LOWEST_KEY
    block, block_key = np.uint64(best) // BLOCK, LOWEST_KEY
    for i in range(block * BLOCK, block * BLOCK + BLOCK):
        block_key = max(block_key, keys[i])
    block_keys[block] = block_key
    block = np.uint64(block_keys.argmax())
    return _first_and_last(keys, block, block_keys[block])[0]


@inlined
def _first_and_last(keys: np.ndarray, block: int, least: int) -> tuple[np.int64, np.int64]:
    """Return the first and the last candidate of a block whose key is at least `least`."""
    beyond, none = np.int64(keys.size), np.int64(-1)
    first, last = beyond, none
    for i in range(block * BLOCK, block * BLOCK + BLOCK):
        first = min(first, np.int64(i) if keys[i] >= least else beyond)
        last = max(last, np.int64(i) if keys[i] >= least else none)
    return first, last


@inlined
def _next_class(pool: Candidates, c: int, n_blocks: int) -> tuple[int, int]:
    """Return where the distances of the next class begin, and how many to fetch per block; 0 of a large class."""
    if c + 2 >= pool.distance_starts.size:
        return 0, 0
    first, size = pool.distance_starts[c + 1], pool.distance_starts[c + 2] - pool.distance_starts[c + 1]
    return first, -(-size // (n_blocks * CACHE_LINE)) * CACHE_LINE if size <= SMALL_CLASS else 0


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
    bits = pool.distances.view(np.int32)
    for c in range(first, last):
        a, b = slots[c], slots[c + 1]
        state = begin(pool, c, rule, picks[a:b], terms[a:b], filled[a:b])
        rows = Rows(bits, pool.distance_starts[c], state.reliability.size)
        ahead, per_block = _next_class(pool, c, (b - a) * state.block_keys.size)
        counts[c] = run_steps(state, rule, 0, b - a, rows, ahead, per_block)
