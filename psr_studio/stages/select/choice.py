"""One selection from a scored pool: rules and marks in, picks and the reasons for them out; nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from psr_studio.method.picks import nothing
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.select.budgets import spread_text
from psr_studio.stages.select.picks import Request, choose
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
    found, budgets = choose(scored, request)
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


def _request(scored: ScoredPool, rules: SelectRecipe, marks: Marks) -> Request:
    """The marks as positions; a locked class has its picks as pins and no vetoes."""
    held = {c: scored.known_positions(ids) for c, ids in marks.locked.items() if scored.counts[c]}
    held = {c: found for c, found in held.items() if len(found)}

    def counting(candidate_ids: Sequence[int]) -> np.ndarray:
        """Positions of marks of the task, and not of a locked class."""
        found = scored.known_positions(candidate_ids)
        return found[scored.in_task[found] & ~np.isin(scored.labels[found], list(held))]

    pins, vetoes = counting(marks.pinned), counting(marks.vetoed)
    return Request(rules, np.concatenate([pins, *held.values()]), vetoes, held)
