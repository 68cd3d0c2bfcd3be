"""The map that paints at once: the first two principal components; a few more in a map; the axes of every map.

Shapes: embeddings (N, D), coordinates (N, 2) in [-1, 1].
"""

from __future__ import annotations

import numpy as np

OVERSAMPLING = 8
POWER_STEPS = 3
MOST_PLACED = 200  # each is compared with the whole pool
LARGEST_SHARE = 0.1  # of the pool; with more new ones a map of their own says more
NEAREST = 5


def pca(embeddings: np.ndarray) -> np.ndarray:
    """First two principal components, scaled into [-1, 1]; float32 (N, 2).

    Randomised range finder with power steps (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1): linear
    in N and D, and within plotting accuracy of the exact one. The random start is fixed and each axis is
    turned so that its largest value is positive: equal embeddings give equal maps.
    """
    n, d = embeddings.shape
    if n < 2 or d < 1:
        return np.zeros((n, 2), np.float32)
    centred = np.asarray(embeddings, np.float32) - embeddings.mean(axis=0, dtype=np.float64).astype(
        np.float32
    )
    rank = min(2 + OVERSAMPLING, n, d)
    basis = centred @ np.random.default_rng(0).normal(size=(d, rank)).astype(np.float32)
    for _ in range(POWER_STEPS):
        basis, _ = np.linalg.qr(centred @ (centred.T @ np.linalg.qr(basis)[0]))
    left, values, _ = np.linalg.svd(basis.T @ centred, full_matrices=False)
    components = np.zeros((n, 2), np.float32)
    kept = min(2, len(values))
    components[:, :kept] = (basis @ left[:, :kept]) * values[:kept]
    turned = components[np.abs(components).argmax(axis=0), [0, 1]] < 0
    components[:, turned] *= -1
    return to_axes(components)


def placed(embeddings: np.ndarray, before: np.ndarray, xy: np.ndarray) -> np.ndarray | None:
    """The coordinates of a pool that has grown: those it had stay, a new one stands amid its nearest.

    Args:
        embeddings: (N, D) now. before, xy: (M, D) and (M, 2) of the map there is, in any order.

    Returns:
        float32 (N, 2); None where the pool has not grown by a few: one is missing, or too many are new.
    """
    n_new = len(embeddings) - len(before)
    if not 0 < n_new <= min(MOST_PLACED, LARGEST_SHARE * len(before)):
        return None
    known = {row.tobytes(): k for k, row in enumerate(before)}
    at = np.array([known.get(row.tobytes(), -1) for row in embeddings])
    fresh = np.flatnonzero(at < 0)
    if len(fresh) != n_new:
        return None
    found = xy[at].astype(np.float32)
    for row in fresh:
        apart = ((before - embeddings[row]) ** 2).sum(axis=1)
        found[row] = xy[np.argsort(apart, kind="stable")[:NEAREST]].mean(axis=0)
    return found


def to_axes(xy: np.ndarray) -> np.ndarray:
    """Centre coordinates (N, 2) and scale both axes alike, so that the longer one fills [-1, 1]; float32."""
    if not len(xy):
        return np.zeros((0, 2), np.float32)
    low, high = xy.min(axis=0), xy.max(axis=0)
    half = float((high - low).max()) / 2
    centred = xy - (low + high) / 2
    return (centred / half if half > 0 else centred).clip(-1, 1).astype(np.float32)
