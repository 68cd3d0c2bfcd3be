"""Which picks helped: what single picks do for held-out real images, by their gradients and by leaving them out.

Students are those of the evaluation, from the same seeds; their weights are kept nowhere, so they are trained again.
What each says is kept as soon as it is trained, so judging goes on after a stop, and more seeds cost only the
difference. The held-out images are those that a search judges by: never the test split, and no control has them.
"""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from psr_studio.core.errors import SelectionError
from psr_studio.core.files import write_bytes
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.words import plural, text_table
from psr_studio.method.distillation import hard_label_loss
from psr_studio.method.influence import gradient_agreement
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.students import Loss
from psr_studio.recipe.schema import Recipe
from psr_studio.stages import speeds
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.evaluate import STAGE as EVALUATE
from psr_studio.stages.evaluate.arms import Arm, plan_arms
from psr_studio.stages.evaluate.lessons import normalised, sized
from psr_studio.stages.evaluate.stage import job, size_of
from psr_studio.stages.evaluate.training import Begun, Trainer
from psr_studio.stages.helped import STAGE
from psr_studio.stages.select.stage import require
from psr_studio.stages.task import held_out_of, in_task
from psr_studio.storage.judged import JudgedStudent
from psr_studio.storage.parquet import stable_hash
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

    @property
    def numbers(self) -> dict[str, str]:
        """Mean and deviation in words, by what they are; gains where something was left out."""
        gains = {
            "loss gain": _spread(self.loss_gain, 4),
            "accuracy gain, points": _spread([100 * gain for gain in self.accuracy_gain], 2),
        } if self.loss_gain else {}  # fmt: skip
        return {"agreement": _spread(self.agreement, 3), **gains}

    @property
    def worth_text(self) -> str:
        """The number behind `worth`, in words."""
        return self.numbers["loss gain" if self.loss_gain else "agreement"]


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


@dataclass(frozen=True)
class _Student:
    """One to be trained: without a group of picks, or with all; `key` is what its record is kept under."""

    seed: int
    group: Group | None
    key: str


