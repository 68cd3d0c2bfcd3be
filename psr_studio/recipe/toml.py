"""Settings as the text of a TOML file, and where in it each stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from psr_studio.core.texts import toml_value
from psr_studio.method.selectors.parameters import Table
from psr_studio.recipe.rules import ByRule


def to_toml(table: Table, name: str = "", *, numbers: bool = False) -> str:
    """Write settings, tables inside them after their own; None is left out, since it is the default.

    Args:
        numbers: of a number by rule write the number, and the rule beside it; a file keeps the rule otherwise.
    """
    scalars = {key: value for key, value in table if not isinstance(value, Table)}
    written = _number if numbers else _kept
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {written(value)}" for key, value in scalars.items() if value is not None]
    inner = [(f"{name}.{key}".lstrip("."), value) for key, value in table if isinstance(value, Table)]
    return "\n".join(lines) + "\n" + "".join(f"\n{to_toml(v, key, numbers=numbers)}" for key, v in inner)


def _kept(value: Any) -> str:
    return toml_value(value.rule if isinstance(value, ByRule) else value)


def _number(value: Any) -> str:
    return toml_value(value) + (
        f"  # by the rule {toml_value(value.rule)}" if isinstance(value, ByRule) else ""
    )


def flat(tables: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """{"select": {"psr": {"alpha": 2}}} as dotted keys: ("select.psr.alpha", 2); of an empty table "select."."""
    for name, value in tables.items():
        key = f"{section}.{name}".lstrip(".")
        if isinstance(value, dict):
            yield from flat(value, key) if value else [(f"{key}.", None)]
        else:
            yield key, value


def line_of(text: str, key: str) -> int | None:
    """The 1-based line of TOML text that sets `key`, else that opens its table, else None."""
    table, opened = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = match[1]
            opened = number if table == key.rpartition(".")[0] else opened
        elif match := re.match(r"""\s*["']?([\w.-]+)["']?\s*=""", line):
            if f"{table}.{match[1]}".lstrip(".") == key:
                return number
    return opened
