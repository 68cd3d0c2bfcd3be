"""How many images each class gets: the same for all, by gain, set by hand, or as many as its lock holds."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence, Sized
from typing import NamedTuple

import numpy as np

from psr_studio.core.errors import SelectionError
from psr_studio.core.words import classes_listed, plural
from psr_studio.recipe.schema import SelectRecipe

NOT_SET, NONE = 0, -1  # of a class in "select.budgets": left to the allocation, no image at all


class Free(NamedTuple):
    """The classes that share the rest of the budget, and how many images they share."""

    classes: np.ndarray  # class ids
    total: int


def by_class(budgets: Sequence[int] | None) -> dict[int, int]:
    """What a setting of budgets says of the classes that it sets: images, 0 for none at all."""
    return {class_id: max(n, 0) for class_id, n in enumerate(budgets or ()) if n != NOT_SET}


def as_setting(budgets: Mapping[int, int], n_classes: int) -> list[int] | None:
    """The setting that says this of these classes and nothing of the others; None where there are none."""
    listed = [(budgets[c] or NONE) if c in budgets else NOT_SET for c in range(n_classes)]
    return listed if budgets else None


def own_budgets(rules: SelectRecipe, n_classes: int) -> dict[int, int]:
    """What was set by hand, by class; 0 for no image at all.

    Raises:
        SelectionError: a list of another length than there are classes.
    """
    given = rules.budgets
    if given is not None and len(given) != n_classes:
        raise SelectionError(
            f'"select.budgets" names {len(given)} classes, but there are {n_classes}.',
            f"Write {n_classes} numbers, {NOT_SET} for a class that is not set by hand, or leave it out.",
        )
    return by_class(given)


def fixed_budgets(
    rules: SelectRecipe, counts: np.ndarray, locked: Mapping[int, Sized]
) -> tuple[np.ndarray, Free]:
    """Budgets (C,) of locked classes and of those set by hand, and the classes that share the rest.

    Neither takes from the others nor gives to them (ours): the free classes share K each, so the set grows or
    shrinks by what is set by hand. A lock counts before a budget.

    Raises:
        SelectionError: every class is left without an image.
    """
    fixed = {**own_budgets(rules, len(counts)), **{c: len(picks) for c, picks in locked.items()}}
    budgets = np.zeros(len(counts), np.int64)
    for class_id, n in fixed.items():
        budgets[class_id] = n if counts[class_id] else 0
    free = np.array([c for c in np.flatnonzero(counts) if c not in fixed], np.int64)
    if fixed and not len(free) and not budgets.any():
        raise SelectionError(
            "Every class has a budget of 0, and a selection needs one image or more.",
            "Raise the budget of a class, or empty its field.",
        )
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


def check_budget(class_name: str, n_candidates: int, ipc: int, own: bool = False) -> None:
    """Raise SelectionError when a class has fewer candidates than images are asked for; `own` is its own budget."""
    if ipc > n_candidates:
        what = named(class_name, own)
        lower = f"Lower {what} to {n_candidates} or less, or raise" if n_candidates else "Raise"
        raise SelectionError(
            f'Class "{class_name}" has {plural(n_candidates, "candidate")}, but {asked(ipc, own)} are asked for.',
            f'{lower} "Pool size" on the Pool tab to at least {ipc}.',
        )


def named(class_name: str, own: bool) -> str:
    """What a class gets its images by, as the screen calls it: a budget of its own, or that of all."""
    return f'the budget of "{class_name}"' if own else '"Images per class"'


def asked(n: int, own: bool) -> str:
    """How many images are asked for, of a class with a budget of its own or of each."""
    return f"{n} images of it" if own else f"{n} images per class"


def spread_text(
    class_names: Sequence[str], rules: SelectRecipe, budgets: np.ndarray, locked: Container[int]
) -> str:
    """Which classes the budgets leave with one image, or with none at all; "" where they leave none so.

    Args:
        budgets: (C,). locked: classes that keep their picks.
    """
    own = by_class(rules.budgets)
    none = [c for c, n in own.items() if not n and not budgets[c]]
    shared = rules.ipc > 1 and rules.allocation == "gain"
    one = [c for c in np.flatnonzero(budgets == 1).tolist() if shared and c not in own and c not in locked]
    told = []
    if none:
        told.append(f"No image of {_listed(class_names, none)}: a saved set is one of the other classes.")
    if one:
        told.append(f'By gain, {_listed(class_names, one)} got 1 image: "At least" gives more.')
    return " ".join(told)


def _listed(class_names: Sequence[str], class_ids: Sequence[int]) -> str:
    """The first few by name, then how many more."""
    return classes_listed([class_names[c] for c in class_ids])
