"""The frame of the tabs around Curate: settings in a compact column, what is worked on in the rest of the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import gradio as gr


def step() -> gr.Row:
    """A tab: `side` and `work` in it."""
    return gr.Row(elem_classes="psr-step psr-skin", equal_height=True)


def side() -> gr.Column:
    """The column of settings; `side_body` and `side_foot` in it."""
    return gr.Column(elem_classes="psr-side psr-box", min_width=0)


@contextmanager
def side_body() -> Iterator[None]:
    """The settings: they scroll where they are many, and what each means is said beside them."""
    with (
        gr.Column(elem_classes="psr-side-top", min_width=0),
        gr.Column(elem_classes="psr-side-body psr-fields", min_width=0),
    ):
        yield


def side_foot() -> gr.Column:
    """The buttons, in view whatever is scrolled."""
    return gr.Column(elem_classes="psr-side-foot", min_width=0)


def work() -> gr.Column:
    """Progress, pictures and results."""
    return gr.Column(elem_classes="psr-work", min_width=0)


def halves() -> gr.Row:
    """Boxes beside each other as long as each has room."""
    return gr.Row(elem_classes="psr-halves")


def box(main: bool = False, **more: Any) -> gr.Column:
    """A part of the work, with a `head`; a `main` one is twice as wide as the others of its row."""
    return gr.Column(elem_classes="psr-box psr-main" if main else "psr-box", min_width=0, **more)


def head(title: str) -> gr.Row:
    """The name of a box; what is drawn in it stands beside that."""
    with gr.Row(elem_classes="psr-head") as row:
        gr.HTML(f"<h3>{escape(title)}</h3>")
    return row


def class_choice(choices: Sequence[tuple[str, int]]) -> gr.Dropdown:
    """Which class a box shows, in its head."""
    return gr.Dropdown(choices, value=0, label="Class", filterable=True)


def bench() -> gr.Row:
    """Curate: the workbench, and what opens `beside` it."""
    return gr.Row(elem_classes="psr-bench")


def beside() -> gr.Column:
    """Accordions that are out of sight while they are closed."""
    return gr.Column(elem_classes="psr-beside psr-skin psr-fields", min_width=0)
