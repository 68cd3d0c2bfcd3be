"""Compare pools on the Pool tab: this pool beside that of another workspace, as numbers and as a page of pictures."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import gradio as gr

from psr_studio.app.recent import recent
from psr_studio.core.files import write_bytes
from psr_studio.studies.pools import HEAD, page_of
from psr_studio.studies.report import pools_page
from psr_studio.ui.markup import download, note, table
from psr_studio.ui.panels.controls import WIDE
from psr_studio.ui.panels.frame import box, head
from psr_studio.ui.press import answered_elsewhere
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED

ABOUT = (
    "Sets this pool beside that of another workspace with the same classes and teacher: agreement, difficulty, "
    "diversity, coverage of the real images, and pictures of the class chosen under Candidates. The first time, the "
    "teacher looks at all real training images, which can take minutes."
)


class ComparePoolsPanel:
    """An accordion that names the other workspace, and the numbers of both in the work."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def build(self) -> None:
        """Draw it here."""
        here = self.screen.studio.workspace.root
        others = [(found.path.name, str(found.path)) for found in recent() if found.path != here]
        with gr.Accordion("Compare pools", open=False, elem_id="psr-compare-pools"):
            gr.HTML(note(ABOUT))
            self.other = gr.Dropdown(
                others, value=None, label="Other workspace", allow_custom_value=True,
                elem_id="psr-other-pool", elem_classes=WIDE,
                info="One that was open here, or the path of another on the machine that runs the studio.",
            )  # fmt: skip
            self.button = gr.Button("Compare", elem_id="psr-compare-run")

    def build_answer(self) -> None:
        """Draw the numbers here."""
        with box(visible=False, elem_id="psr-compared") as self.box:
            head("Two pools")
            self.answer = gr.HTML()

    def connect(self, class_id: gr.Dropdown) -> None:
        """Events; `class_id` chooses whose pictures are shown."""
        answered_elsewhere(
            self.button.click, self.on_compare, [self.other, class_id], [self.box, self.answer], **PRESSED
        )

    def on_compare(self, other: str | None, class_id: int | None) -> list[Any]:
        """The lines of all classes, the pictures of one, and the page with those of every class."""
        workspace = self.screen.studio.workspace
        found = self.screen.studio.compare_pools((other or "").strip())
        page = pools_page(workspace)
        write_bytes(page, page_of(found).encode(), workspace.place)
        query = urlencode({"token": self.screen.token})
        link = download(f"psr/{page.name}?{query}", f"Download {page.name}, with the pictures of every class")
        lines = table(HEAD, found.rows[:2], right=range(2, len(HEAD)))
        return [gr.Column(visible=True), lines + found.sections.get(class_id or 0, "") + link]
