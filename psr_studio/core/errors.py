"""Errors a user can act on: what is wrong, and the next action, both in the words on the screen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

NEAR = 0.6  # share of the letters that a name has in common with what may be meant
ALL_WORDS = 0.9  # nearness of what has all words of a name, and more
TIE = 0.03  # what is not farther than the nearest by more is as near
MOST = 3  # names in one question
NO_WORDS: Mapping[str, str] = {}
QUOTED = '"{}"'


class StudioError(Exception):
    """An expected failure, said in two sentences.

    Args:
        problem: what is wrong, with the value found and the value needed.
        fix: the next action, as an order that names the control, the file or the command.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}"


class RecipeError(StudioError):
    """A value or key of a recipe. `key` is the dotted name ("select.ipc") where one key is to blame."""

    def __init__(self, problem: str, fix: str, key: str = "") -> None:
        super().__init__(problem, fix)
        self.key = key


class WorkspaceError(StudioError):
    """A folder or file of the workspace."""


class DiskError(WorkspaceError):
    """The system refused to read or write a file, here or elsewhere; what is in it may well be whole."""


class DamagedError(WorkspaceError):
    """A file whose content cannot be used; all others can. `path` and `reason` are those in the problem."""

    def __init__(self, problem: str, fix: str, path: Path | None = None, reason: str = "") -> None:
        super().__init__(problem, fix)
        self.path = path
        self.reason = reason


class ModelError(StudioError):
    """A bundle, a weights file or a device."""


class SelectionError(StudioError):
    """A budget, a mark or a score that the selection stands on."""


class OvertakenError(SelectionError):
    """A change or a save from a page that shows another selection than there is now."""


class JobError(StudioError):
    """A job of the worker."""


class ExportError(StudioError):
    """The target of an export."""


def did_you_mean(name: str, choices: Iterable[str], called: Mapping[str, str] = NO_WORDS) -> str:
    """Return 'Did you mean "x"? ' (with the space) for the nearest of `choices`, or '' when none is near.

    Those that are as near as the nearest are named too: 'Did you mean "x" or "y"? '.

    Args:
        called: what else choices are known by, to the choice.
    """
    known = {**called, **{choice: choice for choice in choices}}
    near: dict[str, float] = {}
    for words, choice in known.items():
        near[choice] = max(near.get(choice, 0.0), _nearness(name, words))
    least = max(NEAR, max(near.values(), default=0.0) - TIE)
    found = sorted((choice for choice, value in near.items() if value >= least), key=lambda c: -near[c])
    return meant(found[:MOST])


def meant(names: Sequence[str]) -> str:
    """'Did you mean "x" or "y"? ' of some names, '' of none."""
    return f"Did you mean {' or '.join(map(QUOTED.format, names))}? " if names else ""


def _nearness(name: str, other: str) -> float:
    """1 for the same words, less where the other has all of them and more, else how alike the letters are."""
    words, others = (set(re.findall(r"[^\W_]+", text.lower())) for text in (name, other))
    if words and words <= others:
        return 1.0 if words == others else ALL_WORDS
    return difflib.SequenceMatcher(None, name, other).ratio()
