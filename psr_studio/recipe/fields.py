"""Documented, checked fields of frozen dataclasses: help, unit, range or choices beside the default.

The type is read from the annotation as written ("int", "float | None", "tuple[str, ...]"), so a module that
declares fields must postpone annotations.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import Field, field
from typing import Any

from psr_studio.core.errors import RecipeError, did_you_mean

TYPE_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text in quotes"}

# What a name that becomes a folder may hold, and in words; the page says it too, before it has to refuse.
NAME_PATTERN = r"[\w](?:[\w .@+-]{0,78}[\w@+-])?"
NAME_RULE = "Take up to 80 letters, digits, spaces and . @ + - _; a letter or digit first, no dot at the end."


def documented(
    default: Any,
    help: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    folder: bool = False,
    length: int | None = None,
) -> Any:
    """Declare a field: numbers lie in [low, high], words in `choices`, and a `folder` is a safe name.

    A list has exactly `length` values when that is given; the other facts hold for each of them.
    """
    facts = {"help": help, "unit": unit, "low": low, "high": high, "choices": choices, "folder": folder}
    return field(default=default, metadata={**facts, "length": length})


def check_field(key: str, value: Any, spec: Field) -> Any:
    """Return `value` in the type of the field: an int becomes a float where one is wanted, a list a tuple.

    Raises:
        RecipeError: another type, or a value outside the range or the choices of the field.
    """
    kind = str(spec.type)
    if kind.endswith("| None"):
        if value is None:
            return None
        kind = kind.removesuffix("| None").strip()
    if not kind.startswith("tuple"):
        return _check_one(key, value, kind, spec.metadata)
    if not isinstance(value, (list, tuple)):
        raise RecipeError(
            f'"{key}" is {_shown(value)}, but it must be a list.', f"Write {toml_value([value])}.", key
        )
    if (wanted := spec.metadata["length"]) and len(value) != wanted:
        raise RecipeError(
            f'"{key}" has {len(value)} values, but it must have {wanted}.', f"Write {wanted} values.", key
        )
    inner = kind.removeprefix("tuple[").split(",")[0]
    return tuple(_check_one(key, item, inner, spec.metadata) for item in value)


def check_folder_name(what: str, name: str) -> str:
    """Return a name that becomes a folder; RecipeError when it could leave its place or upset a disk."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise RecipeError(
            f"The name of {what} is {_shown(name)}, which cannot be the name of a folder on every disk.",
            NAME_RULE,
        )
    return name


def range_text(facts: Mapping[str, Any]) -> str:
    """The range in words: "1 to 1000", "ddpm, ddim", or "" when anything of the type goes."""
    if facts["choices"]:
        return ", ".join(facts["choices"])
    return "" if facts["low"] is None else f"{facts['low']} to {facts['high']}"


def toml_value(value: Any) -> str:
    """Write a bool, number, text or list of them as TOML."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON strings are TOML basic strings, but for DEL, which TOML wants escaped.
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        if isinstance(value, str)
        else repr(value)
    )


def _check_one(key: str, value: Any, kind: str, facts: Mapping[str, Any]) -> Any:
    value = _check_type(key, value, kind)
    if facts["choices"] and value not in facts["choices"]:
        fix = did_you_mean(value, facts["choices"]) + f'Set "{key}" to one of them.'
        raise RecipeError(f'"{key}" is "{value}". Choices: {range_text(facts)}.', fix, key)
    if facts["folder"]:
        return check_folder_name(f'"{key}"', value)
    low, high = facts["low"], facts["high"]
    if low is not None and not low <= value <= high:  # NaN fails both comparisons
        unit = f" {facts['unit']}" if facts["unit"] else ""
        problem = f'"{key}" is {_shown(value)}, but it must be from {range_text(facts)}{unit}.'
        raise RecipeError(problem, f'Set "{key}" to a value from {range_text(facts)}.', key)
    return value


def _check_type(key: str, value: Any, kind: str) -> Any:
    """A bool is an int to Python, never to a reader: it counts as neither int nor float."""
    is_bool = isinstance(value, bool)
    if kind == "bool" and is_bool:
        return value
    if kind == "str" and isinstance(value, str) and value.strip():
        return value
    if kind == "int" and isinstance(value, int) and not is_bool:
        return value
    if kind == "float" and isinstance(value, (int, float)) and not is_bool and not _overflows(value):
        return float(value)
    raise RecipeError(
        f'"{key}" is {_shown(value)}, but it must be {TYPE_WORDS[kind]}.',
        f'Set "{key}" to {TYPE_WORDS[kind]}.',
        key,
    )


def _overflows(value: float) -> bool:
    return isinstance(value, int) and abs(value) > math.floor(1e300)


def _shown(value: Any) -> str:
    """A value as its file would show it, cut to a readable length."""
    text = toml_value(value) if isinstance(value, (bool, int, float, str, list, tuple)) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
