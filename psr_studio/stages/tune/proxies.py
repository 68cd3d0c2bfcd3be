"""Cheap stand-ins for a full evaluation: what a selection is worth on real images that no control uses.

Each proxy is a generator: it yields None while it works, so that a search can be stopped, and last its top-1 on
`Bundle.held_out`, in [0, 1]. Both see only candidates as they were generated, not refined ones. The teacher was
trained on the held-out images, as were all networks of the bundle: values compare selections, they promise no
accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

from psr_studio.core.devices import pick_device, pick_dtype
from psr_studio.method.protocols import HARD, noted_as
from psr_studio.models.students import StudentMemory, train_student
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.cost import Cost, per_row
from psr_studio.stages.evaluate.lessons import Lesson, lesson, normalised, sized, training_of
from psr_studio.stages.evaluate.training import new_student, students_cost
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.task import held_out_of, in_task, named_part

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

STUDENT_TRAINING = ("student", "batch_size", "lr", "momentum", "weight_decay", "augment", "mirrored", "seed")


class Proxy(Protocol):
    """Judges a selection, and says what that takes."""

    def __call__(self, result: LiveResult) -> Iterator[float | None]:
        """Yield None while at work, and last the value of a selection."""

    def cost(self, result: LiveResult, n: int) -> Cost:
        """What judging `n` selections such as this one costs here, from a short measurement."""


def inputs(recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """What a value is made from besides the picks and their labels."""
    settings = recipe.tune
    found = {
        **named_part(classes_of(recipe, bundle), bundle.n_classes),
        "proxy": settings.proxy,
        "data": bundle.identity("data"),
        "teacher": bundle.identity("teacher"),
    }
    if settings.proxy == "knn":
        return {**found, "neighbours": settings.neighbours}
    trained = {name: getattr(recipe.evaluate, name) for name in STUDENT_TRAINING}
    trained["protocol"] = noted_as(recipe.evaluate.protocol, recipe.evaluate.label_kind == HARD)
    if trained["protocol"] == recipe.evaluate.protocol:
        trained["labels"] = recipe.evaluate.label_kind
    dtype = str(pick_dtype(pick_device(recipe.device)))
    return {**found, "training": {**trained, "epochs": settings.student_epochs}, "dtype": dtype}


def open_proxy(recipe: Recipe, bundle: Bundle) -> Proxy:
    """The proxy of a recipe, its networks and held-out images opened once."""
    return _Neighbours(recipe, bundle) if recipe.tune.proxy == "knn" else _ShortStudent(recipe, bundle)


class _Neighbours:
    """k-NN in the teacher's features, voting with the soft labels of the picks.

    Measures whether the picks of a class lie where its real images lie. Milliseconds a trial, after one pass of
    the teacher over the held-out images. Blind to pixels: what a student can or cannot learn from a picture does
    not enter, and where the teacher separates the classes well, all selections are near its ceiling.
    """

    def __init__(self, recipe: Recipe, bundle: Bundle) -> None:
        images, self.labels_of = held_out_of(bundle, classes_of(recipe, bundle))
        teacher = bundle.teacher(pick_device(recipe.device))
        _, embeddings = teacher.predict(torch.from_numpy(np.array(images)))
        self._embeddings = embeddings.numpy()
        self._k = recipe.tune.neighbours

    def __call__(self, result: LiveResult) -> Iterator[float | None]:
        """Yield the top-1 of the vote at once."""
        at = result.positions
        votes = vote(self._embeddings, result.scored.embeddings[at], result.signals.soft_labels[at], self._k)
        yield float((votes.argmax(axis=1) == self.labels_of).mean())

    def cost(self, result: LiveResult, n: int) -> Cost:
        """By doing it a few times."""
        cpu = torch.device("cpu")  # whatever the teacher runs on
        return Cost(n, n * per_row(lambda _: list(self(result)), 1, cpu, n), 0, None, cpu.type)


def vote(queries: np.ndarray, references: np.ndarray, soft_labels: np.ndarray, k: int) -> np.ndarray:
    """Mean soft label of the k nearest references: (m, D), (n, D), (n, C) to (m, C); all n when there are fewer."""
    k = min(k, len(references))
    a, b = queries.astype(np.float64), references.astype(np.float64)
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    nearest = np.argpartition(squared, k - 1, axis=1)[:, :k]
    return soft_labels[nearest].mean(axis=1)


class _ShortStudent:
    """The student of the evaluation, trained in the same way for a few epochs.

    Measures the same thing as the full evaluation, early: costs its share of the epochs. Blind to what only a long
    training shows, since hard and diverse pictures pay late; and one student has a spread of its own, though every
    trial starts from the same weights and the same order.
    """

    def __init__(self, recipe: Recipe, bundle: Bundle) -> None:
        self._recipe, self._bundle = recipe, bundle
        self._device = pick_device(recipe.device)
        self._task = classes_of(recipe, bundle)
        images, labels = held_out_of(bundle, classes_of(recipe, bundle))
        tested = sized(images, recipe.evaluate.record, bundle, tested=True)
        self._images = normalised(tested, bundle, self._device)
        self.labels_of = torch.from_numpy(in_task(labels, self._task)).to(self._device)
        self._memory: StudentMemory | None = None  # what fits, for all trials

    def __call__(self, result: LiveResult) -> Iterator[float | None]:
        """Yield None after every epoch, then the top-1 after the last."""
        rules, at, scored = self._recipe.evaluate, result.positions, result.scored
        student = self.student_and_training()
        self._memory = self._memory or StudentMemory.of(student)
        soft = result.signals.soft_labels[at][:, self._task]
        taught = self._lesson(in_task(scored.labels[at], self._task), soft, result.rules.temperature)
        pictures = sized(scored.pool.images_at(at), rules.record, self._bundle)
        checks = train_student(
            student, normalised(pictures, self._bundle, self._device), taught.targets, taught.loss,
            self._images, self.labels_of, taught.training, rules.seed, every_epoch=True, memory=self._memory,
            relabel=taught.relabel,
        )  # fmt: skip
        for check in checks:
            yield check.top1 if check.epoch == taught.training.epochs else None

    def cost(self, result: LiveResult, n: int) -> Cost:
        """As of the students of an evaluation."""
        known = self.labels_of.cpu().numpy()
        soft = np.eye(len(self._task), dtype=np.float32)[known]
        taught = self._lesson(known, soft, result.rules.temperature)
        tested = (self._images, self.labels_of)
        return students_cost(self.student_and_training(), taught, tested, [len(result.positions)] * n)

    def student_and_training(self) -> nn.Module:
        """A new one."""
        settings = self._recipe.evaluate
        return new_student(settings, self._bundle, len(self._task), settings.seed).to(self._device)

    def _lesson(self, labels: np.ndarray, soft: np.ndarray, temperature: float) -> Lesson:
        """What some images teach, over few epochs and looked at once."""
        settings, epochs = self._recipe.evaluate, self._recipe.tune.student_epochs
        training = training_of(settings, epochs, 1, self._bundle, self._device)
        stored = None if settings.label_kind == HARD else soft
        return lesson(settings, self._bundle, self._device, self._task, labels, stored, temperature, training)
