"""Test sets by difficulty (DGS section 4.6): a part of the test split, chosen by what the teacher finds easy or hard.

The paper draws its sets from "the original dataset" and does not say how many images they hold; here it is half of each
class of the test split, rounded up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from psr_studio.core.errors import SelectionError
from psr_studio.method.difficulty import difficulty_select, smoothed
from psr_studio.method.signals import difficulty
from psr_studio.recipe.schema import ORIGINAL, Recipe
from psr_studio.stages.task import in_task, softens_all

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

SEED = 0  # of the sets that are drawn: all students are tested on the same images
EASY, RANDOM, SCALE = "easy", "random", "scale"
BY_DIFFICULTY = (EASY, SCALE)


def check_test_set(recipe: Recipe, bundle: Bundle, classes: tuple[int, ...]) -> None:
    """Raise SelectionError for a set that follows the real training images where their difficulties are not known."""
    over_all = softens_all(recipe, bundle, classes)
    if recipe.evaluate.test_set == SCALE and not bundle.has_original_difficulty(classes, over_all):
        raise SelectionError(
            f'The test set "{SCALE}" follows the difficulty of the real training images, which the bundle '
            f'"{bundle.name}" does not have.',
            f'Set "evaluate.test_set" to "{ORIGINAL}", "{RANDOM}" or "{EASY}".',
        )


def rows_of_set(
    name: str,
    bundle: Bundle,
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[int, ...],
    device: torch.device,
    over_all: bool = False,
) -> np.ndarray:
    """Which of some test images make up a set, ascending.

    Args:
        images: uint8 (n, H, W, ch), of `classes` alone. labels: (n,), as the bundle counts them.
        over_all: difficulty is over every output of the teacher, not over just these classes.
    """
    if name == ORIGINAL:
        return np.arange(len(labels))
    task = list(classes)
    values = None
    if name != RANDOM:
        teacher = bundle.teacher(device)
        outputs, _ = teacher.predict_all(torch.from_numpy(np.array(images)))
        if over_all:
            values = difficulty(outputs.numpy(), np.array(teacher.rows)[labels])
        else:
            values = difficulty(teacher.of_task(outputs).numpy()[:, task], in_task(labels, task))
    taken = []
    for class_id in classes:
        members = np.flatnonzero(labels == class_id)
        n = -(-len(members) // 2)
        if values is None:
            taken.append(np.random.default_rng([SEED, class_id]).choice(members, n, replace=False))
        elif name == EASY:
            taken.append(members[np.argsort(values[members], kind="stable")[:n]])
        else:
            real, owners = bundle.original_difficulty(task, over_all)
            found = smoothed(values[members], real[owners == class_id])
            picked = difficulty_select(found.pool, found.counts(n, SCALE), seed=SEED)
            taken.append(members[picked.indices])
    return np.sort(np.concatenate(taken))
