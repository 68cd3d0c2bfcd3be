"""The compiled threshold search of DGS (eq. 9): every pair of shares, one class."""

from __future__ import annotations

import numpy as np

from psr_studio.method.kernels.compiled import compiled


@compiled
def threshold_costs(
    logs: np.ndarray,
    lows: np.ndarray,
    highs: np.ndarray,
    log_target: np.ndarray,
    constant: float,
    costs: np.ndarray,
) -> None:
    """Write the cost of each pair of thresholds: the divergence of the smoothed histogram from the targets.

    The values are sorted, and the borders of all bins are searched for side by side, halving without branches:
    which way a border lies is a matter of chance, and a processor that guesses wrong waits longer than the
    comparison takes.

    Args:
        logs: (n,) ln of the difficulties, ascending.
        lows, highs: (S,) ln of the thresholds at each share; `highs` descending.
        log_target: (B,) lam * ln(original) + (1 - lam) * ln(uniform), of histograms with the constant added.
        constant: added to each bin.
        costs: (S, S) float64; written where the two shares sum below 1, row the low one.
    """
    n, n_bins = logs.size, log_target.size
    share, surprise = np.empty(n + 1), np.empty(n + 1)
    for count in range(n + 1):
        share[count] = (count / n + constant) / (1.0 + n_bins * constant)
        surprise[count] = share[count] * np.log(share[count])
    border = np.zeros(n_bins + 1, np.int64)  # where bin k begins in the sorted values
    border[n_bins] = n
    below, edges = np.empty(n_bins, np.uint64), np.empty(n_bins)
    for i in range(lows.size):
        for j in range(lows.size - i):
            if highs[j] > lows[i]:
                _find_borders(logs, lows[i], highs[j], border, below, edges)
            else:  # a constant: all in the first bin
                border[1:] = n
            cost = 0.0
            for k in range(n_bins):
                count = border[k + 1] - border[k]
                cost += surprise[count] - share[count] * log_target[k]
            costs[i, j] = cost


@compiled
def _find_borders(
    logs: np.ndarray, low: float, high: float, border: np.ndarray, below: np.ndarray, edges: np.ndarray
) -> None:
    """Write where each inner bin begins; `below` and `edges` (B,) are worked in, the first of them unused."""
    n_bins, width = below.size, high - low
    slack = 1e-9 * width
    for k in range(n_bins):
        below[k], edges[k] = 0, low + width * (k / n_bins) - slack
    length, one, none = np.uint64(logs.size), np.uint64(1), np.uint64(0)
    while length > one:
        half = length // np.uint64(2)
        for k in range(n_bins):
            below[k] += half if logs[below[k] + half - one] < edges[k] else none
        length -= half
    for k in range(1, n_bins):
        at = np.int64(below[k]) + (1 if logs[below[k]] < edges[k] else 0)
        while (
            at < logs.size and logs[at] <= edges[k] + 2.0 * slack
        ):  # too near to tell: as `smooth` and `bin_of`
            ramp = (min(max(logs[at], low), high) - low) / width
            if min(int(ramp * n_bins), n_bins - 1) >= k:
                break
            at += 1
        border[k] = at
