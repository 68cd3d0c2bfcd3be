"""What a protocol teaches a student: pictures at its size, targets and loss, and the teacher's word on a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from psr_studio.core.pictures import centres
from psr_studio.method.distillation import hard_label_loss, kd_loss, soft_cross_entropy
from psr_studio.method.protocols import ONLINE, PER_EPOCH, Protocol
from psr_studio.method.refinement import label_loss
from psr_studio.models.crops import augmentation
from psr_studio.models.levels import NormalisedImages, at_rest
from psr_studio.models.students import Loss, Relabel, Training
from psr_studio.recipe.schema import EvaluateRecipe

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.models.teacher import Teacher

SHARED_SEED = (
    0  # of order and augmentation where labels of every epoch are kept: all students see the same batches
)


@dataclass(frozen=True)
class Lesson:
    """What `train_student` is given: targets of each image, the loss, how to train, and what labels a batch anew."""

    targets: Tensor
    loss: Loss
    training: Training
    relabel: Relabel | None = None
    seed: int | None = None  # of order and augmentation, where it is not the student's own

    @property
    def relabel_anew(self) -> Relabel | None:
        """What labels any batch, also one that is of no epoch; None where targets do."""
        return self.relabel.teacher if isinstance(self.relabel, EpochLabels) else self.relabel


def lesson(
    settings: EvaluateRecipe, bundle: Bundle, device: torch.device, classes: Sequence[int], labels: np.ndarray,
    soft: np.ndarray | None, temperature: float, training: Training, kept: EpochLabels | None = None,
) -> Lesson:  # fmt: skip
    """What the recipe teaches with some images.

    Args:
        classes: of the task. labels: (n,), counted among them.
        soft: (n, C) labels stored with the images at `temperature`; None for hard labels.
        kept: the labels of every epoch of these images, where some are known.
    """
    kind = settings.label_kind
    if kind in (ONLINE, PER_EPOCH):
        heat = settings.record.temperature
        relabel: Relabel = BatchTeacher(bundle, device, classes)
        if kind == PER_EPOCH:
            relabel = kept or EpochLabels()
            relabel.teacher = relabel.teacher or BatchTeacher(bundle, device, classes)
        nothing = torch.zeros(len(labels), 1, device=device)
        return Lesson(nothing, _against(heat), training, relabel, SHARED_SEED if kind == PER_EPOCH else None)
    targets, loss = targets_of(labels, soft, temperature, len(classes) if training.mix else 0)
    return Lesson(targets.to(device), loss, training)


def _against(temperature: float) -> Loss:
    """KL to the teacher's logits, both at a temperature, mean over the batch, without the factor tau^2 (RDED)."""
    return lambda logits, teacher: label_loss(
        logits, torch.softmax(teacher / temperature, dim=1), temperature
    ).mean()


def targets_of(
    labels: np.ndarray, soft: np.ndarray | None, temperature: float, mixed: int = 0
) -> tuple[Tensor, Loss]:
    """What is learned and the loss: soft labels (n, C) by PSR eq. 11, or the labels (n,) by cross-entropy.

    Args:
        mixed: classes, where CutMix mixes hard labels as rows (n, C); 0 where it does not.
    """
    if soft is not None:
        return torch.from_numpy(soft), lambda logits, q: kd_loss(logits, q, temperature)
    known = torch.from_numpy(np.array(labels))
    if mixed:
        return torch.nn.functional.one_hot(known, mixed).float(), soft_cross_entropy
    return known, hard_label_loss


class BatchTeacher:
    """The bundle's teacher on batches as students see them; RDED takes one of the student's own architecture.

    Args:
        classes: of the task, which its logits are restricted to.
    """

    def __init__(self, bundle: Bundle, device: torch.device, classes: Sequence[int]) -> None:
        self.teacher: Teacher = bundle.teacher(device)
        self.mean, self.std = (torch.as_tensor(value).to(device) for value in bundle.normalisation)
        self.classes = torch.tensor(list(classes), device=device)

    @torch.no_grad()
    def __call__(self, epoch: int, places: slice, batch: Tensor) -> Tensor:
        """Logits (n, C) of a normalised batch (n, ch, H, W), nothing of which is cut off: what is mixed in may lie
        at an edge.
        """
        levels = (batch * self.std + self.mean) * 2 - 1
        (logits,) = self.teacher.memory.map(lambda part: (self.teacher(part, uncut=True)[0],), levels)
        return logits[:, self.classes]


class EpochLabels:
    """The teacher's logits of every epoch's batches, in half precision, made as the first student sees them.

    Attributes:
        teacher: what makes those that are not known.
    """

    def __init__(self) -> None:
        self.teacher: BatchTeacher | None = None
        self._kept: dict[tuple[int, int], Tensor] = {}

    def __call__(self, epoch: int, places: slice, batch: Tensor) -> Tensor:
        """Logits (n, C) of a batch that is the same for every student."""
        key = epoch, places.start
        if key not in self._kept:
            assert self.teacher is not None, "whoever asks first names the teacher"
            self._kept[key] = self.teacher(epoch, places, batch).half().cpu()
        return self._kept[key].to(batch.device).float()


def side_of(record: Protocol, bundle: Bundle) -> int | None:
    """Pixels a side of what students see; the pictures' own where they are smaller, None for pictures as they are."""
    return None if record.size is None else min(record.size, *bundle.image_shape[:2])


def sized(images: np.ndarray, record: Protocol, bundle: Bundle, tested: bool = False) -> np.ndarray:
    """Pictures as the protocol has them, uint8 (n, H, W, ch): brought to their size once, before what is drawn."""
    side = side_of(record, bundle)
    if side is None:
        return images
    return centres(images, side, max(side, side // 7 * 8) if tested and record.margin else side)


def normalised(images: np.ndarray, bundle: Bundle, device: torch.device) -> NormalisedImages:
    """uint8 (n, H, W, ch), to be taken as the students of a bundle see them, on the device."""
    return NormalisedImages.of(at_rest(images, device), bundle.normalisation, device)


def training_of(
    settings: EvaluateRecipe, epochs: int, n_checks: int, bundle: Bundle, device: torch.device
) -> Training:
    """The training of the recipe over so many epochs."""
    record = settings.record
    mean, std = (torch.as_tensor(value).to(device) for value in bundle.normalisation)
    return Training(
        epochs=epochs, batch_size=settings.batch_size, lr=settings.lr, momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        augment=augmentation(record.augmentation, mean, std, settings.mirrored) if settings.augment else None,
        n_checks=min(n_checks, epochs), check_images=None if record.all_tested else settings.check_images,
        checks_from=record.checks_from, optimizer=record.optimizer, schedule=record.schedule,
        mix=record.mix if settings.augment else 0.0,
    )  # fmt: skip
