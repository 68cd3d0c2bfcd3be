"""Whether folders of pictures are numbered in another order than the classes: the agreement matrix.

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