class Helped:
    """What the picks of the recipe's selection did for its students.

    Args:
        by: one of `GROUPINGS`. leave_out: also train without each group.

    Attributes:
        found: what is known, a row per group over the seeds whose students are all trained; [] before the first.
        seeds: these.

    Raises:
        SelectionError, WorkspaceError: no selection, or one that is not refined though that form is asked for; a group
            that holds all picks, where it is to be left out.
    """

    def __init__(
        self, ws: Workspace, recipe: Recipe, bundle: Bundle, by: str = "pick", leave_out: bool = False
    ) -> None:
        self.recipe, self.bundle, self.by, self.leave_out = recipe, bundle, by, leave_out
        self._ws = ws
        self.arm = _own_arm(ws, recipe, bundle)
        record = require(ws, self.arm.selection, bundle)
        self.groups = groups_of(record, bundle.class_names, by)
        self.picks = record.candidate_ids
        if leave_out and len(self.groups) == 1:
            raise SelectionError(
                f"There is 1 group, and without its {plural(len(self.picks), 'pick')} there is nothing to train on.",
                "Leave out single picks instead, or select more than one image per class.",
            )
        first = recipe.evaluate.seed
        self.students = [
            student
            for seed in range(first, first + recipe.evaluate.n_seeds)
            for student in self._students_of(seed)
        ]
        self.seeds: list[int] = []
        self.found: list[Influence] = []
        self._look()

    @property
    def n_students(self) -> int:
        """How many there are of this judgement, trained or not."""
        return len(self.students)

    @property
    def missing(self) -> list[_Student]:
        """Those that are not trained."""
        return [student for student in self.students if student.key not in self._known]

    @property
    def todo_text(self) -> str:
        """What is left to do and how long it takes by the evaluation run last; no network is opened."""
        if not (left := len(self.missing)):
            return f"Judged by {plural(self.n_students, 'student')}: nothing is left to do."
        of = f"{left} of " if left < self.n_students else ""
        parts = [f"To do: {of}{plural(self.n_students, 'student')}"]
        if self.leave_out:
            parts.append(f"for each seed one with all picks and one without each {self.by}")
        else:
            each = ", one for each seed," if self.recipe.evaluate.n_seeds > 1 else ""
            parts[0] += f"{each} and the gradients of {plural(len(self.picks), 'pick')}"
        known = speeds.seconds(self._ws, EVALUATE.name, self.recipe, self._size())
        return ", ".join(parts) + speeds.words(known)

    @property
    def title(self) -> str:
        """What was judged, and by how many students."""
        arm, settings, n = self.arm, self.recipe.evaluate, len(self.seeds)
        seeds = f"{'seed' if n == 1 else 'seeds'} {', '.join(map(str, self.seeds))}"
        of = f" of {settings.n_seeds}" if n < settings.n_seeds else ""
        return (
            f'{arm.form.capitalize()} "{arm.selection}" with labels "{arm.label_regime}", protocol {arm.protocol}, '
            f"student {settings.student}: n = {n}{of}, {seeds}."
        )

    @property
    def about(self) -> str:
        """What the numbers are."""
        n_held_out = max((record.n_held_out for record in self._known.values()), default=0)
        about = ABOUT.format(n=f"{n_held_out:,}", students=plural(len(self.seeds), "student"))
        return " ".join([about, *([LEFT_OUT] if self.leave_out else [])])

    def check(self) -> None:
        """Raise SelectionError where there are no held-out images to judge by, ModelError where no real ones are."""
        _held_out(self.bundle, self.arm)

    def run(self) -> Iterator[Progress]:
        """Train the students that are missing and judge by them, each kept at its end; a unit is one epoch."""
        epochs, missing = self.arm.epochs(self.recipe.evaluate), self.missing
        total = epochs * self.n_students
        begun_with = done = total - epochs * len(missing)
        clock = Stopwatch(started=False)

        def event(done: int, words: str, **more: Any) -> Progress:
            return Progress(STAGE.name, done, total, words, seconds=clock.seconds, resumed=begun_with, **more)

        if missing:
            judge = _Judge(self._ws, self.recipe, self.bundle, self.arm)
            yield event(done, self._cost_text(judge, missing), lasting=True)
            clock.start()
            for student in missing:
                group = student.group
                where = f"seed {student.seed}, {f'without {group.name}' if group else 'whole'}"
                begun = judge.trainer.begin(self.arm, student.seed, group.rows if group else ())
                for check in begun.train(judge.images, judge.labels, n_checks=1):
                    words = f"{where}: epoch {check.epoch} of {epochs}, loss {check.loss:.3f}."
                    epoch = min(check.epoch, epochs - 1)  # the last counts when it is judged
                    yield event(done + epoch, words)
                record = judge.judged(student.key, begun, check.top1, whole=group is None)
                self._ws.ledger.add_judged(record)
                done += epochs
                words = f"{where}: held-out loss {record.loss:.3f}, accuracy {record.accuracy:.1%}."
                yield event(done, words, part_done=True)
            self._look()
        yield event(total, f"{plural(len(self.groups), 'group')} judged.", part_done=True)

    def ranked(self) -> list[Influence]:
        """What is known, what helped most first."""
        return sorted(self.found, key=lambda one: -one.worth)

    def ids(self, *, helping: bool) -> list[int]:
        """The picks of the groups that are worth more than 0, or of the others."""
        return [self.picks[row] for one in self.found if (one.worth > 0) == helping for row in one.group.rows]

    def tag(self, tag: str) -> str | None:
        """Give a tag to the picks that did not help and take it from the others judged, as one undoable action.

        Raises:
            SelectionError: no such tag can be; nothing is judged yet.
        """
        if not self.found:
            raise SelectionError("No picks are judged yet.", f'Press "{STAGE.verb}" first.')
        return self._ws.ledger.move_tag(tag, self.ids(helping=False), self.ids(helping=True))

    # Inside

    def _students_of(self, seed: int) -> list[_Student]:
        """The one of a seed with all picks, and those without some."""
        trained = job(self.recipe, self.bundle, self.arm, seed).inputs_hash
        groups = (None, *(self.groups if self.leave_out else ()))
        return [_Student(seed, one, stable_hash([trained, list(one.rows) if one else []])) for one in groups]

    def _look(self) -> None:
        """Read what is known."""
        known = self._ws.ledger.judged()
        self._known = {s.key: known[s.key] for s in self.students if s.key in known}
        by_seed = {
            seed: [self._known.get(s.key) for s in of_seed]
            for seed, of_seed in groupby(self.students, lambda student: student.seed)
        }
        complete = {seed: [r for r in records if r] for seed, records in by_seed.items() if all(records)}
        self.seeds = list(complete)
        self.found = [
            self._influence(k, list(complete.values())) for k in range(len(self.groups) * bool(complete))
        ]

    def _influence(self, k: int, by_seed: Sequence[Sequence[JudgedStudent]]) -> Influence:
        """Of the k-th group; the first record of a seed is that with all picks."""
        group = self.groups[k]
        mean = tuple(statistics.fmean(whole.agreement[row] for row in group.rows) for whole, *_ in by_seed)
        if not self.leave_out:
            return Influence(group, mean)
        pairs = [(records[0], records[1 + k]) for records in by_seed]
        return Influence(
            group,
            mean,
            tuple(without.loss - whole.loss for whole, without in pairs),
            tuple(whole.accuracy - without.accuracy for whole, without in pairs),
        )

    def _cost_text(self, judge: _Judge, missing: Sequence[_Student]) -> str:
        """What the students cost here, from a short measurement, and what is counted beside them."""
        cost = judge.trainer.cost([self.arm] * len(missing), (judge.images, judge.labels))
        of = f"{plural(len(self.picks), 'pick')} and {plural(len(judge.images), 'held-out image')}"
        return f"{cost.text} Beside that the gradients of {of}, for each seed."

    def _size(self) -> speeds.Size:
        """What is left, as the evaluation counts, whose speed it is: held-out images are tested once, and the gradients
        of these and of the picks are taken of students with all picks.
        """
        missing, n_picks = self.missing, len(self.picks)
        n_held_out = len(_held_out(self.bundle, self.arm)[0])
        shown = sum(n_picks - len(student.group.rows if student.group else ()) for student in missing)
        n_whole = sum(student.group is None for student in missing)
        one = job(self.recipe, self.bundle, self.arm, self.recipe.evaluate.seed)
        units = self.arm.epochs(self.recipe.evaluate) * shown + len(missing) * n_held_out / 3
        size = size_of(self._ws, self.recipe, self.bundle, [one])
        return replace(size, items=len(missing), units=units + n_whole * (n_held_out + n_picks))

    def table(self) -> str:
        """The rows as text, what helped most first, and what the columns mean."""
        rows = [(one.group.name, str(len(one.group.rows)), *one.numbers.values()) for one in self.ranked()]
        head = ("group", "images", *(self.found[0].numbers if self.found else ()))
        return f"{text_table(head, rows)}\n\n{self.title}\n{self.about}"

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


