"""Which picks helped: what single picks do for held-out real images, by their gradients and by leaving them out.

Students are those of the evaluation, from the same seeds; their weights are kept nowhere, so they are trained again.
The held-out images are those that a search judges by: never the test split, and no control has them.
"""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from psr_studio.core.errors import SelectionError
from psr_studio.core.files import write_bytes
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural, text_table
from psr_studio.method.distillation import hard_label_loss
from psr_studio.method.influence import gradient_agreement
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.students import Loss
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.evaluate import STAGE
from psr_studio.stages.evaluate.arms import Arm, plan_arms
from psr_studio.stages.evaluate.lessons import normalised, sized
from psr_studio.stages.evaluate.training import Begun, Trainer
from psr_studio.stages.select.stage import require
from psr_studio.stages.task import held_out_of, in_task
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

GROUPINGS = ("pick", "rank", "class")
BATCH = 100
COLUMNS = (
    "group", "candidate_id", "class_name", "rank", "images", "n", "agreement", "agreement_std", "loss_gain",
    "loss_gain_std", "accuracy_gain", "accuracy_gain_std",
)  # fmt: skip
ABOUT = (
    "Agreement: cosine of a pick's loss gradient with the mean gradient of {n} held-out real images, at the last "
    "epoch, mean over the picks of a row (after TracIn, Pruthi et al. 2020, with one checkpoint). Mean and standard "
    "deviation over {students}."
)
LEFT_OUT = (
    "Gains: what the held-out loss falls and the accuracy rises by having the picks of a row, against students trained "
    "without them; below the spread they say nothing."
)


@dataclass(frozen=True)
class Group:
    """Picks that are judged together: a pick, the picks of one rank, or those of a class.

    Attributes:
        name: in words. rows: places among the images of the arm.
        class_id, rank, candidate_id: what they share; rank counts from 1, None where they share none.
    """

    name: str
    rows: tuple[int, ...]
    class_id: int | None = None
    rank: int | None = None
    candidate_id: int | None = None


@dataclass(frozen=True)
class Influence:
    """What a group did, a number of each student; gains above 0 say that it helped.

    Attributes:
        agreement: in [-1, 1], mean over the picks of the group.
        loss_gain: held-out loss without it minus with it. accuracy_gain: accuracy with it minus without it; both ()
            where nothing was left out.
    """

    group: Group
    agreement: tuple[float, ...]
    loss_gain: tuple[float, ...] = ()
    accuracy_gain: tuple[float, ...] = ()

    @property
    def worth(self) -> float:
        """Mean over the students of the gain of the loss, of the agreement where nothing was left out."""
        return statistics.fmean(self.loss_gain or self.agreement)


def groups_of(record: SelectionRecord, class_names: Sequence[str], by: str) -> list[Group]:
    """The picks of a selection in groups: one of `GROUPINGS`, in the order of its candidate ids.

    Raises:
        SelectionError: no such grouping.
    """
    if by not in GROUPINGS:
        raise SelectionError(f'Picks are not grouped by "{by}".', f"Name one of {', '.join(GROUPINGS)}.")
    places = [(c, rank) for c in sorted(record.picks) for rank in range(1, len(record.picks[c]) + 1)]
    if by == "pick":
        named = zip(places, record.candidate_ids, strict=True)
        return [
            Group(f"{class_names[c]} {rank}", (row,), c, rank, cid)
            for row, ((c, rank), cid) in enumerate(named)
        ]
    shared = [rank if by == "rank" else c for c, rank in places]
    rows = {
        key: tuple(row for row, group in enumerate(shared) if group == key) for key in sorted(set(shared))
    }
    if by == "rank":
        return [Group(f"rank {rank}", group, rank=rank) for rank, group in rows.items()]
    return [Group(class_names[c], group, class_id=c) for c, group in rows.items()]


