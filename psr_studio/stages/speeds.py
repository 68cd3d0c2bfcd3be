"""How long a step will take by the last run of its kind in a workspace: the one home of the seconds that are said.

A step has so many units of equal cost, and the time is in proportion to them. Its settings that decide what a unit
takes are its kind; a kind that was never run here is measured when the step begins (`stages.cost`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psr_studio.core.remembered import keep_if_possible, recall
from psr_studio.core.words import duration, plural
from psr_studio.recipe.schema import Recipe
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.stages.cost import Cost

SHORTEST_RUN = 2.0  # seconds; a shorter one is mostly first steps
UNKNOWN = "How long it takes is known after the first run here."


@dataclass(frozen=True)
class Size:
    """How much of a step there is to do.

    Attributes:
        items: as the step counts them. units: to which the time is in proportion.
        kind: what decides the time of a unit, as JSON has it.
    """

    items: int
    units: float
    kind: tuple[Any, ...]


def seconds(ws: Workspace, stage: str, recipe: Recipe, size: Size, who: str = "") -> float | None:
    """How long a step of this size takes, None where none of its kind was run here.

    Args:
        who: the workers that share it, in words.
    """
    per_unit = recall(_file(ws), {}).get(_key(stage, recipe, size, who))
    return per_unit * size.units if isinstance(per_unit, int | float) and per_unit > 0 else None


def learn(ws: Workspace, stage: str, recipe: Recipe, size: Size, took: float, who: str = "") -> None:
    """Keep what a run of this size took from when its networks were open; a short one says too little."""
    if took >= SHORTEST_RUN and size.units > 0:
        known = recall(_file(ws), {})
        keep_if_possible(_file(ws), {**known, _key(stage, recipe, size, who): took / size.units})


def said(ws: Workspace, stage: str, recipe: Recipe, size: Size, measured: Cost) -> Cost:
    """What is said of a step: the seconds of the last run where there was one, the others as they were measured."""
    known = seconds(ws, stage, recipe, size) if size.units else None
    return measured if known is None else replace(measured, seconds=known)


def words(known: float | None) -> str:
    """The end of a sentence on what there is to do."""
    return f". {UNKNOWN}" if known is None else f", about {duration(known)} at the speed last measured here."


def sentence(ws: Workspace, stage: str, recipe: Recipe, size: Size, unit: str, who: str = "") -> str:
    """What there is to do and how long it takes; "" where nothing is left."""
    if not size.items:
        return ""
    return f"To do: {plural(size.items, unit)}{words(seconds(ws, stage, recipe, size, who))}"


def _file(ws: Workspace) -> Any:
    return ws.root / "cache" / "speeds.json"


def _key(stage: str, recipe: Recipe, size: Size, who: str) -> str:
    return f"{stage} on {recipe.device}{who and f' by {who}'}: {stable_hash(size.kind)}"
