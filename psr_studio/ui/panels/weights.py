"""Weights on the Pool tab: what the bundle needs from elsewhere, under which licence, and how it gets here."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import gradio as gr

from psr_studio.core.errors import StudioError
from psr_studio.stages import weights
from psr_studio.ui.markup import note, table
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, said

HEAD = ("Part", "Source", "Size", "Licence", "On this machine")
ABOUT = (
    "These weights and images are not part of PSR Studio, and nothing is downloaded unless you ask for it here. "
    "An export of yours names their licences in its card."
)


class WeightsPanel:
    """An accordion that is there for bundles whose parts lie elsewhere."""

    def __init__(self, screen: Screen, jobs: JobPanel) -> None:
        self.screen = screen
        self.jobs = jobs

    def build(self) -> None:
        """Draw it here, with its events."""
        parts, named = self.screen.studio.bundle.parts(), self.screen.studio.bundle.parts_to_name
        with gr.Accordion("Weights", open=self._lacking(), visible=bool(parts), elem_id="psr-weights"):
            gr.HTML(note(ABOUT))
            self.table = gr.HTML(self.parts_table())
            self.agreed = gr.Checkbox(
                False, label="I accept these licences", visible=self._to_fetch(), container=False
            )
            self.fetch = gr.Button(self._offer(), visible=self._to_fetch(), elem_id="psr-weights-download")
            part = gr.Dropdown(list(named), label="Part", value=parts[0].part if parts else None)
            folder = gr.Textbox(label="Its folder on this machine", max_lines=1, elem_id="psr-weights-folder")
            use = gr.Button("Use this folder", elem_id="psr-weights-use")
        self.jobs.starts(self.fetch, self.on_download, self.agreed)
        answered(use.click, said(self.on_use), [part, folder], self.outputs, **PRESSED)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.table, self.agreed, self.fetch]

    def version(self) -> Hashable:
        """Changes when a part comes or goes."""
        return tuple(self.screen.studio.bundle.parts())

    def values(self) -> list[Any]:
        """The table, and the button while there is something to fetch."""
        to_fetch = self._to_fetch()
        return [self.parts_table(), gr.Checkbox(visible=to_fetch), gr.Button(self._offer(), visible=to_fetch)]

    def parts_table(self) -> str:
        """The parts of the bundle with licence and folder, as a table."""
        rows = [
            (part.part, part.name, part.size, part.licence, part.folder or "not here")
            for part in self.screen.studio.bundle.parts()
        ]
        return table(HEAD, rows)

    def _lacking(self) -> bool:
        """Whether something is missing that is not taught beside it, in the panel of the teacher."""
        missing = self.screen.studio.bundle.missing_parts()
        return any(source.can_be_downloaded or source.part != "teacher" for source in missing)

    def _to_fetch(self) -> bool:
        return any(source.can_be_downloaded for source in self.screen.studio.bundle.missing_parts())

    def _offer(self) -> str:
        size = sum(
            source.size for source in self.screen.studio.bundle.missing_parts() if source.can_be_downloaded
        )
        return f"Download weights (about {size / 2**30:.1f} GiB)"

    def on_download(self, agreed: bool) -> None:
        """Queue the download of the missing parts, once their licences are accepted."""
        if not agreed:
            raise StudioError(
                "The licences in the table are not accepted yet.",
                'Read them, then tick "I accept these licences".',
            )
        self.screen.worker.submit(weights.STAGE.name)

    def on_use(self, part: str, folder: str) -> list[Any]:
        """Take a part from a folder of this machine."""
        if not folder.strip():
            raise StudioError("No folder is named.", 'Fill in "Its folder on this machine".')
        self.screen.studio.bundle.remember(part, folder.strip())
        self.screen.forget_status()
        return self.values()
