"""Recipes as files and settings as words of a command: presets by name, TOML by path, "select.ipc=10"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psr_studio.core.disk import reading
from psr_studio.core.errors import RecipeError, did_you_mean
from psr_studio.core.files import check_path
from psr_studio.core.resources import resource_dir
from psr_studio.core.texts import TextError, parse_toml, read_text
from psr_studio.method.protocols import FORMER
from psr_studio.recipe.errors import tables_of
from psr_studio.recipe.keys import RENAMED, check_value, renamed, shape
from psr_studio.recipe.schema import Recipe, called_now
from psr_studio.recipe.toml import flat, line_of

DEFAULT_PRESET = "fashion-mnist"  # of a new workspace


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
            text = read_text(path)
    except TextError as err:
        raise RecipeError(f"{path}: {err}.", err.fix) from err
    return recipe_from_toml(text, path)


def recipe_from_toml(text: str, path: Path) -> Recipe:
    """Build a recipe from the text of `path`; its name defaults to the file's stem."""
    try:
        tables = parse_toml(text)
    except TextError as err:
        raise RecipeError(f"{path}: {err}.", err.fix) from err
    empty = {f"{name}." for name in tables_of(Recipe)}
    values = {key: value for key, value in flat(tables) if key not in empty}
    try:
        return Recipe().with_values({"name": path.stem, **renamed(values, str(path))})
    except RecipeError as err:
        now = {key: RENAMED.get(key, (called_now(key, value),)) for key, value in values.items()}
        written = [key for key, names in now.items() if err.key in names]
        line = line_of(text, written[0] if written else err.key)
        fix = f"{err.fix.removesuffix('.')} (line {line})." if line else err.fix
        raise RecipeError(f"{path}: {err.problem}", fix, err.key) from err


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read "select.ipc=10" as from a command line: the right side is TOML, or plain text when it is not.

    The word none leaves a setting out that may be left out.
    """
    left, equals, right = text.partition("=")
    if not equals:
        raise RecipeError(f'"{text}" sets nothing.', "Write it as key=value, such as select.ipc=10.")
    try:
        value = parse_toml(f"value = {right.strip()}")["value"]
    except TextError:
        value = right.strip()
    key = called_now(left.strip(), value)
    now = RENAMED.get(key, (key,))[0]
    if value == "none" and shape(now).optional:
        value = None
    checked = check_value(now, value)
    is_former = isinstance(value, str) and value in FORMER  # of a protocol: it says two things
    return key, value if is_former else checked
