"""Selectors on the real training images: a control that says what choosing is worth without generating."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from psr_studio.core.devices import candidate_seed
from psr_studio.core.stopping import stop_if_asked
from psr_studio.method.difficulty import Smoothed, smoothed
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import ClassPool
from psr_studio.method.signals import difficulty, is_consistent, joined, predictive_entropy, reliability
from psr_studio.stages.evaluate.arms import Arm, real_rows
from psr_studio.stages.task import softens_all

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.recipe.schema import Recipe


class RealImages:
    """The real training images of a bundle as the teacher sees them, computed once.

    Args:
        recipe: says which classes difficulty is over.
    """

    def __init__(self, recipe: Recipe, bundle: Bundle, device: torch.device) -> None:
        images, self.labels = bundle.train_subset
        teacher = bundle.teacher(device)
        outputs, embeddings = teacher.predict_all(torch.from_numpy(np.array(images)))
        self.recipe, self.bundle, self.embeddings = recipe, bundle, embeddings.numpy()
        self.outputs, self.logits = outputs.numpy(), teacher.of_task(outputs).numpy()
        self.places = np.array(teacher.rows)  # of the classes among the outputs

    def choose(self, arm: Arm, params: Parameters, seed: int) -> np.ndarray:
        """Rows of `bundle.train_subset`, class by class, in pick order.

        Args:
            params: of the selector `arm.rule`.
            seed: of the student; each class has its own seed made from it.

        Raises:
            SelectionError: the bundle holds fewer real images of a class than it is to give.
        """
        selector = SELECTORS[arm.rule]
        picked = []
        for class_id, (rows, n) in zip(
            arm.classes, real_rows(self.bundle, arm.classes, arm.counts), strict=True
        ):
            stop_if_asked()
            pool = self.class_pool(class_id, rows, arm)
            found = selector.choose(pool, n, params, candidate_seed(seed, class_id, 0))
            picked.append(rows[found.indices])
        return np.concatenate(picked)

    def class_pool(self, class_id: int, rows: np.ndarray, arm: Arm) -> ClassPool:
        """One class, its signals over the classes of the arm."""
        task = list(arm.classes)
        logits, embeddings = self.logits[rows][:, task], self.embeddings[rows]
        labels = np.full(len(rows), task.index(class_id))
        original, over_all = None, softens_all(self.recipe, self.bundle, task)
        if self.bundle.has_original_difficulty(task, over_all):
            values, owners = self.bundle.original_difficulty(task, over_all)
            original = values[owners == class_id]
        seen, places = logits, labels
        if over_all:
            seen, places = self.outputs[rows], np.full(len(rows), self.places[class_id])
        hard = difficulty(seen, places)

        def smoothing(lam: float, share: float, ranks_of: int) -> Smoothed:
            """With a share of uncertainty the original images are these."""
            values = joined(hard, predictive_entropy(seen, temperature=1.0), share) if share else hard
            return smoothed(values, values if share else original, lam, ranks_of)

        return ClassPool(
            reliability=reliability(logits, labels, arm.temperature),
            entropy=predictive_entropy(logits, arm.temperature),
            difficulty=hard,
            embeddings=embeddings,
            eligible=is_consistent(logits, labels),
            distances=lambda: pairwise_sq_distances(embeddings),
            original_difficulty=original,
            smoothing=smoothing,
        )
