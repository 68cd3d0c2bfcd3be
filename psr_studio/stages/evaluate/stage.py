"""Evaluate: train students on the set and, beside it, on its controls (PSR section 3.4, eq. 11).

An accuracy is never shown alone: with the same student, seeds and labels stand random real images and the
first of the pool, and random real images with hard labels show what the labels are worth.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from psr_studio.core.devices import pick_device, pick_dtype
from psr_studio.core.errors import SelectionError
from psr_studio.core.progress import Progress
from psr_studio.core.words import text_table
from psr_studio.method.protocols import DSA_CUTOUT, HARD, ONLINE, PER_EPOCH, name_now, noted_as
from psr_studio.recipe.schema import HELD_OUT, ORIGINAL, TEST_SETS, Recipe
from psr_studio.stages import speeds
from psr_studio.stages.batches import Group, Stopwatch, Work
from psr_studio.stages.evaluate import STAGE
from psr_studio.stages.evaluate.arms import Arm, arms_to_come, n_images, plan_arms, selected_arm
from psr_studio.stages.evaluate.given import count_test_images, identity_of
from psr_studio.stages.evaluate.test_sets import BY_DIFFICULTY
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.score import stage as score
from psr_studio.stages.stage import Held
from psr_studio.stages.task import named_outputs, named_part, softens_all
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.records import EvaluationRecord, SelectionRecord
from psr_studio.storage.workspace import StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.stages.cost import Cost
    from psr_studio.stages.evaluate.training import Trainer


PLAIN = "not augmented"


@dataclass(frozen=True)
class Row:
    """One line of the table: an arm over its seeds; accuracies in [0, 1], of which `last` is the headline."""

    selection: str  # "" for a control
    arm: str
    label_regime: str
    protocol: str
    student: str
    epochs: int
    ipc: int
    n: int  # students
    n_images: int
    last_mean: float
    last_std: float  # of the sample (n - 1); NaN for one student
    best_mean: float
    best_std: float
    seconds: float  # of all students together
    set_hash: str  # of images and labels; "" where it is not known
    trained: float  # when the last student was, in seconds since 1970
    pictures_hash: str = ""  # of the images alone, whatever their labels; "" where it is not known
    test_set: str = ORIGINAL  # which test images; `protocol` says so too where they are not all
    augmented: bool = True
    by_seed: Mapping[int, float] = field(default_factory=dict)  # the last accuracy of each student
    confusions: tuple[list[tuple[int, int, int]], ...] = ()  # of each student, as its record has it
    eces: tuple[float, ...] = ()  # calibration errors of the students of which it was noted, in [0, 1]

    @property
    def n_tested(self) -> int:
        """Test images behind each accuracy; 0 where that was not noted."""
        return sum(n for _, _, n in self.confusions[0]) if self.confusions else 0

    @property
    def task(self) -> frozenset[int]:
        """The classes it was tested on; empty where that was not noted."""
        return frozenset(label for label, _, _ in self.confusions[0]) if self.confusions else frozenset()

    @property
    def trained_by(self) -> str:
        """The protocol and the test images, whether it was augmented or not."""
        return self.protocol.removesuffix(f", {PLAIN}")

    @property
    def name(self) -> str:
        """The arm, with the selection it is of where that is not plain."""
        return f'{self.arm} "{self.selection}"' if self.selection else self.arm

    @property
    def calibration(self) -> str:
        """Mean and deviation of the calibration errors in percent, of how many students where not of all."""
        if not self.eces:
            return "not kept"
        mean = statistics.fmean(self.eces)
        found = spread(mean, statistics.stdev(self.eces) if len(self.eces) > 1 else math.nan)
        return found if len(self.eces) == self.n else f"{found} ({len(self.eces)} of {self.n})"

    @property
    def cells(self) -> tuple[str, ...]:
        """It in words, accuracies in percent, in the order of the columns."""
        return (
            self.name, self.label_regime, self.protocol, self.student, str(self.epochs), str(self.ipc),
            str(self.n_images), str(self.n), spread(self.last_mean, self.last_std),
            spread(self.best_mean, self.best_std), self.calibration, f"{self.seconds:.0f}", self.set_id, self.day,
        )  # fmt: skip

    @property
    def set_id(self) -> str:
        """The start of the hash, by which two sets of one name are told apart."""
        return self.set_hash[:8]

    @property
    def day(self) -> str:
        """When it was trained, in local time: "2026-11-23 14:05"."""
        return datetime.fromtimestamp(self.trained).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class Job:
    """One student to be trained and tested; the hashes are those of its record.

    `student_hash` is shared by those that differ in the part of the test split alone: one training serves them all,
    where it looks at no test image before the last epoch.
    """

    arm: Arm
    seed: int
    test_set: str
    student_hash: str
    set_hash: str
    pictures_hash: str
    training_hash: str
    inputs_hash: str


def set_inputs(bundle: Bundle, arm: Arm) -> dict[str, Any]:
    """What images and labels are made from; the classes are named only where they are a part of the bundle's."""
    return {
        **named_part(arm.classes, bundle.n_classes),
        "arm": arm.inputs,
        "label_regime": arm.label_regime,
    }


