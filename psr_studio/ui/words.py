"""Names of controls as printed on screen, and errors said with these names instead of recipe keys."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from html import escape
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from psr_studio.core.errors import StudioError
from psr_studio.recipe.keys import facts, keys


def label(key: str) -> str:
    """What stands above the control of a setting: a label of its own, or the last part of the key, "Pool size"."""
    return facts(key).label or key.rpartition(".")[2].replace("_", " ").capitalize()


LABELS = {key: label(key) for key in keys() if facts(key).label or "." in key}
COMMAND_LINE = re.compile(r" \((?:--[a-z-]+(?: [A-Z]+)?|(?:or run )?`psr-studio [^`]*`)\)")
ERROR_SECONDS = 20
# For events that answer at once: no queue, no veil over what they fill, no entry among the API's endpoints.
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# For buttons: errors and notices reach the page through the queue only.
PRESSED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "once"}

P = ParamSpec("P")
R = TypeVar("R")


def field_of(err: StudioError) -> str:
    """The label of the setting to blame, "" where it is none with a label."""
    return LABELS.get(getattr(err, "key", ""), "")


def on_screen(text: str) -> str:
    """Put the words of the screen: '"select.ipc"' becomes '"Images per class"', boxes are ticked.

    Flags and commands in parentheses, " (--limit)" or " (or run `psr-studio score`)", are for the command line.
    """
    text = re.sub(r'"([\w-]+(?:\.[\w-]+)+)"', lambda m: f'"{LABELS.get(m[1], m[1])}"', text)
    text = re.sub(
        r'\b([Ss])et ("[^"]+") to true\b', lambda m: f"{'T' if m[1] == 'S' else 't'}ick {m[2]}", text
    )
    text = re.sub(
        r'\b([Ss])et ("[^"]+") to false\b', lambda m: f"{'U' if m[1] == 'S' else 'u'}ntick {m[2]}", text
    )
    return COMMAND_LINE.sub("", text)


def said(handler: Callable[P, R]) -> Callable[P, R]:
    """Show the two sentences of a StudioError that an event handler raises; nothing else is caught."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except StudioError as err:
            raise as_error(err) from err

    return wrapped


def as_error(err: StudioError) -> gr.Error:
    """Both sentences as the page shows them; escaped, since the page reads them as HTML.

    They go into the message: the page gives all errors the same title.
    """
    problem, fix = escape(on_screen(err.problem)), escape(on_screen(err.fix))
    text = f"<strong>{problem}</strong><br>{fix}"
    return gr.Error(text, duration=ERROR_SECONDS, print_exception=False)
