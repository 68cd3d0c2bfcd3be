"""The students of a study's cells as work that several processes share: each is trained once, whichever takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Work
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.study import STAGE
from psr_studio.storage.records import EvaluationRecord
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.results import result_of
from psr_studio.studies.study import Cell, Study, cells

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

Stages = Callable[..., Iterator[Progress]]  # does a stage for a workspace and a recipe, with options


def left(ws: Workspace, recipe: Recipe, bundle: Bundle, study: Study, pool: str = "") -> Work:
    """The students of the cells that choose from a pool, `ws` being its workspace."""
    students = students_of(ws, recipe, bundle, study, pool)
    cell_of = {job.inputs_hash: cell for cell, job in students}

    def said(job: evaluate.Job) -> str:
        return f'the epochs of {job.arm.form}, seed {job.seed}, in the cell "{cell_of[job.inputs_hash]}"'

    with_epochs = [(job, job.arm.epochs(cell.recipe.evaluate)) for cell, job in students]
    return evaluate.students_left(ws, with_epochs, said)


def students_of(
    home: Workspace, recipe: Recipe, bundle: Bundle, study: Study, pool: str
) -> list[tuple[Cell, evaluate.Job]]:
    """Each student of the cells that choose from a pool once, with the first cell that it belongs to."""
    found: dict[str, tuple[Cell, evaluate.Job]] = {}
    for cell in (cell for cell in cells(study, recipe, bundle) if cell.pool == pool):
        for job in evaluate.plan(home, cell.recipe, bundle, ahead=True):
            found.setdefault(job.inputs_hash, (cell, job))
    return list(found.values())


def train_share(
    home: Workspace, recipe: Recipe, bundle: Bundle, study: Study, pool: str, share: Work
) -> Iterator[Progress]:
    """One process among several trains the students that it is given."""
    from psr_studio.stages.evaluate.training import Trainer

    students, opened, done = students_of(home, recipe, bundle, study, pool), dict[str, Trainer](), share.found

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(STAGE.name, done, share.total, message, **more)

    test_sets = {job.test_set for _, job in students}
    for group in share.groups:
        cell, jobs = students[group.missing[0]][0], [students[unit][1] for unit in group.missing]
        if str(cell) not in opened:
            opened = {str(cell): Trainer(home, cell.recipe, bundle, test_sets)}
        named = partial(_named, event, str(cell))
        last = yield from evaluate.train(home, cell.recipe, opened[str(cell)], jobs, done, named)
        done = last.done
        yield last


def _named(event: Callable[..., Progress], cell: str, done: int, message: str, **more: Any) -> Progress:
    return event(done, f"{cell}: {message}", **more)


def by_several(
    do: Stages, home: Workspace, recipe: Recipe, bundle: Bundle, study: Study, pool: str,
    wanted: Sequence[Cell], report: Callable[[], object],
) -> Iterator[Progress]:  # fmt: skip
    """Have the cells that choose from a pool refined, one after the other, and then the students of all trained.

    Args:
        do: does a stage by several processes. wanted: the cells. report: is called after each that is finished.
    """
    for cell in wanted:
        if cell.level.form == "refined" and not result_of(home, bundle, cell).finished:
            yield from do(refine.STAGE, home, cell.recipe)
    if not left(home, recipe, bundle, study, pool).groups:
        return
    open_cells = [
        {job.inputs_hash for job in evaluate.untrained(home, evaluate.plan(home, cell.recipe, bundle))}
        for cell in wanted
    ]

    def note(record: EvaluationRecord) -> None:
        home.ledger.add_evaluation(record)
        finished = {record.inputs_hash} in open_cells
        for students in open_cells:
            students.discard(record.inputs_hash)
        if finished:
            report()

    names = dict.fromkeys(cell.selection for cell in wanted)
    selections = [home.ledger.selection(name) for name in names]
    yield from do(STAGE, home, recipe, selections=selections, note=note, study=study, pool=pool)
