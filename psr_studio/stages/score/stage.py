"""Score: the teacher's logits and embeddings of every candidate, cached (PSR Algorithm 1, lines 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.devices import pick_device
from psr_studio.core.errors import DamagedError, ModelError, WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.method.signals import beyond_task
from psr_studio.recipe.schema import ALL_OUTPUTS, TASK_CLASSES, Recipe
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS
from psr_studio.stages import speeds
from psr_studio.stages.batches import Beside, Stopwatch, Work, plan_work, spans
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.generate.stage import overlaps
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.score import STAGE
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import Broken, PartView, Pool, candidate_id
from psr_studio.storage.workspace import ScorePart, StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.models.teacher import Teacher
    from psr_studio.stages.cost import Cost


def inputs(bundle: Bundle, part: PartView) -> dict[str, Any]:
    """What the scores of one pool part are made from: the pictures in it and the teacher."""
    return {"stage": STAGE.name, "pool": part.content_hash, "teacher": bundle.identity("teacher")}


def part_hash(bundle: Bundle, part: PartView) -> str:
    """The inputs hash of the scores of one pool part."""
    return stable_hash(inputs(bundle, part))


def file_hash(bundle: Bundle, part: PartView) -> str:
    """The inputs hash of the file of these scores, which says so where it holds what lies beyond the task.

    Files from before it could are called by `part_hash`, whatever the teacher.
    """
    if not knows_more(bundle):
        return part_hash(bundle, part)
    return stable_hash({**inputs(bundle, part), "outputs": bundle.n_outputs})


def knows_more(bundle: Bundle) -> bool:
    """Whether the teacher has outputs that are none of the bundle's classes."""
    return bundle.n_outputs > bundle.n_classes


def class_hashes(pool: Pool, bundle: Bundle) -> dict[int, str]:
    """By class, a hash of pool and scores together: what everything after this step stands on."""
    found = _parts_by_class(pool)
    return {c: stable_hash([part_hash(bundle, part) for part in parts]) for c, parts in found.items()}


