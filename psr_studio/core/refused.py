"""Values that a setting or a key of a file cannot have, in two sentences."""

from __future__ import annotations

from typing import Any, Protocol

from psr_studio.core.errors import did_you_mean
from psr_studio.core.texts import toml_value

TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}

# What a name that becomes a folder may hold, in words; the page says it too, before it has to refuse.
NAME_RULE = "Take up to 80 letters, digits, spaces and . @ + - _; a letter or digit first, no dot at the end."


class Allowed(Protocol):
    """What a value must be, beside its type."""

    @property
    def range(self) -> str:
        """In words, such as "1 to 1000"."""

    @property
    def unit(self) -> str:
        """Of the value, "" without one."""

    @property
    def choices(self) -> tuple[str, ...]:
        """What words are among."""

    @property
    def instead(self) -> str:
        """An example of the text that may stand for a number, "" where none may."""

    @property
    def length(self) -> int | None:
        """Of a list."""


def refused(key: str, finding: str, value: Any, allowed: Allowed, kind: type) -> tuple[str, str]:
    """Problem and fix.

    Args:
        key: its dotted name. finding: the kind of error as pydantic or the facts of the setting name it.
        kind: the type that each value must have.
    """
    if finding in ("range", "finite_number"):
        unit = f" {allowed.unit}" if allowed.unit else ""
        problem = f'"{key}" is {shown(value)}, but it must be from {allowed.range}{unit}.'
        return problem, f'Set "{key}" to a value from {allowed.range}.'
    if finding == "choice":
        fix = did_you_mean(value, allowed.choices) + f'Set "{key}" to one of them.'
        return f'"{key}" is "{value}". Choices: {allowed.range}.', fix
    if finding == "folder":
        return not_a_folder(f'"{key}"', value), NAME_RULE
    if finding == "length":
        problem = f'"{key}" has {len(value)} values, but it must have {allowed.length}.'
        return problem, f"Write {allowed.length} values."
    if finding == "filled":
        problem = f'All bars of "{key}" are 0, but at least one must be above 0.'
        return problem, f'Raise a bar of "{key}", or leave it out to have all alike.'
    if finding == "tuple_type":
        return f'"{key}" is {shown(value)}, but it must be a list.', f"Write {shown(_listed(value, kind))}."
    words = TYPE_WORDS[kind]
    if allowed.instead and isinstance(value, str):  # a field of the screen takes numbers only
        words += f', or a rule such as "{allowed.instead}"'
    return f'"{key}" is {shown(value)}, but it must be {words}.', f'Set "{key}" to {words}.'


def _listed(value: Any, kind: type) -> list[Any]:
    """What was probably meant: the parts of a text between its commas, numbers where numbers belong."""
    if not isinstance(value, str):
        return [value]
    parts = [part.strip() for part in value.split(",")]
    try:
        return [kind(part) for part in parts] if kind in (int, float) else parts
    except ValueError:
        return parts


def not_a_table(key: str) -> tuple[str, str]:
    """Problem and fix of a value where a table belongs."""
    return f'"{key}" must be a table.', f"Write [{key}] on a line of its own."


def not_a_folder(what: str, name: str) -> str:
    """The problem with a name that becomes a folder."""
    return f"The name of {what} is {shown(name)}, which cannot be the name of a folder on every disk."


def shown(value: Any) -> str:
    """A value as its file would show it, cut to a readable length."""
    text = toml_value(value) if isinstance(value, (bool, int, float, str, list, tuple)) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
