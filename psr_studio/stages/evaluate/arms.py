"""The arms of an evaluation: which images, under which labels, with which loss.

The task of an arm is the classes of its selection. Where they are a part of the bundle's, students have that many
outputs and are tested on images of these classes only, and the teacher's logits are restricted to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.errors import SelectionError
from psr_studio.method.protocols import HARD, ONLINE, PER_EPOCH, STORED
from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import RENAMED
from psr_studio.recipe.rules import ByRule
from psr_studio.recipe.schema import REAL, EvaluateRecipe, Recipe
from psr_studio.stages.evaluate import GENERATE_AND_USE
from psr_studio.stages.evaluate.given import LABELS, GivenSet, look_at_set
from psr_studio.stages.evaluate.test_sets import check_test_set
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.choice import check_original
from psr_studio.stages.select.saved import BY_HAND
from psr_studio.stages.task import named_outputs, softens_all
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

TEACHER, OWN = "teacher", "own labels"  # who made soft labels: "own" came with the pictures of the pool
RANDOM_REAL = "random real"
GIVEN, FULL = "set", "all real"


def soft_regime(temperature: float, source: str = TEACHER) -> str:
    """The regime of stored soft labels in words; `source` is who made them."""
    return f"{source}, tau {temperature:g}"


def regime_of(settings: EvaluateRecipe, temperature: float, source: str = TEACHER) -> str:
    """The label regime of an evaluation in words; `temperature` and `source` are those of stored labels."""
    heat = f"T {settings.record.temperature:g}"
    words = {HARD: HARD, ONLINE: f"teacher online, {heat}", PER_EPOCH: f"teacher per epoch, {heat}"}
    return words.get(settings.label_kind, soft_regime(temperature, source))


@dataclass(frozen=True)
class Arm:
    """One set of images with its labels; `inputs` is what it is made from.

    `selection` is the name of a saved one, the path of a given set, "" of a control.
    """

    form: str  # "refined", "selected", "set", "random real", "generate-and-use", "all real", "real, <selector> (...)"
    selection: str
    label_regime: str
    protocol: str
    ipc: int
    temperature: float
    classes: tuple[int, ...]
    inputs: str
    counts: tuple[int, ...] = ()  # images of each class of a control, parallel to `classes`
    rule: str = ""  # the selector of a control that chooses among the real images
    pictures: str = ""  # what its images alone are made from, where `inputs` also says who labels them

    @property
    def name(self) -> str:
        """A short name, unique in an evaluation."""
        name = f'{self.form} "{self.selection}"' if self.selection else self.form
        return f"{name}, hard labels" if self.label_regime == HARD else name

    def epochs(self, settings: EvaluateRecipe) -> int:
        """Passes over its images: those of the recipe; of all real images, those of a rule at as many as there are."""
        number = settings.epochs
        return number.at(self.ipc, self.ipc) if self.form == FULL and isinstance(number, ByRule) else number

    @property
    def own_labels(self) -> bool:
        """Whether it is a given set with the soft labels that came with it."""
        return self.form == GIVEN and self.label_regime == soft_regime(self.temperature, OWN)

    @property
    def drawn(self) -> bool:
        """Whether each student has images of its own, drawn by its seed."""
        return self.form == RANDOM_REAL or bool(self.rule)


def n_images(ws: Workspace, recipe: Recipe, bundle: Bundle, arm: Arm) -> int:
    """How many images an arm trains on; a control has the counts, a selection has its picks."""
    if arm.counts:
        return sum(arm.counts)
    return len(select.require(ws, arm.selection or recipe.select.name, bundle).candidate_ids)


def plan_arms(ws: Workspace, recipe: Recipe, bundle: Bundle, *, ahead: bool = False) -> list[Arm]:
    """The arms of a recipe: its selection, those it is compared with, and the controls.

    Args:
        ahead: refined pictures need not be there yet.

    Raises:
        SelectionError, WorkspaceError: a selection that is missing, of another pool, or not refined; a control or a
            test set that reads difficulties of the real images where there are none.
    """
    settings = recipe.evaluate
    given = [given_arm(recipe, bundle, look_at_set(path, bundle)) for path in settings.sets]
    if given and not ws.ledger.has_selection(recipe.select.name):
        return _beside_given(recipe, bundle, given)
    record = select.require(ws, recipe.select.name, bundle)
    check_test_set(recipe, bundle, tuple(sorted(record.picks)))
    forms = _forms(recipe, bundle)
    if "refined" in forms and not ahead:
        refine.require_fresh(ws, recipe, bundle)
    arms = [selected_arm(ws, recipe, bundle, record, form) for form in forms]
    for name in settings.compare:
        if name != record.name:
            other = select.require(ws, name, bundle)
            _check_classes(record, other)
            arms.append(selected_arm(ws, recipe, bundle, other, "selected"))
    for arm in given:
        _check_task(record, arm)
    arms += given
    if settings.controls:
        first = score.picked_hash(ws.pool(), bundle, first_of_pool(ws, record))
        arms += _controls(recipe, bundle, record, first, label_source(ws))
    arms += _real_arms(recipe, bundle, record)
    if not arms:
        raise SelectionError(
            "There is nothing to train on: no form of the selection, no other selection and no control is asked for.",
            'Set "evaluate.arms" to "refined", "selected" or both.',
        )
    return arms + ([_full_arm(recipe, bundle, arms[0])] if settings.full else [])


def _forms(recipe: Recipe, bundle: Bundle) -> list[str]:
    """Those of the selection. Nothing is ever refined without a generator, though the recipe names it by default."""
    able = bundle.has("generator")
    return [
        form for form in recipe.evaluate.arms if not form.startswith(REAL) and (able or form != "refined")
    ]


def _beside_given(recipe: Recipe, bundle: Bundle, given: list[Arm]) -> list[Arm]:
    """Sets that are evaluated without a selection: beside them random real images, as many of each class."""
    first = given[0]
    check_test_set(recipe, bundle, first.classes)
    for arm in given[1:]:
        if arm.classes != first.classes:
            raise SelectionError(
                f'"{arm.selection}" holds {len(arm.classes)} classes and "{first.selection}" {len(first.classes)}, not '
                "the same ones: accuracies on two tasks do not compare.",
                f'Take "{arm.selection}" out of "evaluate.sets".',
            )
    controls = []
    if recipe.evaluate.controls:
        budget = [list(first.classes), first.ipc if len(set(first.counts)) == 1 else list(first.counts)]
        teacher = bundle.identity("teacher")
        regime, inputs = regime_of(recipe.evaluate, first.temperature), repr([teacher, *budget])
        real = replace(first, form=RANDOM_REAL, selection="", label_regime=regime, inputs=inputs, pictures="")
        controls.append(real)
        if real.label_regime != HARD:
            controls.append(replace(real, label_regime=HARD, inputs=repr(budget)))
    whole = [_full_arm(recipe, bundle, first)] if recipe.evaluate.full else []
    return given + controls + whole


def given_arm(recipe: Recipe, bundle: Bundle, given: GivenSet) -> Arm:
    """The arm of a set from elsewhere; its labels where they are not hard are the bundle's teacher's, or its own.

    Raises:
        SelectionError: its own labels are asked for, and none came with it.
    """
    temperature, chosen = recipe.select.temperature, recipe.evaluate
    own = chosen.set_labels and chosen.label_kind == STORED
    if own and not given.labelled:
        raise SelectionError(
            f'"{given.path}" has no soft labels of its own: it holds no "{LABELS}".',
            f'Untick "Labels of the sets", or put a "{LABELS}" as an export writes it beside its pictures.',
        )
    counts = tuple(given.counts.values())
    return Arm(
        form=GIVEN,
        selection=str(given.path),
        label_regime=regime_of(chosen, temperature, OWN if own else TEACHER),
        protocol=recipe.evaluate.protocol,
        ipc=max(counts),
        temperature=temperature,
        classes=tuple(given.counts),
        inputs=repr([given.identity, OWN if own else bundle.identity("teacher")]),
        counts=counts,
        pictures=given.identity,
    )


def _full_arm(recipe: Recipe, bundle: Bundle, like: Arm) -> Arm:
    """All real training images of the task of an arm, with hard labels: the papers' column "Full", of what is here."""
    _, labels = bundle.all_train_images
    counts = tuple(int((labels == c).sum()) for c in like.classes)
    inputs = repr(["all", list(like.classes), list(counts)])
    return replace(
        like,
        form=FULL,
        selection="",
        label_regime=HARD,
        ipc=max(counts),
        counts=counts,
        inputs=inputs,
        pictures="",
    )


