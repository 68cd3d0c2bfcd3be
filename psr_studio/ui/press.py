"""A press that the page answers before the studio does: what was pressed is busy until its answer is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from psr_studio.ui.words import QUIET

TELL = "document.dispatchEvent(new CustomEvent('psr-{}', {{ detail: {} }}));"
TO_SEE = "() => document.getElementById({})?.scrollIntoView({{ block: 'nearest' }})"
_keys = count(1)


class Press:
    """One control whose presses are answered.

    Args:
        job: what is asked for, where that is a job: the bar at the top says so at once.
    """

    def __init__(self, job: str | None = None) -> None:
        key = next(_keys)
        self._begins = TELL.format("pressed", json.dumps({"key": key, "job": job}))
        self.ended = f"() => {{ {TELL.format('answered', json.dumps({'key': key}))} }}"

    def begun(self, js: str | None = None) -> str:
        """What the page does before the press is sent; `js` is what it does with the inputs of the press."""
        given = f"await ({js})(...given)" if js else "given"
        return f"async (...given) => {{ {self._begins} return {given}; }}"


def answered(
    listen: Callable[..., Any], handler: Callable[..., Any], inputs: Any, outputs: Any, **how: Any
) -> Any:
    """Let an event such as `button.click` call `handler`; what was pressed is busy meanwhile. Returns the event."""
    press = Press()
    event = listen(handler, inputs, outputs, **{**how, "js": press.begun(how.get("js"))})
    event.then(None, js=press.ended, **QUIET)
    return event


def answered_below(
    listen: Callable[..., Any], handler: Callable[..., Any], inputs: Any, answer: Any, **how: Any
) -> None:
    """As `answered`, for an answer below the button: it is scrolled to, so that nobody misses it under the fold."""
    event = answered(listen, handler, inputs, answer, **how)
    event.then(None, js=TO_SEE.format(json.dumps(answer.elem_id)), **QUIET)
