"""Select: spend the budget of K images per class, and keep the result under a name (PSR section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.errors import SelectionError
from psr_studio.progress import Progress
from psr_studio.recipe import Recipe
from psr_studio.records import SelectionRecord
from psr_studio.stages import pool as pool_stage
from psr_studio.stages import score
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.live import LiveResult, LiveSelection, check_budget, resolve_weights
from psr_studio.workspace import StageStatus, Workspace, stable_hash

if TYPE_CHECKING:
    from psr_studio.bundle import Bundle

STAGE = "select"
N_PREVIEWS = 12
POOL_HASH = "pool_hash"  # among the settings of a record: the pictures and the teacher it was made from


def inputs(ws: Workspace, recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """What a selection is made from: pool, scores, settings, and the marks of the ledger."""
    return {
        "stage": STAGE,
        "scores": score.class_hashes(ws.pool(), bundle),
        "settings": settings(recipe),
        "pinned": ws.ledger.pinned(),
        "vetoed": ws.ledger.vetoed(),
    }


def settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that count, weights resolved; what the chosen selector does not read is left out."""
    chosen = recipe.select
    found: dict[str, Any] = {
        "selector": chosen.selector,
        "ipc": chosen.ipc,
        "temperature": chosen.temperature,
    }
    if chosen.selector == "psr":
        found |= resolve_weights(chosen)._asdict()
        found |= {"normalize": chosen.normalize, "on_shortage": chosen.on_shortage}
    if chosen.selector == "random":
        found["seed"] = chosen.seed
    return found


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether the selection of the recipe's name is there and was made from the present pool and settings."""
    name = recipe.select.name
    try:
        record = ws.ledger.selection(name)
    except SelectionError:
        return StageStatus("missing", f'There is no selection "{name}".')
    now = inputs(ws, recipe, bundle)
    if record.inputs_hash == stable_hash(now):
        return StageStatus("fresh", f'"{name}" holds {len(record.candidate_ids)} images.')
    if {**record.settings, POOL_HASH: None} != {**now["settings"], POOL_HASH: None}:
        return StageStatus("stale", f'"{name}" was made with other settings.')
    return StageStatus("stale", f'"{name}" was made from another pool or other marks.')


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, live: LiveSelection | None = None
) -> Iterator[Progress]:
    """Select and save under `select.name`; an older selection of that name is replaced.

    Args:
        live: of the same workspace, to spare reading scores and distances again.

    Raises:
        SelectionError: more images per class than candidates, or a class that would stay empty.
        WorkspaceError: no pool, or scores that are missing, stale or not finite.
    """
    clock = Stopwatch()
    yield Progress(STAGE, 0, 1, "Reading the scores.", seconds=clock.seconds)
    live = live or LiveSelection(ws, recipe, bundle)
    for class_id in pool_stage.classes_of(recipe, bundle):
        _check_class(
            ws, bundle.class_names[class_id], class_id, int(live.counts[class_id]), recipe.select.ipc
        )
    result = live.select(rules=recipe.select)
    record = to_record(ws, recipe, bundle, live, result)
    ws.ledger.save_selection(record)
    n = len(record.candidate_ids)
    yield Progress(
        STAGE,
        1,
        1,
        " ".join([f'Selected {n} images as "{record.name}".', *notes(ws, result)]),
        part_done=True,
        previews=_previews(ws, result),
        metrics={"images": n, "shortfall": sum(result.shortfall)},
        seconds=clock.seconds,
    )


def _check_class(ws: Workspace, class_name: str, class_id: int, n_candidates: int, ipc: int) -> None:
    """`check_budget`, naming a damaged part of the class where that is why candidates are missing."""
    damaged = [b for b in ws.pool().broken if b.path.parent == ws.pool_part_path(class_id, 0).parent]
    if damaged and n_candidates < ipc:
        raise SelectionError(
            f'Class "{class_name}" has {n_candidates} usable candidates, but {ipc} images per class are '
            f"asked for. {damaged[0].reason}",
            "Run the generate and the score step again: only the damaged part is made anew.",
        )
    check_budget(class_name, n_candidates, ipc)


def notes(ws: Workspace, result: LiveResult) -> list[str]:
    """What must not pass in silence: classes that came short, and parts of the pool that were left out."""
    left_out = [f"Left out: {broken.reason}" for broken in ws.pool().broken]
    return [text for text in (result.message, *left_out) if text]


def to_record(
    ws: Workspace, recipe: Recipe, bundle: Bundle, live: LiveSelection, result: LiveResult
) -> SelectionRecord:
    """A live result as the ledger keeps it; SelectionError when a class has not one image."""
    present = [int(c) for c in np.flatnonzero(live.counts)]
    for class_id in present:
        if not len(result.picks[class_id]):
            name = bundle.class_names[class_id]
            raise SelectionError(
                f'No candidate of class "{name}" is eligible: the teacher sees another class in all '
                f"{live.counts[class_id]}, or they are vetoed.",
                'Set "select.on_shortage" to "fill", pin a candidate of this class, or generate more.',
            )
    return SelectionRecord(
        name=recipe.select.name,
        picks={c: live.candidate_ids[result.picks[c]].tolist() for c in present},
        scores={c: result.scores[c].tolist() for c in present},
        terms={c: result.terms[c].tolist() for c in present},
        filled={c: result.filled[c].tolist() for c in present},
        shortfall={c: int(result.shortfall[c]) for c in present},
        settings={**settings(recipe), POOL_HASH: _pool_hash(ws, bundle, live, result)},
        inputs_hash=stable_hash(inputs(ws, recipe, bundle)),
    )


def require(ws: Workspace, name: str, bundle: Bundle) -> SelectionRecord:
    """The saved selection of that name, if the pool still holds what it points at.

    Raises:
        SelectionError: no such selection, or it was made from another pool or by another teacher.
    """
    record = ws.ledger.selection(name)
    if record.settings.get(POOL_HASH) != score.picked_hash(ws.pool(), bundle, record.candidate_ids):
        raise SelectionError(
            f'The selection "{name}" was made from another pool or by another teacher.',
            f'Select again under the name "{name}", or restore the pool it was made from.',
        )
    return record


def _pool_hash(ws: Workspace, bundle: Bundle, live: LiveSelection, result: LiveResult) -> str:
    return score.picked_hash(ws.pool(), bundle, live.candidate_ids[result.positions].tolist())


def _previews(ws: Workspace, result: LiveResult) -> tuple[np.ndarray, ...]:
    """The first picks of the classes, in turn."""
    firsts = [picks[rank] for rank in range(result.ipc) for picks in result.picks if rank < len(picks)]
    return tuple(ws.pool().images_at(firsts[:N_PREVIEWS], strict=False))


def soften(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Soft labels q = softmax(l / tau): logits (n, C) to float32 (n, C), rows sum to 1."""
    shifted = (logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature
    exponentials = np.exp(shifted)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
