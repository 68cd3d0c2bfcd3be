"""Distances of a pool whose blocks would not fit: rows are computed when they are read, and the last ones kept.

Ten classes of 10,000 candidates have blocks of 4 GB in all, and a selection of K images per class reads K rows
of each. Shape letters: N candidates of the pool, D features, m candidates of one class, K images per class.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from psr_studio.method import distances as blocks
from psr_studio.method.arrays import finite, to_numpy
from psr_studio.method.distances import CLOSE, ClassDistances
from psr_studio.method.kernels import greedy as kernels

# Of all blocks together. Beyond it a page would wait seconds for distances that no selection reads.
MOST_BYTES = 1 << 28
CACHE_BYTES = 1 << 28  # of the rows that were read last
ROWS_AT_ONCE = 256  # computed together
MAX_CACHED_AT_ONCE = (
    2000  # rows: the picks of a class, which the next selection shares; more are a whole class
)
BLOCK = 1024  # rows and columns at once, when every pair is looked at
ROWS_CHECKED = 4096


def class_distances(
    embeddings: Any, labels: Any, n_classes: int | None = None, most_bytes: int = MOST_BYTES
) -> ClassDistances:
    """The distances inside every class: blocks while they fit into memory, else rows on demand.

    Args:
        most_bytes: what the blocks of all classes may take together.

    Raises:
        ValueError: as `distances.class_distances`.
    """
    order, sizes = blocks.grouped_by_class(len(embeddings), labels, n_classes)
    if 4 * int((sizes.astype(np.int64) ** 2).sum()) <= most_bytes:
        return blocks.class_distances(embeddings, labels, n_classes)
    values = finite32(embeddings)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return LazyDistances(order, starts, np.zeros(0, np.float32), np.zeros_like(starts), values, RowCache())


def finite32(embeddings: Any) -> np.ndarray:
    """Return features (N, D) as float32, checked in slices so that no float64 copy of all is made."""
    values = np.asarray(to_numpy(embeddings), np.float32)
    for start in range(0, len(values), ROWS_CHECKED):
        finite(values[start : start + ROWS_CHECKED], "embeddings")
    return values


@dataclass(frozen=True, eq=False)
class LazyDistances(ClassDistances):
    """Distances of a pool whose rows are computed when they are read: `flat` is empty, `block` an array-like.

    Attributes:
        embeddings: (N, D) float32 teacher features.
        cache: the rows that were read last.
    """

    embeddings: np.ndarray
    cache: RowCache

    def block(self, class_id: int) -> LazyBlock:  # type: ignore[override]
        """Return the (m, m) distances of one class, computed as far as they are read."""
        return LazyBlock(self.embeddings, self.members(class_id), self.cache)


class LazyBlock:
    """The distances of one class, to be indexed as an array: `[i]`, `[i, places]`, `[:, places]`, `np.ix_`.

    Rows equal those of a block up to the rounding of the last bit. `np.asarray` computes the whole block, in
    the memory of the result.
    """

    def __init__(self, embeddings: np.ndarray, members: np.ndarray, cache: RowCache) -> None:
        self._embeddings, self._members, self._cache = embeddings, members, cache
        self._values: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(m, m)."""
        return len(self._members), len(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def alone(self) -> LazyDistances:
        """The distances of a pool that has this class only."""
        n = len(self)
        return _OneClass(
            np.arange(n), np.array([0, n]), np.zeros(0, np.float32), np.zeros(2, np.int64), self._embeddings,
            self._cache, self,
        )  # fmt: skip

    def row(self, place: int) -> np.ndarray:
        """(m,) float32 distances of all candidates to the one at `place`; not to be written to."""
        key = int(self._members[place])
        row = self._cache.get(key)
        if row is None:
            row = self._compute(np.array([place]))[0]
            self._cache.put(key, row)
        return row

    def __getitem__(self, key: Any) -> np.ndarray:
        if not isinstance(key, tuple):
            return self.row(int(key)) if np.ndim(key) == 0 else self._rows(key)
        first, second = key
        if isinstance(first, slice):  # distances are symmetric
            return self._rows(second, first).T
        if np.ndim(first) == 0:
            return self.row(int(first))[second]
        assert np.ndim(first) == 2, "rows and columns together are asked for by np.ix_"
        return self._rows(np.ravel(first), np.ravel(second))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self._rows(np.arange(len(self)))
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def totals(self, counted: np.ndarray) -> np.ndarray:
        """(m,) float64 summed squared distance of each candidate to the counted ones; `counted` is (m,) bool.

        By their mean and their norms, so that no distance is computed.
        """
        raw, n = self._embeddings[self._members].astype(np.float64), int(counted.sum())
        values = raw - (raw[counted].mean(axis=0) if n else 0.0)  # around the mean the mixed term vanishes
        norms = (values**2).sum(axis=1)
        return n * norms + norms[counted].sum()

    def nearest_others(self) -> np.ndarray:
        """(m,) float32 squared distance of each candidate to the nearest other one, at least two of them.

        The nearest one is looked for in single precision around the mean, each pair once, no block is kept;
        the distance to it is then summed in float64.
        """
        raw = self._embeddings[self._members]
        values = raw - raw.mean(axis=0, dtype=np.float64).astype(np.float32)
        norms = np.einsum("md,md->m", values, values)
        best, nearest = np.full(len(raw), np.inf, np.float32), np.zeros(len(raw), np.int64)
        parts = [slice(a, a + BLOCK) for a in range(0, len(raw), BLOCK)]
        for i, first in enumerate(parts):
            for second in parts[i:]:
                sq = norms[first, None] + norms[second] - 2 * (values[first] @ values[second].T)
                if first is second:
                    np.fill_diagonal(sq, np.inf)
                else:
                    _lower_nearest(sq.T, second, first.start, best, nearest)
                _lower_nearest(sq, first, second.start, best, nearest)
        return ((raw.astype(np.float64) - raw[nearest]) ** 2).sum(axis=1).astype(np.float32)

    def _rows(self, places: np.ndarray, columns: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(k, n) float32; a whole class of rows is computed together, and not cached."""
        places = np.asarray(places)
        width = len(range(len(self))[columns]) if isinstance(columns, slice) else len(columns)
        out = np.empty((len(places), width), np.float32)
        if len(places) <= MAX_CACHED_AT_ONCE:
            for i, place in enumerate(places):
                out[i] = self.row(int(place))[columns]
            return out
        for start in range(0, len(places), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            out[some] = self._compute(places[some])[:, columns]
        return out

    def _compute(self, places: np.ndarray) -> np.ndarray:
        """Rows (k, m) by the formula of `distances`, summed in float64."""
        if self._values is None:
            values = self._embeddings[self._members].astype(np.float64)
            self._values = values, (values**2).sum(axis=1)
        values, norms = self._values
        scale = norms[places][:, None] + norms
        rows = values[places] @ values.T
        rows *= -2.0
        rows += scale
        scale *= CLOSE
        for i, j in zip(*np.nonzero(rows <= scale), strict=True):
            rows[i, j] = ((values[places[i]] - values[j]) ** 2).sum()
        return rows.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _OneClass(LazyDistances):
    """A pool that has one class only, with the block it already has."""

    only: LazyBlock

    def block(self, class_id: int) -> LazyBlock:  # type: ignore[override]
        return self.only


def _lower_nearest(sq: np.ndarray, rows: slice, offset: int, best: np.ndarray, nearest: np.ndarray) -> None:
    """Lower `best` and `nearest` of some rows to distances whose columns begin at `offset`."""
    at = sq.argmin(axis=1)
    values = sq[np.arange(len(sq)), at]
    nearer = values < best[rows]
    best[rows] = np.where(nearer, values, best[rows])
    nearest[rows] = np.where(nearer, at + offset, nearest[rows])


class RowCache:
    """The rows read last, by the pool position of their candidate; safe to share between threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit, self._bytes = limit, 0
        self._rows: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: int) -> np.ndarray | None:
        """The row of that candidate, None when it is not there."""
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
            return self._rows.get(key)

    def put(self, key: int, row: np.ndarray) -> None:
        """Keep a row and forget the oldest ones beyond the limit."""
        row.setflags(write=False)
        with self._lock:
            if key not in self._rows:
                self._rows[key] = row
                self._bytes += row.nbytes
            while self._bytes > self._limit and len(self._rows) > 1:
                self._bytes -= self._rows.popitem(last=False)[1].nbytes


def greedy_classes(
    distances: LazyDistances,
    pool: kernels.Candidates,
    rule: kernels.Rule,
    slots: np.ndarray,
    picks: np.ndarray,
    terms: np.ndarray,
    filled: np.ndarray,
    counts: np.ndarray,
) -> None:
    """As `kernels.greedy.greedy_classes`, where each row of distances is computed once it is needed."""
    for c in range(counts.size):
        a, b = slots[c], slots[c + 1]
        state = kernels.begin(pool, c, rule, picks[a:b], terms[a:b], filled[a:b])
        counts[c] = _run_steps(distances.block(c), state, rule)


def _run_steps(block: LazyBlock, state: kernels.State, rule: kernels.Rule) -> int:
    """Do the steps of one class one by one; return how many picks there are."""
    row = np.zeros(len(block), np.float32)
    rows = kernels.Rows(row.view(np.int32), start=0, stride=0)
    for step in range(len(state.picks)):
        if step:
            row[:] = block.row(int(state.picks[step - 1]))
        if kernels.run_steps(state, rule, step, step + 1, rows, 0, 0) == step:
            return step
    return len(state.picks)
