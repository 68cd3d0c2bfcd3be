"""Tune: search the selector and its weights by a cheap proxy, instead of a full evaluation of every setting (ours).

Each trial is a selection judged by `stages.proxies` on real images that no control uses. Trials are kept in the
ledger, so a search that was stopped goes on, and tries what it would have tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from psr_studio.core.errors import SelectionError
from psr_studio.core.progress import Progress
from psr_studio.core.words import text_table
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.schema import Recipe
from psr_studio.stages import speeds
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.cost import WRITE_SECONDS, Cost, per_row
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.score import stage as score
from psr_studio.stages.select.choice import Marks, select
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.select.scored import read_scored
from psr_studio.stages.task import named_outputs, softens_all
from psr_studio.stages.tune import STAGE, proxies
from psr_studio.stages.tune import space as tune_space
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.trials import TrialRecord
from psr_studio.storage.workspace import StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

N_PREVIEWS = 12


def inputs(ws: Workspace, recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """What all trials of a search share; the number of trials is not part of it, so more of them go on."""
    over_all = any(SELECTORS[name].reads_difficulty for name in recipe.tune.selectors) and softens_all(
        recipe, bundle, classes_of(recipe, bundle)
    )
    return {
        "stage": STAGE.name,
        "scores": score.class_hashes(ws.pool(), bundle),
        "classes": recipe.pool.classes and list(recipe.pool.classes),
        **named_outputs(over_all),
        "search": tune_space.common(recipe.tune, recipe.select),
        "proxy": proxies.inputs(recipe, bundle),
        "by hand": _by_hand(ws),
    }


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether as many settings are tried as the recipe asks for, with the present pool, marks and rules."""
    done, wanted = len(_own(ws, recipe, bundle)), _wanted(recipe)
    if done >= wanted:
        return StageStatus("fresh", f"{done} settings are tried.")
    if done:
        return StageStatus("partial", f"{done} of {wanted} settings are tried.")
    if ws.ledger.trials():
        return StageStatus(
            "stale", "The trials are of another pool, budget, proxy or search, or of other marks."
        )
    return StageStatus("missing", "No setting is tried yet.")


def trials(ws: Workspace, recipe: Recipe, bundle: Bundle) -> list[TrialRecord]:
    """The trials of this search, the best first; those of the search made last when it has none."""
    found = _own(ws, recipe, bundle)
    if not found and (every := ws.ledger.trials()):
        found = ws.ledger.trials(every[-1].study)
    return sorted(found, key=lambda record: (-record.value, record.number))


