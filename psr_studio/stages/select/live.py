"""Live selection: a slider move only reads what `ScoredPool` has computed.

Positions count over the pool order; class lists are indexed by class id and are empty for a class without candidates.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.method.picks import Selection, nothing
from psr_studio.recipe.schema import Recipe, SelectRecipe
from psr_studio.stages.select.picks import Request, choose
from psr_studio.stages.select.reasons import shortage_text, why
from psr_studio.stages.select.result import LiveResult, PickInfo, substitutions
from psr_studio.stages.select.scored import ScoredPool

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.storage.workspace import Workspace


class LiveSelection(ScoredPool):
    """A scored pool, ready to be selected from again and again; safe to share between threads.

    Pins, vetoes and locks are read from the ledger of the workspace at every selection. `recipe` also gives the rules
    where none are named.
    """

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        super().__init__(ws, recipe, bundle)
        self.result: LiveResult | None = None

    def select(
        self,
        rules: SelectRecipe | None = None,
        budgets: Sequence[int] | np.ndarray | None = None,
        locked: Mapping[int, Sequence[int]] | None = None,
    ) -> LiveResult:
        """Choose candidates of every class of the task; rules that are None are the recipe's.

        Pins and vetoes of the ledger are honoured; marks on candidates that are not in the pool are not.

        Args:
            budgets: (C,) images of each class, exactly; None follows the allocation of the rules.
            locked: class id to the candidate ids that class keeps, in their order; None takes the locks of
                the ledger, {} none.

        Raises:
            SelectionError: more images per class, or more pins, than fit; a class that would stay empty.
        """
        with self._lock:
            asked = (rules or self.recipe.select).resolved()
            self.temperature = asked.temperature
            request = self._request(asked, budgets, locked)
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
        short = dict(enumerate(result.shortfall))
        result.message = shortage_text(self.class_names, result.selector, short, result.filled)
        return result
