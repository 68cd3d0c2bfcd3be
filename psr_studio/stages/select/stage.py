"""Select: spend the budget of K images per class, and keep the result under a name (PSR section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.errors import SelectionError
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.schema import ALL_OUTPUTS, Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.generate import stage as pool_stage
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import STAGE
from psr_studio.stages.select.budgets import check_budget, own_budgets
from psr_studio.stages.select.choice import Marks, select
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.select.saved import BY_HAND, settings_of
from psr_studio.stages.select.scored import ScoredPool, read_scored
from psr_studio.stages.task import named_outputs, named_part
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import Pool
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.workspace import StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

N_PREVIEWS = 12
LOCKED = "locked"  # among the settings of a record: the classes that were locked, with their picks
POOL_HASH = "pool_hash"  # among the settings of a record: the pictures and the teacher it was made from


def inputs(
    ws: Workspace, recipe: Recipe, bundle: Bundle, pool: Pool | None = None, marks: Marks | None = None
) -> dict[str, Any]:
    """What a selection is made from: pool, scores, settings, and the marks, those of the ledger by default.

    The pool is the one on disk by default; while new candidates wait for their scores it may be less of it.

    A part of the classes and locked ones are named only where there are any: what was selected before they
    could be set stays fresh.
    """
    classes, stood = pool_stage.classes_of(recipe, bundle), marks or Marks.of(ws.ledger)
    more = named_part(classes, bundle.n_classes)
    more |= {"locked": _text_keys(stood.locked)} if stood.locked else {}
    return {
        "stage": STAGE.name,
        "scores": score.class_hashes(ws.pool() if pool is None else pool, bundle),
        "settings": settings(recipe),
        "pinned": list(stood.pinned),
        "vetoed": list(stood.vetoed),
        **more,
    }


def settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that count, weights resolved; what the chosen selector does not read is left out."""
    reads = SELECTORS[recipe.select.selector].reads_difficulty
    over_all = reads and recipe.score.teacher_classes == ALL_OUTPUTS
    return {**settings_of(recipe.select), **named_outputs(over_all)}


def _text_keys(picks: Mapping[int, Sequence[int]]) -> dict[str, list[int]]:
    return {str(class_id): list(ids) for class_id, ids in sorted(picks.items())}


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether the selection of the recipe's name is there and was made from the present pool and settings."""
    name = recipe.select.name
    try:
        record = ws.ledger.selection(name)
    except SelectionError:
        return StageStatus("missing", f'There is no selection "{name}".')
    if record.settings.get("selector") == BY_HAND:
        return _status_by_hand(ws, bundle, record)
    now = inputs(ws, recipe, bundle)
    if record.inputs_hash == stable_hash(now):
        return StageStatus("fresh", f'"{name}" holds {plural(len(record.candidate_ids), "image")}.')
    if {k: v for k, v in record.settings.items() if k not in (POOL_HASH, LOCKED)} != now["settings"]:
        return StageStatus("stale", f'"{name}" was made with other settings.')
    return StageStatus("stale", f'"{name}" was made from another pool or other marks.')


def _status_by_hand(ws: Workspace, bundle: Bundle, record: SelectionRecord) -> StageStatus:
    """What was put together by hand depends on no setting; it is stale when its candidates are gone."""
    try:
        require(ws, record.name, bundle)
    except SelectionError as err:
        return StageStatus("stale", err.problem)
    return StageStatus(
        "fresh", f'"{record.name}" holds {plural(len(record.candidate_ids), "image")} chosen by hand.'
    )


