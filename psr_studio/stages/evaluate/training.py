"""Training one student on one arm: images and labels as tensors, and the loss of the protocol."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from psr_studio.core.devices import pick_device
from psr_studio.method.protocols import HARD, PER_EPOCH
from psr_studio.models.levels import NormalisedImages, at_rest
from psr_studio.models.students import Check, StudentMemory, checked, seeded_student, top1, train_student
from psr_studio.recipe.schema import HELD_OUT, ORIGINAL, EvaluateRecipe, Recipe
from psr_studio.stages.evaluate import GENERATE_AND_USE
from psr_studio.stages.evaluate.arms import (
    FULL,
    GIVEN,
    RANDOM_REAL,
    Arm,
    first_of_pool,
    n_images,
    random_real,
    real_params,
)
from psr_studio.stages.evaluate.given import look_at_set, read_labelled_set, read_set, test_images_of
from psr_studio.stages.evaluate.lessons import (
    EpochLabels,
    Lesson,
    lesson,
    normalised,
    side_of,
    sized,
    training_of,
)
from psr_studio.stages.evaluate.real_controls import RealImages
from psr_studio.stages.evaluate.test_sets import rows_of_set
from psr_studio.stages.labels import soften
from psr_studio.stages.refine.stage import labelled_anew
from psr_studio.stages.select.stage import require
from psr_studio.stages.task import in_task, softens_all
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.stages.cost import Cost

WHOLE = (ORIGINAL, HELD_OUT)  # test sets of which no part is chosen
CHECKED = 1000  # test images that are enough to time a check by


@dataclass(frozen=True)
class Begun:
    """A student before its first epoch, with the images (n,) that it learns and what they teach.

    `seed` is that of order and augmentation, `memory` what fits for students like it.
    """

    student: nn.Module
    images: NormalisedImages
    taught: Lesson
    seed: int
    memory: StudentMemory

    def train(
        self, test_images: NormalisedImages, test_labels: Tensor, n_checks: int | None = None
    ) -> Iterator[Check]:
        """Train it; yields after every epoch. `n_checks` in place of as many as the recipe has."""
        taught = self.taught
        yield from train_student(
            self.student, self.images, taught.targets, taught.loss, test_images, test_labels,
            replace(taught.training, n_checks=n_checks or taught.training.n_checks), self.seed, every_epoch=True,
            memory=self.memory, relabel=taught.relabel,
        )  # fmt: skip


class Trainer:
    """The test split on the device, and students trained against it.

    Args:
        test_sets: parts of the test split on which students are tested beside that of the recipe.

    Attributes:
        test_images: as they are at rest, uint8 (N, H, W, ch); on the host where the device has no room for them.
    """

    def __init__(
        self, ws: Workspace, recipe: Recipe, bundle: Bundle, test_sets: Collection[str] = ()
    ) -> None:
        self.ws, self.recipe, self.bundle = ws, recipe, bundle
        self.device = pick_device(recipe.device)
        images, labels = test_images_of(recipe.evaluate, bundle)
        parts = {recipe.evaluate.test_set, *test_sets}.difference(WHOLE)
        self._unsized = images if parts else images[:0]
        self.test_images = at_rest(sized(images, recipe.evaluate.record, bundle, tested=True), self.device)
        self.test_labels = torch.from_numpy(labels).to(self.device)
        self.n_images = 0
        self._splits: dict[tuple[str, tuple[int, ...]], tuple[Tensor, Tensor]] = {}
        self._trained: nn.Module | None = None
        self.real_images: RealImages | None = None
        self._memory: StudentMemory | None = None
        self._epoch_labels: dict[Arm, EpochLabels] = {}
        self._notice = ""

    def train(self, arm: Arm, seed: int) -> Iterator[Check]:
        """Train a student built and trained from `seed`; yields after every epoch."""
        self._trained = None  # the last one needs no memory beside the next
        begun = self.begin(arm, seed)
        self.n_images, self._trained = len(begun.images), begun.student
        yield from begun.train(*self._tested(arm))

    def tested(self, arm: Arm, test_set: str) -> Check:
        """The student trained last on another part of the test split, as if it had been trained for that."""
        assert self._trained is not None and self._memory is not None, "no student is trained yet"
        return checked(self._trained, *self._tested(arm, test_set), self._memory)

    def begin(self, arm: Arm, seed: int, without: Sequence[int] = ()) -> Begun:
        """A student of an arm before its first epoch.

        Args:
            without: rows of the arm's images that it is not shown.
        """
        images, labels, logits = self.data_of(arm, seed)
        labels, logits = self.restricted(arm, labels, logits)
        if without:
            rows = np.setdiff1d(np.arange(len(images)), without)
            images, labels, logits = images[rows], labels[rows], None if logits is None else logits[rows]
        soft = None if arm.label_regime == HARD or logits is None else soften(logits, arm.temperature)
        taught = self._lesson(arm, labels, soft, whole=not without)
        student = self._student(arm, seed)
        assert self._memory is not None, "the first student brings it"
        pictures = sized(images, self.recipe.evaluate.record, self.bundle)
        shown = normalised(pictures, self.bundle, self.device)
        return Begun(student, shown, taught, seed if taught.seed is None else taught.seed, self._memory)

    def _lesson(self, arm: Arm, labels: np.ndarray, soft: np.ndarray | None, *, whole: bool = True) -> Lesson:
        """What the images of an arm teach; a control with hard labels has them under every protocol.

        Args:
            whole: they are all of the arm's, whose labels of every epoch are kept.
        """
        settings = self.recipe.evaluate
        if arm.label_regime == HARD:
            settings = settings.model_copy(update={"labels": HARD})
        training = training_of(settings, arm.epochs(settings), settings.n_checks, self.bundle, self.device)
        kept = None
        if settings.label_kind == PER_EPOCH and whole and not arm.drawn:
            kept = self._epoch_labels.setdefault(arm, EpochLabels())
        return lesson(
            settings, self.bundle, self.device, arm.classes, labels, soft, arm.temperature, training, kept
        )

    def confusion(self, arm: Arm, predicted: Tensor, test_set: str = "") -> list[tuple[int, int, int]]:
        """Class, predicted class and test images of the predictions (n,) of a student, classes as the bundle counts."""
        _, labels = self.test_split(arm, test_set)
        classes = np.array(arm.classes)
        pairs = np.stack([classes[labels.cpu().numpy()], classes[predicted.numpy()]], axis=1)
        cells, counts = np.unique(pairs, axis=0, return_counts=True)
        return [(int(c), int(p), int(n)) for (c, p), n in zip(cells, counts, strict=True)]

    def take_notice(self) -> str:
        """What there is to say about memory, once."""
        of_teacher, self._notice = self._notice, ""
        return " ".join(filter(None, (of_teacher, self._memory.take_notice() if self._memory else "")))

    def cost(self, arms: Sequence[Arm], once: tuple[NormalisedImages, Tensor] | None = None) -> Cost:
        """What training a student on each of these arms costs here, from a short measurement.

        Args:
            once: images and labels that each is tested on after its last epoch, in place of the test split.
        """
        arm = arms[0]
        student, (images, labels) = self._student(arm, self.recipe.evaluate.seed), once or self._tested(arm)
        known = labels.cpu().numpy()
        soft = None if arm.label_regime == HARD else np.eye(len(arm.classes), dtype=np.float32)[known]
        taught = self._lesson(arm, known, soft)
        if once:
            taught = replace(taught, training=replace(taught.training, n_checks=1))
        sizes = [n_images(self.ws, self.recipe, self.bundle, arm) for arm in arms]
        return students_cost(student, taught, (images, labels), sizes, self._memory)

    def _student(self, arm: Arm, seed: int) -> nn.Module:
        """A new student on the device; what fits into memory is kept from the first one on."""
        student = new_student(self.recipe.evaluate, self.bundle, len(arm.classes), seed).to(self.device)
        self._memory = self._memory or StudentMemory.of(student)
        return student

    def data_of(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Images uint8 (n, H, W, ch), labels (n,), the teacher's logits (n, C) or None for hard labels."""
        if arm.form in (RANDOM_REAL, FULL) or arm.rule:
            return self._real(arm, seed)
        if arm.own_labels:
            return read_labelled_set(look_at_set(arm.selection, self.bundle), self.bundle, arm.temperature)
        if arm.form == GIVEN:
            return self._labelled(arm, *read_set(look_at_set(arm.selection, self.bundle), self.bundle))
        if arm.form == GENERATE_AND_USE:
            ids = first_of_pool(self.ws, require(self.ws, self.recipe.select.name, self.bundle))
        else:
            ids = require(self.ws, arm.selection, self.bundle).candidate_ids
        pool = self.ws.pool()
        at = pool.positions(ids)
        logits = self.ws.scores(self.bundle.teacher_id, require_all=False).logits_at(at)
        if arm.form != "refined":
            return pool.images_at(at), pool.labels[at], logits
        images = self.ws.refined(arm.selection).images_of(ids)
        return images, pool.labels[at], labelled_anew(self.recipe, self.bundle, images, logits)

    def _real(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        if arm.form == FULL:
            images, labels = self.bundle.all_train_images
            in_arm = np.isin(labels, arm.classes)
            return self._labelled(arm, np.array(images[in_arm]), labels[in_arm])
        images, labels = self.bundle.train_subset
        if arm.rule:
            if self.real_images is None:
                self.real_images = RealImages(self.recipe, self.bundle, self.device)
            params = real_params(self.recipe, arm.rule)
            rows = self.real_images.choose(arm, params, seed)
        else:
            rows = random_real(self.bundle, arm.classes, arm.counts, seed)
        return self._labelled(arm, np.array(images[rows]), labels[rows])

    def _labelled(
        self, arm: Arm, images: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Images with the teacher's logits, None for hard labels."""
        if arm.label_regime == HARD:
            return images, labels, None
        teacher = self.bundle.teacher(self.device)
        logits, _ = teacher.predict(torch.from_numpy(images))
        self._notice = teacher.memory.take_notice()
        return images, labels, logits.numpy()

    def restricted(
        self, arm: Arm, labels: np.ndarray, logits: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels counted among the classes of the arm, and the logits of these classes."""
        if len(arm.classes) == self.bundle.n_classes:
            return labels, logits
        task = list(arm.classes)
        return in_task(labels, task), None if logits is None else logits[:, task]

    def test_split(self, arm: Arm, test_set: str = "") -> tuple[Tensor, Tensor]:
        """The test images of the arm, at rest, their labels counted among its classes; kept for the next one.

        Args:
            test_set: "" for that of the recipe.
        """
        wanted = test_set or self.recipe.evaluate.test_set, arm.classes
        if wanted not in self._splits:
            self._splits[wanted] = self._chosen_split(arm, wanted[0])
        return self._splits[wanted]

    def _chosen_split(self, arm: Arm, which: str) -> tuple[Tensor, Tensor]:
        """A part by difficulty is chosen by what the teacher sees, the images before a protocol resizes them."""
        images, labels = self._split_of_task(arm)
        over_all = softens_all(self.recipe, self.bundle, arm.classes)
        if which in WHOLE:
            return images, labels
        owners = self.test_labels.cpu().numpy()
        in_task = np.isin(owners, arm.classes)
        judged = self._unsized if in_task.all() else self._unsized[in_task]
        rows = torch.from_numpy(
            rows_of_set(which, self.bundle, judged, owners[in_task], arm.classes, self.device, over_all)
        )
        return images[rows.to(images.device)], labels[rows.to(labels.device)]

    def _split_of_task(self, arm: Arm) -> tuple[Tensor, Tensor]:
        """All test images of the classes of the arm."""
        if len(arm.classes) == self.bundle.n_classes:
            return self.test_images, self.test_labels
        classes = torch.tensor(arm.classes, device=self.device)
        kept = torch.isin(self.test_labels, classes)
        images = self.test_images[kept.to(self.test_images.device)]
        return images, torch.searchsorted(classes, self.test_labels[kept])

    def _tested(self, arm: Arm, test_set: str = "") -> tuple[NormalisedImages, Tensor]:
        """The test split of the arm as its students see it."""
        images, labels = self.test_split(arm, test_set)
        return NormalisedImages.of(images, self.bundle.normalisation, self.device), labels


def students_cost(
    student: nn.Module,
    taught: Lesson,
    tested: tuple[NormalisedImages, Tensor],
    sizes: Sequence[int],
    memory: StudentMemory | None = None,
) -> Cost:
    """What training students such as this one costs on its device, from a short measurement on the test images.

    Args:
        student: on its device; it is trained a little.
        taught: what the test images would teach. tested: images and labels that every student is checked on.
        sizes: images that each student is trained on. memory: of the students to come.
    """
    from psr_studio.stages.cost import evaluate_cost

    images, labels = tested
    memory, training = memory or StudentMemory.of(student), taught.training
    relabel = taught.relabel_anew

    def train(n: int) -> None:
        once = replace(training, epochs=1, n_checks=1, batch_size=n)
        first, test = images.first(n), images.first(1)
        checks = train_student(
            student, first, taught.targets[:n], taught.loss, test, labels[:1], once, 0, memory=memory,
            relabel=relabel,
        )  # fmt: skip
        next(checks)

    between = min(training.check_images or len(images), len(images))
    n_checks = ((min(training.n_checks, training.epochs) - 1) * between + len(images)) * len(sizes)
    return evaluate_cost(
        len(sizes), training.epochs * sum(sizes), n_checks, train,
        lambda n: top1(student, images.first(n), labels[:n], memory=memory),
        (min(training.batch_size, *sizes, len(images)), min(CHECKED, len(images))), labels.device,
    )  # fmt: skip


def new_student(settings: EvaluateRecipe, bundle: Bundle, n_classes: int, seed: int) -> nn.Module:
    """The student of the recipe with its first weights from `seed`, whatever was drawn before."""
    height, _, channels = bundle.image_shape
    return seeded_student(
        settings.student, n_classes, channels, side_of(settings.record, bundle) or height, seed
    )
