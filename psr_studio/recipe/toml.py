"""Settings as the text of a TOML file, and where in it each stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from psr_studio.core.texts import toml_value
from psr_studio.method.selectors.parameters import Table


def to_toml(table: Table, name: str = "") -> str:
    """Write resolved settings, tables inside them after their own; None is left out, since it is the default."""
    own = {key: value for key, value in table if not isinstance(value, Table)}
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {toml_value(value)}" for key, value in own.items() if value is not None]
    inner = [(key, value) for key, value in table if isinstance(value, Table)]
    return (
        "\n".join(lines) + "\n" + "".join(f"\n{to_toml(v, f'{name}.{key}'.lstrip('.'))}" for key, v in inner)
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
