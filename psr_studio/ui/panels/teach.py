"""Teach on the Pool tab: a teacher of the bundle's classes from real pictures, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import gradio as gr

from psr_studio.bundles.shipped import IMAGENET_TEACHER
from psr_studio.core.errors import StudioError
from psr_studio.stages import teach
from psr_studio.stages.teach import report, stage
from psr_studio.ui.markup import card, note, table, warning
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, said

ABOUT = (
    "A teacher of your own classes: the features of a network that is there, and a calibrated linear head on them. "
    "Real pictures lie in a folder per class, 50 of each or more; pictures in train/ and val/ are told apart. 1,000 "
    "pictures take about a minute. The report says how often it is right on pictures that it did not see."
)


class TeachPanel:
    """An accordion whose button starts the teaching as a job of the Pool tab, with the report of the newest teacher."""

    def __init__(self, screen: Screen, jobs: JobPanel) -> None:
        self.screen = screen
        self.jobs = jobs

    def build(self) -> None:
        """Draw it here."""
        with gr.Accordion("Teacher of your own classes", open=self._lacking(), elem_id="psr-teach"):
            gr.HTML(note(ABOUT))
            images = gr.Textbox(
                self._folder_of("images") if self._lacking() else "",
                label="Folder of real pictures on this machine",
                max_lines=1,
                elem_id="psr-teach-images",
            )
            pool = gr.Checkbox(
                False,
                label="I have none: teach on the pool itself",
                container=False,
                elem_id="psr-teach-pool",
            )
            backbone = gr.Textbox(
                IMAGENET_TEACHER, label="Backbone", max_lines=1,
                info="The network under the head: what ships, a name of timm's, or a teacher folder.",
            )  # fmt: skip
            fetch = gr.Checkbox(False, label="Fetch the backbone", container=False)
            self.button = gr.Button("Teach", elem_id="psr-teach-run")
            self.told = gr.HTML(self._told())
            self.use = gr.Button("Use this teacher", visible=self._usable(), elem_id="psr-teach-use")
        self.given = [images, pool, backbone, fetch]

    def connect(self) -> None:
        """Events."""
        self.jobs.starts(self.button, self.on_teach, self.given)
        answered(self.use.click, said(self.on_use), None, self.outputs, **PRESSED)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.told, self.use]

    def version(self) -> Hashable:
        """Changes with the newest teacher, and when another one is used."""
        return self._newest(), self._folder_of("teacher")

    def values(self) -> list[Any]:
        """The report, and the button while that teacher is not the one in use."""
        return [self._told(), gr.Button("Use this teacher", visible=self._usable())]

    def _newest(self) -> Path | None:
        return stage.newest_folder(self.screen.studio.workspace.root)

    def _lacking(self) -> bool:
        """Whether the bundle waits for a teacher, and none can be fetched."""
        teacher = self.screen.studio.bundle.missing_part("teacher")
        return teacher is not None and not teacher.can_be_downloaded

    def _folder_of(self, part: str) -> str:
        return next((found.folder for found in self.screen.studio.bundle.parts() if found.part == part), "")

    def _usable(self) -> bool:
        newest = self._newest()
        takes_one = "teacher" in self.screen.studio.bundle.sources
        return newest is not None and takes_one and str(newest.absolute()) != self._folder_of("teacher")

    def _told(self) -> str:
        newest = self._newest()
        if newest is None:
            return note("No teacher is taught in this workspace yet.")
        try:
            found = report.Report.read(newest)
        except StudioError as err:
            return note(f"{err.problem} {err.fix}")
        notes = "".join(map(warning, found.notes))
        where = f"It is in {newest}"
        if str(newest.absolute()) == self._folder_of("teacher"):
            where += " and in use"
        elif "teacher" not in self.screen.studio.bundle.sources:
            where += (
                "; this bundle brings its own teacher, so another one judges only in a bundle that names one"
            )
        rows = table(report.HEAD, found.rows, right=(1, 2))
        return card(note(found.headline), notes, rows, note(f"{where}."))

    def on_teach(self, images: str, pool: bool, backbone: str, fetch: bool) -> None:
        """Queue the teaching of a teacher on a folder, or on the pool."""
        if pool and images.strip():
            raise StudioError(
                "Both a folder and the pool are named.",
                'Empty "Folder of real pictures on this machine", or untick "I have none: teach on the pool itself".',
            )
        if not pool and not images.strip():
            raise StudioError(
                "No pictures to teach on are named.",
                'Fill in "Folder of real pictures on this machine", or tick "I have none: teach on the pool itself".',
            )
        self.screen.worker.submit(
            teach.STAGE.name,
            images=None if pool else images.strip(),
            backbone=backbone.strip() or IMAGENET_TEACHER,
            download=fetch,
        )

    def on_use(self) -> list[Any]:
        """Score with the newest taught teacher from now on."""
        newest = self._newest()
        if newest is None:
            raise StudioError("No teacher is taught in this workspace yet.", 'Press "Teach" first.')
        self.screen.studio.bundle.remember("teacher", newest)
        self.screen.forget_status()
        return self.values()