def pictures_hash(bundle: Bundle, arm: Arm) -> str:
    """A hash of what the images alone are made from, the same whatever labels them."""
    made_from = {**named_part(arm.classes, bundle.n_classes), "pictures": arm.pictures or arm.inputs}
    return stable_hash(made_from)


def training_inputs(recipe: Recipe, bundle: Bundle, arm: Arm) -> dict[str, Any]:
    """How a student is trained and tested, but for its seed."""
    from psr_studio.models.students import first_weights

    settings = recipe.evaluate
    drawn = first_weights(settings.student)
    asks_teacher = settings.label_kind in (ONLINE, PER_EPOCH)
    parts_tested = settings.n_checks > 1 and not settings.record.all_tested
    return {
        "stage": STAGE.name,
        "protocol": noted_as(arm.protocol, arm.label_regime == HARD),
        "student": settings.student,
        **({"first weights": drawn} if drawn else {}),
        "training": [
            arm.epochs(settings),
            settings.batch_size,
            settings.lr,
            settings.momentum,
            settings.weight_decay,
        ],
        "augment": settings.augment,
        **({"CutMix": False} if settings.record.mix and not settings.augment else {}),
        **(DSA_CUTOUT if settings.augment and settings.record.augmentation == "dsa" else {}),
        **({} if settings.mirrored else {"mirrored": False}),
        "n_checks": settings.n_checks,
        **({"images per curve point": settings.check_images} if parts_tested else {}),
        **({"teacher": bundle.identity("teacher"), "it sees": "whole batches"} if asks_teacher else {}),
        **_test_inputs(recipe, bundle, arm),
        **({"test images": identity_of(settings.test_images)} if settings.test_images else {}),
        "dtype": str(pick_dtype(pick_device(recipe.device))),
        "data": bundle.identity("data"),
    }


def _test_inputs(recipe: Recipe, bundle: Bundle, arm: Arm) -> dict[str, Any]:
    """What names a part of the test split; nothing for all of it, as before there was a choice."""
    test_set = recipe.evaluate.test_set
    if test_set == ORIGINAL:
        return {}
    from psr_studio.stages.evaluate.lessons import side_of

    judged, side = test_set in BY_DIFFICULTY, side_of(recipe.evaluate.record, bundle)
    resized = judged and side is not None and bundle.image_shape[:2] != (side, side)
    return {
        "test set": [test_set, bundle.identity("teacher")],
        **named_outputs(judged and softens_all(recipe, bundle, arm.classes)),
        **({"judged": "before they were resized"} if resized else {}),
    }


def inputs(recipe: Recipe, bundle: Bundle, arm: Arm, seed: int) -> dict[str, Any]:
    """What one student is made from."""
    return {**set_inputs(bundle, arm), **training_inputs(recipe, bundle, arm), "seed": seed}


