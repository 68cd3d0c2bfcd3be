"""One selection over a scored pool: budgets first, then the rule, class by class; only arithmetic, no files.

Shapes: N candidates, C classes. Positions count over the pool order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import SelectionError
from psr_studio.core.words import plural
from psr_studio.method.allocation import allocate, comparable_gains
from psr_studio.method.picks import Selection
from psr_studio.method.selectors import psr
from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import AskAll, ClassPool, Pool
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.select.budgets import asked, check_budget, check_room, fixed_budgets, named
from psr_studio.stages.select.scored import ScoredPool


@dataclass(frozen=True)
class Request:
    """What is asked for. The picks of a locked class are its pins, and its vetoes do not count."""

    rules: SelectRecipe  # weights resolved
    pins: np.ndarray  # positions, in the order pinned
    vetoes: np.ndarray  # positions
    locked: Mapping[int, np.ndarray]  # class id to positions


def choose(scored: ScoredPool, request: Request) -> tuple[dict[int, Selection], np.ndarray]:
    """The picks by class, positions over the whole pool, and the budgets (C,) they were given.

    Raises:
        SelectionError: a class with fewer candidates, or more pins, than its budget; no real images to aim at.
    """
    selector = request.rules.selector
    check_original(selector, request.rules.parameters(), scored.has_original)
    budgets, ordered = _budgets(scored, request)
    _check(scored, request, budgets)
    if ordered is None or selector != psr.SELECTOR.name:
        return _choose_all(scored, request, selector, budgets), budgets
    return {c: found.first(int(budgets[c])) for c, found in ordered.items()}, budgets


def class_pool(scored: ScoredPool, class_id: int, temperature: float) -> ClassPool:
    """What a selector may read about one class, its labels softened by a temperature; views only."""
    members, now = scored.members(class_id), scored.signals(temperature)
    return ClassPool(
        reliability=now.reliability[members],
        entropy=now.entropy[members],
        difficulty=scored.difficulty[members],
        embeddings=scored.embeddings[members],
        eligible=scored.eligible[members],
        distances=lambda: scored.distances.block(class_id),
        original_difficulty=scored.original_difficulty(class_id),
        smoothing=partial(scored.smoothed, class_id),
    )


def task_pool(scored: ScoredPool, temperature: float) -> Pool:
    """The same of all classes of the task; positions in it are places in `scored.packed.rows`."""
    now, packed = scored.signals(temperature), scored.packed
    signals = now.reliability, now.entropy, scored.eligible
    if len(packed.rows) < scored.n:
        signals = tuple(values[packed.rows] for values in signals)
    classes = packed.classes.tolist()
    return Pool(
        *signals,
        packed.distances.starts,
        lambda: packed.distances,
        lambda i: class_pool(scored, classes[i], temperature),
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
    most = np.minimum(scored.counts, rules.ceiling or scored.n)
    least = np.minimum(rules.least, most) if rules.floor is None else rules.least
    floors, most = np.maximum(least, n_pins)[free.classes], most[free.classes]
    check_room(scored.class_names, free, floors, most)
    depths = np.minimum(budgets, scored.counts)
    depths[free.classes] = np.minimum(most, free.total - floors.sum() + floors)
    ordered = _choose_all(scored, request, psr.SELECTOR.name, depths)
    gains = _gains(scored, request, ordered, depths)
    budgets[free.classes] = allocate([gains[c] for c in free.classes.tolist()], free.total, floors)
    return budgets, ordered


def _gains(
    scored: ScoredPool, request: Request, ordered: Mapping[int, Selection], depths: np.ndarray
) -> dict[int, np.ndarray]:
    """What each further pick of a class adds; the ineligible and the missing come after everything else."""
    now, packed = scored.signals(request.rules.temperature), scored.packed
    orders = [np.searchsorted(packed.rows, ordered[c].indices) for c in packed.classes.tolist()]
    rows, weights = packed.rows, request.rules.of(psr.PSR).at(request.rules.ipc)
    found = comparable_gains(now.reliability[rows], now.entropy[rows], packed.distances, orders, weights)
    least = min(float(gains.min(initial=0.0)) for gains in found) - 1.0
    padded = {}
    for class_id, gains in zip(packed.classes.tolist(), found, strict=True):
        padded[class_id] = np.full(int(depths[class_id]), least)
        padded[class_id][: len(gains)] = np.where(ordered[class_id].filled, least, gains)
    return padded


def _choose_all(
    scored: ScoredPool, request: Request, selector: str, budgets: np.ndarray
) -> dict[int, Selection]:
    """What a selector chooses, by class id; the seed of a class is its own, so no class moves another."""
    rules, rows, classes = request.rules, scored.packed.rows, scored.packed.classes.tolist()
    pins, vetoes = (np.searchsorted(rows, places) for places in (request.pins, request.vetoes))
    ask = AskAll(budgets[classes], lambda i: candidate_seed(rules.seed, classes[i], 0), pins, vetoes)
    found = SELECTORS[selector].choose_all(
        task_pool(scored, rules.temperature), rules.parameters(selector), ask
    )
    if len(rows) < scored.n:
        found = [replace(one, indices=rows[one.indices]) for one in found]
    return dict(zip(classes, found, strict=True))


def _check(scored: ScoredPool, request: Request, budgets: np.ndarray) -> None:
    pinned = np.bincount(scored.labels[request.pins], minlength=len(budgets))
    for class_id in np.flatnonzero((budgets > scored.counts) | (pinned > budgets)):
        name, budget = scored.class_names[class_id], int(budgets[class_id])
        own = budget != request.rules.ipc
        check_budget(name, int(scored.counts[class_id]), budget, own)
        n = int(pinned[class_id])
        raise SelectionError(
            f'Class "{name}" has {plural(n, "pinned candidate")}, but {asked(budget, own)} are asked for.',
            f"Raise {named(name, own)} to {n} or more, or unpin some of them.",
        )


def check_original(selector: str, params: Parameters, has_original: bool, otherwise: str = "") -> None:
    """Raise SelectionError where difficulties of the real images are read and there are none.

    Args:
        otherwise: another way out than that of the selector, an order.
    """
    if params.needs_original and not has_original:
        problem, fix = SELECTORS[selector].without_original
        raise SelectionError(problem, f"{fix.removesuffix('.')}, or {otherwise}." if otherwise else fix)
