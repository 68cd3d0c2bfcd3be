"""What a live selection answers with: the picks of every class, and why each was taken.

Positions count over the pool order; class lists are indexed by class id. N candidates, C classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from psr_studio.core.errors import SelectionError
from psr_studio.core.words import plural
from psr_studio.method.distances import ClassDistances
from psr_studio.method.picks import Selection
from psr_studio.method.selectors.weights import Weights
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.select.scored import ScoredPool, Signals


class PickInfo(NamedTuple):
    """Why a candidate is in the set: its place in the pick order of its class and its score."""

    rank: int  # from 0
    score: float
    terms: tuple[float, float, float]  # weighted reliability, entropy (negative), diversity
    filled: bool


@dataclass(frozen=True, eq=False)
class LiveResult:
    """One selection. Lists are by class; arrays inside are parallel to `picks`, in pick order."""

    scored: ScoredPool  # what was selected from
    picks: list[np.ndarray]  # positions, int64
    scores: list[np.ndarray]  # float64
    terms: list[np.ndarray]  # (k, 3) float64
    filled: list[np.ndarray]  # bool
    shortfall: list[int]
    rules: SelectRecipe  # all that was asked for, weights resolved
    budgets: np.ndarray  # (C,) int64, images asked for of each class
    locked: tuple[int, ...]  # classes that kept their picks
    substituted: list[dict[str, int]]  # slots of a difficulty bin that another filled, see `substitutions`
    message: str
    seconds: float  # of the selection alone

    @property
    def selector(self) -> str:
        """Name of the rule."""
        return self.rules.selector

    @property
    def weights(self) -> Weights:
        """Those of the selector, or of the PSR greedy where it has none."""
        return self.rules.weights

    @property
    def positions(self) -> np.ndarray:
        """All picks (k,) int64, class by class, in pick order inside a class."""
        return np.concatenate([*self.picks, np.zeros(0, np.int64)]).astype(np.int64)

    @cached_property
    def candidate_ids(self) -> list[int]:
        """All picks by number, in the order of `positions`."""
        return self.scored.candidate_ids[self.positions].tolist()

    @property
    def signals(self) -> Signals:
        """What the teacher says at the temperature of the rules."""
        return self.scored.signals(self.rules.temperature)

    @cached_property
    def diversity(self) -> np.ndarray:
        """(N,) float32: squared distance to the nearest pick of the class, over the largest eligible one."""
        distances, eligible = self.scored.distances, self.scored.eligible
        out = np.zeros(self.scored.n, np.float32)
        place = _places(distances)
        for class_id, picks in enumerate(self.picks):
            members = distances.members(class_id)
            if not len(picks):
                continue
            nearest = distances.block(class_id)[:, place[picks]].min(axis=1)
            counted = nearest[eligible[members]]
            widest = float(counted.max()) if len(counted) else 0.0
            out[members] = nearest / widest if widest > 0 else 0.0
        return out

    @cached_property
    def _ranks(self) -> dict[int, tuple[int, int]]:
        return {int(p): (c, rank) for c, picks in enumerate(self.picks) for rank, p in enumerate(picks)}

    def pick_info(self, position: int) -> PickInfo | None:
        """The pick at a position of the pool; None when it was not picked."""
        if position not in self._ranks:
            return None
        class_id, rank = self._ranks[position]
        terms = tuple(float(t) for t in self.terms[class_id][rank])
        return PickInfo(
            rank,
            float(self.scores[class_id][rank]),
            (terms[0], terms[1], terms[2]),
            bool(self.filled[class_id][rank]),
        )


def substitutions(by_class: Sequence[Selection]) -> list[dict[str, int]]:
    """What each short bin of difficulty took from elsewhere: "class_id", "bin", "taken_from", "count".

    "wanted" is what the bin lacked in all.
    """
    rows = []
    for class_id, found in enumerate(by_class):
        moves = getattr(found, "substitutions", ())
        lacked = Counter({bin: 0 for bin, _, _ in moves})
        for bin, _, count in moves:
            lacked[bin] += count
        rows += [
            {"class_id": class_id, "bin": b, "wanted": lacked[b], "taken_from": giver, "count": n}
            for b, giver, n in moves
        ]
    return rows


def check_budget(class_name: str, n_candidates: int, ipc: int, own: bool = False) -> None:
    """Raise SelectionError when a class has fewer candidates than images are asked for; `own` is its own budget."""
    if ipc > n_candidates:
        what = f'the budget of "{class_name}"' if own else '"Images per class"'
        lower = f"Lower {what} to {n_candidates} or less, or raise" if n_candidates else "Raise"
        asked = f"{ipc} images of it" if own else f"{ipc} images per class"
        raise SelectionError(
            f'Class "{class_name}" has {plural(n_candidates, "candidate")}, but {asked} are asked for.',
            f'{lower} "Pool size" on the Pool tab to at least {ipc}.',
        )


def _places(distances: ClassDistances) -> np.ndarray:
    """(N,) place of each pool position inside its class."""
    place = np.empty(len(distances.order), np.int64)
    sizes = np.diff(distances.starts)
    place[distances.order] = np.arange(len(place)) - np.repeat(distances.starts[:-1], sizes)
    return place
