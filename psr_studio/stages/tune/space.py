"""The space that is searched: the selectors, and what each of them says is worth varying."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import RecipeError
from psr_studio.method.selectors.parameters import is_choice
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import SELECT_KEYS
from psr_studio.recipe.schema import SelectRecipe, TuneRecipe, plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

    from psr_studio.storage.trials import TrialRecord

ATTEMPTS = 20  # to find a point that was not tried
BUDGET_KEYS = ("ipc", "temperature", "allocation", "floor", "ceiling", "budgets")

Params = dict[str, Any]


def check(settings: TuneRecipe) -> None:
    """Raise RecipeError when there is nothing to choose among."""
    if not settings.selectors:
        raise RecipeError(
            'No selector is to be tried: "tune.selectors" is empty.', "Name at least one.", "tune.selectors"
        )
    if len(settings.selectors) == 1 and not _space(settings.selectors[0], settings):
        raise RecipeError(
            f'There is nothing to search: "{settings.selectors[0]}" is the only selector, and none of its '
            "values is searched.",
            'Name more in "tune.selectors", or set "tune.weights" to true and name psr.',
            "tune.selectors",
        )


def starts(settings: TuneRecipe, base: SelectRecipe) -> list[Params]:
    """The points tried first: what stands now, the preset of the budget, then every other selector once."""
    points = [_point(base, settings)] if base.selector in settings.selectors else []
    points += [_point(SelectRecipe(ipc=base.ipc, selector=name), settings) for name in settings.selectors]
    return [point for i, point in enumerate(points) if point not in points[:i]]


def size(settings: TuneRecipe) -> int | None:
    """How many points there are; None when a number that is not whole is searched, which leaves no end of them."""
    grids = [_values(name, settings) for name in settings.selectors]
    return (
        None
        if None in grids
        else sum(math.prod(map(len, grid.values())) for grid in grids if grid is not None)
    )


def propose(known: Sequence[TrialRecord], settings: TuneRecipe, base: SelectRecipe) -> Params:
    """The next point, from the trials so far and the seed alone: a stopped search goes on as it would have.

    Optuna's TPE sampler, given a seed of its own for each trial, since its state is not kept; a point that was
    tried is passed over, since its value is known.
    """
    tried = [record.params for record in known]
    for point in starts(settings, base):
        if point not in tried:
            return point
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for record in known:
        study.add_trial(
            optuna.trial.create_trial(
                params=record.params,
                distributions=_distributions(record.params["selector"], settings),
                value=record.value,
            )
        )
    for attempt in range(ATTEMPTS):
        seed = candidate_seed(settings.seed, attempt, len(known)) % 2**32
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        if (point := _ask(study.ask(), settings)) not in tried:
            return point
    return next((point for point in _grid(settings) if point not in tried), point)


def rules_of(params: Mapping[str, Any], base: SelectRecipe) -> SelectRecipe:
    """The rules at a point; what is not searched is as in `base`."""
    selector = params["selector"]
    at = {key.removeprefix(f"{selector}."): value for key, value in params.items() if key != "selector"}
    values = SELECTORS[selector].parameters.values_at(at)
    return base.changed({"selector": selector, **{f"{selector}.{name}": v for name, v in values.items()}})


def settings_of(rules: SelectRecipe) -> dict[str, Any]:
    """What a selection by these rules reads, as plain JSON values, weights resolved; names stand alone."""
    found = {name: rules.setting(name) for name in ("selector", *BUDGET_KEYS)}
    found |= dict(rules.resolved().parameters())
    return {name: plain(value) for name, value in found.items()}


def common(settings: TuneRecipe, base: SelectRecipe) -> dict[str, Any]:
    """What all points of a search share: the rules that are not searched, and what is."""
    searched = [(name, SELECTORS[name].parameters) for name in settings.selectors if _space(name, settings)]
    varied = {f"select.{name}.{key}" for name, table in searched for key in table.searched}
    fixed = [key for key in SELECT_KEYS if key not in varied | {"select.selector", "select.name"}]
    return {
        "fixed": {key: plain(base.setting(key.removeprefix("select."))) for key in fixed},
        "selectors": list(settings.selectors),
        "weights": settings.weights,
        "seed": settings.seed,
    }


def _space(selector: str, settings: TuneRecipe) -> dict[str, tuple]:
    """What is tried at each coordinate of a selector, such as "dgs.target"; no numbers unless weights are searched."""
    space = SELECTORS[selector].parameters.space()
    return {f"{selector}.{name}": t for name, t in space.items() if settings.weights or is_choice(t)}


def _values(selector: str, settings: TuneRecipe) -> dict[str, Sequence] | None:
    """Every value at each coordinate of a selector; None where a number that is not whole is searched."""
    found: dict[str, Sequence] = {}
    for name, tried in _space(selector, settings).items():
        if is_choice(tried):
            found[name] = tried
        elif _is_whole(tried):
            found[name] = range(tried[0], tried[1] + 1)
        else:
            return None
    return found


def _is_whole(tried: tuple) -> bool:
    """Whether a number between these two ends is a whole one: ends have the type of their setting."""
    return isinstance(tried[0], int)


def _grid(settings: TuneRecipe) -> Iterator[Params]:
    """Every point of the selectors that have an end of them."""
    for selector in settings.selectors:
        if (grid := _values(selector, settings)) is not None:
            for values in itertools.product(*grid.values()):
                yield {"selector": selector, **dict(zip(grid, values, strict=True))}


def _distributions(selector: str, settings: TuneRecipe) -> dict[str, BaseDistribution]:
    """What the selector and each of its coordinates are drawn from."""
    space = {"selector": settings.selectors, **_space(selector, settings)}
    return {name: _distribution(tried) for name, tried in space.items()}


def _distribution(tried: tuple) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if is_choice(tried):
        return CategoricalDistribution(tried)
    return IntDistribution(*tried) if _is_whole(tried) else FloatDistribution(*tried)


def _ask(trial: Trial, settings: TuneRecipe) -> Params:
    selector = str(trial.suggest_categorical("selector", settings.selectors))
    for name, tried in _space(selector, settings).items():
        if is_choice(tried):
            trial.suggest_categorical(name, tried)
        elif _is_whole(tried):
            trial.suggest_int(name, *tried)
        else:
            trial.suggest_float(name, *tried)
    return dict(trial.params)


def _point(rules: SelectRecipe, settings: TuneRecipe) -> Params:
    """The point of some rules."""
    at = rules.parameters().coordinates(rules.ipc)
    names = _space(rules.selector, settings)
    return {"selector": rules.selector, **{key: at[key.partition(".")[2]] for key in names}}
