"""Whether folders of pictures are numbered in another order than the classes: the agreement matrix and its best order.

Distilled sets are often numbered by one list of classes and read by another; a student trained on one and tested on the
other then scores next to nothing. Shape letters: N pictures, C classes.
"""

from __future__ import annotations

import numpy as np


def agreement_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of the pictures of each class that the teacher takes for each class: float64 (C, C), rows sum to 1.

    Args:
        logits: (N, C). labels: (N,) in 0 to C - 1; the row of a class without pictures is 0.
    """
    n_classes = logits.shape[1]
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def best_order(agreement: np.ndarray) -> np.ndarray:
    """The permutation p, int64 (C,), that maximises the sum of agreement[c, p[c]].

    The Hungarian algorithm with potentials (Jonker and Volgenant, 1987): a row at a time is brought in along the
    cheapest augmenting path. Of several best permutations the one found keeps a class where it is when all is equal.
    """
    n = len(agreement)
    cost = -np.asarray(agreement, np.float64) - 1e-9 * np.eye(n)
    of_row, of_column = np.zeros(n), np.zeros(n)  # the potentials
    row_at = np.full(n, -1)  # the row that a column is given to
    for row in range(n):
        least, before = np.full(n, np.inf), np.full(n, -1)
        seen = np.zeros(n, bool)
        column, here = -1, row
        while True:
            reduced = cost[here] - of_row[here] - of_column
            shorter = ~seen & (reduced < least)
            least[shorter], before[shorter] = reduced[shorter], column
            following = int(np.argmin(np.where(seen, np.inf, least)))
            step = least[following]
            of_row[row] += step
            of_row[row_at[seen]] += step
            of_column[seen] -= step
            least[~seen] -= step
            seen[following] = True
            column, here = following, row_at[following]
            if here < 0:
                break
        while column >= 0:
            earlier = before[column]
            row_at[column] = row if earlier < 0 else row_at[earlier]
            column = earlier
    order = np.empty(n, np.int64)
    order[row_at] = np.arange(n)
    return order
