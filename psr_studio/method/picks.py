"""What every selector shares: the result, the checks of a request, pins first, filling a short class."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from psr_studio.method.arrays import name_some, to_numpy
from psr_studio.method.result import Selection

SHORTAGE_RULES = ("fill", "short")


class Request(TypedDict, total=False):
    """What is asked of any selector beside K, by keyword; what is left out is as in `pick_in_order`."""

    eligible: Any
    pinned: Any
    vetoed: Any
    on_shortage: str


def nothing() -> Selection:
    """A selection without a pick."""
    return Selection(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)), np.zeros(0, bool), 0)


@dataclass(frozen=True, eq=False)
class PoolSelection:
    """The chosen candidates of every class: the arrays of `Selection`, class after class, each in pick order.

    Attributes:
        indices: (k,) int64, positions in the pool; scores, terms, filled as in `Selection`.
        starts: (C + 1,) int64; the picks of class c are `starts[c]` to `starts[c + 1]`.
        shortfall: (C,) int64.
    """

    indices: np.ndarray
    scores: np.ndarray
    terms: np.ndarray
    filled: np.ndarray
    starts: np.ndarray
    shortfall: np.ndarray

    def of_class(self, class_id: int) -> Selection:
        """Return the picks of one class; positions still count over the whole pool."""
        part = slice(self.starts[class_id], self.starts[class_id + 1])
        shortfall = int(self.shortfall[class_id])
        return Selection(
            self.indices[part], self.scores[part], self.terms[part], self.filled[part], shortfall
        )


def check_ipc(ipc: int, n_candidates: int) -> int:
    """Return the budget as an int.

    Raises:
        ValueError: below 1, or above the number of candidates.
    """
    ipc = operator.index(ipc)
    if ipc < 1:
        raise ValueError(f"ipc is {ipc}, but at least 1 image per class is needed.")
    if ipc > n_candidates:
        raise ValueError(f"ipc is {ipc}, but the class has {n_candidates} candidates.")
    return ipc


def check_shortage_rule(on_shortage: str) -> bool:
    """Return True for "fill", False for "short".

    Raises:
        ValueError: any other word.
    """
    if on_shortage not in SHORTAGE_RULES:
        choices = ", ".join(SHORTAGE_RULES)
        raise ValueError(f'on_shortage is "{on_shortage}", but it must be one of: {choices}.')
    return on_shortage == "fill"


def as_mask(mask: Any, n_candidates: int) -> np.ndarray:
    """Return an eligibility mask as bool (N,); None means that all are eligible.

    Raises:
        ValueError: another shape.
    """
    if mask is None:
        return np.ones(n_candidates, bool)
    values = to_numpy(mask)
    if values.shape != (n_candidates,):
        raise ValueError(
            f"The mask of eligible has shape {values.shape}, but there are {n_candidates} candidates."
        )
    return values.astype(bool)


def check_marks(n_candidates: int, pinned: Any, vetoed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the pins as int64 in the order pinned (a repetition counts once) and the vetoes as bool (N,).

    Raises:
        ValueError: a mark outside the pool, or a candidate both pinned and vetoed.
    """
    pins = np.array(list(dict.fromkeys(_positions(pinned, n_candidates, "pinned"))), dtype=np.int64)
    is_vetoed = np.zeros(n_candidates, bool)
    is_vetoed[_positions(vetoed, n_candidates, "vetoed")] = True
    both = pins[is_vetoed[pins]]
    if len(both):
        raise ValueError(f"{len(both)} of {len(pins)} pinned candidates are also vetoed: {name_some(both)}.")
    return pins, is_vetoed


def check_pin_count(n_pins: int, ipc: int) -> None:
    """Pins count against the budget.

    Raises:
        ValueError: more pins than images per class.
    """
    if n_pins > ipc:
        raise ValueError(f"{n_pins} candidates are pinned, but ipc is {ipc}.")


def pick_in_order(
    order: np.ndarray,
    ipc: int,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    on_shortage: str = "fill",
    values: np.ndarray | None = None,
) -> Selection:
    """Take pins in the order pinned, then eligible candidates in `order`, then ineligible ones to fill up.

    Args:
        order: (N,) every candidate once, best first.
        ipc: images per class, K.
        eligible: (N,) bool; None means all.
        pinned: candidates taken first, eligible or not; they count against K.
        vetoed: candidates never taken.
        on_shortage: "fill" continues with ineligible candidates in `order` and marks them, "short" stops.
        values: (N,) what the ranking went by, reported as the score; None means zeros.

    Raises:
        ValueError: as `check_ipc`, `as_mask`, `check_marks`, `check_pin_count` and `check_shortage_rule`.
    """
    n = len(order)
    ipc, fill = check_ipc(ipc, n), check_shortage_rule(on_shortage)
    is_eligible = as_mask(eligible, n)
    pins, is_vetoed = check_marks(n, pinned, vetoed)
    check_pin_count(len(pins), ipc)
    queue = order[~is_vetoed[order] & ~np.isin(order, pins)]
    picks = queue[is_eligible[queue]][: ipc - len(pins)]
    fillers = queue[~is_eligible[queue]] if fill else queue[:0]
    missing = ipc - len(pins) - len(picks)
    indices = np.concatenate([pins, picks, fillers[:missing]])
    return Selection(
        indices=indices,
        scores=np.zeros(len(indices)) if values is None else values[indices].astype(np.float64),
        terms=np.zeros((len(indices), 3)),
        filled=np.arange(len(indices)) >= len(pins) + len(picks),
        shortfall=missing,
    )


def _positions(marks: Any, n_candidates: int, word: str) -> list[int]:
    """Read marks, given as positions, a bool mask (N,) or None, into a list of positions in the pool."""
    values = to_numpy(() if marks is None else marks)
    if values.dtype == bool and values.shape == (n_candidates,):
        return np.flatnonzero(values).tolist()
    positions = [operator.index(position) for position in values.tolist()]
    outside = [position for position in positions if not 0 <= position < n_candidates]
    if outside:
        raise ValueError(f"Candidate {outside[0]} is {word}, but the last candidate is {n_candidates - 1}.")
    return positions