def _check_task(record: SelectionRecord, arm: Arm) -> None:
    if tuple(sorted(record.picks)) != arm.classes:
        raise SelectionError(
            f'"{arm.selection}" holds {len(arm.classes)} classes and the selection "{record.name}" '
            f"{len(record.picks)}, not the same ones: accuracies on two tasks do not compare.",
            f'Take "{arm.selection}" out of "evaluate.sets", or evaluate it in a workspace of its own.',
        )


def _check_classes(record: SelectionRecord, other: SelectionRecord) -> None:
    if record.picks.keys() != other.picks.keys():
        raise SelectionError(
            f'"{other.name}" holds {len(other.picks)} classes and "{record.name}" {len(record.picks)}, not the same '
            "ones: accuracies on two tasks do not compare.",
            f'Take "{other.name}" out of "evaluate.compare", or select again for the same classes.',
        )


def selected_arm(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord, form: str) -> Arm:
    """The arm of a selection in one form, "refined" or "selected"."""
    made_from = [form, record.settings[select.POOL_HASH], record.candidate_ids]
    if form == "refined":
        made_from.append(list(refine.expected(ws, recipe, bundle, record).values()))
    return _arm(recipe, record, form, record.name, repr(made_from), made_by=label_source(ws))


def label_source(ws: Workspace) -> str:
    """Who made the soft labels of the pool."""
    return OWN if ws.pool().has_own_logits else TEACHER