def job(recipe: Recipe, bundle: Bundle, arm: Arm, seed: int) -> Job:
    """One student of an arm."""
    settings, made_from = recipe.evaluate, inputs(recipe, bundle, arm, seed)
    shares = settings.n_checks == 1 and settings.test_set in TEST_SETS
    of_test = _test_inputs(recipe, bundle, arm) if shares else {}
    return Job(
        arm=arm,
        seed=seed,
        test_set=settings.test_set,
        student_hash=stable_hash({key: made_from[key] for key in made_from.keys() - of_test.keys()}),
        set_hash=stable_hash(set_inputs(bundle, arm)),
        pictures_hash=pictures_hash(bundle, arm),
        training_hash=stable_hash(training_inputs(recipe, bundle, arm)),
        inputs_hash=stable_hash(made_from),
    )


def check_student(name: str) -> None:
    """Raise ModelError where there is no student of that name."""
    from psr_studio.models import students

    students.check_student(name)


def students(bundle: Bundle) -> list[str]:
    """The students that are offered by name for pictures of this bundle; others can be named too."""
    from psr_studio.models.students import students_for

    return students_for(bundle.image_shape[0])


def plan(ws: Workspace, recipe: Recipe, bundle: Bundle, *, ahead: bool = False) -> list[Job]:
    """Every student of the recipe: all arms of the first seed, then all of the next.

    Args:
        ahead: refined pictures need not be there yet.

    Raises:
        SelectionError, WorkspaceError: no selection, or one that is not refined though that arm is asked for.
    """
    arms = plan_arms(ws, recipe, bundle, ahead=ahead)
    first = recipe.evaluate.seed
    return [
        job(recipe, bundle, arm, seed)
        for seed in range(first, first + recipe.evaluate.n_seeds)
        for arm in arms
    ]


