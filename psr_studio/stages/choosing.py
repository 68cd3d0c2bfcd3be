"""One selection over a scored pool: budgets first, then the rule, class by class; only arithmetic, no files.

Shapes: N candidates, C classes. Positions count over the pool order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.devices import candidate_seed
from psr_studio.errors import SelectionError
from psr_studio.method.registry import SELECTORS, ClassPool
from psr_studio.method.selection import ClassDistances, Selection, greedy_select, greedy_select_all
from psr_studio.recipe_sections import SelectRecipe
from psr_studio.stages.budgets import fixed_budgets
from psr_studio.stages.live_result import Weights, check_budget

if TYPE_CHECKING:
    from psr_studio.stages.live import LiveSelection

WEIGHT_RANGE = next(p.high for p in SELECTORS["psr"].parameters if p.name == "alpha") or 1.0


@dataclass(frozen=True)
class Request:
    """What is asked for. The picks of a locked class are its pins, and its vetoes do not count."""

    rules: SelectRecipe
    weights: Weights
    pins: np.ndarray  # positions, in the order pinned
    vetoes: np.ndarray  # positions
    locked: Mapping[int, np.ndarray]  # class id to positions
    budgets: np.ndarray | None = None  # (C,) exactly these, instead of those of the rules

    @property
    def params(self) -> dict[str, Any]:
        """What the selector reads, weights resolved.

        Weights beyond the range of the registry are scaled down together: inside a bin of difficulty only
        the order of the scores counts, and that stays.
        """
        scale = min(1.0, WEIGHT_RANGE / max(*self.weights, 1.0))
        weights = {name: scale * value for name, value in self.weights._asdict().items()}
        return SELECTORS[self.rules.selector].reads({**asdict(self.rules), **weights})

    def pins_of(self, members: slice) -> np.ndarray:
        """Pins of a class, counted inside it."""
        return _inside(self.pins, members)

    def vetoes_of(self, members: slice) -> np.ndarray:
        """Vetoes of a class, counted inside it."""
        return _inside(self.vetoes, members)


@dataclass(frozen=True)
class Packed:
    """The candidates of the classes at hand for the compiled greedy, which knows no empty class."""

    rows: np.ndarray  # (n,) positions in the pool
    classes: np.ndarray  # ids of the classes, ascending
    distances: ClassDistances


def choose(live: LiveSelection, request: Request) -> tuple[dict[int, Selection], np.ndarray]:
    """The picks by class, positions over the whole pool, and the budgets (C,) they were given.

    Raises:
        SelectionError: a class with fewer candidates, or more pins, than its budget; no real images to aim at.
    """
    rules = request.rules
    _check_original(live, rules)
    budgets, ordered = _budgets(live, request)
    _check(live, request, budgets)
    wanted = [int(c) for c in np.flatnonzero(budgets)]
    if rules.selector != "psr":
        params = request.params
        return {c: _one_class(live, request, c, int(budgets[c]), params) for c in wanted}, budgets
    ordered = ordered or _greedy(live, request, budgets)
    return {c: prefix(ordered[c], int(budgets[c])) for c in wanted}, budgets


def prefix(found: Selection, k: int) -> Selection:
    """The first k picks of a selection that was made deeper: with the same rule, what k alone would give."""
    n = min(k, len(found.indices))
    filled = found.filled[:n]
    return Selection(
        found.indices[:n], found.scores[:n], found.terms[:n], filled, k - n + int(np.count_nonzero(filled))
    )


def class_pool(live: LiveSelection, class_id: int) -> ClassPool:
    """What a selector may read about one class, at the present temperature; views only."""
    own = live.members(class_id)
    now = live.signals(live.temperature)
    return ClassPool(
        reliability=now.reliability[own],
        entropy=now.entropy[own],
        difficulty=live.difficulty[own],
        embeddings=live.embeddings[own],
        eligible=live.eligible[own],
        distances=lambda: live.distances.block(class_id),
        original_difficulty=live.original_difficulty(class_id),
    )


def _budgets(live: LiveSelection, request: Request) -> tuple[np.ndarray, dict[int, Selection] | None]:
    """Budgets (C,), and the greedy order of every class where the allocation had to look at it."""
    if request.budgets is not None:
        return np.where(live.counts > 0, request.budgets, 0).astype(np.int64), None
    rules = request.rules
    budgets, free = fixed_budgets(rules, live.counts, request.locked)
    if rules.allocation == "even" or not len(free.classes):
        budgets[free.classes] = rules.ipc
        return budgets, None
    from psr_studio.method.allocation import allocate

    n_pins = np.bincount(live.labels[request.pins], minlength=len(budgets))
    floors = np.maximum(rules.floor, n_pins)[free.classes]
    most = live.counts if rules.ceiling is None else np.minimum(live.counts, rules.ceiling)
    depths = budgets.copy()
    depths[free.classes] = np.minimum(most[free.classes], free.total - floors.sum() + floors)
    depths = np.minimum(depths, live.counts)
    ordered = _greedy(live, request, depths)
    gains = [_gains(ordered[int(c)], int(depths[c])) for c in free.classes]
    budgets[free.classes] = allocate(gains, free.total, floors, depths[free.classes])
    return budgets, ordered


def _gains(found: Selection, depth: int) -> np.ndarray:
    """(depth,) what each further pick adds; one that is not eligible, or not there, adds nothing."""
    gains = np.zeros(depth)
    gains[: len(found.scores)] = np.where(found.filled, 0.0, np.maximum(found.scores, 0.0))
    return gains


def _greedy(live: LiveSelection, request: Request, depths: np.ndarray) -> dict[int, Selection]:
    """The greedy selection of every class, at least `depths` (C,) deep; one compiled call where sizes allow."""
    now, packed, rules = live.signals(live.temperature), live.packed, request.rules
    how: dict[str, Any] = {
        "normalize": rules.normalize,
        "on_shortage": rules.on_shortage,
        "scaling": rules.scaling,
    }
    deepest = int(depths.max())
    if deepest > int(live.counts[packed.classes].min()):
        return {int(c): _greedy_alone(live, request, int(c), int(depths[c]), how) for c in packed.classes}
    rows = packed.rows
    picked = greedy_select_all(
        now.reliability[rows], now.entropy[rows], packed.distances, deepest, *request.weights,
        eligible=live.eligible[rows], pinned=np.searchsorted(rows, request.pins),
        vetoed=np.searchsorted(rows, request.vetoes), **how,
    )  # fmt: skip
    found = [picked.of_class(i) for i in range(len(packed.classes))]
    return {int(c): _moved(s, rows) for c, s in zip(packed.classes, found, strict=True)}


def _greedy_alone(
    live: LiveSelection, request: Request, class_id: int, depth: int, how: Mapping[str, Any]
) -> Selection:
    """The greedy selection of one class, for pools whose classes differ in size."""
    own, now = live.members(class_id), live.signals(live.temperature)
    pins = request.pins_of(own)
    found = greedy_select(
        now.reliability[own], now.entropy[own], None, max(depth, len(pins), 1), *request.weights,
        eligible=live.eligible[own], pinned=pins, vetoed=request.vetoes_of(own),
        distances=live.distances.block(class_id), **how,
    )  # fmt: skip
    return _moved(found, own.start)


def _one_class(
    live: LiveSelection, request: Request, class_id: int, budget: int, params: Mapping[str, Any]
) -> Selection:
    """Any selector of the registry on one class; its seed is its own, so no class moves another."""
    own = live.members(class_id)
    found = SELECTORS[request.rules.selector].choose(
        class_pool(live, class_id), budget, params, candidate_seed(request.rules.seed, class_id, 0),
        request.pins_of(own), request.vetoes_of(own),
    )  # fmt: skip
    return _moved(found, own.start)


def _moved(found: Selection, origin: int | np.ndarray) -> Selection:
    """Positions over the whole pool, from those after `origin` or those in the list `origin`."""
    from dataclasses import replace

    places = found.indices + origin if isinstance(origin, int) else origin[found.indices]
    return replace(found, indices=places)


def _inside(positions: np.ndarray, members: slice) -> np.ndarray:
    return positions[(positions >= members.start) & (positions < members.stop)] - members.start


def _check(live: LiveSelection, request: Request, budgets: np.ndarray) -> None:
    pinned = np.bincount(live.labels[request.pins], minlength=len(budgets))
    for class_id in np.flatnonzero((budgets > live.counts) | (pinned > budgets)):
        name, budget = live.class_names[class_id], int(budgets[class_id])
        check_budget(name, int(live.counts[class_id]), budget)
        raise SelectionError(
            f'Class "{name}" has {pinned[class_id]} pinned candidates, '
            f"but {budget} images per class are asked for.",
            f'Raise "Images per class" to {pinned[class_id]} or more, or unpin some of them.',
        )


def _check_original(live: LiveSelection, rules: SelectRecipe) -> None:
    if rules.selector == "dgs" and rules.target == "scale" and not live.has_original:
        raise SelectionError(
            'The target "scale" aims at the difficulties of the real images, but this bundle has none.',
            'Choose another target, such as "ground".',
        )
