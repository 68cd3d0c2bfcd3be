"""Selective subgroup sampling (S3 of IMS3, Wang et al. 2026): subsets near their real images and far from each other.

Centroids are those of features scaled to length 1, scaled so again; distances are one minus their cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from psr_studio.method.arrays import finite

EPSILON = 1e-6  # under the logarithms, as in Westlake-AGI-Lab/IMS3


def centroid(features: Any) -> np.ndarray:
    """Mean direction (D,) of features (n, D): each scaled to length 1, then their mean; zeros of none.

    Raises:
        ValueError: NaN features.
    """
    directions = _unit(finite(features, "features"))
    return _unit(directions.mean(axis=0) if len(directions) else np.zeros(directions.shape[1]))


def best_subgroups(
    groups: Sequence[np.ndarray],
    real: np.ndarray,
    near_real: float = 0.4,
    apart: float = 0.9,
    rounds: int = 5,
) -> list[int]:
    """One subgroup of each class that together maximise IMS3 eq. 10, by coordinate ascent (Algorithm 2).

    The objective is near_real * sum_c -log d(g_c, r_c) + apart * sum_{c < b} log d(g_c, g_b). It begins with the
    subgroup nearest to the real centroid of each class, as the authors' code does (Algorithm 2: at random), and ends
    when a round changes nothing.

    Args:
        groups: of each class the centroids (G_c, D) of its subgroups. real: (C, D) centroids of the real images.
        near_real, apart: the weights alpha and beta, at least 0.

    Returns:
        The place of the chosen subgroup in each class; on a tie the first.
    """
    pull = [-near_real * _log_distance(of_class @ r) for of_class, r in zip(groups, real, strict=True)]
    chosen = [int((of_class @ r).argmax()) for of_class, r in zip(groups, real, strict=True)]
    picked = np.stack([of_class[g] for of_class, g in zip(groups, chosen, strict=True)])
    for _ in range(rounds):
        before = chosen.copy()
        for c, of_class in enumerate(groups):
            push = _log_distance(of_class @ np.delete(picked, c, axis=0).T).sum(axis=1)
            worth = pull[c] + apart * push
            best = int(worth.argmax())
            if worth[best] > worth[chosen[c]]:
                chosen[c], picked[c] = best, of_class[best]
        if chosen == before:
            break
    return chosen


def _log_distance(cosine: np.ndarray) -> np.ndarray:
    return np.log(1 - np.clip(cosine, -1, 1) + EPSILON)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) scaled to length 1; one of length 0 stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