class Helped:
    """What the picks of the recipe's selection did for its students.

    Args:
        by: one of `GROUPINGS`. leave_out: also train without each group.

    Attributes:
        found: after `run`, a row per group.

    Raises:
        SelectionError, WorkspaceError: no selection, or one that is not refined though that form is asked for; a group
            that holds all picks, where it is to be left out.
    """

    def __init__(
        self, ws: Workspace, recipe: Recipe, bundle: Bundle, by: str = "pick", leave_out: bool = False
    ) -> None:
        self.recipe, self.bundle, self.leave_out = recipe, bundle, leave_out
        self.arm = _own_arm(ws, recipe, bundle)
        record = require(ws, self.arm.selection, bundle)
        self.groups = groups_of(record, bundle.class_names, by)
        self._picks = record.candidate_ids
        self.n_picks = len(self._picks)
        if leave_out and len(self.groups) == 1:
            raise SelectionError(
                f"There is 1 group, and without its {plural(self.n_picks, 'pick')} there is nothing to train on.",
                "Leave out single picks instead, or select more than one image per class.",
            )
        self._trainer = Trainer(ws, recipe, bundle)
        images, labels = held_out_of(bundle, self.arm.classes)
        if not len(images):
            raise SelectionError(
                "There are 0 held-out real images of these classes, but at least 1 is needed to judge picks by.",
                "Add real training images to the bundle: one of four of a class is held out.",
            )
        seen = sized(images, recipe.evaluate.record, bundle, tested=True)
        self._images = normalised(seen, bundle, self._trainer.device)
        self._labels = torch.from_numpy(in_task(labels, self.arm.classes)).to(self._trainer.device)
        self.found: list[Influence] = []

    @property
    def n_students(self) -> int:
        """How many are trained."""
        return self.recipe.evaluate.n_seeds * (1 + len(self.groups) * self.leave_out)

    @property
    def cost_text(self) -> str:
        """What the students cost here, from a short measurement, and what is counted beside them."""
        cost = self._trainer.cost([self.arm] * self.n_students).text
        of = f"{plural(self.n_picks, 'pick')} and {plural(len(self._images), 'held-out image')}"
        return f"{cost} Beside that the gradients of {of}, for each seed."

    def run(self) -> Iterator[Progress]:
        """Train and compare; nothing is kept until the end. A unit of `done` is one epoch of one student."""
        epochs = self.arm.epochs(self.recipe.evaluate)
        first, total = self.recipe.evaluate.seed, epochs * self.n_students
        done, clock = 0, Stopwatch(started=False)
        found, gains = [], []  # of each student
        yield Progress(STAGE.name, 0, total, self.cost_text, lasting=True)
        clock.start()
        for seed in range(first, first + self.recipe.evaluate.n_seeds):
            scores = []
            for group in (None, *(self.groups if self.leave_out else ())):
                begun = self._trainer.begin(self.arm, seed, group.rows if group else ())
                where = f"seed {seed}, {f'without {group.name}' if group else 'whole'}"
                for check in begun.train(self._images, self._labels, n_checks=1):
                    words = f"{where}: epoch {check.epoch} of {epochs}, loss {check.loss:.3f}."
                    yield Progress(STAGE.name, done + check.epoch, total, words, seconds=clock.seconds)
                done += epochs
                scores.append((self._held_out_loss(begun), check.top1))
                if group is None:
                    whole = mean_gradient(begun, self._images, self._labels, hard_label_loss)
                    found.append(agreements(begun, whole))
            gains.append([(loss - scores[0][0], scores[0][1] - top1) for loss, top1 in scores[1:]])
        self.found = [self._influence(k, found, gains) for k in range(len(self.groups))]
        yield Progress(
            STAGE.name, total, total, f"{plural(len(self.groups), 'group')} judged.", part_done=True
        )

    def _influence(
        self, k: int, agreements: Sequence[np.ndarray], gains: Sequence[Sequence[tuple[float, float]]]
    ) -> Influence:
        group = self.groups[k]
        mean = tuple(float(found[list(group.rows)].mean()) for found in agreements)
        loss, accuracy = ((tuple(one[k][i] for one in gains) if self.leave_out else ()) for i in (0, 1))
        return Influence(group, mean, loss, accuracy)

    @torch.no_grad()
    def _held_out_loss(self, begun: Begun) -> float:
        """Mean cross-entropy of the held-out images."""
        student = begun.student.eval()

        def losses(images: Tensor, labels: Tensor) -> tuple[Tensor]:
            return (nn.functional.cross_entropy(student(images).float(), labels, reduction="none"),)

        parts = (slice(start, start + BATCH) for start in range(0, len(self._images), BATCH))
        found = [
            begun.memory.testing.map(losses, self._images[rows], self._labels[rows])[0] for rows in parts
        ]
        return float(torch.cat(found).cpu().double().mean())

    def ids(self, *, helping: bool) -> list[int]:
        """The picks of the groups that are worth more than 0, or of the others."""
        return [
            self._picks[row] for one in self.found if (one.worth > 0) == helping for row in one.group.rows
        ]

    def table(self) -> str:
        """The rows as text, what helped most first, and what the columns mean."""
        ranked = sorted(self.found, key=lambda one: -one.worth)
        head = [
            "group",
            "images",
            "agreement",
            *(["loss gain", "accuracy gain, points"] if self.leave_out else []),
        ]
        rows = [
            (one.group.name, str(len(one.group.rows)), _spread(one.agreement, 3),
             *([_spread(one.loss_gain, 4), _spread([100 * x for x in one.accuracy_gain], 2)] if self.leave_out else ()))
            for one in ranked
        ]  # fmt: skip
        students = plural(self.recipe.evaluate.n_seeds, "student")
        about = ABOUT.format(n=f"{len(self._images):,}", students=students)
        return f"{text_table(head, rows)}\n\n" + " ".join([about, *([LEFT_OUT] if self.leave_out else [])])

    def write_csv(self, path: Path) -> None:
        """All rows with `COLUMNS`, in the order of the selection; whole or not at all."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(self._cells, self.found))
        write_bytes(path, text.getvalue().encode())

    def _cells(self, one: Influence) -> Mapping[str, object]:
        group = one.group
        numbers = {name: getattr(one, name) for name in ("agreement", "loss_gain", "accuracy_gain")}
        return {
            "group": group.name,
            "candidate_id": "" if group.candidate_id is None else group.candidate_id,
            "class_name": "" if group.class_id is None else self.bundle.class_names[group.class_id],
            "rank": "" if group.rank is None else group.rank,
            "images": len(group.rows),
            "n": len(one.agreement),
            **{name: f"{statistics.fmean(values):.6g}" if values else "" for name, values in numbers.items()},
            **{
                f"{name}_std": f"{statistics.stdev(values):.6g}" if len(values) > 1 else ""
                for name, values in numbers.items()
            },
        }


def _own_arm(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Arm:
    """The recipe's selection in its first form, the refined one where that is asked for."""
    arms = plan_arms(ws, recipe, bundle)
    forms = [
        arm for arm in arms if arm.form in ("refined", "selected") and arm.selection == recipe.select.name
    ]
    if not forms:
        raise SelectionError(
            f'No form of the selection "{recipe.select.name}" is trained on, and picks are judged by its students.',
            'Set "evaluate.arms" to "refined" or "selected".',
        )
    return forms[0]


