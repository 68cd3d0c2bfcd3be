"""Fine-tune on the Pool tab: the generator on real images as Minimax does, with its losses while they fall."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import gradio as gr

from psr_studio.core.errors import ModelError
from psr_studio.recipe.keys import keys
from psr_studio.stages import finetune
from psr_studio.stages.generate import tuned
from psr_studio.stages.generate.targets import need_real_images
from psr_studio.ui.markup import note
from psr_studio.ui.panels.controls import Settings
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.plots.curves import training_figure
from psr_studio.ui.screen import Screen

ABOUT = (
    "Teaches a small part of the generator on real images to be representative (like the real picture it is least "
    "like) and diverse (unlike what it made before), as Minimax does. What changed is kept in this workspace under a "
    'name, and the bundle\'s own generator stays: choose it as "Generator". Stopped, it goes on from there.'
)
SHOWN = ("name", "epochs", "representativeness", "diversity")  # the others are folded


class FinetunePanel:
    """An accordion whose button starts the fine-tuning as a job of the Pool tab, with the curves of its losses."""

    def __init__(self, screen: Screen, jobs: JobPanel) -> None:
        self.screen = screen
        self.jobs = jobs
        self.settings = Settings(screen.studio)

    def build(self) -> None:
        """Draw it here."""
        first = [f"finetune.{name}" for name in SHOWN]
        with gr.Accordion("Fine-tune the generator (Minimax)", open=False, elem_id="psr-finetune"):
            gr.HTML(note(ABOUT))
            self.settings.add(*first)
            with gr.Accordion("More settings of fine-tuning", open=False):
                self.settings.add(*(key for key in keys("finetune") if key not in first))
            needed = self._needed()
            self.needed = gr.HTML(needed, visible=bool(needed), elem_id="psr-finetune-needed")
            self.button = gr.Button(finetune.STAGE.verb, elem_id="psr-finetune-run")

    def connect(self) -> None:
        """Events."""
        self.jobs.starts(self.button, self.on_finetune, self.settings.outputs)

    def build_figure(self) -> None:
        """Draw the curves here."""
        self.plot = gr.Plot(visible=False, show_label=False, elem_id="psr-finetune-losses")

    def generators(self) -> Sequence[tuple[str, str]]:
        """What may fill a pool, as a choice shows it: the bundle's own, and those that were fine-tuned here."""
        own = [(f"{name}, fine-tuned here", name) for name in tuned.names(self.screen.studio.workspace)]
        return [("The bundle's own", ""), *own]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.plot, self.needed]

    def version(self) -> Hashable:
        """Changes with every point of the curves, and when real images come or go."""
        return self._needed(), *((name, points[-1]) for name, points in self._curves().items())

    def values(self) -> list[Any]:
        """The losses of the newest fine-tuning of this session, if any, and what it needs."""
        curves, needed = self._curves(), self._needed()
        drawn = gr.Plot(training_figure(curves), visible=True) if curves else gr.Plot(visible=False)
        return [drawn, gr.HTML(needed, visible=bool(needed))]

    def _needed(self) -> str:
        """How to get the real images that it learns from, "" where they are at hand."""
        try:
            need_real_images(self.screen.studio.bundle)
        except ModelError as err:
            return note(f"{err.problem} {err.fix}")
        return ""

    def _curves(self) -> dict[str, Sequence[tuple[float, float]]]:
        job = self.screen.worker.latest(finetune.STAGE.name)
        return {} if job is None else dict(job.curves)

    def on_finetune(self, *given: Any) -> None:
        """Queue the fine-tuning, or the rest of it."""
        self.screen.submit(finetune.STAGE.name, self.settings.read(given))
