"""Errors a user can act on: what is wrong, and the next action, both in the words on the screen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


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


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return 'Did you mean "x"? ' (with the space) for the nearest of `choices`, or '' when none is near."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"? ' if near else ""
