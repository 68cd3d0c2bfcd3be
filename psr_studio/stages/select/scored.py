"""A scored pool: all that no slider changes, read once and never changed; what depends on a slider is asked for by it.

Positions count over the pool order; lists by class are indexed by class id and are empty for a class without
candidates. Shapes: N candidates, C classes, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.core.kept import Kept
from psr_studio.method.difficulty import Smoothed, smoothed
from psr_studio.method.distances import ClassDistances, distances_from
from psr_studio.method.lazy_distances import class_distances
from psr_studio.method.selection import warm_up
from psr_studio.method.signals import (
    difficulty,
    difficulty_over_all,
    is_consistent,
    joined,
    min_max,
    predictive_entropy,
    reliability,
)
from psr_studio.recipe.schema import ALL_OUTPUTS, Recipe
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.labels import soften_task
from psr_studio.stages.score import stage as score
from psr_studio.stages.task import softens_all
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import PartView, Pool, frozen

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.storage.workspace import Workspace

KEPT_TEMPERATURES = 4
KEPT_SMOOTHINGS = 4


@dataclass(frozen=True)
class Signals:
    """What the teacher says at one temperature; all (N,) float32 but `soft_labels` (N, C)."""

    reliability: np.ndarray
    entropy: np.ndarray
    rel_n: np.ndarray  # min-max over the eligible candidates of the class, as the greedy step uses it
    ent_n: np.ndarray
    soft_labels: np.ndarray


@dataclass(frozen=True)
class Packed:
    """The candidates of the task for the compiled greedy, which knows no empty class."""

    rows: np.ndarray  # (n,) positions in the pool
    classes: np.ndarray  # ids of the classes, ascending
    distances: ClassDistances


@dataclass(frozen=True, eq=False)
class ScoredPool:
    """A pool with the teacher's scores, to be selected from again and again; safe to share between threads.

    With a part of the classes as the task (design section 3) the teacher's logits are restricted to them before the
    softmax, and candidates of other classes are still there, never eligible. Difficulty alone may be over more.

    Attributes:
        classes: of the task, int64, ascending.
        logits: (N, C) float32, over all classes. embeddings: (N, D) float32.
        has_original: whether the teacher's difficulty of the real training images is known.
        over_all: difficulty, and the entropy joined with it, are over every output of the teacher.
        beyond: (N, 2) float32 `signals.beyond_task` where these are more than the classes, None otherwise.
    """

    pool: Pool
    bundle: Bundle = field(repr=False)
    classes: np.ndarray
    logits: np.ndarray
    embeddings: np.ndarray
    has_original: bool
    over_all: bool = False
    beyond: np.ndarray | None = field(default=None, repr=False)
    _distances: Kept[str, ClassDistances] = field(default_factory=lambda: Kept(2), repr=False)
    _signals: Kept[float, Signals] = field(default_factory=lambda: Kept(KEPT_TEMPERATURES), repr=False)
    _smoothed: Kept[tuple[float, float, int], Kept[int, Smoothed]] = field(
        default_factory=lambda: Kept(KEPT_SMOOTHINGS), repr=False
    )

    def first(self, n: int) -> ScoredPool:
        """The first n candidates of each class with their scores: what a pool of that size would hold."""
        pool = self.pool.first(n)
        kept = np.isin(self.candidate_ids, pool.candidate_ids)
        logits, embeddings = frozen(self.logits[kept]), frozen(self.embeddings[kept])
        beyond = None if self.beyond is None else frozen(self.beyond[kept])
        return ScoredPool(
            pool, self.bundle, self.classes, logits, embeddings, self.has_original, self.over_all, beyond
        )

    @property
    def candidate_ids(self) -> np.ndarray:
        """(N,) int64."""
        return self.pool.candidate_ids

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64."""
        return self.pool.labels

    @cached_property
    def parents(self) -> np.ndarray:
        """(N,) numbers of the candidates that others are variations of, int64; -1 of what is no variation."""
        return frozen(self.pool.parents_at(np.arange(self.n))[0])

    @cached_property
    def content_hash(self) -> str:
        """Names the pool with its teacher, the classes of the task and what difficulty is over."""
        named = [self.pool.content_hash(), self.bundle.teacher_id, self.classes.tolist()]
        return stable_hash(named + ([ALL_OUTPUTS] if self.over_all else []))[:12]

    @property
    def n(self) -> int:
        """Candidates in the pool."""
        return len(self.labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class id."""
        return self.bundle.class_names

    @cached_property
    def _ends(self) -> np.ndarray:
        """(C,) where each class ends: the pool order is by class."""
        return np.cumsum(np.bincount(self.labels, minlength=len(self.class_names)))

    def members(self, class_id: int) -> slice:
        """The positions of one class."""
        return slice(int(self._ends[class_id - 1]) if class_id else 0, int(self._ends[class_id]))

    @cached_property
    def counts(self) -> np.ndarray:
        """(C,) int64 candidates of each class of the task, 0 of the others."""
        sizes = np.diff(self._ends, prepend=0)
        return frozen(np.where(np.isin(np.arange(len(sizes)), self.classes), sizes, 0))

    @property
    def present(self) -> list[int]:
        """The classes of the task that have candidates."""
        return np.flatnonzero(self.counts).tolist()

    @cached_property
    def in_task(self) -> np.ndarray:
        """(N,) bool, of a class of the task."""
        return frozen(np.isin(self.labels, self.classes))

    @cached_property
    def _task_labels(self) -> np.ndarray:
        """(N,) places among the classes of the task, 0 of other candidates."""
        return frozen(np.where(self.in_task, np.searchsorted(self.classes, self.labels), 0))

    @property
    def _task_logits(self) -> np.ndarray:
        """(N, classes of the task): restricted before any softmax, as the design has it."""
        whole = len(self.classes) == len(self.class_names)
        return self.logits if whole else np.ascontiguousarray(self.logits[:, self.classes])

    @cached_property
    def eligible(self) -> np.ndarray:
        """(N,) bool: the teacher sees the class it should be."""
        return frozen(is_consistent(self._task_logits, self._task_labels) & self.in_task)

    @cached_property
    def predicted(self) -> np.ndarray:
        """(N,) int64 the class that the teacher sees."""
        return frozen(self.classes[self._task_logits.argmax(axis=1)])

    @cached_property
    def leans(self) -> np.ndarray:
        """(N,) int64 of the other classes the one that the teacher finds the most probable.

        It is `predicted` where that is not a candidate's own class, and its own class in a task of one.
        """
        others, rows = np.array(self._task_logits, np.float32), np.flatnonzero(self.in_task)
        others[rows, self._task_labels[rows]] = -np.inf
        return frozen(self.classes[others.argmax(axis=1)])

    @cached_property
    def difficulty(self) -> np.ndarray:
        """(N,) float32, 1 outside the task."""
        if self.over_all:
            found = difficulty_over_all(self.logits, self.beyond, self.labels)
        else:
            found = difficulty(self._task_logits, self._task_labels)
        return frozen(np.where(self.in_task, found, np.float32(1)))

    @cached_property
    def _uncertainty(self) -> np.ndarray:
        """(N,) float32 normalised entropy at the temperature of the difficulty, 1, over the same outputs."""
        if self.beyond is not None:
            return self.beyond[:, 1]
        return frozen(
            predictive_entropy(self.logits if self.over_all else self._task_logits, temperature=1.0)
        )

    def measure(self, share: float) -> np.ndarray:
        """(N,) float32 difficulty, joined with a share of uncertainty; 1 outside the task."""
        found = joined(self.difficulty, self._uncertainty, share) if share else self.difficulty
        return np.where(self.in_task, found, np.float32(1)).astype(np.float32) if share else found

    # Real images

    def original_measure(self, class_id: int, share: float) -> np.ndarray | None:
        """(m,) the same of real training images of a class: with a share those at hand, without all that are known.

        Raises:
            ModelError: with a share, where the real images are not on this machine.
        """
        if not share or not self.has_original:
            return self.original_difficulty(class_id)
        return joined(*self._at_hand.get(class_id, lambda: self._signals_at_hand(class_id)), share)

    def _signals_at_hand(self, class_id: int) -> tuple[np.ndarray, np.ndarray]:
        from psr_studio.bundles.real_latents import finished, real_difficulty, real_uncertainty
        from psr_studio.core.devices import pick_device

        asked = self.bundle, class_id, self.classes.tolist(), pick_device("auto"), self.over_all
        return finished(real_difficulty(*asked)), finished(real_uncertainty(*asked))

    @cached_property
    def _at_hand(self) -> Kept[int, tuple[np.ndarray, np.ndarray]]:
        return Kept(len(self.class_names))

    def real_centroid(self, class_id: int) -> np.ndarray:
        """(D,) mean direction of the teacher's features of real training images of a class, looked at once per bundle.

        Raises:
            ModelError: the real images or the teacher are not on this machine.
        """
        return self._real_centroids.get(class_id, lambda: self._find_centroid(class_id))

    def _find_centroid(self, class_id: int) -> np.ndarray:
        from psr_studio.bundles.real_latents import finished, some_real_embeddings
        from psr_studio.core.devices import pick_device
        from psr_studio.method.subgroups import centroid
        from psr_studio.stages.generate.targets import need_real_images

        need_real_images(self.bundle)
        return centroid(finished(some_real_embeddings(self.bundle, class_id, pick_device("auto"))))

    @cached_property
    def _real_centroids(self) -> Kept[int, np.ndarray]:
        return Kept(len(self.class_names))

    @cached_property
    def _original(self) -> dict[int, np.ndarray]:
        if not self.has_original:
            return {}
        values, labels = self.bundle.original_difficulty(self.classes.tolist(), self.over_all)
        order = np.argsort(labels, kind="stable")
        borders = np.searchsorted(labels[order], np.arange(len(self.class_names) + 1))
        return {c: values[order[borders[c] : borders[c + 1]]] for c in range(len(self.class_names))}

    def original_difficulty(self, class_id: int) -> np.ndarray | None:
        """(m,) difficulties of real training images of a class, over what the pool's are; None when not known."""
        found = self._original.get(class_id)
        return found if found is not None and len(found) else None

    # Distances

    @property
    def distances(self) -> ClassDistances:
        """Squared distances inside each class, computed on first use."""
        return self._distances.get(
            "all", lambda: class_distances(self.embeddings, self.labels, len(self.class_names))
        )

    @cached_property
    def packed(self) -> Packed:
        """The candidates of the task as the compiled greedy takes them."""
        present = np.flatnonzero(self.counts)
        if self.in_task.all():
            return Packed(np.arange(self.n), present, _without_empty(self.distances, present))
        rows = np.flatnonzero(self.in_task)
        labels = np.searchsorted(present, self.labels[rows])
        distances = self._distances.get(
            "task", lambda: class_distances(self.embeddings[rows], labels, len(present))
        )
        return Packed(rows, present, distances)

    @cached_property
    def usual_distance(self) -> np.ndarray:
        """(C,) float64 mean squared distance between two candidates of each class; 0 where there are none.

        It is twice the summed variance of the embeddings times m / (m - 1): no distance has to be known.
        """
        found = np.zeros(len(self.class_names))
        for class_id in range(len(found)):
            embeddings = self.embeddings[self.members(class_id)]
            if (m := len(embeddings)) > 1:
                found[class_id] = 2 * m / (m - 1) * embeddings.var(axis=0, dtype=np.float64).sum()
        return frozen(found)

    def apart(self, embedding: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """How far others, the candidates when None, lie from an embedding (D,): (N,) float32.

        1 is usual between two candidates of a class: the root of the mean of `usual_distance`.
        """
        usual = self.usual_distance[self.usual_distance > 0]
        unit = float(np.sqrt(usual.mean())) if len(usual) else 1.0
        return distances_from(embedding, self.embeddings if others is None else others) / np.float32(unit)

    def neighbours(self, position: int, k: int = 8) -> list[int]:
        """Positions of the k nearest candidates of the same class, the nearest first, without itself."""
        class_id = int(self.labels[position])
        members = self.distances.members(class_id)
        row = self.distances.block(class_id)[np.searchsorted(members, position)]
        order = members[np.argsort(row, kind="stable")]
        return [int(p) for p in order if p != position][:k]

    # By what a slider sets

    def signals(self, temperature: float) -> Signals:
        """Signals at a temperature; the last few are kept."""
        return self._signals.get(temperature, lambda: self._signals_at(temperature))

    def _signals_at(self, temperature: float) -> Signals:
        logits = self._task_logits
        rel = np.where(self.in_task, reliability(logits, self._task_labels, temperature), np.float32(0))
        ent = predictive_entropy(logits, temperature)
        rel_n, ent_n = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
        for class_id in self.present:
            members = self.members(class_id)
            for raw, out in ((rel, rel_n), (ent, ent_n)):
                out[members] = min_max(raw[members], over=self.eligible[members])
        soft = soften_task(self.logits, temperature, self.classes)
        return Signals(*map(frozen, (rel, ent, rel_n, ent_n, soft)))

    def smoothed(self, class_id: int, lam: float, share: float = 0.0, ranks_of: int = 0) -> Smoothed:
        """Difficulties of a class, joined with a share of uncertainty, after the smoothing of DGS; a few are kept."""
        kept = self._smoothed.get((lam, share, ranks_of), lambda: Kept(len(self.class_names)))
        difficulty = self.measure(share)[self.members(class_id)]
        return kept.get(
            class_id, lambda: smoothed(difficulty, self.original_measure(class_id, share), lam, ranks_of)
        )

    # By number

    def known_positions(self, candidate_ids: Sequence[int]) -> np.ndarray:
        """Positions of marked candidates, int64, in their order; marks from another pool are left out."""
        wanted = np.asarray(candidate_ids, np.int64)
        found = np.minimum(np.searchsorted(self.candidate_ids, wanted), self.n - 1)
        return found[self.candidate_ids[found] == wanted]


def read_scored(
    ws: Workspace, recipe: Recipe, bundle: Bundle, parts: Sequence[PartView] | None = None
) -> ScoredPool:
    """Read pool and scores as they are on disk; the recipe gives the classes of the task.

    Args:
        parts: of the pool, all of them scored (`score.scored_parts`); None is the whole pool.

    Raises:
        WorkspaceError: no pool, or scores that are missing, stale or not finite.
    """
    if parts is None:
        score.require_fresh(ws, recipe, bundle)
    warm_up()
    pool = ws.pool() if parts is None else ws.pool_of([part.path for part in parts])
    classes = classes_of(recipe, bundle)
    over_all = is_over_all(recipe, bundle, pool)
    scores = ws.scores(bundle.teacher_id, pool=pool, beyond=over_all and score.knows_more(bundle))
    return ScoredPool(
        pool=pool,
        bundle=bundle,
        classes=frozen(np.array(classes, np.int64)),
        logits=scores.logits,
        embeddings=scores.embeddings,
        has_original=bundle.has_original_difficulty(classes, over_all),
        over_all=over_all,
        beyond=scores.beyond,
    )


def is_over_all(recipe: Recipe, bundle: Bundle, pool: Pool) -> bool:
    """Whether difficulty is over every output of the teacher; of pictures with soft labels of their own it is not."""
    return softens_all(recipe, bundle, classes_of(recipe, bundle)) and not pool.has_own_logits


def _without_empty(distances: ClassDistances, present: np.ndarray) -> ClassDistances:
    """The same cache without the classes that have no candidates; shares its memory."""
    if len(present) == len(distances.starts) - 1:
        return distances
    starts, flat_starts = (np.append(s[present], s[-1]) for s in (distances.starts, distances.flat_starts))
    return replace(distances, starts=starts, flat_starts=flat_starts)