def run(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Iterator[Progress]:
    """Try settings until there are `tune.trials` of them, or until there are no others.

    The metrics of an event that ends a trial are "trial", "proxy" and "best"; a unit of `done` is a trial.

    Raises:
        RecipeError: nothing to search.
        SelectionError: a budget that does not fit, or marks that change while it runs.
        WorkspaceError, ModelError: no scored pool, or what the proxy stands on is missing.
    """
    tune_space.check(recipe.tune)
    clock = Stopwatch(started=False)
    known = _own(ws, recipe, bundle)
    found, wanted = len(known), _wanted(recipe)

    def event(done: int, message: str, **more: Any) -> Progress:
        total = max(wanted, found)
        return Progress(STAGE.name, done, total, message, seconds=clock.seconds, resumed=found, **more)

    if found >= wanted:
        yield event(found, f"{found} settings are tried.", part_done=True)
        return
    yield event(found, "Reading the scores and the held-out images.")
    search = Search(ws, recipe, bundle)
    size = _size(recipe, bundle, wanted - found)
    cost = speeds.said(ws, STAGE.name, recipe, size, search.cost(known, wanted - found))
    yield event(found, cost.text, lasting=True)
    clock.start()
    while len(known) < wanted:
        watch = Stopwatch()
        params = tune_space.propose(known, recipe.tune, recipe.select)
        picked = search.pick(params)
        value = search.known_value(picked)
        if value is None:
            for step in search.proxy(picked):
                value = step
                yield event(len(known), f"Trial {len(known) + 1}: {describe(search.settings)}.")
        assert value is not None, "a proxy ends with its value"
        known.append(search.keep(len(known), params, picked, value, watch.seconds))
        best = max(record.value for record in known)
        yield event(
            len(known), f"Trial {len(known)}: {describe(search.settings)}: {value:.1%}, best {best:.1%}.",
            part_done=True, previews=search.previews(picked),
            metrics={"trial": len(known), "proxy": value, "best": best},
        )  # fmt: skip
    speeds.learn(ws, STAGE.name, recipe, size, clock.seconds)


def cost(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Cost:
    """What the trials that are missing cost on this device; opens the proxy and measures for a second."""
    known, wanted = _own(ws, recipe, bundle), _wanted(recipe)
    n = max(0, wanted - len(known)) or wanted
    return speeds.said(
        ws, STAGE.name, recipe, _size(recipe, bundle, n), Search(ws, recipe, bundle).cost(known, n)
    )


def size(ws: Workspace, recipe: Recipe, bundle: Bundle) -> speeds.Size:
    """How many trials are missing."""
    return _size(recipe, bundle, max(0, _wanted(recipe) - len(_own(ws, recipe, bundle))))


def _size(recipe: Recipe, bundle: Bundle, n: int) -> speeds.Size:
    trained = (recipe.evaluate.student, recipe.tune.student_epochs) if recipe.tune.proxy == "student" else ()
    kind = (recipe.tune.proxy, bundle.teacher_id, recipe.select.ipc, recipe.pool.pool_size, *trained)
    return speeds.Size(n, n, kind)


class Search:
    """What one run keeps open: the pool with its distances, the proxy, and the marks it began with."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        self.ws, self.recipe = ws, recipe
        self.scored = read_scored(ws, recipe, bundle)
        self.proxy = proxies.open_proxy(recipe, bundle)
        self.settings: dict[str, Any] = {}
        self._study = _study(ws, recipe, bundle)
        self._marks = _by_hand(ws)
        self._proxy_inputs = proxies.inputs(recipe, bundle)
        self._pool = score.class_hashes(ws.pool(), bundle)
        self._values = {record.value_hash: record.value for record in ws.ledger.trials()}

    def pick(self, params: dict[str, Any]) -> LiveResult:
        """The selection at a point."""
        if _by_hand(self.ws) != self._marks:
            raise SelectionError(
                "Pins, vetoes or locks were changed while settings were tried.",
                'Press "Tune" again: the trials so far are kept under the old marks.',
            )
        rules = tune_space.rules_of(params, self.recipe.select)
        self.settings = tune_space.settings_of(rules)
        return select(self.scored, rules, Marks.of(self.ws.ledger))

    def cost(self, known: list[TrialRecord], n: int) -> Cost:
        """What `n` more trials cost here, from a short measurement; one that picks like another costs less."""

        def choose(_: int) -> LiveResult:
            picked = self.pick(tune_space.propose(known, self.recipe.tune, self.recipe.select))
            self.previews(picked)
            return picked

        judging = self.proxy.cost(choose(1), n)
        around = per_row(choose, 1, torch.device("cpu"), n) + WRITE_SECONDS
        return replace(judging, seconds=judging.seconds + n * around, unit="settings")

    def known_value(self, picked: LiveResult) -> float | None:
        """The value of the same images, from any trial: settings often pick alike."""
        return self._values.get(self._value_hash(picked))

    def keep(
        self, number: int, params: dict[str, Any], picked: LiveResult, value: float, seconds: float
    ) -> TrialRecord:
        """Note a trial."""
        value_hash = self._value_hash(picked)
        record = TrialRecord(
            self._study, number, self.recipe.tune.proxy, value, self.settings, params, value_hash,
            len(picked.positions), seconds,
        )  # fmt: skip
        self.ws.ledger.add_trial(record)
        self._values[value_hash] = value
        return record

    def previews(self, picked: LiveResult) -> tuple[np.ndarray, ...]:
        """Some of the picks, over all classes."""
        positions = picked.positions
        spread = positions[:: max(1, len(positions) // N_PREVIEWS)][:N_PREVIEWS]
        return tuple(self.scored.pool.images_at(spread, strict=False))

    def _value_hash(self, picked: LiveResult) -> str:
        return stable_hash([self._pool, self._proxy_inputs, picked.rules.temperature, picked.candidate_ids])


def describe(settings: dict[str, Any]) -> str:
    """The settings of a trial in words: "psr, alpha 2.1, beta 0.4, gamma 2", "dgs, target hill, within_bin psr"."""
    names = SELECTORS[settings["selector"]].parameters.searched
    return ", ".join([settings["selector"], *(f"{name} {_short(settings[name])}" for name in names)])


def format_table(found: Sequence[TrialRecord]) -> str:
    """The trials as text, in their order, values in percent.

    Raises:
        SelectionError: no trial.
    """
    if not found:
        raise SelectionError("No setting is tried yet.", "Run the tune step first.")
    head = ("trial", "proxy", "top-1 %", "images", "seconds", "settings")
    return text_table(head, (_cells(record) for record in found))


def _cells(record: TrialRecord) -> tuple[str, ...]:
    return (
        str(record.number + 1), record.proxy, f"{100 * record.value:.2f}", str(record.n_images),
        f"{record.seconds:.1f}", describe(record.settings),
    )  # fmt: skip


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _study(ws: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    return stable_hash(inputs(ws, recipe, bundle))


def _wanted(recipe: Recipe) -> int:
    """Trials that the recipe asks for, as far as the space has so many points."""
    return min(recipe.tune.trials, tune_space.size(recipe.tune) or recipe.tune.trials)


def _own(ws: Workspace, recipe: Recipe, bundle: Bundle) -> list[TrialRecord]:
    return ws.ledger.trials(_study(ws, recipe, bundle))


def _by_hand(ws: Workspace) -> dict[str, Any]:
    """Pins in their order, vetoes, and the classes that are locked."""
    locked = {str(class_id): list(ids) for class_id, ids in ws.ledger.locked().items()}
    return {"pinned": ws.ledger.pinned(), "vetoed": ws.ledger.vetoed(), "locked": locked}
