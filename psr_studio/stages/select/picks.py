"""One selection over a scored pool: budgets first, then the rule, class by class; only arithmetic, no files.

Shapes: N candidates, C classes. Positions count over the pool order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import SelectionError
from psr_studio.method.allocation import allocate, comparable_gains
from psr_studio.method.difficulty import difficulty_select
from psr_studio.method.picks import Selection
from psr_studio.method.selection import greedy_select_all
from psr_studio.method.selectors.registry import SELECTORS, ClassPool
from psr_studio.recipe.tables import SelectRecipe
from psr_studio.stages.select.budgets import check_room, fixed_budgets
from psr_studio.stages.select.result import Weights, check_budget, resolve_weights
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.stages.select.smoothing import wanted_counts


@dataclass(frozen=True)
class Request:
    """What is asked for. The picks of a locked class are its pins, and its vetoes do not count."""

    rules: SelectRecipe  # weights resolved
    pins: np.ndarray  # positions, in the order pinned
    vetoes: np.ndarray  # positions
    locked: Mapping[int, np.ndarray]  # class id to positions

    @property
    def weights(self) -> Weights:
        """Of the greedy step."""
        return resolve_weights(self.rules)

    @property
    def params(self) -> dict[str, Any]:
        """What the selector reads."""
        return SELECTORS[self.rules.selector].reads(asdict(self.rules))

    def pins_of(self, members: slice) -> np.ndarray:
        """Pins of a class, counted inside it."""
        return _inside(self.pins, members)

    def vetoes_of(self, members: slice) -> np.ndarray:
        """Vetoes of a class, counted inside it."""
        return _inside(self.vetoes, members)


def choose(scored: ScoredPool, request: Request) -> tuple[dict[int, Selection], np.ndarray]:
    """The picks by class, positions over the whole pool, and the budgets (C,) they were given.

    Raises:
        SelectionError: a class with fewer candidates, or more pins, than its budget; no real images to aim at.
    """
    rules = request.rules
    _check_original(scored, rules)
    budgets, ordered = _budgets(scored, request)
    _check(scored, request, budgets)
    wanted = [int(c) for c in np.flatnonzero(budgets)]
    if rules.selector == "dgs":
        return _difficulty_guided(scored, request, wanted, budgets), budgets
    if rules.selector != "psr":
        params = request.params
        return {c: _one_class(scored, request, c, int(budgets[c]), params) for c in wanted}, budgets
    ordered = ordered or _greedy(scored, request, budgets)
    return {c: prefix(ordered[c], int(budgets[c])) for c in wanted}, budgets


def prefix(found: Selection, k: int) -> Selection:
    """The first k picks of a selection that was made deeper: with the same rule, what k alone would give."""
    n = min(k, len(found.indices))
    filled = found.filled[:n]
    return Selection(
        found.indices[:n], found.scores[:n], found.terms[:n], filled, k - n + int(np.count_nonzero(filled))
    )


def class_pool(scored: ScoredPool, class_id: int, temperature: float) -> ClassPool:
    """What a selector may read about one class, its labels softened by a temperature; views only."""
    own = scored.members(class_id)
    now = scored.signals(temperature)
    return ClassPool(
        reliability=now.reliability[own],
        entropy=now.entropy[own],
        difficulty=scored.difficulty[own],
        embeddings=scored.embeddings[own],
        eligible=scored.eligible[own],
        distances=lambda: scored.distances.block(class_id),
        original_difficulty=scored.original_difficulty(class_id),
    )


def _budgets(scored: ScoredPool, request: Request) -> tuple[np.ndarray, dict[int, Selection] | None]:
    """Budgets (C,), and the greedy order of every class where the allocation had to look at it.

    The allocation goes by the greedy order of PSR eq. 8 whatever the selector: no other rule says what one
    more image is worth.
    """
    rules = request.rules
    budgets, free = fixed_budgets(rules, scored.counts, request.locked)
    if rules.allocation == "even" or not len(free.classes):
        budgets[free.classes] = rules.ipc
        return budgets, None
    n_pins = np.bincount(scored.labels[request.pins], minlength=len(budgets))
    floors = np.maximum(rules.floor, n_pins)[free.classes]
    most = np.minimum(scored.counts, rules.ceiling or scored.n)[free.classes]
    check_room(scored.class_names, free, floors, most)
    depths = np.minimum(budgets, scored.counts)
    depths[free.classes] = np.minimum(most, free.total - floors.sum() + floors)
    ordered = _greedy(scored, request, depths)
    gains = _gains(scored, request, ordered, depths)
    budgets[free.classes] = allocate([gains[c] for c in free.classes.tolist()], free.total, floors)
    return budgets, ordered


def _gains(
    scored: ScoredPool, request: Request, ordered: Mapping[int, Selection], depths: np.ndarray
) -> dict[int, np.ndarray]:
    """What each further pick of a class adds; the ineligible and the missing come after everything else."""
    now, packed = scored.signals(request.rules.temperature), scored.packed
    orders = [np.searchsorted(packed.rows, ordered[c].indices) for c in packed.classes.tolist()]
    rows = packed.rows
    found = comparable_gains(
        now.reliability[rows], now.entropy[rows], packed.distances, orders, request.weights
    )
    least = min(float(gains.min(initial=0.0)) for gains in found) - 1.0
    padded = {}
    for class_id, gains in zip(packed.classes.tolist(), found, strict=True):
        padded[class_id] = np.full(int(depths[class_id]), least)
        padded[class_id][: len(gains)] = np.where(ordered[class_id].filled, least, gains)
    return padded


def _greedy(scored: ScoredPool, request: Request, depths: np.ndarray) -> dict[int, Selection]:
    """The greedy selection of every class, `depths` (C,) deep, in one compiled call."""
    now, packed, rules = scored.signals(request.rules.temperature), scored.packed, request.rules
    rows, whole = packed.rows, len(packed.rows) == scored.n
    own = (lambda values: values) if whole else (lambda values: values[rows])
    inside = (lambda places: places) if whole else (lambda places: np.searchsorted(rows, places))
    picked = greedy_select_all(
        own(now.reliability), own(now.entropy), packed.distances, np.maximum(depths[packed.classes], 1),
        *request.weights, eligible=own(scored.eligible), pinned=inside(request.pins),
        vetoed=inside(request.vetoes), normalize=rules.normalize, on_shortage=rules.on_shortage,
        scaling=rules.scaling,
    )  # fmt: skip
    found = [picked.of_class(i) for i in range(len(packed.classes))]
    if not whole:
        found = [replace(s, indices=rows[s.indices]) for s in found]
    return dict(zip(packed.classes.tolist(), found, strict=True))


def _one_class(
    scored: ScoredPool, request: Request, class_id: int, budget: int, params: Mapping[str, Any]
) -> Selection:
    """Any selector of the registry on one class; its seed is its own, so no class moves another."""
    own, rules = scored.members(class_id), request.rules
    found = SELECTORS[rules.selector].choose(
        class_pool(scored, class_id, rules.temperature), budget, params, candidate_seed(rules.seed, class_id, 0),
        request.pins_of(own), request.vetoes_of(own),
    )  # fmt: skip
    return replace(found, indices=found.indices + own.start)


def _difficulty_guided(
    scored: ScoredPool, request: Request, class_ids: Sequence[int], budgets: np.ndarray
) -> dict[int, Selection]:
    """What the registry's "dgs" chooses, from difficulties that were smoothed once: no slider changes them."""
    rules = request.rules
    orders = None
    if rules.within_bin == "psr":
        plain = replace(request, rules=replace(rules, normalize=True, on_shortage="fill"))
        orders = _greedy(scored, plain, scored.counts)
    found: dict[int, Selection] = {}
    for class_id in class_ids:
        own, known = scored.members(class_id), scored.smoothed(class_id, rules.lam)
        vetoes, size = request.vetoes_of(own), own.stop - own.start
        left = min(int(budgets[class_id]), size - len(vetoes))
        picked = difficulty_select(
            known.pool, wanted_counts(known, rules, left), candidate_seed(rules.seed, class_id, 0),
            request.pins_of(own), vetoes, within_bin=rules.within_bin,
            scores=None if orders is None else _falling(orders[class_id].indices - own.start, size),
        )  # fmt: skip
        short = picked.shortfall + int(budgets[class_id]) - left
        found[class_id] = replace(picked, indices=picked.indices + own.start, shortfall=short)
    return found


