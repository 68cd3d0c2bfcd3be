"""The compiled threshold search of DGS (eq. 9): every pair of shares, one class."""

from __future__ import annotations

import numpy as np

from psr_studio.method._compile import compiled


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

    The values are sorted, and for a fixed low end the borders of the bins move one way as the high end comes
    down, so each border walks over the values once.

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
    border = np.empty(n_bins + 1, np.int64)  # where bin k begins in the sorted values
    for i in range(lows.size):
        border[:] = n
        border[0] = 0
        for j in range(lows.size - i):
            if highs[j] > lows[i]:
                _walk(logs, lows[i], highs[j], border)
            else:  # a constant: all in the first bin
                border[1:] = n
            cost = 0.0
            for k in range(n_bins):
                count = border[k + 1] - border[k]
                cost += surprise[count] - share[count] * log_target[k]
            costs[i, j] = cost


@compiled
def _walk(logs: np.ndarray, low: float, high: float, border: np.ndarray) -> None:
    """Move each inner border left while the value before it belongs to a higher bin."""
    n_bins = border.size - 1
    width = high - low
    slack = 1e-9 * width
    for k in range(1, n_bins):
        edge, at = low + width * (k / n_bins), border[k]
        while at > 0:
            value = logs[at - 1]
            if value < edge - slack:
                break
            if value <= edge + slack:  # too near to tell: the arithmetic of `smooth` and `bin_of` decides
                ramp = (min(max(value, low), high) - low) / width
                if min(int(ramp * n_bins), n_bins - 1) < k:
                    break
            at -= 1
        border[k] = at
