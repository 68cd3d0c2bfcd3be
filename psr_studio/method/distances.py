"""Squared distances between candidates, computed once per class and read by every selection after that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from psr_studio.method.arrays import Array, finite, like, to_float64, to_numpy

# Pairs closer than this share of their squared norms are computed from their difference: there the
# inner-product form has lost its digits, and equal embeddings must be at distance 0 exactly.
CLOSE = 1e-6
PAIRS_AT_ONCE = 1 << 12


def pairwise_sq_distances(embeddings: Array) -> Array:
    """Squared Euclidean distances between all candidates of a class (the norm inside PSR eq. 7).

    Args:
        embeddings: (N, D) teacher features, finite.

    Returns:
        (N, N) float32, summed in float64, symmetric, diagonal 0, 0 between equal rows.

    Raises:
        ValueError: another number of axes, NaN or infinite features.
    """
    return like(_sq_distances(_check_embeddings(embeddings)), embeddings)


def distances_from(point: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Euclidean distances from one embedding (D,) to others (N, D): (N,) float32, summed in float64, 0 to itself."""
    found = np.empty(len(embeddings), np.float32)
    for start in range(0, len(embeddings), PAIRS_AT_ONCE):
        rows = slice(start, start + PAIRS_AT_ONCE)
        apart = embeddings[rows].astype(np.float64) - point
        found[rows] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    return found


@dataclass(frozen=True, eq=False)
class ClassDistances:
    """The distance cache of a pool: one block per class, back to back.

    Attributes:
        order: (N,) int64, pool positions grouped by class, ascending inside each.
        starts: (C + 1,) int64; class c holds `order[starts[c]:starts[c + 1]]`.
        flat: float32, the (m, m) blocks of all classes, flattened.
        flat_starts: (C + 1,) int64; where each block begins in `flat`.
    """

    order: np.ndarray
    starts: np.ndarray
    flat: np.ndarray
    flat_starts: np.ndarray

    def members(self, class_id: int) -> np.ndarray:
        """Return the pool positions (m,) of one class."""
        return self.order[self.starts[class_id] : self.starts[class_id + 1]]

    def block(self, class_id: int) -> np.ndarray:
        """Return the (m, m) distances of one class, a view."""
        size = self.starts[class_id + 1] - self.starts[class_id]
        return self.flat[self.flat_starts[class_id] : self.flat_starts[class_id + 1]].reshape(size, size)


def class_distances(embeddings: Any, labels: Any, n_classes: int | None = None) -> ClassDistances:
    """Compute `pairwise_sq_distances` inside every class of a pool.

    Args:
        embeddings: (N, D) teacher features, finite.
        labels: (N,) class of each candidate, in 0..C-1.
        n_classes: C; None takes the largest label.

    Raises:
        ValueError: as `pairwise_sq_distances`; labels of another length or outside the classes.
    """
    values = _check_embeddings(embeddings)
    order, sizes = grouped_by_class(len(values), labels, n_classes)
    starts, flat_starts = (np.concatenate([[0], np.cumsum(counts)]) for counts in (sizes, sizes**2))
    cache = ClassDistances(order, starts, np.empty(flat_starts[-1], np.float32), flat_starts)
    for class_id in range(len(sizes)):
        cache.block(class_id)[:] = _sq_distances(values[cache.members(class_id)])
    return cache


def grouped_by_class(n: int, labels: Any, n_classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the n positions grouped by class, ascending inside each, and the sizes (C,) of the classes.

    Raises:
        ValueError: labels of another length or outside the classes.
    """
    classes = to_numpy(labels).astype(np.int64)
    if classes.shape != (n,):
        raise ValueError(f"Labels have shape {classes.shape}, but there are {n} candidates.")
    n_classes = int(classes.max(initial=-1)) + 1 if n_classes is None else n_classes
    if len(classes) and not 0 <= classes.min() <= classes.max() < n_classes:
        span = f"{classes.min()} to {classes.max()}"
        raise ValueError(f"Labels run from {span}, but there are {n_classes} classes.")
    return np.argsort(classes, kind="stable"), np.bincount(classes, minlength=n_classes)


def _check_embeddings(embeddings: Any) -> np.ndarray:
    """Return the embeddings as float64 (N, D), or say which rows are not finite."""
    values = to_float64(embeddings)
    if values.ndim != 2:
        raise ValueError(f"Embeddings have shape {values.shape}, but (N, D) is needed.")
    return finite(values, "embeddings")


def _sq_distances(values: np.ndarray) -> np.ndarray:
    """Return |a|^2 + |b|^2 - 2 a.b for all pairs, float64 (N, D) -> float32 (N, N)."""
    norms = (values**2).sum(axis=1)
    scale = norms[:, None] + norms
    distances = values @ values.T  # symmetric to the last bit: NumPy computes one half and mirrors it
    distances *= -2.0
    distances += scale
    scale *= CLOSE
    first, second = np.nonzero(distances <= scale)  # the diagonal is always among them
    for start in range(0, len(first), PAIRS_AT_ONCE):
        a, b = first[start : start + PAIRS_AT_ONCE], second[start : start + PAIRS_AT_ONCE]
        distances[a, b] = ((values[a] - values[b]) ** 2).sum(axis=1)
    return distances.astype(np.float32)