def _falling(order: np.ndarray, size: int) -> np.ndarray:
    """(size,) scores that fall from 1 along an order; 0 for who is not in it."""
    scores = np.zeros(size)
    scores[order] = 1 - np.arange(len(order)) / size
    return scores


def _inside(positions: np.ndarray, members: slice) -> np.ndarray:
    return positions[(positions >= members.start) & (positions < members.stop)] - members.start


def _check(scored: ScoredPool, request: Request, budgets: np.ndarray) -> None:
    pinned = np.bincount(scored.labels[request.pins], minlength=len(budgets))
    for class_id in np.flatnonzero((budgets > scored.counts) | (pinned > budgets)):
        name, budget = scored.class_names[class_id], int(budgets[class_id])
        check_budget(name, int(scored.counts[class_id]), budget, own=budget != request.rules.ipc)
        raise SelectionError(
            f'Class "{name}" has {pinned[class_id]} pinned candidates, '
            f"but {budget} images per class are asked for.",
            f'Raise "Images per class" to {pinned[class_id]} or more, or unpin some of them.',
        )


def _check_original(scored: ScoredPool, rules: SelectRecipe) -> None:
    if rules.selector == "dgs" and rules.target == "scale" and not scored.has_original:
        raise SelectionError(
            'The target "scale" aims at the difficulties of the real images, but this bundle has none.',
            'Choose another target, such as "ground".',
        )
