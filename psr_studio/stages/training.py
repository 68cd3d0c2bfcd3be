"""Training one student on one arm: images and labels as tensors, and the loss of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from psr_studio.devices import pick_device
from psr_studio.method.distillation import hard_label_loss, kd_loss
from psr_studio.models.levels import from_uint8
from psr_studio.models.students import Check, Training, build_student, top1, train_student
from psr_studio.recipe import EvaluateRecipe, Recipe
from psr_studio.stages.arms import (
    GENERATE_AND_USE,
    HARD,
    RANDOM_REAL,
    Arm,
    first_of_pool,
    random_real,
    real_params,
)
from psr_studio.stages.labels import soften
from psr_studio.stages.real_images import RealImages
from psr_studio.stages.select import require
from psr_studio.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundle import Bundle
    from psr_studio.stages.cost import Cost

CHECKED = 1000  # test images that are enough to time a check by


class Trainer:
    """The test split on the device, and students trained against it."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        self.ws, self.recipe, self.bundle = ws, recipe, bundle
        self.device = pick_device(recipe.device)
        images, labels = bundle.test_set
        self.test_images = normalised(images, bundle, self.device)
        self.test_labels = torch.from_numpy(labels).to(self.device)
        self.n_images = 0
        self._real_images: RealImages | None = None

    def train(self, arm: Arm, seed: int) -> Iterator[Check]:
        """Train a student built and trained from `seed`; yields after every epoch."""
        images, labels, logits = self._data(arm, seed)
        labels, logits = self._in_task(arm, labels, logits)
        test_images, test_labels = self._test_split(arm)
        self.n_images = len(images)
        chosen = self.recipe.evaluate
        soft = None if arm.label_regime == HARD or logits is None else soften(logits, arm.temperature)
        targets, loss_fn = protocol(labels, soft, arm.temperature)
        yield from train_student(
            new_student(chosen, self.bundle, len(arm.classes), seed).to(self.device),
            normalised(images, self.bundle, self.device),
            targets.to(self.device),
            loss_fn,
            test_images,
            test_labels,
            training_of(chosen, chosen.epochs, chosen.n_checks),
            seed,
            every_epoch=True,
        )

    def cost(self, arms: Sequence[Arm]) -> Cost:
        """What training a student on each of these arms costs here, from a short measurement."""
        chosen, arm = self.recipe.evaluate, arms[0]
        student = new_student(chosen, self.bundle, len(arm.classes), chosen.seed).to(self.device)
        return students_cost(
            student, training_of(chosen, chosen.epochs, chosen.n_checks), self._test_split(arm), len(arm.classes),
            None if arm.label_regime == HARD else arm.temperature, [self._n_images(arm) for arm in arms],
        )  # fmt: skip

    def _n_images(self, arm: Arm) -> int:
        """How many images an arm trains on; a control has the counts, a selection has its picks."""
        if arm.counts:
            return sum(arm.counts)
        return len(require(self.ws, arm.selection or self.recipe.select.name, self.bundle).candidate_ids)

    def _data(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Images uint8 (n, H, W, ch), labels (n,), the teacher's logits (n, C) or None for hard labels."""
        if arm.form == RANDOM_REAL or arm.rule:
            return self._real(arm, seed)
        if arm.form == GENERATE_AND_USE:
            ids = first_of_pool(self.ws, require(self.ws, self.recipe.select.name, self.bundle))
        else:
            ids = require(self.ws, arm.selection, self.bundle).candidate_ids
        pool = self.ws.pool()
        at = pool.positions(ids)
        logits = self.ws.scores(self.bundle.teacher_id, require_all=False).logits[at]
        if arm.form != "refined":
            return pool.images_at(at), pool.labels[at], logits
        refined = self.ws.refined(arm.selection)
        place = {int(cid): row for row, cid in enumerate(refined.candidate_ids)}
        return refined.images[[place[cid] for cid in ids]], pool.labels[at], logits

    def _real(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        images, labels = self.bundle.train_subset
        if arm.rule:
            if self._real_images is None:
                self._real_images = RealImages(self.bundle, self.device)
            params = real_params(self.recipe, arm.rule)
            rows = self._real_images.choose(arm, params, seed)
        else:
            rows = random_real(self.bundle, arm.classes, arm.counts, seed)
        chosen = np.array(images[rows])
        if arm.label_regime == HARD:
            return chosen, labels[rows], None
        logits, _ = self.bundle.teacher(self.device).predict(from_uint8(chosen))
        return chosen, labels[rows], logits.numpy()

    def _in_task(
        self, arm: Arm, labels: np.ndarray, logits: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels counted among the classes of the arm, and the logits of these classes."""
        if len(arm.classes) == self.bundle.n_classes:
            return labels, logits
        own = list(arm.classes)
        return np.searchsorted(own, labels), None if logits is None else logits[:, own]

    def _test_split(self, arm: Arm) -> tuple[Tensor, Tensor]:
        """The test images of the classes of the arm, their labels counted among them."""
        if len(arm.classes) == self.bundle.n_classes:
            return self.test_images, self.test_labels
        own = torch.tensor(arm.classes, device=self.device)
        kept = torch.isin(self.test_labels, own)
        return self.test_images[kept], torch.searchsorted(own, self.test_labels[kept])


def students_cost(
    student: nn.Module,
    how: Training,
    tested: tuple[Tensor, Tensor],
    n_classes: int,
    temperature: float | None,
    sizes: Sequence[int],
) -> Cost:
    """What training students such as this one costs on its device, from a short measurement on the test images.

    Args:
        student: on its device; it is trained a little.
        tested: images and labels that every student is checked on. temperature: None for hard labels.
        sizes: images that each student is trained on.
    """
    from psr_studio.stages.cost import evaluate_cost

    images, labels = tested
    known = labels.cpu().numpy()
    soft = None if temperature is None else np.eye(n_classes, dtype=np.float32)[known]
    targets, loss_fn = protocol(known, soft, temperature or 1.0)
    targets = targets.to(images.device)

    def train(n: int) -> None:
        once = replace(how, epochs=1, n_checks=1, batch_size=n)
        next(train_student(student, images[:n], targets[:n], loss_fn, images[:1], labels[:1], once, 0))

    n_checks = min(how.n_checks, how.epochs) * len(images) * len(sizes)
    return evaluate_cost(
        len(sizes), how.epochs * sum(sizes), n_checks, train, lambda n: top1(student, images[:n], labels[:n]),
        (min(how.batch_size, *sizes, len(images)), min(CHECKED, len(images))), images.device,
    )  # fmt: skip


def normalised(images: np.ndarray, bundle: Bundle, device: torch.device) -> Tensor:
    """uint8 (n, H, W, ch) to float32 (n, ch, H, W) as the students of a bundle see it, on the device."""
    mean, std = (torch.as_tensor(value) for value in bundle.normalisation)
    writable = np.array(images)  # torch warns of views into read-only files
    return (((from_uint8(writable) + 1) / 2 - mean) / std).to(device)


def new_student(chosen: EvaluateRecipe, bundle: Bundle, n_classes: int, seed: int) -> nn.Module:
    """The student of the recipe with its first weights from `seed`, whatever was drawn before."""
    height, _, channels = bundle.image_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_student(chosen.student, n_classes, channels, height)


def training_of(chosen: EvaluateRecipe, epochs: int, n_checks: int) -> Training:
    """The training of the recipe over so many epochs."""
    return Training(
        epochs=epochs, batch_size=chosen.batch_size, lr=chosen.lr, momentum=chosen.momentum,
        weight_decay=chosen.weight_decay, augment=chosen.augment, n_checks=min(n_checks, epochs),
    )  # fmt: skip


def protocol(
    labels: np.ndarray, soft: np.ndarray | None, temperature: float
) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """What is learned and the loss: soft labels (n, C) by PSR eq. 11, or the labels (n,) by cross-entropy."""
    if soft is None:
        return torch.from_numpy(np.array(labels)), hard_label_loss
    return torch.from_numpy(soft), lambda logits, q: kd_loss(logits, q, temperature)
