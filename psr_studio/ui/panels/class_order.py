"""Class order on the Pool tab: offered where the teacher sees the classes of an import in another order."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import gradio as gr

from psr_studio.stages import reorder
from psr_studio.stages.reorder.offer import ClassOrder, offered
from psr_studio.ui.markup import note, table
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.screen import Screen

SHOWN = 12  # classes that would change places


class ClassOrderPanel:
    """A card that is there only while another order is offered; its button takes it."""

    def __init__(self, screen: Screen, jobs: JobPanel) -> None:
        self.screen = screen
        self.jobs = jobs

    def build(self) -> None:
        """Draw it here, with its events."""
        with gr.Column(visible=False, elem_id="psr-class-order", elem_classes="psr-question") as self.card:
            self.words = gr.HTML()
            take = gr.Button("Take this order", size="sm", elem_id="psr-class-order-take")
        self.jobs.starts(take, self.on_take, None)

    @property
    def outputs(self) -> list[Any]:
        """What `values` fills."""
        return [self.card, self.words]

    def version(self) -> Hashable:
        """Changes whenever the pool or its scores do."""
        return self.screen.status()["score"], self.screen.studio.pool.content_hash()

    def values(self) -> list[Any]:
        """The offer, where there is one."""
        studio = self.screen.studio
        found = offered(studio.workspace, studio.recipe, studio.bundle)
        return [gr.Column(visible=found is not None), _words(found) if found else ""]

    def on_take(self) -> None:
        """Take the offered order over, as a job."""
        self.screen.forget_status()
        self.screen.worker.submit(reorder.STAGE.name)


def _words(found: ClassOrder) -> str:
    more = f" The first {SHOWN} of {len(found.moves)}:" if len(found.moves) > SHOWN else ""
    kept = "Pictures stay; marks by hand go, and scores are made again."
    shown = table(("Folder", "Taken for", "Looks like"), found.moves[:SHOWN])
    return note(f"{found.text} {kept}{more}") + shown