class _Judge:
    """What one run keeps open: the trainer, and the held-out images with their labels on the device."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle, arm: Arm) -> None:
        images, labels = _held_out(bundle, arm)
        self.trainer = Trainer(ws, recipe, bundle)
        device = self.trainer.device
        self.images = normalised(sized(images, recipe.evaluate.record, bundle, tested=True), bundle, device)
        self.labels = torch.from_numpy(in_task(labels, arm.classes)).to(device)

    def judged(self, key: str, begun: Begun, accuracy: float, *, whole: bool) -> JudgedStudent:
        """The record of a trained student, with the agreement of its images where it has seen all of them."""
        agreement = []
        if whole:
            reference = mean_gradient(begun, self.images, self.labels, hard_label_loss)
            agreement = agreements(begun, reference).tolist()
        return JudgedStudent(key, len(self.images), self._loss(begun), accuracy, agreement)

    @torch.no_grad()
    def _loss(self, begun: Begun) -> float:
        """Mean cross-entropy of the held-out images."""
        student = begun.student.eval()

        def losses(images: Tensor, labels: Tensor) -> tuple[Tensor]:
            return (nn.functional.cross_entropy(student(images).float(), labels, reduction="none"),)

        parts = (slice(start, start + BATCH) for start in range(0, len(self.images), BATCH))
        found = [begun.memory.testing.map(losses, self.images[rows], self.labels[rows])[0] for rows in parts]
        return float(torch.cat(found).cpu().double().mean())


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, by: str = "pick", leave_out: bool = False
) -> Iterator[Progress]:
    """Judge the picks of the recipe's selection, see `Helped`."""
    return Helped(ws, recipe, bundle, by, leave_out).run()


def _held_out(bundle: Bundle, arm: Arm) -> tuple[np.ndarray, np.ndarray]:
    """The held-out real images of the classes of an arm, and their labels as the bundle counts.

    Raises:
        SelectionError: there is none.
    """
    images, labels = held_out_of(bundle, arm.classes)
    if not len(images):
        raise SelectionError(
            "There are 0 held-out real images of these classes, but at least 1 is needed to judge picks by.",
            "Add real training images to the bundle: one of four of a class is held out.",
        )
    return images, labels


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
        stop_if_asked()
        batch, wanted = images[start : start + BATCH], labels[start : start + BATCH]
        whole = whole + begun.memory.training.whole(partial(chunked, batch, wanted), len(batch))
    return whole / len(images)


def agreements(begun: Begun, reference: Tensor) -> np.ndarray:
    """(n,) agreement of each image of a student, not augmented, under its own label, with a gradient (P,)."""
    student, taught = begun.student.eval(), begun.taught
    found = []
    for row in range(len(begun.images)):
        stop_if_asked()
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
