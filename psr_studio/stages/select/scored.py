"""A scored pool as a selection reads it: everything that no slider changes is computed once and kept.

Positions count over the pool order; class lists are indexed by class id. Shapes: N candidates, C classes, D embedding.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.method.difficulty import Smoothed, smoothed
from psr_studio.method.distances import ClassDistances
from psr_studio.method.lazy_distances import class_distances
from psr_studio.method.selection import warm_up
from psr_studio.method.selectors.selector import ClassPool, Pool
from psr_studio.method.signals import difficulty, is_consistent, min_max, predictive_entropy, reliability
from psr_studio.recipe.schema import Recipe
from psr_studio.stages import score
from psr_studio.stages.generate import classes_of
from psr_studio.stages.labels import soften_task
from psr_studio.stages.select.result import Signals

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.storage.workspace import Workspace

KEPT_TEMPERATURES = 4
KEPT_SMOOTHINGS = 4


@dataclass(frozen=True)
class Packed:
    """The candidates of the classes at hand for the compiled greedy, which knows no empty class."""

    rows: np.ndarray  # (n,) positions in the pool
    classes: np.ndarray  # ids of the classes, ascending
    distances: ClassDistances


class ScoredPool:
    """A scored pool with its signals and distances; safe to share between threads.

    With `pool.classes` a subset, these classes are the task (design section 3): the teacher's logits are
    restricted to them before the softmax, and candidates of other classes are still there, never eligible.

    Args:
        ws: its pool and scores are read once.
        recipe: gives the classes, the temperature and the rules that have no slider.
        bundle: gives class names, the name of the teacher and the difficulties of the real images.

    Raises:
        WorkspaceError: no pool, or scores that are missing, stale or not finite.
    """

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        score.require_fresh(ws, recipe, bundle)
        pool = ws.pool()
        scores = ws.scores(bundle.teacher_id)
        self.ws, self.recipe, self.class_names = ws, recipe, bundle.class_names
        self.candidate_ids, self.labels, self.seeds = pool.candidate_ids, pool.labels, pool.seeds
        self.logits, self.embeddings = scores.logits, scores.embeddings
        self.class_hashes = score.class_hashes(pool, bundle)
        self.classes = np.array(classes_of(recipe, bundle), np.int64)
        sizes = np.bincount(self.labels, minlength=len(self.class_names))
        self._ends = np.cumsum(sizes)  # the pool order is by class
        in_task = np.isin(np.arange(len(sizes)), self.classes)
        self.counts = np.where(in_task, sizes, 0)
        self._in_task = in_task[self.labels]
        self._task_labels = np.where(self._in_task, np.searchsorted(self.classes, self.labels), 0)
        logits = self._task_logits
        self.eligible = is_consistent(logits, self._task_labels) & self._in_task
        self.predicted: np.ndarray = self.classes[logits.argmax(axis=1)]
        self.difficulty: np.ndarray = np.where(
            self._in_task, difficulty(logits, self._task_labels), np.float32(1)
        )
        self.temperature = recipe.select.temperature
        self._bundle = bundle
        self._signals: dict[float, Signals] = {}
        self._smoothed: dict[float, dict[int, Smoothed]] = {}
        self._lock = threading.RLock()
        warm_up()

    # What a slider does not change

    @property
    def n(self) -> int:
        """Candidates in the pool."""
        return len(self.labels)

    @cached_property
    def distances(self) -> ClassDistances:
        """Squared distances inside each class, computed on first use."""
        with self._lock:
            return class_distances(self.embeddings, self.labels, len(self.class_names))

    @cached_property
    def packed(self) -> Packed:
        """The candidates of the task as the compiled greedy takes them."""
        present = np.flatnonzero(self.counts)
        if self._in_task.all():
            return Packed(np.arange(self.n), present, _without_empty(self.distances, present))
        rows = np.flatnonzero(self._in_task)
        labels = np.searchsorted(present, self.labels[rows])
        return Packed(rows, present, class_distances(self.embeddings[rows], labels, len(present)))

    def members(self, class_id: int) -> slice:
        """The positions of one class: the pool order is by class."""
        start = int(self._ends[class_id - 1]) if class_id else 0
        return slice(start, int(self._ends[class_id]))

    @cached_property
    def has_original(self) -> bool:
        """Whether the bundle holds the teacher's difficulty of the real training images."""
        return self._bundle.has_train_difficulty

    @cached_property
    def _original(self) -> dict[int, np.ndarray]:
        if not self.has_original:
            return {}
        values, labels = self._bundle.train_difficulty
        order = np.argsort(labels, kind="stable")
        borders = np.searchsorted(labels[order], np.arange(len(self.class_names) + 1))
        return {c: values[order[borders[c] : borders[c + 1]]] for c in range(len(self.class_names))}

    def original_difficulty(self, class_id: int) -> np.ndarray | None:
        """(m,) difficulties of the real training images of a class; None when the bundle has none."""
        found = self._original.get(class_id)
        return found if found is not None and len(found) else None

    def smoothed(self, class_id: int, lam: float) -> Smoothed:
        """Difficulties of a class before and after the smoothing of DGS; kept for the last few `lam`."""
        with self._lock:
            kept = self._smoothed.setdefault(lam, {})
            if class_id not in kept:
                while len(self._smoothed) > KEPT_SMOOTHINGS:
                    del self._smoothed[next(iter(self._smoothed))]
                own, real = self.difficulty[self.members(class_id)], self.original_difficulty(class_id)
                kept[class_id] = smoothed(own, real, lam)
            return kept[class_id]

    @cached_property
    def usual_distance(self) -> np.ndarray:
        """(C,) float64 mean squared distance between two candidates of each class; 0 where there are none.

        It is twice the summed variance of the embeddings times m / (m - 1): no distance has to be known.
        """
        found = np.zeros(len(self.class_names))
        for class_id in range(len(found)):
            own = self.embeddings[self.members(class_id)]
            if (m := len(own)) > 1:
                found[class_id] = 2 * m / (m - 1) * own.var(axis=0, dtype=np.float64).sum()
        return found

    def positions_of(self, candidate_ids: Sequence[int]) -> np.ndarray:
        """Positions of candidates, int64 (n,); WorkspaceError names those that are not in the pool."""
        return self.ws.pool().positions(candidate_ids)

    def signals(self, temperature: float) -> Signals:
        """Signals at a temperature; the last few are kept."""
        with self._lock:
            if temperature not in self._signals:
                while len(self._signals) >= KEPT_TEMPERATURES:
                    del self._signals[next(iter(self._signals))]
                self._signals[temperature] = self._signals_at(temperature)
            return self._signals[temperature]

    @property
    def reliability(self) -> np.ndarray:
        """(N,) float32 at the temperature selected with last, as are the others."""
        return self.signals(self.temperature).reliability

    @property
    def entropy(self) -> np.ndarray:
        """(N,) float32."""
        return self.signals(self.temperature).entropy

    @property
    def rel_n(self) -> np.ndarray:
        """(N,) float32, min-max by class."""
        return self.signals(self.temperature).rel_n

    @property
    def ent_n(self) -> np.ndarray:
        """(N,) float32, min-max by class."""
        return self.signals(self.temperature).ent_n

    def soft_labels(self, positions: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """The teacher's softened labels: (C,) for one position, (n, C) for several; float32."""
        return self.signals(self.temperature).soft_labels[positions]

    def neighbours(self, position: int, k: int = 8) -> list[int]:
        """Positions of the k nearest candidates of the same class, the nearest first, without itself."""
        class_id = int(self.labels[position])
        members = self.distances.members(class_id)
        row = self.distances.block(class_id)[np.searchsorted(members, position)]
        order = members[np.argsort(row, kind="stable")]
        return [int(p) for p in order if p != position][:k]

    def class_pool(self, class_id: int) -> ClassPool:
        """What a selector may read about one class, at the present temperature; views only."""
        own, now = self.members(class_id), self.signals(self.temperature)
        return ClassPool(
            reliability=now.reliability[own],
            entropy=now.entropy[own],
            difficulty=self.difficulty[own],
            embeddings=self.embeddings[own],
            eligible=self.eligible[own],
            distances=lambda: self.distances.block(class_id),
            original_difficulty=self.original_difficulty(class_id),
            smoothing=partial(self.smoothed, class_id),
        )

    def task_pool(self) -> Pool:
        """The same of all classes of the task; positions in it are places in `packed.rows`."""
        now, packed = self.signals(self.temperature), self.packed
        signals = now.reliability, now.entropy, self.eligible
        if len(packed.rows) < self.n:
            signals = tuple(values[packed.rows] for values in signals)
        classes = packed.classes.tolist()
        return Pool(
            *signals, packed.distances.starts, lambda: packed.distances, lambda i: self.class_pool(classes[i])
        )

    @property
    def _task_logits(self) -> np.ndarray:
        """(N, classes of the task): restricted before any softmax, as the design has it."""
        whole = len(self.classes) == len(self.class_names)
        return self.logits if whole else np.ascontiguousarray(self.logits[:, self.classes])

    def _signals_at(self, temperature: float) -> Signals:
        logits = self._task_logits
        rel = np.where(self._in_task, reliability(logits, self._task_labels, temperature), np.float32(0))
        ent = predictive_entropy(logits, temperature)
        rel_n, ent_n = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
        for class_id in np.flatnonzero(self.counts):
            own = self.members(int(class_id))
            for raw, out in ((rel, rel_n), (ent, ent_n)):
                out[own] = min_max(raw[own], over=self.eligible[own])
        return Signals(rel, ent, rel_n, ent_n, soften_task(self.logits, temperature, self.classes))

    def positions_of_marks(self, candidate_ids: Sequence[int]) -> np.ndarray:
        """Positions of marked candidates, in their order; marks from another pool are left out."""
        wanted = np.asarray(candidate_ids, np.int64)
        found = np.minimum(np.searchsorted(self.candidate_ids, wanted), self.n - 1)
        return found[self.candidate_ids[found] == wanted]


def _without_empty(distances: ClassDistances, present: np.ndarray) -> ClassDistances:
    """The same cache without the classes that have no candidates; shares its memory."""
    if len(present) == len(distances.starts) - 1:
        return distances
    starts, flat_starts = (np.append(s[present], s[-1]) for s in (distances.starts, distances.flat_starts))
    return replace(distances, starts=starts, flat_starts=flat_starts)
