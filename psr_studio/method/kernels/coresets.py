"""The compiled inner loops of the selectors in `coresets`: k-center, k-medoids, herding; one class of n candidates."""

from __future__ import annotations

import numpy as np

from psr_studio.method.kernels.compiled import compiled


@compiled
def grow_centers(bits: np.ndarray, nearest: np.ndarray, picks: np.ndarray) -> None:
    """Farthest-first traversal: each pick is the available candidate farthest from all chosen ones.

    Args:
        bits: (n, n) int32, bits of the float32 squared distances, which are in the order of the distances; a
            maximum of whole numbers is found faster, see `kernels.greedy`.
        nearest: (n,) int32, bits of the distance to the nearest chosen one, -1 where not available; changed.
        picks: (k,) int64; written, the lowest index first on a tie.
    """
    n = nearest.size
    row = nearest.copy()
    for step in range(picks.size):
        highest = np.int32(-1)
        for i in range(n):
            nearest[i] = min(nearest[i], row[i])  # -1 stays
            highest = max(highest, nearest[i])
        farthest = 0
        while nearest[farthest] != highest:
            farthest += 1
        picks[step] = farthest
        nearest[farthest] = -1
        row = bits[farthest]


@compiled
def grow_herd(
    distances: np.ndarray,
    values: np.ndarray,
    counted: np.ndarray,
    available: np.ndarray,
    members: np.ndarray,
    n_pins: int,
) -> None:
    """Herding from distances: each pick brings the mean of all picks nearest to the mean of the counted.

    With r_i the mean squared distance of i to the counted and b_i its summed squared distance to the picks,
    the squared error of the mean of s picks with i among them is, up to what i does not change,
    (s * r_i - b_i) / s^2: the smallest s * r_i - b_i wins. Candidates closer than float32 distances can tell
    apart are compared by their features.

    Args:
        distances: (n, n) float32, squared. values: (n, D) features, or (0, 0) to go by the distances alone.
        counted, available: (n,) bool; `available` is changed.
        members: (n_pins + k,) int64, pins first; the rest is written.
    """
    n = len(distances)
    to_all, to_picks = np.zeros(n), np.zeros(n)
    n_counted = 0
    for j in range(n):
        if counted[j]:
            n_counted += 1
            for i in range(n):
                to_all[i] += np.float64(distances[j, i])
    to_all /= max(n_counted, 1)
    for step in range(members.size):
        if step >= n_pins:
            members[step] = next_of_herd(to_all, to_picks, available, values, counted, members[:step])
        row = distances[members[step]]
        for i in range(n):
            to_picks[i] += np.float64(row[i])
        available[members[step]] = False


@compiled
def next_of_herd(
    to_all: np.ndarray,
    to_picks: np.ndarray,
    available: np.ndarray,
    values: np.ndarray,
    counted: np.ndarray,
    members: np.ndarray,
) -> int:
    """Return the available candidate of the least error; on a tie the lowest index."""
    size = members.size + 1
    best, lowest = -1, np.inf
    for i in range(available.size):
        error = size * to_all[i] - to_picks[i]
        if available[i] and error < lowest:
            best, lowest = i, error
    if not len(values):
        return best
    # float32 keeps 24 bits: each of the two numbers behind an error may be off by this much.
    slack = 2.0**-22 * (size * to_all[best] + to_picks[best])
    near_ties = 0
    for i in range(available.size):
        if available[i] and size * to_all[i] - to_picks[i] <= lowest + slack:
            near_ties += 1
    if near_ties < 2:
        return best
    total, mean = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for i in members:
        total += values[i]
    for i in range(available.size):
        if counted[i]:
            mean += values[i]
    mean /= max(counted.sum(), 1)
    exact = np.inf
    for i in range(available.size):
        if available[i] and size * to_all[i] - to_picks[i] <= lowest + slack:
            error = (((total + values[i]) / size - mean) ** 2).sum()
            if error < exact:
                best, exact = i, error
    return best


