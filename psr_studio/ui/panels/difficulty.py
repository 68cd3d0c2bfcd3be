"""The accordion "Difficulty" beside the workbench: the figures of DGS, drawn only while it is open."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from psr_studio.core.errors import StudioError
from psr_studio.stages.select.result import LiveResult
from psr_studio.ui.markup import error, note
from psr_studio.ui.plots.difficulty import densities, steps, substitution_text
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import QUIET

ALL_CLASSES = -1
ABOUT = (
    "Difficulty is what the probability of the class lacks to 1: the teacher's, for the pool that of labels that came "
    "with the pictures, where they did. Above: its density over the real training images, the pool and the picks. "
    "Below: counts by bin, before and after the smoothing by which difficulty-guided sampling makes pool and real "
    "images comparable, with the target where that selector is at work."
)
OVER_ALL = (
    " Here it is softened over all {:,} outputs of the teacher, not over the classes of the task alone."
)
NO_ORIGINAL = " This bundle holds no difficulties of real images."


class DifficultyPanel:
    """Figures of one class, or of all together."""

    def __init__(self, screen: Screen) -> None:
        self.screen, self.curation = screen, screen.studio.curation

    def build(self) -> None:
        """Draw it here."""
        with gr.Accordion("Difficulty", open=False, elem_id="psr-difficulty") as self.accordion:
            self.is_open = gr.State(False)
            names = self.screen.studio.bundle.class_names
            choices = [("All classes", ALL_CLASSES), *((name, i) for i, name in enumerate(names))]
            self.class_choice = gr.Dropdown(
                choices, value=ALL_CLASSES, label="Class", elem_id="psr-difficulty-class"
            )
            self.words = gr.HTML(elem_id="psr-difficulty-words")
            self.densities = gr.Plot(show_label=False)
            self.steps = gr.Plot(show_label=False)

    def connect(self, island: gr.HTML) -> None:
        """Events; a new selection on the island redraws what is open."""
        drawn = [self.words, self.densities, self.steps]
        events: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
        self.accordion.expand(lambda: True, None, self.is_open, **QUIET)
        self.accordion.expand(self._shown, self.class_choice, drawn, **events)
        self.accordion.collapse(lambda: False, None, self.is_open, **QUIET)
        answered(self.class_choice.change, self._shown, self.class_choice, drawn, **events)
        island.curated(self.draw_if_open, [self.is_open, self.class_choice], drawn, **events)

    def draw_if_open(self, is_open: bool, class_id: int) -> list[Any]:
        """As `draw`, nothing while the panel is closed."""
        return self._shown(class_id) if is_open else [gr.skip()] * 3

    def _shown(self, choice: int) -> list[Any]:
        words, *figures = self.draw(choice)
        return [words, *(gr.Plot(figure, visible=figure is not None) for figure in figures)]

    def draw(self, choice: int) -> list[Any]:
        """Words and both figures; only words where there is nothing to draw."""
        class_id = None if choice == ALL_CLASSES else int(choice)
        try:
            found, shown = self.curation.distributions(class_id), self.curation.shown()
        except StudioError as err:
            return [error(err.problem, err.fix), None, None]
        scored = shown.scored
        missing = "" if scored.has_original else NO_ORIGINAL
        if scored.over_all:
            missing = OVER_ALL.format(scored.bundle.n_outputs) + missing
        moved = substitution_text(found["substituted"], scored.class_names)
        groups = [("All classes", _values(shown, scored.present))]
        if class_id is not None:
            groups.append((scored.class_names[class_id], _values(shown, [class_id])))
        return [note(f"{ABOUT}{missing} {moved}"), densities(groups), steps(found)]


def _values(shown: LiveResult, classes: list[int]) -> dict[str, np.ndarray | None]:
    """Difficulties by kind, of some classes together."""
    scored = shown.scored
    real = [scored.original_difficulty(c) for c in classes]
    known = [values for values in real if values is not None]
    return {
        "original": np.concatenate(known) if known else None,
        "pool": np.concatenate([scored.difficulty[scored.members(c)] for c in classes]),
        "picked": np.concatenate([scored.difficulty[shown.picks[c]] for c in classes]),
    }
