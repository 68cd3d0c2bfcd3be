"""The task of a selection is the classes that it holds: labels count among them, logits are restricted to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.recipe.schema import ALL_OUTPUTS

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.recipe.schema import Recipe


def named_part(classes: Iterable[int], n_classes: int) -> dict[str, Any]:
    """The classes as an inputs hash names them: only where they are a part of the bundle's `n_classes`."""
    task = sorted(classes)
    return {"classes": task} if len(task) < n_classes else {}


def softens_all(recipe: Recipe, bundle: Bundle, classes: Sequence[int] | np.ndarray) -> bool:
    """Whether difficulty is over more of the teacher's outputs than the classes of a task."""
    return recipe.score.teacher_classes == ALL_OUTPUTS and bundle.n_outputs > len(classes)


def named_outputs(over_all: bool) -> dict[str, Any]:
    """The same as an inputs hash names it: only where it is so, for what reads difficulties."""
    return {"teacher_classes": ALL_OUTPUTS} if over_all else {}


def in_task(labels: np.ndarray, classes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Labels (n,) of classes of the task, counted among them: in 0 to len(classes) - 1. `classes` ascend."""
    return np.searchsorted(np.asarray(classes), labels)


def held_out_of(bundle: Bundle, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The held-out real images of some classes, uint8 (n, H, W, ch), and their labels (n,) as the bundle counts."""
    images, labels = bundle.held_out
    own = np.isin(labels, classes)
    return (images, labels) if own.all() else (images[own], labels[own])
