"""New project from pictures, on the Pool tab: a folder in, "Look" says what it holds, "Make it" makes the workspace."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import gradio as gr

from psr_studio.app.new_project import Plan, make, plan
from psr_studio.app.recent import note_opened
from psr_studio.core.errors import StudioError
from psr_studio.core.progress import Progress
from psr_studio.recipe.errors import check_folder_name
from psr_studio.ui.markup import findings, note
from psr_studio.ui.panels.source import Source
from psr_studio.ui.press import answered_elsewhere
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, as_error, said

TITLE = "New project from pictures"
ABOUT = (
    "From a folder of pictures, or a zip of one, to a workspace of its own beside this one: its classes, the size of "
    "its pictures and its bundle file are found and written for you. This workspace stays as it is."
)


PICTURES = Source("Pictures", "A folder per class, or what else an import reads.", "psr-new-pictures")
REAL = Source(
    "Real pictures", "Of the same classes, for controls and the test; may come later.", "psr-new-real"
)


class NewProjectPanel:
    """An accordion, open where there is nothing else to do on an empty page, and `found`, which is drawn elsewhere."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.found = gr.HTML(elem_id="psr-new-found", render=False)

    def build(self) -> None:
        """Draw it here, with its events."""
        with gr.Accordion(TITLE, open=self.nothing_here(), elem_id="psr-new"):
            gr.HTML(note(ABOUT))
            name = gr.Textbox(label="Name of the project", max_lines=1, elem_id="psr-new-name")
            pictures, real = PICTURES.build(), REAL.build()
            with gr.Row():
                side = gr.Number(
                    0,
                    label="Side in pixels",
                    info="0: as the pictures propose.",
                    precision=0,
                    minimum=0,
                    min_width=120,
                )
                teacher = gr.Textbox(
                    label="Teacher", info="A folder or a timm name; the shipped one when empty.",
                    max_lines=1, min_width=120, elem_id="psr-new-teacher",
                )  # fmt: skip
            with gr.Row():
                look = gr.Button("Look", elem_id="psr-new-look", min_width=80)
                run = gr.Button("Make it", variant="primary", elem_id="psr-new-make", min_width=80)
        given = [name, *pictures, *real, side, teacher]
        answered_elsewhere(look.click, said(self.on_look), given, self.found, **PRESSED)
        answered_elsewhere(run.click, self.on_make, given, self.found, **PRESSED)

    def nothing_here(self) -> bool:
        """Whether the workspace has no pool and nothing to make one with."""
        studio = self.screen.studio
        return not studio.bundle.has("generator") and not len(studio.pool)

    def on_look(self, *given: Any) -> str:
        """What stands in the folders that are named; nothing is written."""
        return _found(self.plan_of(*given))

    def on_make(self, *given: Any) -> Iterator[str]:
        """How far the import is, over what was found, and last how the project is opened."""
        try:
            plan = self.plan_of(*given)
            for event in make(plan):
                yield _found(plan, _words(event))
        except StudioError as err:
            raise as_error(err) from err
        note_opened(plan.workspace)
        command = f"psr-studio app -w {shlex.quote(str(plan.workspace))}"
        opens = f'Open it from the list under "{self.screen.studio.workspace.root.name}" at the top, or with {command}'
        yield findings(TITLE, f"{event.message} {opens}")

    def plan_of(
        self, name: str, pictures: str, upload: str | None, real: str, real_upload: str | None, side: float,
        teacher: str,
    ) -> Plan:  # fmt: skip
        """The project that the fields describe; StudioError where one is empty."""
        source = PICTURES.named(pictures, upload)
        if not name.strip() or not source:
            lacking = "Name of the project" if not name.strip() else "Pictures"
            raise StudioError("The new project has no name, or no pictures.", f'Fill in "{lacking}".')
        folder = self.screen.studio.workspace.root.parent / check_folder_name("the project", name.strip())
        return plan(
            folder,
            source,
            real=REAL.named(real, real_upload),
            side=int(side or 0) or None,
            teacher=teacher.strip() or None,
        )


def _found(plan: Plan, *before: str) -> str:
    return findings(TITLE, *before, *plan.lines)


def _words(event: Progress) -> str:
    return f"{event.done:,} of {event.total:,}. {event.message}" if event.total else event.message
