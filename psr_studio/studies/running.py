"""A study from its first missing cell to its report, through the stages of the pipeline.

A cell is its selection and its students, all of them noted in the ledger of the workspace of its pool: what is there is
never made again, whoever asked for it before. Pins, vetoes and locks are left aside, for a study compares rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psr_studio.core.errors import SelectionError
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Stopwatch, Work
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.choice import Marks
from psr_studio.stages.select.scored import ScoredPool, read_scored
from psr_studio.stages.study import STAGE
from psr_studio.storage.records import EvaluationRecord
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.homes import Homes
from psr_studio.studies.measures import note_measures, read_measures
from psr_studio.studies.outlook import students_to_train
from psr_studio.studies.report import write_report
from psr_studio.studies.results import choice_hash, is_chosen, result_of
from psr_studio.studies.sharing import Stages, by_several, left, train_share
from psr_studio.studies.study import Cell, Study, cells, pool_recipes

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


begin = left  # nothing is removed


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, study: Study, pool: str = "", *, share: Work | None = None,
    by_workers: Stages | None = None,
) -> Iterator[Progress]:  # fmt: skip
    """Fill the cells that are missing, and write the report anew after each. A unit of `done` is an epoch of a student.

    Args:
        pool: that the cells choose from, by its name, "" for that of the workspace.
        share: the students of one process among several, of which `ws` is the workspace of the pool then.
        by_workers: does a stage by several processes; None has this one refine and train.

    Raises:
        StudioError: what a stage says; a pool with fewer candidates per class than a cell chooses from.
    """
    if share is not None:
        yield from train_share(ws, recipe, bundle, study, pool, share)
        return
    everything = cells(study, recipe, bundle)
    with Homes(ws) as homes:
        known = homes.evaluations({cell.pool for cell in everything})
    with Homes(ws, writing=True) as homes:
        own = [cell for cell in everything if cell.pool == pool]
        report = partial(write_report, ws, recipe, bundle, study)
        shared = None
        if by_workers is not None:
            shared = partial(by_several, by_workers, homes.at(pool), recipe, bundle, study, pool, own, report)
        yield from _fill(homes, pool, own, known, report, bundle, shared)


def _fill(
    homes: Homes, pool: str, wanted: Sequence[Cell], known: Mapping[str, EvaluationRecord],
    report: Callable[[], tuple[Path, ...]], bundle: Bundle, shared: Callable[[], Iterator[Progress]] | None,
) -> Iterator[Progress]:  # fmt: skip
    """The cells that choose from one pool; first `shared` refines and trains by several processes, where given."""
    clock, home = Stopwatch(started=False), homes.at(pool)
    yield Progress(STAGE.name, 0, 0, f"Choosing the images of {plural(len(wanted), 'cell')}.")
    _choose_all(home, pool_recipes(wanted)[wanted[0].pool], bundle, wanted)
    todo = _Left.of(home, bundle, wanted, known)
    found = todo.total - sum(todo.missing.values())

    def event(inner: Progress, where: str, done: int, part_done: bool = False) -> Progress:
        return Progress(
            STAGE.name, done, todo.total, f"{where}: {inner.message}", part_done=part_done,
            seconds=clock.seconds, resumed=found,
        )  # fmt: skip

    if shared is not None:
        yield from shared()
    elif (rest := students_to_train(homes, bundle, wanted)).items and rest.seconds is not None:
        yield Progress(STAGE.name, found, todo.total, f"Cost: {rest.said('student')}.", lasting=True)
    clock.start()
    done, paths = found, tuple[Path, ...]()
    for number, cell in enumerate(wanted, 1):
        if result_of(home, bundle, cell).finished:
            continue
        where = f"Cell {number} of {len(wanted)} ({cell})"
        if cell.level.form == "refined":
            for inner in refine.run(home, cell.recipe, bundle):
                yield event(inner, where, done)
        before = done
        others = evaluate.untrained(home, todo.jobs)
        for inner in evaluate.run(home, cell.recipe, bundle, measured=False, others=others):
            done = before + inner.done - inner.resumed
            yield event(inner, where, done, inner.part_done and inner.done < inner.total)
        paths = report()
        yield event(replace(inner, message="done"), where, done, part_done=done < todo.total)
    words = f"{plural(len(wanted), 'cell')} finished: {', '.join(map(str, paths or report()))}."
    yield Progress(
        STAGE.name, todo.total, todo.total, words, part_done=True, seconds=clock.seconds, resumed=found
    )


@dataclass(frozen=True)
class _Left:
    """All students of some cells, each once: their epochs, and those of the missing ones, by inputs hash."""

    jobs: list[evaluate.Job]
    total: int
    missing: dict[str, int]

    @classmethod
    def of(
        cls, home: Workspace, bundle: Bundle, wanted: Sequence[Cell], known: Mapping[str, EvaluationRecord]
    ) -> _Left:
        """Students of controls that were trained for cells of other pools are noted in this ledger, too."""
        jobs, epochs = dict[str, evaluate.Job](), dict[str, int]()
        for cell in wanted:
            for job in evaluate.plan(home, cell.recipe, bundle, ahead=True):
                jobs[job.inputs_hash] = job
                epochs[job.inputs_hash] = job.arm.epochs(cell.recipe.evaluate)
        own = {record.inputs_hash for record in home.ledger.evaluations()}
        for name in epochs.keys() & (known.keys() - own):
            home.ledger.add_evaluation(known[name])
        missing = {name: n for name, n in epochs.items() if name not in own | known.keys()}
        return cls(list(jobs.values()), sum(epochs.values()), missing)


def _choose_all(ws: Workspace, recipe: Recipe, bundle: Bundle, wanted: Sequence[Cell]) -> None:
    """Select what is not selected yet; cells of one pool size share its distances. Pools of their own are measured."""
    missing = {cell.selection: cell for cell in wanted if not is_chosen(ws, bundle, cell)}
    unmeasured = {
        cell.n_candidates
        for cell in wanted
        if cell.pool and not read_measures(ws, cell.recipe, bundle, cell.n_candidates)
    }
    if not missing and not unmeasured:
        return
    scored = read_scored(ws, recipe, bundle)
    for n in sorted({cell.n_candidates for cell in missing.values()}):
        _check_pool(scored, n)
        first = scored.first(n)
        for cell in (cell for cell in missing.values() if cell.n_candidates == n):
            _, record = select.choose(ws, cell.recipe, first, marks=Marks())
            ws.ledger.save_selection(replace(record, inputs_hash=choice_hash(ws, bundle, cell)))
    for n in unmeasured:
        note_measures(ws, scored, n, recipe.device)


def _check_pool(scored: ScoredPool, n: int) -> None:
    fewest = min(scored.present, key=lambda class_id: int(scored.counts[class_id]), default=None)
    if fewest is not None and (has := int(scored.counts[fewest])) < n:
        raise SelectionError(
            f'Class "{scored.class_names[fewest]}" has {has} candidates, but a cell of this study chooses from {n}.',
            f'Raise "pool.pool_size" to {n}, or name smaller budgets in "study.budgets".',
        )