def untrained(ws: Workspace, jobs: Sequence[Job]) -> list[Job]:
    """The students that no result is known of."""
    known = {record.inputs_hash for record in ws.ledger.evaluations()}
    return [job for job in jobs if job.inputs_hash not in known]


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether every student of the recipe is trained."""
    from psr_studio.core.errors import StudioError

    try:
        jobs = plan(ws, recipe, bundle)
    except StudioError as err:
        return StageStatus("missing", err.problem)
    done = len(jobs) - len(untrained(ws, jobs))
    if done == len(jobs):
        return StageStatus("fresh", f"All {done} students are trained.")
    if done:
        return StageStatus("partial", f"{done} of {len(jobs)} students are trained.")
    older = any(record.selection == recipe.select.name for record in ws.ledger.evaluations())
    if older:
        return StageStatus("stale", "The students were trained on other images or with other settings.")
    return StageStatus("missing", "No student is trained.")


def held(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Held:
    """The selections that students are trained on."""
    named = {recipe.select.name, *recipe.evaluate.compare}
    return Held(tuple(saved for saved in ws.ledger.selections() if saved.name in named))


def left(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Work:
    """The students that are not trained, see `students_left`."""
    return _left_of(ws, recipe, plan(ws, recipe, bundle))


def _left_of(ws: Workspace, recipe: Recipe, jobs: Sequence[Job]) -> Work:
    return students_left(ws, [(job, job.arm.epochs(recipe.evaluate)) for job in jobs], _said)


def _said(job: Job) -> str:
    return f"the epochs of {job.arm.name}, seed {job.seed},"


def students_left(ws: Workspace, students: Sequence[tuple[Job, int]], said: Callable[[Job], str]) -> Work:
    """Of some students those that no result is known of; those that one training serves are a group.

    Args:
        students: each with its epochs. said: names one in words.
    """
    missing = {job.inputs_hash for job in untrained(ws, [job for job, _ in students])}
    alike: dict[str, list[int]] = {}
    for unit, (job, _) in enumerate(students):
        alike.setdefault(job.student_hash, []).append(unit)
    groups = []
    for number, units in enumerate(alike.values()):
        if lacking := tuple(unit for unit in units if students[unit][0].inputs_hash in missing):
            new = sum(students[unit][1] for unit in lacking)
            groups.append(Group(number, tuple(units), lacking, new, said(students[lacking[0]][0])))
    total = sum(epochs for _, epochs in students)
    return Work(total, total - sum(group.new for group in groups), tuple(groups))


begin = left  # nothing is removed


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, *, measured: bool = True, share: Work | None = None,
    others: Sequence[Job] = (),
) -> Iterator[Progress]:  # fmt: skip
    """Train the students that are not trained yet, one seed after another; a finished one is kept.

    The metrics of the events are "top1/<arm>" and "loss/<arm>", "epoch" and "seed". A unit of `done` is one
    epoch of one student.

    Args:
        measured: what it costs is measured and said first.
        share: the students of one process among several.
        others: of other recipes; a student that serves one of them is tested for it, too.

    Raises:
        SelectionError, WorkspaceError, ModelError: what it stands on is missing; no such student.
    """
    from psr_studio.stages.evaluate.training import Trainer

    clock = Stopwatch(started=False)
    jobs = plan(ws, recipe, bundle)
    work = _left_of(ws, recipe, jobs) if share is None else share
    total, found = work.total, work.found
    own = {job.inputs_hash for job in jobs}
    others = [other for other in others if other.inputs_hash not in own]

    def served(group: Group) -> list[Job]:
        """The students of a group, of which the first is trained, and the others that it serves."""
        first, *more = (jobs[unit] for unit in group.missing)
        return [first, *more, *(other for other in others if other.student_hash == first.student_hash)]

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(STAGE.name, done, total, message, seconds=clock.seconds, resumed=found, **more)

    if share is None and not work.groups:
        yield event(total, whole(ws, recipe, bundle), part_done=True)
        return
    yield event(found, "Reading the test split.")
    trainer = Trainer(ws, recipe, bundle, {other.test_set for other in others})
    done = found
    if share is not None:
        for group in share.groups:
            last = yield from train(ws, recipe, trainer, served(group), done, event)
            done = last.done
            yield last
        return
    together = [served(group) for group in work.groups]
    missing = [first for first, *_ in together]
    total = found + sum(job.arm.epochs(recipe.evaluate) for jobs_of_one in together for job in jobs_of_one)
    if measured:
        size = size_of(ws, recipe, bundle, missing)
        cost = speeds.said(ws, STAGE.name, recipe, size, trainer.cost([job.arm for job in missing]))
        yield event(found, cost.text, lasting=True)
    clock.start()
    for number, jobs_of_one in enumerate(together, 1):
        last = yield from train(ws, recipe, trainer, jobs_of_one, done, event)
        speeds.learn(ws, STAGE.name, recipe, size_of(ws, recipe, bundle, missing[:number]), clock.seconds)
        done = last.done
        yield last
    if measured:
        yield event(total, whole(ws, recipe, bundle))


def whole(ws: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    """What there is when nothing is left."""
    return f"All {len(plan(ws, recipe, bundle))} students are trained."


def train(
    ws: Workspace, recipe: Recipe, trainer: Trainer, jobs: Sequence[Job], done: int,
    event: Callable[..., Progress],
) -> Generator[Progress, None, Progress]:  # fmt: skip
    """Train one student and note it; returns the event that says so.

    Args:
        jobs: the student, and others that it serves: it is tested for each of them, and each is noted.
        done: epochs before it. event: makes one of `done`, a message, and what else is known.
    """
    job, epochs = jobs[0], jobs[0].arm.epochs(recipe.evaluate)
    watch, curve = Stopwatch(), []
    where = f"{job.arm.name}, seed {job.seed}"
    for check in trainer.train(job.arm, job.seed):
        metrics = {"epoch": check.epoch, "seed": job.seed, f"loss/{job.arm.name}": check.loss}
        if not math.isnan(check.top1):
            curve.append((check.epoch, check.top1))
            metrics[f"top1/{job.arm.name}"] = check.top1
        if check.epoch < epochs:
            words = f"{where}: epoch {check.epoch} of {epochs}, loss {check.loss:.3f}."
            words = " ".join(filter(None, (words, trainer.take_notice())))
            yield event(done + check.epoch * len(jobs), words, metrics=metrics)
    found, whole = [], (check, curve)
    for one in jobs:
        check, curve = whole
        if one.test_set != job.test_set:
            check = trainer.tested(one.arm, one.test_set)
            curve = [(epochs, check.top1)]
        assert check.predicted is not None, "the last epoch is checked"
        confusion = trainer.confusion(one.arm, check.predicted, one.test_set)
        ws.ledger.add_evaluation(
            _record(recipe, one, trainer.n_images, curve, watch.seconds, confusion, check.ece)
        )
        found.append(f"{check.top1:.1%}" + (f" ({one.test_set})" if len(jobs) > 1 else ""))
    words = " ".join(filter(None, (f"{where}: top-1 {', '.join(found)}.", trainer.take_notice())))
    return event(done + epochs * len(jobs), words, part_done=True, metrics=metrics)


def cost(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Cost:
    """What training the missing students costs on this device; measures for a second."""
    from psr_studio.stages.evaluate.training import Trainer

    jobs = plan(ws, recipe, bundle)
    asked = untrained(ws, jobs) or jobs
    measured = Trainer(ws, recipe, bundle).cost([job.arm for job in asked])
    return speeds.said(ws, STAGE.name, recipe, size_of(ws, recipe, bundle, asked), measured)


def size(ws: Workspace, recipe: Recipe, bundle: Bundle) -> speeds.Size:
    """How many students are not trained; where the selection is not saved yet, all that one would have."""
    try:
        jobs = plan(ws, recipe, bundle)
    except SelectionError:
        if ws.ledger.has_selection(recipe.select.name):
            raise
        score.require_fresh(ws, recipe, bundle)
        jobs = jobs_to_come(recipe, bundle)
    return size_of(ws, recipe, bundle, untrained(ws, jobs))


def jobs_to_come(recipe: Recipe, bundle: Bundle, pool: str = "") -> list[Job]:
    """The students of a selection that is not made yet; see `arms_to_come`."""
    arms = arms_to_come(recipe, bundle, classes_of(recipe, bundle), pool)
    seeds = range(recipe.evaluate.seed, recipe.evaluate.seed + recipe.evaluate.n_seeds)
    return [job(recipe, bundle, arm, seed) for seed in seeds for arm in arms]


def size_of(ws: Workspace, recipe: Recipe, bundle: Bundle, jobs: Sequence[Job]) -> speeds.Size:
    """How much training some students is: images that pass through one, a test image for a third of it."""
    settings = recipe.evaluate
    trained = sum(job.arm.epochs(settings) * n_images(ws, recipe, bundle, job.arm) for job in jobs)
    n_tested = count_test_images(settings, bundle) if jobs else 0
    between = n_tested if settings.record.all_tested else min(settings.check_images, n_tested)
    tested = len(jobs) * ((settings.n_checks - 1) * between + n_tested)
    kind = (
        settings.student, settings.protocol, settings.labels, settings.batch_size, settings.test_set,
        bundle.image_shape,
    )  # fmt: skip
    return speeds.Size(len(jobs), trained + tested / 3, kind)


def _record(
    recipe: Recipe,
    job: Job,
    n_images: int,
    curve: list[tuple[int, float]],
    seconds: float,
    confusion: list[tuple[int, int, int]],
    ece: float,
) -> EvaluationRecord:
    return EvaluationRecord(
        selection=job.arm.selection,
        arm=job.arm.form,
        student=recipe.evaluate.student,
        protocol=job.arm.protocol,
        label_regime=job.arm.label_regime,
        ipc=job.arm.ipc,
        seed=job.seed,
        n_images=n_images,
        last=curve[-1][1],
        best=max(accuracy for _, accuracy in curve),
        curve=curve,
        seconds=seconds,
        inputs_hash=job.inputs_hash,
        set_hash=job.set_hash,
        training_hash=job.training_hash,
        test_set=job.test_set,
        augmented=recipe.evaluate.augment,
        confusion=confusion,
        ece=None if math.isnan(ece) else ece,  # of a student that diverged there is none
        pictures_hash=job.pictures_hash,
        test_images="" if job.test_set == HELD_OUT else recipe.evaluate.test_images or "",
    )


def table(ws: Workspace, recipe: Recipe, bundle: Bundle) -> list[Row]:
    """The results of the present recipe, a row per arm in its order; untrained arms are left out."""
    by_hash = {record.inputs_hash: record for record in ws.ledger.evaluations()}
    return rows_of(plan(ws, recipe, bundle), by_hash)


def rows_of(jobs: Sequence[Job], known: Mapping[str, EvaluationRecord]) -> list[Row]:
    """A row per arm of some jobs, over the students that are known by their inputs hash."""
    arms: dict[Arm, list[EvaluationRecord]] = {}
    for job in jobs:
        if job.inputs_hash in known:
            arms.setdefault(job.arm, []).append(known[job.inputs_hash])
    return [row_of(records, arm.selection) for arm, records in arms.items()]


def results_of(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> list[Row]:
    """What is known of the accuracy of just these picks, a row per form and way of training.

    A result counts when it is younger than the selection, or is what the present recipe would train: one of
    an older selection of the same name does not.
    """
    wanted = _hashes_of(ws, recipe, bundle, record)
    known = [r for r in ws.ledger.evaluations() if r.selection == record.name]
    return _grouped([r for r in known if r.created >= record.created or r.inputs_hash in wanted])


def _hashes_of(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> set[str]:
    """The inputs hashes of every student of one selection under the present recipe."""
    settings = recipe.evaluate
    arms = [selected_arm(ws, recipe, bundle, record, form) for form in ("refined", "selected")]
    seeds = range(settings.seed, settings.seed + settings.n_seeds)
    return {job(recipe, bundle, arm, seed).inputs_hash for arm in arms for seed in seeds}


def history(ws: Workspace) -> list[Row]:
    """All results of the workspace, older recipes included; a row per set of images and way of training.

    Two sets under one name are two rows. Of a result that does not say what its set was, each student is a row.
    """
    return _grouped(ws.ledger.evaluations())


def _grouped(records: Sequence[EvaluationRecord]) -> list[Row]:
    groups: dict[tuple, list[EvaluationRecord]] = {}
    for r in {r.inputs_hash: r for r in records}.values():
        key = (r.set_hash, r.training_hash) if r.set_hash else (r.inputs_hash,)
        groups.setdefault(key, []).append(r)
    return [row_of(records, records[0].selection) for records in groups.values()]


def row_of(records: Sequence[EvaluationRecord], selection: str) -> Row:
    """The results of the students of one arm, trained alike, as a row of the table."""
    first = records[0]
    last, best = [r.last for r in records], [r.best for r in records]
    return Row(
        selection=selection,
        arm=first.arm,
        label_regime=first.label_regime,
        protocol=_protocol_words(first),
        student=first.student,
        epochs=first.curve[-1][0],
        ipc=first.ipc,
        n=len(records),
        n_images=first.n_images,
        last_mean=statistics.fmean(last),
        last_std=statistics.stdev(last) if len(last) > 1 else math.nan,
        best_mean=statistics.fmean(best),
        best_std=statistics.stdev(best) if len(best) > 1 else math.nan,
        seconds=sum(r.seconds for r in records),
        set_hash=first.set_hash,
        pictures_hash=first.pictures_hash,
        trained=max(r.created for r in records),
        test_set=first.test_set,
        augmented=first.augmented,
        by_seed={r.seed: r.last for r in records},
        confusions=tuple(r.confusion for r in records if r.confusion),
        eces=tuple(r.ece for r in records if r.ece is not None),
    )


def _protocol_words(record: EvaluationRecord) -> str:
    name = name_now(record.protocol)
    noun = "images" if record.test_set == HELD_OUT else "test images"
    test = "" if record.test_set == ORIGINAL else f"{record.test_set} {noun}"
    if record.test_images:
        test = f'{test or "test images"} of "{PurePath(record.test_images).name}"'
    return ", ".join(filter(None, (name, test, "" if record.augmented else PLAIN)))


def format_table(rows: Sequence[Row]) -> str:
    """The table as text, a line per row, accuracies in percent.

    Raises:
        SelectionError: no row.
    """
    if not rows:
        raise SelectionError("No student is trained on this selection.", "Run the evaluate step first.")
    head = "arm|labels|protocol|student|epochs|IPC|images|n|last %|best %|ECE %|seconds|set|trained".split(
        "|"
    )
    return text_table(head, (row.cells for row in rows))


def spread(mean: float, std: float) -> str:
    """Mean and standard deviation in percent: "81.2 ± 0.4", or the mean alone when there is no deviation."""
    return f"{100 * mean:.1f}" + ("" if math.isnan(std) else f" ± {100 * std:.1f}")