def run(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Iterator[Progress]:
    """Select and save under `select.name`; an older selection of that name is replaced.

    With `pool.classes` a subset, only these classes are selected from.

    Raises:
        SelectionError: more images per class than candidates, or a class that would stay empty.
        WorkspaceError: no pool, or scores that are missing, stale or not finite.
    """
    clock = Stopwatch()
    yield Progress(STAGE.name, 0, 1, "Reading the scores.", seconds=clock.seconds)
    result, record = choose(ws, recipe, read_scored(ws, recipe, bundle))
    ws.ledger.save_selection(record)
    n = len(record.candidate_ids)
    yield Progress(
        STAGE.name,
        1,
        1,
        " ".join([f'Selected {plural(n, "image")} as "{record.name}".', *notes(ws, result)]),
        part_done=True,
        previews=_previews(ws, result),
        metrics={"images": n, "shortfall": sum(result.shortfall)},
        seconds=clock.seconds,
    )


def choose(
    ws: Workspace, recipe: Recipe, scored: ScoredPool, note: str = "", marks: Marks | None = None
) -> tuple[LiveResult, SelectionRecord]:
    """Select by the recipe and the marks, to be saved under `select.name` with the user's own words on it.

    Args:
        marks: those of the ledger by default.
    """
    stood = marks or Marks.of(ws.ledger)
    _check_classes(ws, recipe, scored, stood)
    result = select(scored, recipe.select, stood)
    return result, to_record(ws, recipe, result, stood, note)


def _check_classes(ws: Workspace, recipe: Recipe, scored: ScoredPool, marks: Marks) -> None:
    """Raise SelectionError for a class with too few candidates, naming a damaged part where that is why.

    Uneven budgets are checked where they are made; here a class must have as many as it gets at least.
    """
    rules, locked, bundle = recipe.select, marks.locked, scored.bundle
    budgets = own_budgets(rules, bundle.n_classes)
    usual = rules.ipc if rules.allocation == "even" else rules.floor or 1
    for class_id in pool_stage.classes_of(recipe, bundle):
        name, n, least = (
            bundle.class_names[class_id],
            int(scored.counts[class_id]),
            budgets.get(class_id, usual),
        )
        if n >= least or (class_id in locked and n):
            continue
        folder = ws.pool_part_path(class_id, 0).parent
        for broken in ws.pool().broken:
            if broken.path.parent == folder:
                raise SelectionError(
                    f'Class "{name}" has {n} usable candidates, but {least} images per class are asked for. '
                    f"{broken.reason}",
                    "Run the generate and the score step again: only the damaged part is made anew.",
                )
        check_budget(name, n, least)


def notes(ws: Workspace, result: LiveResult) -> list[str]:
    """What must not pass in silence: classes with few images or none, and parts of the pool that were left out."""
    left_out = [f"Left out: {broken.reason}" for broken in ws.pool().broken]
    return [text for text in (result.spread, result.message, *left_out) if text]


def to_record(
    ws: Workspace, recipe: Recipe, result: LiveResult, marks: Marks, note: str = ""
) -> SelectionRecord:
    """A live result as the ledger keeps it; its task is the classes that have a budget.

    Raises:
        SelectionError: a class with a budget has not one image.
    """
    scored, bundle = result.scored, result.scored.bundle
    present = [c for c in scored.present if result.budgets[c]]
    for class_id in present:
        if not len(result.picks[class_id]):
            name = bundle.class_names[class_id]
            raise SelectionError(
                f'No candidate of class "{name}" is eligible: the teacher sees another class in all '
                f"{scored.counts[class_id]}, or they are vetoed.",
                'Set "select.psr.on_shortage" to "fill", pin a candidate of this class, or generate more.',
            )
    kept = {
        POOL_HASH: score.picked_hash(scored.pool, bundle, result.candidate_ids),
        **({LOCKED: _text_keys(marks.locked)} if marks.locked else {}),
    }
    return SelectionRecord(
        name=recipe.select.name,
        picks={c: scored.candidate_ids[result.picks[c]].tolist() for c in present},
        scores={c: result.scores[c].tolist() for c in present},
        terms={c: result.terms[c].tolist() for c in present},
        filled={c: result.filled[c].tolist() for c in present},
        shortfall={c: int(result.shortfall[c]) for c in present},
        settings={**settings(recipe), **kept},
        inputs_hash=stable_hash(inputs(ws, recipe, bundle, scored.pool, marks)),
        note=note,
        marks={"pin": list(marks.pinned), "veto": list(marks.vetoed)},
    )


def by_hand(
    scored: ScoredPool, temperature: float, name: str, candidate_ids: Sequence[int], note: str = ""
) -> SelectionRecord:
    """Candidates that the user chose one by one, as a selection; its task is the classes they are of.

    Raises:
        SelectionError: none, or one twice. WorkspaceError: one that is not in the pool.
    """
    ids = [int(cid) for cid in candidate_ids]
    if not ids or len(set(ids)) < len(ids):
        what = "No candidate is chosen" if not ids else "A candidate is chosen twice"
        raise SelectionError(f'{what} for the selection "{name}".', "Choose one or more, each once.")
    labels = scored.labels[scored.pool.positions(ids)]
    picks = {
        int(c): [cid for cid, label in zip(ids, labels, strict=True) if label == c] for c in np.unique(labels)
    }
    settings = {
        "selector": BY_HAND,
        "ipc": max(1, round(len(ids) / len(picks))),
        "temperature": temperature,
        POOL_HASH: score.picked_hash(scored.pool, scored.bundle, ids),
    }
    return SelectionRecord(
        name=name,
        picks=picks,
        scores={c: [0.0] * len(label) for c, label in picks.items()},
        terms={c: [[0.0] * 3] * len(label) for c, label in picks.items()},
        filled={c: [False] * len(label) for c, label in picks.items()},
        shortfall=dict.fromkeys(picks, 0),
        settings=settings,
        inputs_hash=stable_hash([STAGE.name, BY_HAND, settings, ids]),
        note=note,
    )


def require(ws: Workspace, name: str, bundle: Bundle) -> SelectionRecord:
    """The saved selection of that name, if the pool still holds what it points at.

    Raises:
        SelectionError: no such selection, or it was made from another pool or by another teacher.
    """
    record = ws.ledger.selection(name)
    if not is_of_pool(ws, record, bundle):
        raise SelectionError(
            f'The selection "{name}" was made from another pool or by another teacher.',
            f'Select again under the name "{name}", or restore the pool it was made from.',
        )
    return record


def is_of_pool(ws: Workspace, record: SelectionRecord, bundle: Bundle) -> bool:
    """Whether the pool still holds what a selection points at, scored by the same teacher."""
    return record.settings.get(POOL_HASH) == score.picked_hash(ws.pool(), bundle, record.candidate_ids)


def _previews(ws: Workspace, result: LiveResult) -> tuple[np.ndarray, ...]:
    """The first picks of the classes, in turn."""
    firsts = [
        picks[rank]
        for rank in range(int(result.budgets.max()))
        for picks in result.picks
        if rank < len(picks)
    ]
    return tuple(ws.pool().images_at(firsts[:N_PREVIEWS], strict=False))
