"""The preset: typed, checked, with help text, unit and range per field.

A recipe is a TOML file with the tables [pool], [score], [select], [tune], [refine], [evaluate] and [export].
What a file leaves out keeps its default; an unknown key is an error, and so is a value outside its range.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from psr_studio.core.disk import reading
from psr_studio.core.errors import RecipeError, did_you_mean
from psr_studio.core.files import check_path
from psr_studio.core.resources import resource_dir
from psr_studio.recipe.fields import check_field, documented, range_text, toml_value
from psr_studio.recipe.pairs import check_pairs
from psr_studio.recipe.tables import WAYS as WAYS
from psr_studio.recipe.tables import (
    EvaluateRecipe,
    ExportRecipe,
    PoolRecipe,
    RefineRecipe,
    ScoreRecipe,
    SelectRecipe,
)
from psr_studio.recipe.tune import TuneRecipe

DEFAULT_PRESET = "fashion-mnist"  # of a new workspace


@dataclass(frozen=True)
class Recipe:
    """All settings of a run; every instance has passed the checks.

    Raises:
        RecipeError: on construction, when a value is of another type or outside its range.
    """

    name: str = documented("recipe", "Name of the recipe.")
    bundle: str = documented("fashion-mnist", "Embedded bundle by name, or a bundle folder by path.")
    device: str = documented("auto", "Where the networks run.", choices=("auto", "cpu", "cuda", "mps"))
    pool: PoolRecipe = field(default_factory=PoolRecipe)
    score: ScoreRecipe = field(default_factory=ScoreRecipe)
    select: SelectRecipe = field(default_factory=SelectRecipe)
    tune: TuneRecipe = field(default_factory=TuneRecipe)
    refine: RefineRecipe = field(default_factory=RefineRecipe)
    evaluate: EvaluateRecipe = field(default_factory=EvaluateRecipe)
    export: ExportRecipe = field(default_factory=ExportRecipe)

    def __post_init__(self) -> None:
        for key in keys():
            section, name = split_key(key)
            owner = getattr(self, section) if section else self
            object.__setattr__(owner, name, check_value(key, getattr(owner, name)))
        check_pairs(self)

    def value(self, key: str) -> Any:
        """Return the value of a dotted key such as "select.ipc"."""
        section, name = split_key(key)
        return getattr(getattr(self, section) if section else self, name)

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """Return a checked copy with dotted keys replaced, such as {"select.ipc": 10}."""
        changes: dict[str, dict[str, Any]] = {}
        for key, value in values.items():
            section, name = split_key(key)
            changes.setdefault(section, {})[name] = check_value(key, value)
        top = changes.pop("", {})
        return replace(self, **top, **{s: replace(getattr(self, s), **new) for s, new in changes.items()})


SECTIONS: dict[str, type] = {
    "pool": PoolRecipe,
    "score": ScoreRecipe,
    "select": SelectRecipe,
    "tune": TuneRecipe,
    "refine": RefineRecipe,
    "evaluate": EvaluateRecipe,
    "export": ExportRecipe,
}


class FieldHelp(NamedTuple):
    """What the command line and the screen say about a field; `range` is words: "1 to 1000" or "a, b, c"."""

    key: str
    value: Any
    help: str
    unit: str
    range: str


@cache
def _fields(section: str) -> dict[str, Field]:
    """The fields of a table by name; kept, since every slider move checks all of them."""
    owner = SECTIONS[section] if section else Recipe
    return {spec.name: spec for spec in fields(owner) if spec.name not in SECTIONS}


def keys() -> list[str]:
    """All dotted keys, in the order of the file."""
    return [f"{section}.{name}".lstrip(".") for section in ("", *SECTIONS) for name in _fields(section)]


def split_key(key: str) -> tuple[str, str]:
    """Split "select.ipc" into table and name; RecipeError with the near match when there is no such key."""
    section, _, name = key.rpartition(".")
    if section and section not in SECTIONS:
        raise _unknown_table(section)
    if name not in _fields(section):
        raise _unknown_key(section, name)
    return section, name


def _unknown_table(section: str) -> RecipeError:
    fix = did_you_mean(section, SECTIONS) + "Correct the name of the table."
    return RecipeError(f"unknown table [{section}]. Tables: {', '.join(SECTIONS)}.", fix, f"{section}.")


def _unknown_key(section: str, name: str) -> RecipeError:
    """The near match is looked for in the table first, then the same name in other tables."""
    known = _fields(section)
    listed = sorted(known if section else [*known, *SECTIONS])
    place = f"[{section}]" if section else "a recipe"
    key = f"{section}.{name}".lstrip(".")
    elsewhere = [full for full in keys() if full.endswith(f".{name}")]
    hint = did_you_mean(name, listed) or (f'Did you mean "{elsewhere[0]}"? ' if elsewhere else "")
    return RecipeError(
        f'unknown key "{key}". Keys of {place}: {", ".join(listed)}.', hint + "Correct the key.", key
    )


def check_value(key: str, value: Any) -> Any:
    """Return `value` in the type of the field, or raise RecipeError naming key, value and range."""
    section, name = split_key(key)
    return check_field(key, value, _fields(section)[name])


def field_help(section: str, key: str) -> FieldHelp:
    """Default, help, unit and range of one field; `section` is "" for the top of the recipe."""
    full = f"{section}.{key}".lstrip(".")
    section, name = split_key(full)
    spec = _fields(section)[name]
    return FieldHelp(
        full, spec.default, spec.metadata["help"], spec.metadata["unit"], range_text(spec.metadata)
    )


def describe(recipe: Recipe) -> list[FieldHelp]:
    """Every field with its value in this recipe, for `--help` and the settings panel."""
    return [field_help(*split_key(key))._replace(value=recipe.value(key)) for key in keys()]


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read "select.ipc=10" as from a command line: the right side is TOML, or plain text when it is not.

    The word none leaves a setting out that may be left out.
    """
    key, equals, right = text.partition("=")
    if not equals:
        raise RecipeError(f'"{text}" sets nothing.', "Write it as key=value, such as select.ipc=10.")
    try:
        value = tomllib.loads(f"value = {right.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = right.strip()
    section, name = split_key(key.strip())
    if value == "none" and str(_fields(section)[name].type).endswith("None"):
        value = None
    return key.strip(), check_value(key.strip(), value)


def presets() -> dict[str, Path]:
    """The shipped presets: name (the file's stem) to path."""
    return {path.stem: path for path in sorted(resource_dir("presets").glob("*.toml"))}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a shipped preset by name, or a TOML file by path.

    Raises:
        RecipeError: no such preset or file, or the file does not pass the checks (file and line named).
    """
    known = presets()
    path = known.get(str(name_or_path)) or check_path(name_or_path)
    if not path.is_file():
        fix = did_you_mean(str(name_or_path), known) + "Name one of them, or give the path of a TOML file."
        raise RecipeError(f'There is no preset "{name_or_path}". Presets: {", ".join(known)}.', fix)
    try:
        with reading(path):
            text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as err:
        raise RecipeError(f"{path} cannot be read as text: {err}.", "Give the path of a TOML file.") from err
    return recipe_from_toml(text, path)


def recipe_from_toml(text: str, path: Path) -> Recipe:
    """Build a recipe from the text of `path`; its name defaults to the file's stem."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise RecipeError(f"{path}: not TOML: {err}.", "Correct that line.") from err
    try:
        return Recipe().with_values({"name": path.stem, **_flat(tables)})
    except RecipeError as err:
        line = line_of(text, err.key)
        fix = f"{err.fix.removesuffix('.')} (line {line})." if line else err.fix
        raise RecipeError(f"{path}: {err.problem}", fix, err.key) from err


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """{"select": {"ipc": 10}} to {"select.ipc": 10}."""
    values: dict[str, Any] = {}
    for name, value in tables.items():
        if name in SECTIONS and not isinstance(value, dict):
            raise RecipeError(f'"{name}" must be a table.', f"Write [{name}] on a line of its own.", name)
        if isinstance(value, dict) and name not in SECTIONS:
            raise _unknown_table(name)
        values |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return values


def line_of(text: str, key: str) -> int | None:
    """The 1-based line of TOML text that sets `key`, else that opens its table, else None."""
    section, _, name = key.rpartition(".")
    table, opened = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = match.group(1)
            opened = number if table == section else opened
        elif table == section and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
            return number
        elif not table and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return opened


def to_toml(recipe: Recipe) -> str:
    """Write the resolved recipe; what is None is left out, since that is its default. Loads back equal."""
    lines: list[str] = []
    for section in ("", *SECTIONS):
        lines += ["", f"[{section}]"] if section else []
        for name in _fields(section):
            value = recipe.value(f"{section}.{name}".lstrip("."))
            lines += [] if value is None else [f"{name} = {toml_value(value)}"]
    return "\n".join(lines) + "\n"
