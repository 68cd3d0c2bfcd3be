"""A selection's settings as they are kept: what counts, what to put back, and what to type in a shell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psr_studio.core.texts import toml_value
from psr_studio.method.selectors import psr
from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.weights import WEIGHTS
from psr_studio.recipe.schema import TABLED, SelectRecipe, plain
from psr_studio.storage.records import SelectionRecord

BY_HAND = "by hand"  # the selector of candidates that the user picked one by one
# Left out of what is kept while they have these values: older selections, made before there was a choice,
# stay what they are.
PLAIN: dict[str, Any] = {
    "scaling": "pool", "allocation": "even", "budgets": None, "uncertainty": 0.0, "variant": "paper",
}  # fmt: skip
# The allocation by gain goes by the PSR greedy, whatever selects.
ALLOCATION = (
    "allocation",
    "floor",
    "ceiling",
    *(f"psr.{name}" for name in (*WEIGHTS, "normalize", "scaling")),
)


def settings_of(rules: SelectRecipe) -> dict[str, Any]:
    """The settings that count, weights resolved; what the chosen rules do not read is left out.

    Names stand alone, for a record names its selector; a key does where another table has the same name and another
    value.
    """
    found: dict[str, Any] = {}
    first: dict[str, Any] = {}
    for key, value in _counting(rules).items():
        name = key.rpartition(".")[2]
        alone = first.setdefault(name, value) == value
        if not alone or name not in PLAIN or value != PLAIN[name]:
            found[name if alone else key] = value
    return found


def _counting(rules: SelectRecipe) -> dict[str, Any]:
    """The same by key, as plain JSON values, the selector's own first."""
    keys = [
        "selector",
        "ipc",
        "temperature",
        *(f"{rules.selector}.{name}" for name in rules.parameters().read()),
    ]
    keys += ["seed"] if SELECTORS[rules.selector].draws else []
    keys += ALLOCATION if rules.allocation == "gain" else []
    keys += ["budgets"] if rules.budgets is not None else []
    resolved = rules.resolved()
    return {key: plain(resolved.setting(key)) for key in keys}


def restored_settings(record: SelectionRecord, keys: Iterable[str]) -> dict[str, Any]:
    """What puts a saved selection back: those of `keys` it was made with, and the locks it stood under.

    A selection by hand comes back as locks on its classes, whatever the selector.
    """
    if record.settings["selector"] == BY_HAND:
        return {"locked": {str(class_id): ids for class_id, ids in sorted(record.picks.items())}}
    kept = {**PLAIN, **record.settings}
    tables = [*([psr.SELECTOR.name] if kept["allocation"] == "gain" else []), kept["selector"]]
    settings = {
        f"{t}.{name}": kept[name]
        for t in tables
        for name in TABLED.get(t, Parameters).model_fields
        if name in kept
    }
    wanted = {**settings, **kept}
    named = {key: wanted[key] for key in keys if key in wanted}
    rules = SelectRecipe().changed(named).left_to_presets(*tables)
    return {**{key: plain(rules.setting(key)) for key in named}, "locked": kept.get("locked", {})}


def shell_assignments(rules: SelectRecipe, saved: SelectRecipe) -> list[str]:
    """What `--set` takes, one text per setting; what the workspace has saved otherwise is cleared."""
    wanted = {**_counting(rules), "allocation": rules.allocation}
    if rules.budgets is None and saved.budgets is not None:
        wanted["budgets"] = None
    return [f"select.{key}={'none' if value is None else _bare(value)}" for key, value in wanted.items()]


def _bare(value: Any) -> str:
    """A value for the right side of `--set`: words need no quotes there."""
    return value if isinstance(value, str) else toml_value(value)
