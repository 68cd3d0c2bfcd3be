"""A selection's settings as they are kept: what counts, what to put back, and what to type in a shell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.fields import toml_value
from psr_studio.recipe.tables import SelectRecipe
from psr_studio.stages.select.result import resolve_weights
from psr_studio.storage.records import SelectionRecord

BY_HAND = "by hand"  # the selector of candidates that the user picked one by one
WEIGHTS = ("alpha", "beta", "gamma")
DRAWING = ("random", "dgs")  # selectors whose picks depend on the seed
# Left out of what is kept while they have these values: older selections, made before there was a choice,
# stay what they are.
PLAIN: dict[str, Any] = {"scaling": "pool", "allocation": "even", "budgets": None}


def settings_of(rules: SelectRecipe) -> dict[str, Any]:
    """The settings that count, weights resolved; what the chosen rules do not read is left out."""
    names = ["selector", "ipc", "temperature", *_read(rules)]
    if rules.selector in DRAWING:
        names.append("seed")
    if rules.allocation == "gain":
        names += ["allocation", "floor", "ceiling", *WEIGHTS, "normalize", "scaling"]
    if rules.budgets is not None:
        names.append("budgets")
    resolved = resolve_weights(rules)._asdict()
    found = {name: resolved.get(name, getattr(rules, name)) for name in dict.fromkeys(names)}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}
    return {name: v for name, v in plain.items() if name not in PLAIN or v != PLAIN[name]}


def _read(rules: SelectRecipe) -> list[str]:
    """The parameters that the selector reads as it is set."""
    selector = SELECTORS[rules.selector]
    names = [p.name for p in (*selector.parameters, *selector.rules)]
    unread: set[str] = set()
    if rules.selector == "dgs":
        unread |= {*WEIGHTS, "scaling"} if rules.within_bin != "psr" else set()
        unread |= {"drawn"} if rules.target != "drawn" else set()
    return [name for name in names if name not in unread]


def restored_settings(record: SelectionRecord, keys: Iterable[str]) -> dict[str, Any]:
    """What puts a saved selection back: those of `keys` it was made with, and the locks it stood under.

    A selection by hand comes back as locks on its classes, whatever the selector.
    """
    if record.settings["selector"] == BY_HAND:
        return {"locked": {str(class_id): ids for class_id, ids in sorted(record.picks.items())}}
    kept = {**PLAIN, **record.settings}
    found = as_presets({key: kept[key] for key in keys if key in kept})
    return {**found, "locked": record.settings.get("locked", {})}


def as_presets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, weights that are just those of the preset left to it, so that they follow K."""
    if any(settings.get(name) is None for name in WEIGHTS):
        return dict(settings)
    preset = resolve_weights(SelectRecipe(), settings["ipc"])._asdict()
    same = all(math.isclose(settings[name], preset[name], abs_tol=1e-9) for name in WEIGHTS)
    return {**settings, **dict.fromkeys(WEIGHTS)} if same else dict(settings)


def shell_assignments(rules: SelectRecipe, saved: SelectRecipe) -> list[str]:
    """What `--set` takes, one text per setting; what the workspace has saved otherwise is cleared."""
    wanted = {**settings_of(rules), "allocation": rules.allocation}
    if "scaling" in _read(rules):
        wanted["scaling"] = rules.scaling
    if rules.budgets is None and saved.budgets is not None:
        wanted["budgets"] = None
    return [f"select.{name}={'none' if value is None else _bare(value)}" for name, value in wanted.items()]


def _bare(value: Any) -> str:
    """A value for the right side of `--set`: words need no quotes there."""
    return value if isinstance(value, str) else toml_value(value)