def picked_hash(pool: Pool, bundle: Bundle, candidate_ids: Sequence[int]) -> str:
    """A hash of the parts that some candidates lie in, pictures and teacher alike.

    It stays when the pool grows by further parts, so a selection outlives a larger pool.
    """
    classes = np.unique(np.asarray(candidate_ids, np.int64) // CANDIDATES_PER_CLASS).tolist()
    near = (part for class_id in classes for part in _parts_by_class(pool).get(class_id, ()))
    parts = [part for part in near if np.isin(part.candidate_ids, candidate_ids).any()]
    return stable_hash([part_hash(bundle, part) for part in parts])


def expected(ws: Workspace, recipe: Recipe, bundle: Bundle) -> dict[Path, str]:
    """Every file of the scores and its inputs hash, for the pool as it is on disk.

    Files without what lies beyond the task do where difficulty is over the task's classes.
    """
    parts = {
        ws.scores_part_path(bundle.teacher_id, part.class_id, part.part): part for part in ws.pool().parts()
    }
    whole = {path: file_hash(bundle, part) for path, part in parts.items()}
    if recipe.score.teacher_classes == ALL_OUTPUTS or not knows_more(bundle):
        return whole
    there, plain = ws.parts.look(parts), {path: part_hash(bundle, part) for path, part in parts.items()}
    return {
        path: plain[path] if (seen := there[path]) and seen.inputs_hash == plain[path] else found
        for path, found in whole.items()
    }


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether every candidate has scores, made from this pool by this teacher."""
    wanted = expected(ws, recipe, bundle)
    if not wanted:
        return StageStatus("missing", "There is no pool to score.")
    return ws.compare(wanted, "score parts")


def require_fresh(ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
    """Raise WorkspaceError when scores are those of another pool: by number alone they would fit as well."""
    if not len(ws.pool()):
        raise _no_pool(ws)
    if status(ws, recipe, bundle).state == "stale":
        raise WorkspaceError(
            _why_stale(ws, recipe, bundle),
            'Press "Score" again (or run `psr-studio score`): only what changed is scored.',
        )


def _why_stale(ws: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    plain = recipe.with_values({"score.teacher_classes": TASK_CLASSES})
    if status(ws, plain, bundle).state == "stale":
        return "These scores were made from another pool or by another teacher."
    return (
        f"These scores hold the {bundle.n_classes} classes of the task, but difficulty is to be over all "
        f"{bundle.n_outputs:,} outputs of the teacher."
    )


def scored_parts(ws: Workspace, recipe: Recipe, bundle: Bundle) -> list[PartView]:
    """The parts of the pool whose scores are there, made from them by this teacher."""
    lacking = ws.lacking(expected(ws, recipe, bundle))
    return [
        part
        for part in ws.pool().parts()
        if ws.scores_part_path(bundle.teacher_id, part.class_id, part.part) not in lacking
    ]


def left(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Work:
    """The parts of the pool that have no scores of this teacher; WorkspaceError when there is no pool.

    Units are parts of the pool by `_number`. A part is scored alone; groups only make handing out worth it.
    """
    pool = ws.pool()
    if not len(pool):
        raise _no_pool(ws)
    parts = {_number(part): part for part in pool.parts()}
    lacking = ws.lacking(expected(ws, recipe, bundle))
    teacher = bundle.teacher_id
    missing = {n for n, p in parts.items() if ws.scores_part_path(teacher, p.class_id, p.part) in lacking}
    return plan_work(
        {number: len(part.candidate_ids) for number, part in parts.items()},
        missing,
        recipe.score.batch_size,
        lambda group: f'the scores from "{bundle.class_names[parts[group[0]].class_id]}" on',
    )


begin = left  # nothing is removed


def run(ws: Workspace, recipe: Recipe, bundle: Bundle, *, share: Work | None = None) -> Iterator[Progress]:
    """Score the parts of the pool that have no scores of this teacher.

    Parts of the pool that are damaged do not keep the others from being scored; they are named at the end.

    Args:
        share: what to do, when that was found out already: the share of one process among several.

    Raises:
        WorkspaceError: no pool, a damaged part, outputs that are not finite numbers (with the candidates).
        ModelError: the teacher's weights, or as many outputs as other classes need.
    """
    clock = Stopwatch(started=False)
    work = left(ws, recipe, bundle) if share is None else share
    pool = ws.pool()
    parts = {_number(part): part for part in pool.parts()}

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(
            STAGE.name, done, work.total, message, seconds=clock.seconds, resumed=work.found, **more
        )

    if not work.groups and not pool.broken:
        yield event(work.total, whole(ws, recipe, bundle), part_done=True)
        return
    yield event(work.found, "Opening the teacher.")
    device = pick_device(recipe.device)
    teacher = bundle.teacher(device)
    if share is None and work.groups:
        yield event(work.found, _cost(ws, recipe, bundle, teacher, work).text, lasting=True)
    clock.start()
    done = work.found
    for part, images in decoded(pool, parts, work, alone=share is None, beside=overlaps(device.type)):
        name = bundle.class_names[part.class_id]
        if any(broken.path == part.path for broken in pool.broken):
            continue
        batches = []
        for rows in spans(len(images), recipe.score.batch_size):
            batches.append(predict(teacher, images[rows], bundle))
            words = " ".join(filter(None, (f'Scoring "{name}".', teacher.memory.take_notice())))
            yield event(done + rows.stop, words, class_id=part.class_id)
        columns = ScorePart(part.candidate_ids, *map(np.concatenate, zip(*batches, strict=True)))
        ws.write_scores_part(
            bundle.teacher_id, part.class_id, part.part, columns=columns, inputs_hash=file_hash(bundle, part)
        )
        done += len(images)
        agree = agreement(columns.logits, part.class_id, classes_of(recipe, bundle))
        yield event(
            done,
            f'Scored {plural(len(images), "candidate")} of "{name}"; the teacher agrees with {agree:.0%}.',
            class_id=part.class_id,
            part_done=True,
            metrics={"agreement": agree},
        )
    if share is None:
        speeds.learn(ws, STAGE.name, recipe, _size(recipe, bundle, work), clock.seconds)
    if pool.broken:
        raise _unscorable(ws, pool.broken)
    if share is None:
        yield event(work.total, whole(ws, recipe, bundle))


def whole(ws: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    """What there is when nothing is left."""
    labels = ws.pool().labels
    of = plural(len(np.unique(labels)), "class", "classes")
    return f"Every candidate is scored: {len(labels):,} of {of}."


def cost(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Cost:
    """What scoring the parts that have no scores costs on this device; opens the teacher, measures for a second."""
    return _cost(ws, recipe, bundle, bundle.teacher(pick_device(recipe.device)), left(ws, recipe, bundle))


def size(ws: Workspace, recipe: Recipe, bundle: Bundle) -> speeds.Size:
    """How many candidates have no scores."""
    return _size(recipe, bundle, left(ws, recipe, bundle))


def _size(recipe: Recipe, bundle: Bundle, work: Work) -> speeds.Size:
    new = work.total - work.found
    return speeds.Size(new, new, (bundle.teacher_id, bundle.image_shape, recipe.score.batch_size))


def _cost(ws: Workspace, recipe: Recipe, bundle: Bundle, teacher: Teacher, work: Work) -> Cost:
    from psr_studio.stages.cost import score_cost

    pool = ws.pool()
    n_parts, new = len(work.missing), work.total - work.found
    rows = max(1, min(recipe.score.batch_size, new // max(1, n_parts)))  # a batch ends with its part
    measured = score_cost(teacher, lambda n: pool.images_at(np.arange(n), strict=False), rows, new, n_parts)
    return speeds.said(ws, STAGE.name, recipe, _size(recipe, bundle, work), measured)


@lru_cache(maxsize=1)
def _parts_by_class(pool: Pool) -> dict[int, list[PartView]]:
    """Kept for the pool that was asked for last: a thousand classes ask one after the other."""
    found: dict[int, list[PartView]] = {}
    for part in pool.parts():
        found.setdefault(part.class_id, []).append(part)
    return found


def _number(part: PartView) -> int:
    """A number for a part of the pool, unique in it."""
    return candidate_id(part.class_id, part.part)


def decoded(
    pool: Pool, parts: Mapping[int, PartView], work: Work, *, alone: bool, beside: bool
) -> Iterator[tuple[PartView, np.ndarray]]:
    """The missing parts in order, with their pictures, uint8 (n, H, W, ch).

    Args:
        alone: no other process shares the work; one that does must end its group before it asks for the next.
        beside: decode the pictures of the next part in a thread while the caller works on these.
    """

    def decode(part: PartView) -> Iterator[tuple[PartView, np.ndarray]]:
        yield part, pool.images_at(pool.positions(part.candidate_ids), strict=False)

    stretches = [work.missing] if alone else (group.missing for group in work.groups)
    with Beside[tuple[PartView, np.ndarray]](beside) as ahead:
        for units in stretches:
            for unit in units:
                yield from ahead.run(decode(parts[unit]))
            yield from ahead.rest()


def predict(teacher: Teacher, images: np.ndarray, bundle: Bundle) -> tuple[np.ndarray, ...]:
    """Images uint8 (n, H, W, ch) to logits (n, C), embeddings (n, D) and, of a teacher that knows more than the
    classes, `beyond_task` (n, 2), float32.
    """
    import torch

    outputs, embeddings = teacher.predict_all(torch.from_numpy(images), batch_size=len(images))
    logits = teacher.of_task(outputs)
    if logits.shape[1] != bundle.n_classes:
        raise ModelError(
            f'The teacher has {logits.shape[1]} outputs, but "{bundle.name}" has {bundle.n_classes} classes.',
            'Set "class_indices" in the config.json of the teacher to the outputs of these classes.',
        )
    if not knows_more(bundle):
        return logits.numpy(), embeddings.numpy()
    return logits.numpy(), embeddings.numpy(), beyond_task(outputs.numpy(), teacher.rows)


def agreement(logits: np.ndarray, class_id: int, task: Sequence[int]) -> float:
    """Share of logits (n, C) whose arg-max among the classes of the task is that class; of all for another class."""
    among = np.array(task) if class_id in task else np.arange(logits.shape[1])
    return float((among[logits[:, among].argmax(axis=1)] == class_id).mean())


def _unscorable(ws: Workspace, broken: Sequence[Broken]) -> DamagedError:
    if importing.manifest(ws) is None:
        fix = "Generate and score again: only what is damaged is made anew."
    else:
        fix = "Put a backup of that file in its place, or import the pictures again; then score again."
    return DamagedError(
        f"{plural(len(broken), 'part')} of the pool could not be scored. {broken[0].reason}",
        fix,
        broken[0].path,
        broken[0].cause,
    )


def _no_pool(ws: Workspace) -> WorkspaceError:
    broken = ws.pool().broken
    why = f" {broken[0].reason}" if broken else ""
    return WorkspaceError(
        f'There is no pool in the workspace "{ws.root}".{why}',
        'Press "Generate" on the Pool tab (or run `psr-studio generate`) first.',
    )
