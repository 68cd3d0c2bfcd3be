"""Which permutation of classes fits an agreement matrix best, and when it is likely to be the right one."""

from __future__ import annotations

import numpy as np

GAIN = 0.25  # of the agreement, that another order must bring
LEAST = 0.4  # that it must reach
PICTURES = 4  # of a class on average; with fewer some order always fits by chance


def best_order(agreement: np.ndarray) -> np.ndarray:
    """The permutation p, int64 (C,), that maximises the sum of agreement[c, p[c]]; of equals one that moves less."""
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(agreement + 1e-9 * np.eye(len(agreement)), maximize=True)[1]


def fits_better(agreement: np.ndarray, order: np.ndarray, n: int) -> bool:
    """Whether an order fits n pictures so much better than the one they have that it is likely to be theirs."""
    as_it_is = np.diag(agreement).mean()
    at_best = agreement[np.arange(len(order)), order].mean()
    return bool(n >= PICTURES * len(agreement) and at_best >= max(LEAST, as_it_is + GAIN))
