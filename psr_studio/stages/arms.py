"""The arms of an evaluation: which images, under which labels, with which loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.errors import SelectionError
from psr_studio.recipe import Recipe
from psr_studio.records import SelectionRecord
from psr_studio.stages import refine, score, select
from psr_studio.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundle import Bundle

HARD = "hard"
RANDOM_REAL, GENERATE_AND_USE = "random real", "generate-and-use"


def soft_regime(temperature: float) -> str:
    """The teacher's label regime in words."""
    return f"teacher, tau {temperature:g}"


@dataclass(frozen=True)
class Arm:
    """One set of images with its labels; `inputs` is what it is made from; a control has no `selection`."""

    form: str  # "refined", "selected", "random real" or "generate-and-use"
    selection: str
    label_regime: str
    protocol: str
    ipc: int
    temperature: float
    classes: tuple[int, ...]
    inputs: str

    @property
    def name(self) -> str:
        """A short name, unique in an evaluation."""
        name = f'{self.form} "{self.selection}"' if self.selection else self.form
        return f"{name}, hard labels" if self.label_regime == HARD else name


def plan_arms(ws: Workspace, recipe: Recipe, bundle: Bundle) -> list[Arm]:
    """The arms of a recipe: its selection, those it is compared with, and the controls.

    Raises:
        SelectionError, WorkspaceError: a selection that is missing, of another pool, or not refined.
    """
    chosen = recipe.evaluate
    own = select.require(ws, recipe.select.name, bundle)
    if "refined" in chosen.arms:
        refine.require_fresh(ws, recipe, bundle)
    arms = [selected_arm(ws, recipe, bundle, own, form) for form in chosen.arms]
    for name in chosen.compare:
        if name != own.name:
            arms.append(selected_arm(ws, recipe, bundle, select.require(ws, name, bundle), "selected"))
    if not arms:
        raise SelectionError(
            "There is nothing to train on: no form of the selection and no other selection is asked for.",
            'Set "evaluate.arms" to "refined", "selected" or both.',
        )
    return arms + (_controls(ws, recipe, bundle, own) if chosen.controls else [])


def selected_arm(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord, form: str) -> Arm:
    """The arm of a selection in one form, "refined" or "selected"."""
    made_from = [form, record.settings[select.POOL_HASH], record.candidate_ids]
    if form == "refined":
        made_from.append(list(refine.expected(ws, recipe, bundle, record).values()))
    return _arm(recipe, record, form, record.name, repr(made_from))


def _controls(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> list[Arm]:
    classes = sorted(record.picks)
    teacher = bundle.identity("teacher")
    first = score.picked_hash(ws.pool(), bundle, first_of_pool(ws, record))
    budget = [classes, record.settings["ipc"]]
    real = _arm(recipe, record, RANDOM_REAL, "", repr([teacher, *budget]))
    controls = [real, _arm(recipe, record, GENERATE_AND_USE, "", repr([first, *budget]))]
    if real.label_regime != HARD:
        controls.append(_arm(recipe, record, RANDOM_REAL, "", repr(budget), hard=True))
    return controls


def _arm(
    recipe: Recipe, record: SelectionRecord, form: str, selection: str, inputs: str, hard: bool = False
) -> Arm:
    hard = hard or recipe.evaluate.protocol == HARD
    temperature = float(record.settings["temperature"])
    return Arm(
        form=form,
        selection=selection,
        label_regime=HARD if hard else soft_regime(temperature),
        protocol=HARD if hard else recipe.evaluate.protocol,
        ipc=int(record.settings["ipc"]),
        temperature=temperature,
        classes=tuple(sorted(record.picks)),
        inputs=inputs,
    )


def first_of_pool(ws: Workspace, record: SelectionRecord) -> list[int]:
    """The first K candidates of each class of a selection: what a pipeline without curation would use."""
    pool, ipc = ws.pool(), int(record.settings["ipc"])
    return [int(cid) for c in sorted(record.picks) for cid in pool.candidate_ids[pool.labels == c][:ipc]]


def random_real(bundle: Bundle, classes: tuple[int, ...], ipc: int, seed: int) -> np.ndarray:
    """Rows (C * K,) of `bundle.train_subset`, K of each class drawn by the seed, class by class.

    Raises:
        SelectionError: the bundle holds fewer real images of a class.
    """
    _, labels = bundle.train_subset
    rng = np.random.default_rng(seed)
    rows = []
    for class_id in classes:
        own = np.flatnonzero(labels == class_id)
        if len(own) < ipc:
            raise SelectionError(
                f'The bundle "{bundle.name}" holds {len(own)} real images of class '
                f'"{bundle.class_names[class_id]}", but the control needs {ipc}.',
                f'Lower "Images per class" to {len(own)} or less, or set "evaluate.controls" to false.',
            )
        rows.append(rng.choice(own, ipc, replace=False))
    return np.concatenate(rows)