def arms_to_come(recipe: Recipe, bundle: Bundle, classes: Sequence[int], pool: str) -> list[Arm]:
    """The arms of a selection that is not made yet, and its controls: how many there are, and of how many images.

    Those of real images are the arms to come; the others stand for them, told apart by selection and `pool`.
    """
    settings = {"ipc": recipe.select.ipc, "temperature": recipe.select.temperature}
    picks = {c: [0] * recipe.select.ipc for c in classes}
    record = SelectionRecord(recipe.select.name, picks, {}, {}, {}, {}, settings, "")
    named = [(form, record.name) for form in _forms(recipe, bundle)]
    named += [("selected", name) for name in recipe.evaluate.compare if name != record.name]
    arms = [_arm(recipe, record, form, name, repr([pool, form, name])) for form, name in named]
    arms += _controls(recipe, bundle, record, pool, TEACHER) if recipe.evaluate.controls else []
    arms += _real_arms(recipe, bundle, record)
    return arms + ([_full_arm(recipe, bundle, arms[0])] if recipe.evaluate.full and arms else [])


def _controls(recipe: Recipe, bundle: Bundle, record: SelectionRecord, first: str, made_by: str) -> list[Arm]:
    """Beside a selection; `first` says which the first of the pool are, `made_by` who labelled them."""
    teacher, budget = bundle.identity("teacher"), _budget(record)
    real = _arm(recipe, record, RANDOM_REAL, "", repr([teacher, *budget]))
    pooled = _arm(recipe, record, GENERATE_AND_USE, "", repr([first, *budget]), made_by=made_by)
    controls = [real, pooled]
    if real.label_regime != HARD:
        controls.append(_arm(recipe, record, RANDOM_REAL, "", repr(budget), hard=True))
    return controls


