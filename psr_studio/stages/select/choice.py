"""One selection from a scored pool: rules and marks in, picks and the reasons for them out; nothing is kept.

Budgets first, then the rule, class by class. Shapes: N candidates, C classes. Positions count over the pool order.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import SelectionError
from psr_studio.core.words import plural
from psr_studio.method.allocation import allocate, comparable_gains
from psr_studio.method.picks import Selection, nothing
from psr_studio.method.selectors import psr
from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import AskAll
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.select.budgets import (
    asked,
    check_budget,
    check_room,
    fixed_budgets,
    named,
    spread_text,
)
from psr_studio.stages.select.class_pools import task_pool
from psr_studio.stages.select.reasons import shortage_text
from psr_studio.stages.select.result import LiveResult, substitutions
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.storage.ledger import Ledger


@dataclass(frozen=True)
class Marks:
    """What was decided by hand, by candidate id: pins in the order pinned, vetoes, and the picks of locked classes."""

    pinned: Sequence[int] = ()
    vetoed: Sequence[int] = ()
    locked: Mapping[int, Sequence[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, ledger: Ledger) -> Marks:
        """As they stand."""
        return cls(ledger.pinned(), ledger.vetoed(), ledger.locked())


@dataclass(frozen=True)
class _Request:
    """What is asked for. The picks of a locked class are its pins, and its vetoes do not count."""

    rules: SelectRecipe  # weights resolved
    pins: np.ndarray  # positions, in the order pinned
    vetoes: np.ndarray  # positions
    locked: Mapping[int, np.ndarray]  # class id to positions


def select(scored: ScoredPool, rules: SelectRecipe, marks: Marks | None = None) -> LiveResult:
    """Choose candidates of every class of the task.

    Args:
        rules: budget, temperature, selector and its parameters; a weight of None follows the preset of the budget.
        marks: those on candidates that are not in the pool do not count.

    Raises:
        SelectionError: more images per class, or more pins, than fit; a class that would stay empty.
    """
    rules = rules.resolved()
    request = _request(scored, rules, marks or Marks())
    _ = scored.signals(rules.temperature), scored.packed  # paid for before the clock starts
    began = time.perf_counter()
    found, budgets = _choose(scored, request)
    seconds = time.perf_counter() - began
    by_class = [found.get(c) or nothing() for c in range(len(scored.class_names))]
    shortfall, filled = [s.shortfall for s in by_class], [s.filled for s in by_class]
    return LiveResult(
        scored=scored,
        picks=[s.indices for s in by_class],
        scores=[s.scores for s in by_class],
        terms=[s.terms for s in by_class],
        filled=filled,
        shortfall=shortfall,
        rules=rules,
        budgets=budgets,
        locked=tuple(sorted(request.locked)),
        substituted=substitutions(by_class),
        message=shortage_text(scored.class_names, rules.selector, dict(enumerate(shortfall)), filled),
        spread=spread_text(scored.class_names, rules, budgets, request.locked),
        seconds=seconds,
    )


def _request(scored: ScoredPool, rules: SelectRecipe, marks: Marks) -> _Request:
    """The marks as positions; a locked class has its picks as pins and no vetoes."""
    held = {c: scored.known_positions(ids) for c, ids in marks.locked.items() if scored.counts[c]}
    held = {c: found for c, found in held.items() if len(found)}

    def counting(candidate_ids: Sequence[int]) -> np.ndarray:
        """Positions of marks of the task, and not of a locked class."""
        found = scored.known_positions(candidate_ids)
        return found[scored.in_task[found] & ~np.isin(scored.labels[found], list(held))]

    pins, vetoes = counting(marks.pinned), counting(marks.vetoed)
    return _Request(rules, np.concatenate([pins, *held.values()]), vetoes, held)


def _choose(scored: ScoredPool, request: _Request) -> tuple[dict[int, Selection], np.ndarray]:
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


def _budgets(scored: ScoredPool, request: _Request) -> tuple[np.ndarray, dict[int, Selection] | None]:
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
    scored: ScoredPool, request: _Request, ordered: Mapping[int, Selection], depths: np.ndarray
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
    scored: ScoredPool, request: _Request, selector: str, budgets: np.ndarray
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


def _check(scored: ScoredPool, request: _Request, budgets: np.ndarray) -> None:
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