def mean_gradient(begun: Begun, images: NormalisedImages, labels: Tensor, loss: Loss) -> Tensor:
    """(P,) gradient of the mean loss over images, as they are, for the student as it stands."""
    student = begun.student.eval()
    whole = torch.zeros((), device=labels.device)

    def chunked(batch: Tensor, wanted: Tensor, chunks: list[slice]) -> Tensor:
        parts = [_gradient(student, batch[rows], wanted[rows], loss) * len(batch[rows]) for rows in chunks]
        return torch.stack(parts).sum(dim=0)

    for start in range(0, len(images), BATCH):
        batch, wanted = images[start : start + BATCH], labels[start : start + BATCH]
        whole = whole + begun.memory.training.whole(partial(chunked, batch, wanted), len(batch))
    return whole / len(images)


def agreements(begun: Begun, reference: Tensor) -> np.ndarray:
    """(n,) agreement of each image of a student, not augmented, under its own label, with a gradient (P,)."""
    student, taught = begun.student.eval(), begun.taught
    found = []
    for row in range(len(begun.images)):
        picture = begun.images[row : row + 1]
        wanted = taught.targets[row : row + 1]
        if taught.relabel_anew is not None:
            wanted = taught.relabel_anew(0, slice(0, 1), picture)
        found.append(gradient_agreement(_gradient(student, picture, wanted, taught.loss), reference))
    return np.array(found)


def _gradient(student: nn.Module, images: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """(P,) of the mean loss of a batch, in full precision."""
    value = loss(student(images).float(), targets)
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(student.parameters()))])


def _spread(values: Sequence[float], digits: int) -> str:
    std = statistics.stdev(values) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):+.{digits}f}" + ("" if math.isnan(std) else f" ± {std:.{digits}f}")
