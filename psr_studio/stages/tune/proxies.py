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
from psr_studio.models.students import StudentMemory, Training, train_student
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.cost import Cost, per_row
from psr_studio.stages.evaluate.training import new_student, normalised, protocol, students_cost, training_of
from psr_studio.stages.generate.stage import classes_of
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.task import in_task, named_part

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

STUDENT_TRAINING = ("student", "protocol", "batch_size", "lr", "momentum", "weight_decay", "augment", "seed")


class Proxy(Protocol):
    """Judges a selection, and says what that takes."""

    def __call__(self, chosen: LiveResult) -> Iterator[float | None]:
        """Yield None while at work, and last the value of a selection."""

    def cost(self, chosen: LiveResult, n: int) -> Cost:
        """What judging `n` selections such as this one costs here, from a short measurement."""


def inputs(recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """What a value is made from besides the picks and their labels."""
    chosen = recipe.tune
    found = {
        **named_part(classes_of(recipe, bundle), bundle.n_classes),
        "proxy": chosen.proxy,
        "data": bundle.identity("data"),
        "teacher": bundle.identity("teacher"),
    }
    if chosen.proxy == "knn":
        return {**found, "neighbours": chosen.neighbours}
    trained = {name: getattr(recipe.evaluate, name) for name in STUDENT_TRAINING}
    dtype = str(pick_dtype(pick_device(recipe.device)))
    return {**found, "training": {**trained, "epochs": chosen.student_epochs}, "dtype": dtype}


def _held_out(recipe: Recipe, bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """The held-out images of the task's classes, and their labels."""
    images, labels = bundle.held_out
    own = np.isin(labels, classes_of(recipe, bundle))
    return (images, labels) if own.all() else (images[own], labels[own])


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
        images, self._labels = _held_out(recipe, bundle)
        teacher = bundle.teacher(pick_device(recipe.device))
        _, embeddings = teacher.predict(torch.from_numpy(np.array(images)))
        self._embeddings = embeddings.numpy()
        self._k = recipe.tune.neighbours

    def __call__(self, chosen: LiveResult) -> Iterator[float | None]:
        """Yield the top-1 of the vote at once."""
        at = chosen.positions
        votes = vote(self._embeddings, chosen.scored.embeddings[at], chosen.signals.soft_labels[at], self._k)
        yield float((votes.argmax(axis=1) == self._labels).mean())

    def cost(self, chosen: LiveResult, n: int) -> Cost:
        """By doing it a few times."""
        cpu = torch.device("cpu")  # whatever the teacher runs on
        return Cost(n, n * per_row(lambda _: list(self(chosen)), 1, cpu), 0, None, cpu.type)


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
        images, labels = _held_out(recipe, bundle)
        self._images = normalised(images, bundle, self._device)
        self._labels = torch.from_numpy(in_task(labels, self._task)).to(self._device)
        self._memory: StudentMemory | None = None  # what fits, for all trials

    def __call__(self, chosen: LiveResult) -> Iterator[float | None]:
        """Yield None after every epoch, then the top-1 after the last."""
        rules, at, scored = self._recipe.evaluate, chosen.positions, chosen.scored
        student, how = self._student()
        self._memory = self._memory or StudentMemory.of(student)
        soft = None if rules.protocol == "hard" else chosen.signals.soft_labels[at][:, self._task]
        targets, loss = protocol(in_task(scored.labels[at], self._task), soft, chosen.rules.temperature)
        pictures = normalised(scored.pool.images_at(at), self._bundle, self._device)
        checks = train_student(
            student, pictures, targets.to(self._device), loss,
            self._images, self._labels, how, rules.seed, every_epoch=True, memory=self._memory,
        )  # fmt: skip
        for check in checks:
            yield check.top1 if check.epoch == how.epochs else None

    def cost(self, chosen: LiveResult, n: int) -> Cost:
        """As of the students of an evaluation."""
        student, how = self._student()
        hard = self._recipe.evaluate.protocol == "hard"
        return students_cost(
            student, how, (self._images, self._labels), len(self._task),
            None if hard else chosen.rules.temperature,
            [len(chosen.positions)] * n,
        )  # fmt: skip

    def _student(self) -> tuple[nn.Module, Training]:
        """A new student and how it is trained."""
        chosen = self._recipe.evaluate
        student = new_student(chosen, self._bundle, len(self._task), chosen.seed).to(self._device)
        return student, training_of(chosen, self._recipe.tune.student_epochs, n_checks=1)