@compiled
def build_medoids(
    distances: np.ndarray, counted: np.ndarray, available: np.ndarray, medoids: np.ndarray, n_pins: int
) -> None:
    """Greedy building of k-medoids: each pick lowers the summed distance to the nearest medoid the most.

    What every candidate would save is kept, and only the shares of points whose nearest medoid changed are
    taken out and put back.

    Args:
        distances: (n, n) float32, squared, symmetric. counted: (n,) bool, points whose error counts.
        available: (n,) bool; changed. medoids: (n_pins + k,) int64, pins first; the rest is written.
    """
    n = len(distances)
    nearest, saving = np.full(n, np.inf), np.zeros(n)
    for step in range(medoids.size):
        if step >= n_pins:
            best, most = -1, -np.inf
            for i in range(n):
                if available[i] and saving[i] > most:
                    best, most = i, saving[i]
            if best < 0 or step == 0:
                best = _least_total(distances, counted, available)
            medoids[step] = best
        row = distances[medoids[step]]
        available[medoids[step]] = False
        for j in range(n):
            now = np.float64(row[j])
            if counted[j] and now < nearest[j]:
                before, to = nearest[j], distances[j]
                for i in range(n):
                    distance = np.float64(to[i])
                    old = max(before - distance, 0.0) if before < np.inf else 0.0
                    saving[i] += max(now - distance, 0.0) - old
                nearest[j] = now


@compiled
def _least_total(distances: np.ndarray, counted: np.ndarray, available: np.ndarray) -> int:
    """Return the available candidate of the least summed distance to the counted; on a tie the lowest index."""
    total = np.zeros(len(distances))
    for j in range(len(distances)):
        if counted[j]:
            row = distances[j]
            for i in range(total.size):
                total[i] += np.float64(row[i])
    best, least = -1, np.inf
    for i in range(total.size):
        if available[i] and total[i] < least:
            best, least = i, total[i]
    return best


@compiled
def swap_medoids(
    distances: np.ndarray,
    counted: np.ndarray,
    available: np.ndarray,
    medoids: np.ndarray,
    n_pins: int,
    max_swaps: int,
    least_gain: float,
) -> None:
    """Make the best swap of a medoid for an available candidate again and again, while it lowers the error (PAM).

    With d1 and d2 the distances of a point to its nearest and second nearest medoid, a newcomer at distance d
    changes the point's share to min(d, d1) when its nearest medoid stays, and to min(d, d2) when that one
    leaves. All swaps are weighed together in n * n steps (FastPAM: Schubert & Rousseeuw 2019).

    Args:
        medoids: (k,) int64, pins first, which never leave; changed, as `available` is.
    """
    n, k = len(distances), medoids.size
    first, second, owner = np.empty(n), np.empty(n), np.empty(n, np.int64)
    stays, leaves = np.empty(n), np.empty((k, n))
    for _ in range(max_swaps):
        _two_nearest(distances, medoids, first, second, owner)
        stays[:], leaves[:] = 0.0, 0.0
        for j in range(n):
            if not counted[j]:
                continue
            row, d1, d2, lost = distances[j], first[j], second[j], leaves[owner[j]]
            for i in range(n):
                d = np.float64(row[i])
                stays[i] += min(d - d1, 0.0)
                lost[i] += min(d, d2) - min(d, d1)
        out, into, change = -1, n, np.inf
        for m in range(n_pins, k):
            for i in range(n):
                value = stays[i] + leaves[m, i]
                if available[i] and (value < change or (value == change and i < into)):
                    out, into, change = m, i, value
        if not -change > least_gain:
            return
        available[medoids[out]], available[into] = True, False
        medoids[out] = into


@compiled
def _two_nearest(
    distances: np.ndarray, medoids: np.ndarray, first: np.ndarray, second: np.ndarray, owner: np.ndarray
) -> None:
    """Write the distances of each point to its nearest and second nearest medoid, and whose is nearest."""
    first[:], second[:] = np.inf, np.inf
    for m in range(medoids.size):
        row = distances[medoids[m]]
        for j in range(row.size):
            d = np.float64(row[j])
            nearer = d < first[j]
            second[j] = first[j] if nearer else min(second[j], d)
            owner[j] = m if nearer else owner[j]
            first[j] = d if nearer else first[j]
