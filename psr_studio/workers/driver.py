"""A step done by several workers: what `stage.run` is for one process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psr_studio.core.errors import DamagedError
from psr_studio.core.files import sweep_temps
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.stages import speeds
from psr_studio.stages.batches import FinishParts, Work
from psr_studio.stages.stage import Held, Stage
from psr_studio.storage.records import EvaluationRecord, SelectionRecord
from psr_studio.storage.workspace import Workspace
from psr_studio.workers.dispatcher import Dispatcher
from psr_studio.workers.messages import Task
from psr_studio.workers.request import WorkerRequest

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

TOKEN = ".workers-"


def run(
    request: WorkerRequest, stage: Stage, ws: Workspace, recipe: Recipe, bundle: Bundle, *,
    selections: Sequence[SelectionRecord] = (), note: Callable[[EvaluationRecord], None] | None = None,
    **options: Any,
) -> Iterator[Progress]:  # fmt: skip
    """Do a step by several workers; events, errors and bytes are those of `stage.run`.

    Closing it ends the workers at once; `FinishParts` thrown in lets them finish their groups, and is raised then. A
    worker's StudioError is raised when the others have finished theirs.

    Args:
        stage: one that is `shared`; options are those of its `left` and its `run`.
        selections: that workers read, where the stage does not say so itself.
        note: keeps a student that a worker has trained; the ledger does by default.

    Raises:
        JobError: workers died over the same group again and again, or before they were ready.
        WorkspaceError: what workers wrote is not seen here.
        StudioError: no Ray; and what the step itself raises.
    """
    held = stage.held(ws, recipe, bundle) if stage.held else Held(tuple(selections))
    seen = {**options, **held.options}

    def left() -> Work:
        """Missing now of what the step began with: another selection of that name may be saved meanwhile."""
        return stage.left(ws, recipe, bundle, **seen)

    if stage.prepare:
        yield from stage.prepare(ws, recipe, bundle)
    work = stage.begin(ws, recipe, bundle, **seen)
    if not work.groups:
        yield from stage.run(ws, recipe, bundle, **options)
        return

    size, took = stage.size(ws, recipe, bundle, **seen) if stage.size else None, 0.0
    known = None if size is None else speeds.seconds(ws, stage.name, recipe, size, str(request))
    with _token(ws.root) as token:
        while work.groups:
            task = task_of(stage.name, ws, token, recipe, work, held.selections, options)
            took += yield from _dispatched(request, task, work, left, ws, note, known)
            if not work.waiting:
                break
            work = left()  # what waited for these
    if size is not None:
        speeds.learn(ws, stage.name, recipe, size, took, str(request))
    if stage.whole:
        words = stage.whole(ws, recipe, bundle, **seen)
        yield Progress(stage.name, work.total, work.total, words, resumed=work.total)


def _dispatched(
    request: WorkerRequest, task: Task, work: Work, left: Callable[[], Work], ws: Workspace,
    note: Callable[[EvaluationRecord], None] | None, known: float | None,
) -> Generator[Progress, None, float]:  # fmt: skip
    """Hand out some work; returns the seconds it took.

    Args:
        known: seconds that the whole step takes, by its last run.
    """
    pool = request.open(task.recipe.device)
    try:
        dispatcher = Dispatcher(pool, task, work, left, note or ws.ledger.add_evaluation, known)
        yield from dispatcher.events()
        if dispatcher.stopped:  # nothing may follow
            raise FinishParts
        return dispatcher.clock.seconds
    except DamagedError as err:  # a worker has no ledger to keep it in
        ws.parts.note_damage(err)
        raise
    finally:
        pool.close()
        sweep_temps(ws.root)


def task_of(
    stage: str, ws: Workspace, token: str, recipe: Recipe, work: Work,
    selections: Sequence[SelectionRecord] = (), options: Mapping[str, Any] | None = None,
) -> Task:  # fmt: skip
    """What the workers of a stage are told."""
    import torch

    if os.sep in recipe.bundle:  # a worker may stand in another folder
        recipe = recipe.with_values({"bundle": str(Path(recipe.bundle).expanduser().absolute())})
    threads = torch.get_num_threads()
    return Task(
        stage, ws.root, token, recipe, work.total, work.found, threads, tuple(selections), options or {}
    )


@contextmanager
def _token(root: Path) -> Iterator[str]:
    """A file that no other folder has; we hold the workspace's lock, so any other is left from a crash."""
    _remove_tokens(root)
    path = root / f"{TOKEN}{secrets.token_hex(8)}"
    with path.open("wb") as file:
        os.fsync(file.fileno())
    try:
        yield path.name
    finally:
        _remove_tokens(root)


def _remove_tokens(root: Path) -> None:
    for path in root.glob(f"{TOKEN}*"):
        path.unlink(missing_ok=True)
