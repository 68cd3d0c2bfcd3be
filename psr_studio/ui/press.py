"""A press that the page answers before the studio does: what was pressed is busy until its answer is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from psr_studio.ui.words import QUIET

TELL = "document.dispatchEvent(new CustomEvent('psr-{}', {{ detail: {} }}));"
TO_SEE = "() => document.getElementById({})?.scrollIntoView({{ block: 'nearest' }})"
# After an event that may have said what is wrong: the field that it names comes into view, see core/named_field.js.
TO_FIELD = f"() => {{ {TELL.format('refused', 'null')} }}"
# For the events of a press: Gradio shows on the mark below that it works on them.
MARKED: dict[str, Any] = {"show_progress": "minimal"}
# Gradio gives the box around the mark a class as long as one of its events is at work, however that ends.
WATCH = f"""const box = element.closest('.html-container');
new MutationObserver(() => {{
  if (!box.classList.contains('pending')) {{ {TELL.format("answered", "null")} }}
}}).observe(box, {{ attributeFilter: ['class'] }});"""


def build_mark() -> gr.HTML:
    """Draw what says that the studio works on a press; out of sight, see css/page.css."""
    return gr.HTML(js_on_load=WATCH, apply_default_css=False, elem_id="psr-asking")


def show_on(mark: gr.HTML, page: gr.Blocks) -> None:
    """Let all presses of a page be shown on its mark, once the page has all its events."""
    for event in page.fns.values():
        if event.show_progress == MARKED["show_progress"]:
            event.show_progress_on = [mark]


def begun(js: str | None = None, job: str | None = None) -> str:
    """What the page does before a press is sent.

    Args:
        js: what it does with the inputs of the press.
        job: what is asked for, where that is a job: the bar at the top says so at once.
    """
    given = f"await ({js})(...given)" if js else "given"
    return f"async (...given) => {{ {TELL.format('pressed', json.dumps({'job': job}))} return {given}; }}"


def answered(
    listen: Callable[..., Any], handler: Callable[..., Any], inputs: Any, outputs: Any, **how: Any
) -> Any:
    """Let an event such as `button.click` call `handler`; what was pressed is busy meanwhile. Returns the event."""
    return listen(handler, inputs, outputs, **{**how, **MARKED, "js": begun(how.get("js"))})


def answered_elsewhere(
    listen: Callable[..., Any], handler: Callable[..., Any], inputs: Any, answers: Any, **how: Any
) -> None:
    """As `answered`, for an answer, or a list that begins with it, that may be out of sight: it is scrolled to."""
    event = answered(listen, handler, inputs, answers, **how)
    (first, *_) = answers if isinstance(answers, list) else [answers]
    event.then(None, js=TO_SEE.format(json.dumps(first.elem_id)), **QUIET)
