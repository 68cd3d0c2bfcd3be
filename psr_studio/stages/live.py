"""Live selection: everything no slider changes is computed once, a slider move only reads it.

Positions count over the pool order; class lists are indexed by class id and are empty for a class without
candidates. Shapes: N candidates, C classes, D embedding.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.devices import candidate_seed
from psr_studio.errors import SelectionError
from psr_studio.method.selection import (
    ClassDistances,
    Selection,
    class_distances,
    generate_and_use,
    greedy_select_all,
    random_select,
    warm_up,
)
from psr_studio.method.signals import difficulty, is_consistent, min_max, predictive_entropy, reliability
from psr_studio.recipe import Recipe, SelectRecipe
from psr_studio.stages import score
from psr_studio.stages.live_result import (
    LiveResult,
    PickInfo,
    Signals,
    Weights,
    check_budget,
    check_ipc,
    resolve_weights,
)

if TYPE_CHECKING:
    from psr_studio.bundle import Bundle
    from psr_studio.workspace import Workspace

__all__ = ["LiveResult", "LiveSelection", "PickInfo", "Signals", "Weights", "check_budget", "resolve_weights"]
KEPT_TEMPERATURES = 4


class LiveSelection:
    """A scored pool, ready to be selected from again and again; safe to share between threads.

    Args:
        ws: its pool and scores are read once; marks are read from its ledger at every selection.
        recipe: gives the temperature and the rules that have no slider.
        bundle: gives class names and the name of the teacher.

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
        self.eligible = is_consistent(self.logits, self.labels)
        self.predicted: np.ndarray = self.logits.argmax(axis=1)
        self.difficulty: np.ndarray = difficulty(self.logits, self.labels)
        self.counts = np.bincount(self.labels, minlength=len(self.class_names))
        self.temperature = recipe.select.temperature
        self.result: LiveResult | None = None
        self._signals: dict[float, Signals] = {}
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
    ) -> LiveResult:
        """Choose `ipc` candidates of every class in the pool; what is None comes from `rules`, or the recipe.

        Pins and vetoes of the ledger are honoured; marks on candidates that are not in the pool are not.

        Raises:
            SelectionError: more images per class, or more pins, than fit; a class that would stay empty.
        """
        with self._lock:
            base = rules or self.recipe.select
            ipc = base.ipc if ipc is None else ipc
            check_ipc(ipc)
            chosen = resolve_weights(base, ipc) if weights is None else Weights(*map(float, weights))
            selector = base.selector if selector is None else selector
            self.temperature = base.temperature if temperature is None else float(temperature)
            pins, vetoes = self._marked(self.ws.ledger.pinned()), self._marked(self.ws.ledger.vetoed())
            self._check(ipc, pins)
            self._prepare(selector)
            began = time.perf_counter()
            chosen_by_class = self._choose(base, chosen, ipc, selector, pins, vetoes)
            seconds = time.perf_counter() - began
            self.result = self._result(chosen_by_class, chosen, ipc, selector, seconds)
            return self.result

    def pick_info(self, position: int) -> PickInfo | None:
        """The pick at a position in the last selection; None when it was not picked."""
        return self.result.pick_info(position) if self.result else None

    def why(self, position: int) -> str:
        """One sentence: why a candidate is in the last selection, or why not."""
        from psr_studio.stages.reasons import why

        return why(self, self.result or self.select(), position)

    def _prepare(self, selector: str) -> None:
        """Pay for what is cached before the clock of the selection starts."""
        self.signals(self.temperature)
        if selector == "psr":
            _ = self.distances

    def _choose(
        self,
        rules: SelectRecipe,
        weights: Weights,
        ipc: int,
        selector: str,
        pins: np.ndarray,
        vetoes: np.ndarray,
    ) -> dict[int, Selection]:
        """The selection of every class that has candidates; positions count over the whole pool."""
        present = np.flatnonzero(self.counts)
        if selector != "psr":
            seed = rules.seed if selector == "random" else None
            return {int(c): self._baseline(int(c), ipc, seed, pins, vetoes) for c in present}
        now = self.signals(self.temperature)
        packed = _without_empty(self.distances, present)
        picked = greedy_select_all(
            now.reliability, now.entropy, packed, ipc, *weights,
            eligible=self.eligible, pinned=pins, vetoed=vetoes,
            normalize=rules.normalize, on_shortage=rules.on_shortage,
        )  # fmt: skip
        return {int(c): picked.of_class(i) for i, c in enumerate(present)}

    def _baseline(
        self, class_id: int, ipc: int, seed: int | None, pins: np.ndarray, vetoes: np.ndarray
    ) -> Selection:
        """Random by a seed, or the first of the pool; eligible or not, as the papers run them."""
        members = np.flatnonzero(self.labels == class_id)
        marks = {
            name: np.searchsorted(members, marked[self.labels[marked] == class_id])
            for name, marked in (("pinned", pins), ("vetoed", vetoes))
        }
        if seed is None:
            found = generate_and_use(len(members), ipc, **marks)
        else:
            found = random_select(len(members), ipc, candidate_seed(seed, class_id, 0), **marks)
        return Selection(members[found.indices], found.scores, found.terms, found.filled, found.shortfall)

    def _result(
        self, found: dict[int, Selection], weights: Weights, ipc: int, selector: str, seconds: float
    ) -> LiveResult:
        from psr_studio.stages.reasons import shortage_message

        none = Selection(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)), np.zeros(0, bool), 0)
        by_class = [found.get(c, none) for c in range(len(self.class_names))]
        result = LiveResult(
            picks=[s.indices for s in by_class],
            scores=[s.scores for s in by_class],
            terms=[s.terms for s in by_class],
            filled=[s.filled for s in by_class],
            shortfall=[s.shortfall for s in by_class],
            weights=weights,
            ipc=ipc,
            temperature=self.temperature,
            selector=selector,
            message="",
            seconds=seconds,
            _distances=self.distances,
            _eligible=self.eligible,
        )
        result.message = shortage_message(self, result)
        return result

    def _signals_at(self, temperature: float) -> Signals:
        rel = reliability(self.logits, self.labels, temperature)
        ent = predictive_entropy(self.logits, temperature)
        rel_n, ent_n = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
        ends = np.cumsum(self.counts)  # the pool order is by class
        for class_id in np.flatnonzero(self.counts):
            members = slice(ends[class_id] - self.counts[class_id], ends[class_id])
            for raw, out in ((rel, rel_n), (ent, ent_n)):
                out[members] = min_max(raw[members], over=self.eligible[members])
        shifted = (self.logits - self.logits.max(axis=1, keepdims=True)).astype(np.float64) / temperature
        soft = np.exp(shifted)
        soft /= soft.sum(axis=1, keepdims=True)
        return Signals(rel, ent, rel_n, ent_n, soft.astype(np.float32))

    def _marked(self, candidate_ids: Sequence[int]) -> np.ndarray:
        """Positions of marked candidates, in their order; marks from another pool are left out."""
        wanted = np.asarray(candidate_ids, np.int64)
        found = np.minimum(np.searchsorted(self.candidate_ids, wanted), self.n - 1)
        return found[self.candidate_ids[found] == wanted]

    def _check(self, ipc: int, pins: np.ndarray) -> None:
        pinned = np.bincount(self.labels[pins], minlength=len(self.class_names))
        for class_id in np.flatnonzero(self.counts):
            check_budget(self.class_names[class_id], int(self.counts[class_id]), ipc)
            if pinned[class_id] > ipc:
                raise SelectionError(
                    f'Class "{self.class_names[class_id]}" has {pinned[class_id]} pinned candidates, '
                    f"but {ipc} images per class are asked for.",
                    f'Raise "Images per class" to {pinned[class_id]} or more, or unpin some of them.',
                )


def _without_empty(distances: ClassDistances, present: np.ndarray) -> ClassDistances:
    """The same cache without the classes that have no candidates; shares its memory."""
    if len(present) == len(distances.starts) - 1:
        return distances
    starts, flat_starts = (np.append(s[present], s[-1]) for s in (distances.starts, distances.flat_starts))
    return ClassDistances(distances.order, starts, distances.flat, flat_starts)