def _real_arms(recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> list[Arm]:
    rules = [form.removeprefix(REAL) for form in recipe.evaluate.arms if form.startswith(REAL)]
    return [_real_arm(recipe, bundle, record, rule) for rule in rules]


def _real_arm(recipe: Recipe, bundle: Bundle, record: SelectionRecord, rule: str) -> Arm:
    """The control that lets a selector choose among the real training images, labelled by the teacher."""
    hard = recipe.evaluate.label_kind == HARD
    form = f"real, {rule}" if hard else f"real, {rule} (teacher labels)"
    classes, table = sorted(record.picks), real_params(recipe, rule)
    over_all = softens_all(recipe, bundle, classes)
    has_original = bundle.has_original_difficulty(classes, over_all)
    check_original(rule, table, has_original, f'take "{REAL}{rule}" out of "evaluate.arms"')
    params = {name: value for name, value in table if name != "weights"}  # resolved, they are said themselves
    # In the order in which they were noted before selectors had tables, so that students trained then count.
    noted = [name for key in RENAMED if (name := key.rpartition(".")[2]) in params]
    params = {name: params[name] for name in dict.fromkeys([*noted, *params])}
    params |= named_outputs(over_all and SELECTORS[rule].reads_difficulty)
    made_from = [rule, bundle.identity("teacher"), *_budget(record), params]
    return replace(_arm(recipe, record, form, "", repr(made_from)), rule=rule)


def real_params(recipe: Recipe, rule: str) -> Parameters:
    """The parameters of a selector on the real images: those of the recipe, weights resolved."""
    return recipe.select.resolved().parameters(rule)


def _budget(record: SelectionRecord) -> list[Any]:
    """What a control is given: classes, and K or the images of each class."""
    counts, ipc = counts_of(record), int(record.settings["ipc"])
    return [sorted(record.picks), ipc if set(counts) == {ipc} else list(counts)]


def counts_of(record: SelectionRecord) -> tuple[int, ...]:
    """Images of each class that a control gets, as many as the selection was given, class by class.

    K, also where the selection came short of eligible candidates; as many as there are where the budgets
    were uneven on purpose.
    """
    uneven = {"allocation", "budgets", select.LOCKED} & record.settings.keys()
    by_hand = record.settings.get("selector") == BY_HAND
    ipc = int(record.settings["ipc"])
    return tuple(len(record.picks[c]) if uneven or by_hand else ipc for c in sorted(record.picks))


def _arm(
    recipe: Recipe, record: SelectionRecord, form: str, selection: str, inputs: str, *, hard: bool = False,
    made_by: str = TEACHER,
) -> Arm:  # fmt: skip
    temperature = float(record.settings["temperature"])
    return Arm(
        form=form,
        selection=selection,
        label_regime=HARD if hard else regime_of(recipe.evaluate, temperature, made_by),
        protocol=recipe.evaluate.protocol,
        ipc=int(record.settings["ipc"]),
        temperature=temperature,
        classes=tuple(sorted(record.picks)),
        inputs=inputs,
        counts=counts_of(record),
    )


def first_of_pool(ws: Workspace, record: SelectionRecord) -> list[int]:
    """The first of each class of a selection, as many as it has: what a pipeline without curation would use."""
    pool = ws.pool()
    counts = zip(sorted(record.picks), counts_of(record), strict=True)
    return [int(cid) for c, n in counts for cid in pool.candidate_ids[pool.labels == c][:n]]


def random_real(
    bundle: Bundle, classes: tuple[int, ...], counts: int | Sequence[int], seed: int
) -> np.ndarray:
    """Rows of `bundle.train_subset`, so many of each class drawn by the seed, class by class.

    Raises:
        SelectionError: the bundle holds fewer real images of a class.
    """
    rng = np.random.default_rng(seed)
    members = real_rows(bundle, classes, counts)
    return np.concatenate([rng.choice(rows, n, replace=False) for rows, n in members])


def real_rows(
    bundle: Bundle, classes: tuple[int, ...], counts: int | Sequence[int]
) -> list[tuple[np.ndarray, int]]:
    """All rows of `bundle.train_subset` of each class, and how many a control takes of them.

    Raises:
        SelectionError: fewer than it takes.
    """
    _, labels = bundle.train_subset
    found = []
    for class_id, n in zip(classes, np.broadcast_to(counts, len(classes)).tolist(), strict=True):
        members = np.flatnonzero(labels == class_id)
        if len(members) < n:
            raise SelectionError(
                f'The bundle "{bundle.name}" holds {len(members)} real images of class '
                f'"{bundle.class_names[class_id]}", but the control needs {n}.',
                f'Lower "Images per class" to {len(members)} or less, or set "evaluate.controls" to false.',
            )
        found.append((members, n))
    return found
