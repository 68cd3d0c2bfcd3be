"""Live selection: everything no slider changes is computed once, a slider move only reads it.

Positions count over the pool order; class lists are indexed by class id and are empty for a class without
candidates. Shapes: N candidates, C classes, D embedding.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.method.difficulty import Smoothed, smoothed
from psr_studio.method.distances import ClassDistances
from psr_studio.method.lazy_distances import class_distances
from psr_studio.method.picks import Selection, nothing
from psr_studio.method.selection import warm_up
from psr_studio.method.selectors.weights import WEIGHTS
from psr_studio.method.signals import difficulty, is_consistent, min_max, predictive_entropy, reliability
from psr_studio.recipe.schema import Recipe, SelectRecipe
from psr_studio.stages import score
from psr_studio.stages.generate import classes_of
from psr_studio.stages.labels import soften_task
from psr_studio.stages.select.picks import Packed, Request, choose
from psr_studio.stages.select.result import LiveResult, PickInfo, Signals, check_ipc, substitutions

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.storage.workspace import Workspace

KEPT_TEMPERATURES = 4
KEPT_SMOOTHINGS = 4


class LiveSelection:
    """A scored pool, ready to be selected from again and again; safe to share between threads.

    With `pool.classes` a subset, these classes are the task (design section 3): the teacher's logits are
    restricted to them before the softmax, and candidates of other classes are still there, never eligible.

    Args:
        ws: its pool and scores are read once; marks and locks are read from its ledger at every selection.
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
        self.result: LiveResult | None = None
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

    # Selecting

    def select(
        self,
        weights: Sequence[float] | None = None,
        ipc: int | None = None,
        temperature: float | None = None,
        selector: str | None = None,
        rules: SelectRecipe | None = None,
        budgets: Sequence[int] | np.ndarray | None = None,
        locked: Mapping[int, Sequence[int]] | None = None,
    ) -> LiveResult:
        """Choose candidates of every class of the task; what is None comes from `rules`, or the recipe.

        Pins and vetoes of the ledger are honoured; marks on candidates that are not in the pool are not.

        Args:
            budgets: (C,) images of each class, exactly; None follows the allocation of the rules.
            locked: class id to the candidate ids that class keeps, in their order; None takes the locks of
                the ledger, {} none.

        Raises:
            SelectionError: more images per class, or more pins, than fit; a class that would stay empty.
        """
        with self._lock:
            asked = {"ipc": ipc, "temperature": temperature, "selector": selector}
            asked |= {} if weights is None else dict(zip(WEIGHTS, map(float, weights), strict=True))
            changes = {name: value for name, value in asked.items() if value is not None}
            check_ipc(ipc)
            base = rules or self.recipe.select
            base = (base.changed(changes) if changes else base).resolved()
            self.temperature = base.temperature
            request = self._request(base, budgets, locked)
            _ = self.signals(self.temperature), self.packed  # paid for before the clock starts
            began = time.perf_counter()
            found, given = choose(self, request)
            self.result = self._result(found, given, request, time.perf_counter() - began)
            return self.result

    def pick_info(self, position: int) -> PickInfo | None:
        """The pick at a position in the last selection; None when it was not picked."""
        return self.result.pick_info(position) if self.result else None

    def why(self, position: int) -> str:
        """One sentence: why a candidate is in the last selection, or why not."""
        from psr_studio.stages.select.reasons import why

        return why(self, self.result or self.select(), position)

    def _request(
        self,
        rules: SelectRecipe,
        budgets: Sequence[int] | np.ndarray | None,
        locked: Mapping[int, Sequence[int]] | None,
    ) -> Request:
        """The marks of the ledger as positions; a locked class has its picks as pins and no vetoes."""
        ledger = self.ws.ledger
        held = {
            c: self.positions_of_marks(ids)
            for c, ids in (ledger.locked() if locked is None else locked).items()
        }
        held = {c: found for c, found in held.items() if len(found) and self.counts[c]}
        pins, vetoes = self._open(ledger.pinned(), held), self._open(ledger.vetoed(), held)
        return Request(
            rules,
            np.concatenate([pins, *held.values()]),
            vetoes,
            held,
            None if budgets is None else np.asarray(budgets, np.int64),
        )

    def _open(self, candidate_ids: Sequence[int], held: Mapping[int, np.ndarray]) -> np.ndarray:
        """Positions of marks that count: of the task, and not of a locked class."""
        found = self.positions_of_marks(candidate_ids)
        return found[self._in_task[found] & ~np.isin(self.labels[found], list(held))]

    def _result(
        self, found: Mapping[int, Selection], budgets: np.ndarray, request: Request, seconds: float
    ) -> LiveResult:
        from psr_studio.stages.select.reasons import shortage_message

        by_class = [found.get(c, nothing()) for c in range(len(self.class_names))]
        result = LiveResult(
            picks=[s.indices for s in by_class],
            scores=[s.scores for s in by_class],
            terms=[s.terms for s in by_class],
            filled=[s.filled for s in by_class],
            shortfall=[s.shortfall for s in by_class],
            rules=request.rules,
            budgets=budgets,
            locked=tuple(sorted(request.locked)),
            substituted=substitutions(by_class),
            message="",
            seconds=seconds,
            _distances=self.distances,
            _eligible=self.eligible,
        )
        result.message = shortage_message(self, result)
        return result

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
