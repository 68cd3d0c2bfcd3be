"""How many images each class gets: the same for all, by gain, set by hand, or as many as its lock holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import NamedTuple

import numpy as np

from psr_studio.core.errors import SelectionError
from psr_studio.recipe.schema import SelectRecipe


class Free(NamedTuple):
    """The classes that share the rest of the budget, and how many images they share."""

    classes: np.ndarray  # class ids
    total: int


def own_budgets(rules: SelectRecipe, n_classes: int) -> dict[int, int]:
    """What was set by hand, by class.

    Raises:
        SelectionError: a list of another length than there are classes.
    """
    given = rules.budgets
    if given is None:
        return {}
    if len(given) != n_classes:
        raise SelectionError(
            f'"select.budgets" names {len(given)} classes, but there are {n_classes}.',
            f"Write {n_classes} numbers, 0 for a class that is not set by hand, or leave it out.",
        )
    return {class_id: n for class_id, n in enumerate(given) if n}


def fixed_budgets(
    rules: SelectRecipe, counts: np.ndarray, locked: Mapping[int, Sized]
) -> tuple[np.ndarray, Free]:
    """Budgets (C,) of locked classes and of those set by hand, and the classes that share the rest.

    Neither takes from the others nor gives to them (ours): the free classes share K each, so the set grows or
    shrinks by what is set by hand. A lock counts before a budget.
    """
    budgets = np.zeros(len(counts), np.int64)
    for class_id, n in own_budgets(rules, len(counts)).items():
        budgets[class_id] = n if counts[class_id] else 0
    for class_id, picks in locked.items():
        budgets[class_id] = len(picks)
    free = np.flatnonzero((budgets == 0) & (counts > 0))
    return budgets, Free(free, rules.ipc * len(free))


def check_room(class_names: Sequence[str], free: Free, floors: np.ndarray, most: np.ndarray) -> None:
    """Raise SelectionError where the shared budget does not fit between the floors and what there is.

    Args:
        floors, most: of the free classes, in their order.
    """
    for class_id, least, room in zip(free.classes, floors, most, strict=True):
        if least > room:
            raise SelectionError(
                f'Class "{class_names[class_id]}" should get {least} images or more, but {room} is the most '
                "it can get.",
                'Lower "select.floor", raise "select.ceiling", unpin some, or enlarge the pool of that class.',
            )
    if not floors.sum() <= free.total <= most.sum():
        raise SelectionError(
            f"{free.total} images are to be shared by {len(free.classes)} classes, but there is room for "
            f"{floors.sum()} to {most.sum()}.",
            'Change "Images per class", or raise "Pool size" on the Pool tab.',
        )
