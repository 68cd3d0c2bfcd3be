"""Refine: move the chosen latents towards the teacher's labels, and compare before with after."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any
from urllib.parse import quote, urlencode

import gradio as gr
import numpy as np

from psr_studio.core.errors import StudioError
from psr_studio.recipe.keys import keys
from psr_studio.recipe.objectives import OBJECTIVES
from psr_studio.stages import refine
from psr_studio.stages.encoding import latents_at
from psr_studio.stages.table import stages_of
from psr_studio.storage.scores import Refined
from psr_studio.ui.curate.island import AS_SHOWN
from psr_studio.ui.markup import error, loading, note, pair, pairs
from psr_studio.ui.panels.controls import Settings
from psr_studio.ui.panels.estimate import empty_note, state_line, todo_note
from psr_studio.ui.panels.frame import box, class_choice, halves, head, side, side_body, side_foot, step, work
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.picker import LOOK_AGAIN, SelectionPicker
from psr_studio.ui.plots.curves import loss_figure
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import QUIET

OBJECTIVE = "refine.objective"
COUNTS = {  # the settings that count under an objective, by key
    name: [*(f"refine.{shared}" for shared in one.shared), *keys(f"refine.{name}")]
    for name, one in OBJECTIVES.items()
}
BY_ALL = [key for key in COUNTS["psr"] if all(key in counting for counting in COUNTS.values())]
OWN = {name: [key for key in counting if key not in BY_ALL] for name, counting in COUNTS.items()}
MOST_PAIRS = 60


class RefineTab:
    """The third tab."""

    id = refine.STAGE.tab

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.jobs = JobPanel(screen, stages_of(self.id))
        self.picker = SelectionPicker(screen)
        titles = [(f"{name}: {one.title}", name) for name, one in OBJECTIVES.items()]
        self.settings = Settings(screen.studio, {OBJECTIVE: titles})
        self.class_choices = [(name, i) for i, name in enumerate(screen.studio.bundle.class_names)]

    def build(self) -> None:
        """Draw it here."""
        with step():
            with side():
                with side_body():
                    self.status = gr.HTML()
                    self.picker.build("psr-refine-selection")
                    about = {name: one.help for name, one in OBJECTIVES.items()}
                    first, *rest = BY_ALL
                    self.settings.add_choice(OBJECTIVE, OWN, first, about=about)
                    self.settings.add(*rest)
                with side_foot():
                    can = self.screen.studio.bundle.has("generator")
                    self.run = gr.Button("Refine", variant="primary", interactive=can, elem_id="psr-refine")
            with work():
                self.jobs.build()
                with halves():
                    with box():
                        with head("Before and after"):
                            self.class_id = class_choice(self.class_choices)
                        self.pairs = gr.HTML(loading(), elem_id="psr-pairs")
                    self.plot = gr.Plot(show_label=False, visible=False)

    def connect(self, *_: Any) -> None:
        """Events."""
        self.settings.told_by(self.status, self._state, "Refine")
        inputs = [self.picker.dropdown, *self.settings.outputs, self.picker.shown]
        self.jobs.starts(self.run, self._run, inputs, js=AS_SHOWN).then(None, js=LOOK_AGAIN, **QUIET)
        answered(self.class_id.change, self.on_class, self.class_id, [self.pairs, self.plot], **QUIET)

    def panes(self) -> list[Any]:
        """Itself and its parts."""
        return [self, self.jobs, self.picker, *self.settings.parts()]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.status, self.pairs, self.plot]

    def version(self) -> Hashable:
        """Changes with the recipe, the selection worked on, its refined pictures, and a job that makes them."""
        recipe, busy = self.screen.studio.recipe, self.screen.works_on(refine.STAGE.name)
        return (
            self.screen.status()["refine"],
            recipe.select.name,
            recipe.refine,
            self.screen.refined_state(),
            busy,
        )

    def values(self, class_id: int = 0) -> list[Any]:
        """The state, and the pairs of one class."""
        state = self._state()
        return [state, *self.on_class(class_id)]

    def _state(self, unused: str = "") -> str:
        return unused or state_line(self.screen, refine.STAGE) + todo_note(
            self.screen, refine.STAGE, "picture"
        )

    def _run(self, choice: str | None, *given: Any) -> None:
        *controls, shown = given
        values = self.settings.read(controls)
        self.screen.studio.recipe.with_values(
            values
        )  # refused values must not leave a saved selection behind
        self.screen.submit("refine", {**self.picker.use(choice, shown), **values})

    def on_class(self, class_id: int | None) -> list[Any]:
        """The pairs and the losses of a class, or of all."""
        name = self.screen.studio.recipe.select.name
        if not self.screen.refined_state():
            text = f'No refined pictures of "{name}" yet.'
            idle = text + (
                ' Press "Refine" to make them.' if self.screen.studio.bundle.has("generator") else ""
            )
            busy = f"{text} They are being made: a class stands here when it is written."
            return [empty_note(self.screen, refine.STAGE, idle, busy), gr.Plot(visible=False)]
        try:
            found = self.screen.refined(name)
            return self._shown(found, name, class_id or 0)
        except StudioError as err:
            return [error(err.problem, err.fix), gr.Plot(visible=False)]

    def _shown(self, found: Refined, name: str, class_id: int) -> list[Any]:
        rows = np.flatnonzero(found.labels == class_id)
        label = self.screen.studio.bundle.class_names[class_id]
        if not len(rows):
            return [note(f'No refined pictures of "{label}".'), gr.Plot(visible=False)]
        studio = self.screen.studio
        pool = studio.pool
        positions = pool.positions(found.candidate_ids[rows])
        moved = _moved(latents_at(studio.workspace, studio.bundle, pool, positions), found.latents[rows])
        query = urlencode({"token": self.screen.token, "v": found.inputs_hashes.get(class_id, "")[:12]})
        shown = [
            pair(
                f"psr/image/{found.candidate_ids[rows[i]]}.png?{query}",
                f"psr/refined/{quote(name)}/{rows[i]}.png?{query}",
                f"{i + 1}",
                _in_words(moved[i]),
            )
            for i in range(min(len(rows), MOST_PAIRS))
        ]
        more = note(f"The first {MOST_PAIRS} of {len(rows)} are shown.") if len(rows) > MOST_PAIRS else ""
        about = "before and after, in pick order, and how far its latent moved (root mean square)"
        words = note(f'"{label}" {about}.')
        kl_steps = self.screen.studio.recipe.refine.label_steps
        figure = loss_figure(found.traces[rows], kl_steps, f'Loss of "{label}"')
        return [words + pairs(shown) + more, gr.Plot(figure, visible=True)]


def _moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Root mean square change of each latent (n, c, h, w): (n,)."""
    return np.sqrt(((after - before) ** 2).reshape(len(after), -1).mean(axis=1))


def _in_words(moved: float) -> str:
    return "moved under 0.001" if 0 < moved < 0.001 else f"moved {moved:.3f}"
