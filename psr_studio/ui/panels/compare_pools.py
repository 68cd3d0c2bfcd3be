"""Compare pools on the Pool tab: this pool beside that of another workspace, as numbers and as a page of pictures."""

from __future__ import annotations

from threading import Event
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from psr_studio.app.recent import beside, recent
from psr_studio.core.files import write_bytes
from psr_studio.core.stopping import Stopped, stopped_by
from psr_studio.studies.pools import HEAD, page_of
from psr_studio.studies.report import pools_page
from psr_studio.ui.markup import download, note, table
from psr_studio.ui.panels.controls import WIDE
from psr_studio.ui.panels.frame import box, head
from psr_studio.ui.press import answered_elsewhere
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, QUIET, said

ABOUT = (
    "Sets this pool beside that of another workspace with the same classes and teacher: agreement, difficulty, "
    "diversity, coverage of the real images, and pictures of the class chosen under Candidates. The first time, the "
    "teacher looks at all real training images, which can take minutes."
)
STOPPED = (
    "Stopped. What the teacher made of the real images of whole classes is kept for the next comparison."
)


class ComparePoolsPanel:
    """An accordion that names the other workspace, and the numbers of both in the work."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.stop = Event()

    def build(self) -> None:
        """Draw it here."""
        with gr.Accordion("Compare pools", open=False, elem_id="psr-compare-pools") as self.fold:
            gr.HTML(note(ABOUT))
            self.other = gr.Dropdown(
                self._others(), value=None, label="Other workspace", allow_custom_value=True,
                elem_id="psr-other-pool", elem_classes=WIDE,
                info="One that was open here, another beside this one by its name, or the path of any on the machine "
                "that runs the studio.",
            )  # fmt: skip
            with gr.Row():
                self.button = gr.Button("Compare", min_width=0, elem_id="psr-compare-run")
                self.ends = gr.Button("Stop", variant="stop", min_width=0, elem_id="psr-compare-stop")

    def build_answer(self) -> None:
        """Draw the numbers here."""
        with box(visible=False, elem_id="psr-compared") as self.box:
            head("Two pools")
            self.answer = gr.HTML()

    def connect(self, class_id: gr.Dropdown) -> None:
        """Events; `class_id` chooses whose pictures are shown."""
        self.fold.expand(lambda: gr.Dropdown(self._others()), None, self.other, **QUIET)
        shown = [self.box, self.answer]
        answered_elsewhere(self.button.click, said(self.on_compare), [self.other, class_id], shown, **PRESSED)
        self.ends.click(self.stop.set, None, None, **QUIET)

    def _others(self) -> list[tuple[str, str]]:
        here = self.screen.studio.workspace.root
        return [(found.path.name, str(found.path)) for found in recent() if found.path != here]

    def on_compare(self, other: str | None, class_id: int | None) -> list[Any]:
        """The lines of all classes, the pictures of one, and the page with those of every class."""
        workspace, named = self.screen.studio.workspace, (other or "").strip()
        self.stop.clear()
        try:
            with stopped_by(self.stop.is_set):
                found = self.screen.studio.compare_pools(named and beside(workspace.root, named))
        except Stopped:
            return [gr.Column(visible=True), note(STOPPED)]
        page = pools_page(workspace)
        write_bytes(page, page_of(found).encode(), workspace.place)
        query = urlencode({"token": self.screen.token})
        link = download(f"psr/{page.name}?{query}", f"Download {page.name}, with the pictures of every class")
        lines = table(HEAD, found.rows[:2], right=range(2, len(HEAD)))
        lines += note(found.left_out) if found.left_out else ""
        return [gr.Column(visible=True), lines + found.sections.get(class_id or 0, "") + link]
