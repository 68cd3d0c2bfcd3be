"""The settings of a recipe by their dotted keys: what each is, and what it was called before."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from psr_studio.core.errors import RecipeError, did_you_mean
from psr_studio.method.selectors.parameters import Facts, Shape, facts_of, shape_of
from psr_studio.recipe.errors import find, keys_of, recipe_error, tables_of
from psr_studio.recipe.schema import Recipe

LOG = logging.getLogger(__name__)
SECTIONS = tuple(name for name in tables_of(Recipe) if name and "." not in name)
SELECT_KEYS = tuple(key for key in keys_of(Recipe) if key.startswith("select."))
# Settings that had no table of their selector before: one value served all that read it.
RENAMED: dict[str, tuple[str, ...]] = {
    "select.alpha": ("select.psr.alpha", "select.dgs.alpha"),
    "select.beta": ("select.psr.beta", "select.dgs.beta"),
    "select.gamma": ("select.psr.gamma", "select.dgs.gamma"),
    "select.normalize": ("select.psr.normalize",),
    "select.scaling": ("select.psr.scaling", "select.dgs.scaling"),
    "select.target": ("select.dgs.target",),
    "select.drawn": ("select.dgs.drawn",),
    "select.within_bin": ("select.dgs.within_bin",),
    "select.lam": ("select.dgs.lam",),
    "select.order": ("select.cao2.order",),
    "select.on_shortage": ("select.psr.on_shortage",),
}


def keys(table: str = "") -> list[str]:
    """All dotted keys, in the order of the file; those of a table such as "refine.match" alone where it is named."""
    return [key for key in keys_of(Recipe) if key.startswith(f"{table}." if table else "")]


def facts(key: str) -> Facts:
    """What is known of a setting; RecipeError with the near match when there is no such key."""
    table, name = find(Recipe, key)
    return facts_of(table)[name]


# The settings of [select] that have a control on the Curate tab, by their keys in that table.
CURATED = tuple(key.removeprefix("select.") for key in SELECT_KEYS if facts(key).control)


def shape(key: str) -> Shape:
    """The type of a setting."""
    return shape_of(annotation(key))


def annotation(key: str) -> Any:
    """The type of a setting as it is written, such as `float | None`."""
    table, name = find(Recipe, key)
    return table.model_fields[name].annotation


def check_value(key: str, value: Any) -> Any:
    """Return `value` in the type of the setting, or raise RecipeError naming key, value and range."""
    table, name = find(Recipe, key)
    try:
        return getattr(table.model_validate({name: value}), name)
    except ValidationError as err:
        raise recipe_error(Recipe, err, key.rpartition(".")[0]) from err


def full_key(name: str) -> str:
    """The dotted key of a setting given by its bare name; RecipeError when several tables or none have it.

    Of a setting that selectors have, "select." and its name: whose it is, the chosen selector says (`schema.place`).
    """
    if "." in name or name in keys():
        return name
    found = {key for key in keys() if key.endswith(f".{name}")}
    short = {f"select.{name}" if key.startswith("select.") else key for key in found}
    if len(short) == 1:
        return short.pop()
    if short:
        raise RecipeError(
            f'"{name}" is in several tables.', f"Write one of {', '.join(sorted(found))}.", name
        )
    bare = {key: key.rpartition(".")[2] for key in keys()}
    called = {facts(key).label: name for key, name in bare.items()}
    raise RecipeError(
        f'unknown key "{name}". Tables: {", ".join(SECTIONS)}.',
        did_you_mean(name, sorted(set(bare.values())), called)
        + "`psr-studio presets --keys` lists all keys.",
        name,
    )


def renamed(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings by the keys they have now, and one sentence in the log on what of `where` was called otherwise."""
    old = [key for key in values if key in RENAMED]
    if old:
        _tell(where, tuple(old))
    moved = {new: values[key] for key in old for new in RENAMED[key]}
    return {**moved, **{key: value for key, value in values.items() if key not in RENAMED}}


@cache
def _tell(where: str, old: tuple[str, ...]) -> None:
    """Once for each place and process."""
    now = ", ".join(f"{key} is {' and '.join(RENAMED[key])}" for key in old)
    LOG.warning("%s: settings of a selector stand in its own table now: %s.", where, now)
