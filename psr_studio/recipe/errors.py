"""What is wrong with a setting, in two sentences: pydantic's findings in the words of a recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from pydantic import ValidationError

from psr_studio.core.errors import RecipeError, did_you_mean, meant
from psr_studio.core.refused import NAME_RULE, not_a_folder, not_a_table, refused
from psr_studio.method.selectors.parameters import FOLDER_NAME, Facts, Table, facts_of, shape_of


@cache
def tables_of(root: type[Table], name: str = "") -> dict[str, type[Table]]:
    """All tables by dotted name, `root` under "", in the order of a file."""
    found = {name: root}
    for key, spec in root.model_fields.items():
        if isinstance(spec.annotation, type) and issubclass(spec.annotation, Table):
            found |= tables_of(spec.annotation, f"{name}.{key}".lstrip("."))
    return found


def keys_of(root: type[Table]) -> list[str]:
    """All dotted keys, in the order of a file."""
    return [f"{name}.{key}".lstrip(".") for name, table in tables_of(root).items() for key in facts_of(table)]


def find(root: type[Table], key: str) -> tuple[type[Table], str]:
    """The table and the name of a dotted key; RecipeError with the near match when there is no such key."""
    section, _, name = key.rpartition(".")
    if key in tables_of(root):
        raise RecipeError(*not_a_table(key), key)
    table = tables_of(root).get(section)
    if table is None:
        raise _unknown_table(root, section)
    if name not in facts_of(table):
        raise _unknown_key(root, section, name)
    return table, name


def recipe_error(root: type[Table], err: ValidationError, section: str = "") -> RecipeError:
    """The first finding about a table of `root`, `section` of it, as an error that names the dotted key."""
    found = err.errors(include_url=False)[0]
    key = ".".join([*filter(None, [section]), *(part for part in found["loc"] if isinstance(part, str))])
    try:
        table, name = find(root, key)
    except RecipeError as unknown:
        return unknown
    value = found.get("ctx", {}).get("value", found["input"])
    inner = shape_of(table.model_fields[name].annotation).kind
    return RecipeError(*refused(key, found["type"], value, facts_of(table)[name], inner), key)


def check_folder_name(what: str, name: str) -> str:
    """Return a name that becomes a folder; RecipeError when it could leave its place or upset a disk."""
    if not re.fullmatch(FOLDER_NAME, name):
        raise RecipeError(not_a_folder(what, name), NAME_RULE)
    return name


def _unknown_table(root: type[Table], section: str) -> RecipeError:
    known = [name for name in tables_of(root) if name]
    fix = did_you_mean(section, known) + "Correct the name of the table."
    return RecipeError(f"unknown table [{section}]. Tables: {', '.join(known)}.", fix, f"{section}.")


def _unknown_key(root: type[Table], section: str, name: str) -> RecipeError:
    """The near match is looked for in the table first, then in the tables inside it, then the same name anywhere."""
    inside = [
        table.rpartition(".")[2] for table in tables_of(root) if table and table.rpartition(".")[0] == section
    ]
    table = facts_of(tables_of(root)[section])
    listed = sorted([*table, *inside])
    key, place = f"{section}.{name}".lstrip("."), f"[{section}]" if section else "a recipe"
    below = [full for full in reversed(keys_of(root)) if full.startswith(f"{section}.")]
    deeper = {full.rpartition(".")[2]: full for full in below}  # of several the first
    elsewhere = [full for full in keys_of(root) if full.endswith(f".{name}")]
    hint = _by_all_words(key, table) or did_you_mean(name, listed, _known_by(table))
    hint = hint or did_you_mean(name, (), deeper) or meant(elsewhere[:1])
    problem = f'unknown key "{key}". Keys of {place}: {", ".join(listed)}.'
    return RecipeError(problem, hint + "Correct the key.", key)


def _known_by(table: Mapping[str, Facts]) -> dict[str, str]:
    """Keys by their names and by what stands beside their controls."""
    return {facts.label: key for key, facts in table.items() if facts.label} | {key: key for key in table}


def _by_all_words(key: str, table: Mapping[str, Facts]) -> str:
    """The setting that is called as the table and the name together: "pool.size" is "pool_size"."""
    words = key.replace(".", "_").lower()
    same = [known for text, known in _known_by(table).items() if text.lower().replace(" ", "_") == words]
    return meant(same[:1])
