"""The space that is searched: selectors, the weights of PSR, and the choices of DGS and CaO2.

Eq. 8 compares scores, so only the ratios of alpha, beta and gamma count: two shares say all of it, and the sum is
held where the presets hold it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import RecipeError
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.tables import SelectRecipe
from psr_studio.recipe.tune import TuneRecipe
from psr_studio.stages.select.result import resolve_weights

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

    from psr_studio.storage.trials import TrialRecord

WEIGHTS_SUM = 4.5  # that of the presets for few and for many images per class
DECIMALS = 2  # of a weight, so that a slider shows exactly what was tried
WEIGHTS = ("alpha", "beta", "gamma")
DIVERSITY, ENTROPY = "share of diversity", "share of entropy in the rest"
ATTEMPTS = 20  # to find a point that was not tried
SHARES = (DIVERSITY, ENTROPY)
DRAWN_BY_HAND = "drawn"  # the target that is no rule
BUDGET_KEYS = ("ipc", "temperature", "allocation", "floor", "ceiling", "budgets")

Params = dict[str, Any]


def check(chosen: TuneRecipe) -> None:
    """Raise RecipeError when there is nothing to choose among."""
    if not chosen.selectors:
        raise RecipeError(
            'No selector is to be tried: "tune.selectors" is empty.', "Name at least one.", "tune.selectors"
        )
    if len(chosen.selectors) == 1 and not _asked(chosen.selectors[0], chosen):
        raise RecipeError(
            f'There is nothing to search: "{chosen.selectors[0]}" is the only selector, and none of its '
            "values is searched.",
            'Name more in "tune.selectors", or set "tune.weights" to true and name psr.',
            "tune.selectors",
        )


def starts(chosen: TuneRecipe, base: SelectRecipe) -> list[Params]:
    """The points tried first: what stands now, the preset of the budget, then every other selector once."""
    points = [_point(base, chosen)] if base.selector in chosen.selectors else []
    plain = SelectRecipe(ipc=base.ipc)
    points += [_point(replace(plain, selector=name), chosen) for name in chosen.selectors]
    return [point for i, point in enumerate(points) if point not in points[:i]]


def size(chosen: TuneRecipe) -> int | None:
    """How many points there are; None when weights are searched, which leaves no end of them."""
    return None if _is_endless(chosen) else len(_grid(chosen))


def propose(known: Sequence[TrialRecord], chosen: TuneRecipe, base: SelectRecipe) -> Params:
    """The next point, from the trials so far and the seed alone: a stopped search goes on as it would have.

    Optuna's TPE sampler, given a seed of its own for each trial, since its state is not kept; a point that was
    tried is passed over, since its value is known.
    """
    tried = [record.params for record in known]
    for point in starts(chosen, base):
        if point not in tried:
            return point
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for record in known:
        spread = {name: _distribution(name, chosen) for name in record.params}
        study.add_trial(
            optuna.trial.create_trial(params=record.params, distributions=spread, value=record.value)
        )
    for attempt in range(ATTEMPTS):
        seed = candidate_seed(chosen.seed, attempt, len(known)) % 2**32
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        if (point := _ask(study.ask(), chosen)) not in tried:
            return point
    return next((point for point in _grid(chosen) if point not in tried), point)


def rules_of(params: Mapping[str, Any], base: SelectRecipe) -> SelectRecipe:
    """The rules at a point; weights that are not searched are those of `base` for psr, else the budget's."""
    found: Params = {name: params[name] for name in ("target", "within_bin", "order") if name in params}
    if params["selector"] != "psr":
        found |= dict.fromkeys(WEIGHTS)
    elif DIVERSITY in params:
        gamma = WEIGHTS_SUM * params[DIVERSITY]
        beta = (WEIGHTS_SUM - gamma) * params[ENTROPY]
        values = (WEIGHTS_SUM - gamma - beta, beta, gamma)
        found |= dict(zip(WEIGHTS, (round(value, DECIMALS) for value in values), strict=True))
    return replace(base, selector=params["selector"], **found)


def settings_of(rules: SelectRecipe) -> dict[str, Any]:
    """What a selection by these rules reads, as plain JSON values, weights of psr resolved."""
    every = asdict(rules)
    found = {name: every[name] for name in ("selector", *BUDGET_KEYS)}
    found |= SELECTORS[rules.selector].reads(every)
    if rules.selector == "psr":
        found |= resolve_weights(rules)._asdict()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def common(chosen: TuneRecipe, base: SelectRecipe) -> dict[str, Any]:
    """What all points of a search share: the rules that are not searched, and what is."""
    searched = {name for selector in chosen.selectors for name in _settings_searched(selector, chosen)}
    fixed = {k: v for k, v in asdict(base).items() if k not in searched | {"selector", "name"}}
    return {
        "fixed": {k: list(v) if isinstance(v, tuple) else v for k, v in fixed.items()},
        "selectors": list(chosen.selectors),
        "weights": chosen.weights,
        "seed": chosen.seed,
    }


def _is_endless(chosen: TuneRecipe) -> bool:
    return chosen.weights and "psr" in chosen.selectors


def _grid(chosen: TuneRecipe) -> list[Params]:
    """Every point without a share."""
    points: list[Params] = []
    for selector in chosen.selectors:
        names = [name for name in _asked(selector, chosen) if name not in SHARES]
        for values in itertools.product(*(_choices(name, chosen) for name in names)):
            points.append({"selector": selector, **dict(zip(names, values, strict=True))})
    return points if not _is_endless(chosen) else [p for p in points if p["selector"] != "psr"]


def _asked(selector: str, chosen: TuneRecipe) -> list[str]:
    """Names of the coordinates of a selector."""
    if selector == "psr":
        return list(SHARES) if chosen.weights else []
    return {"dgs": ["target", "within_bin"], "cao2": ["order"]}.get(selector, [])


def _settings_searched(selector: str, chosen: TuneRecipe) -> set[str]:
    names = set(_asked(selector, chosen))
    return set(WEIGHTS) if DIVERSITY in names else names


def _choices(name: str, chosen: TuneRecipe) -> list[str]:
    if name == "selector":
        return list(chosen.selectors)
    known = {p.name: p for selector in SELECTORS.values() for p in selector.parameters}
    return [choice for choice in known[name].choices if choice != DRAWN_BY_HAND]


def _distribution(name: str, chosen: TuneRecipe) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return FloatDistribution(0, 1) if name in SHARES else CategoricalDistribution(_choices(name, chosen))


def _ask(trial: Trial, chosen: TuneRecipe) -> Params:
    selector = trial.suggest_categorical("selector", _choices("selector", chosen))
    for name in _asked(str(selector), chosen):
        if name in SHARES:
            trial.suggest_float(name, 0, 1)
        else:
            trial.suggest_categorical(name, _choices(name, chosen))
    return dict(trial.params)


def _point(rules: SelectRecipe, chosen: TuneRecipe) -> Params:
    """The point of some rules; a drawn target, which is not searched, becomes that of the real images."""
    point: Params = {"selector": rules.selector}
    for name in _asked(rules.selector, chosen):
        if name in SHARES:
            alpha, beta, gamma = resolve_weights(rules)
            total = alpha + beta + gamma
            rest = alpha + beta
            point[DIVERSITY] = gamma / total if total else 1.0
            point[ENTROPY] = beta / rest if rest else 0.0
        else:
            value = getattr(rules, name)
            point[name] = "scale" if value == DRAWN_BY_HAND else value
    return point
