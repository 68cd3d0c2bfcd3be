"""What "Generate" would put in the place of a pool that is here: asked before it is done, with numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr

from psr_studio.app.recent import note_opened
from psr_studio.core.words import plural
from psr_studio.recipe.errors import check_folder_name
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.generate import stage as generate
from psr_studio.storage.copying import copy_workspace
from psr_studio.ui.markup import note
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import QUIET


class ReplaceQuestion:
    """A card: replace the pool, keep it in a workspace of its own first, or leave it."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def build(self) -> None:
        """Draw it here, out of sight."""
        with gr.Column(visible=False, elem_id="psr-replace-pool", elem_classes="psr-question") as self.card:
            self.words = gr.HTML()
            self.name = gr.Textbox(
                label="Keep the old pool in", info="A new folder beside this workspace.", max_lines=1
            )
            with gr.Row():
                self.keep = gr.Button("Keep it there, then generate", size="sm", elem_id="psr-replace-keep")
                self.replace = gr.Button("Replace it", size="sm", variant="stop", elem_id="psr-replace-yes")
                self.leave = gr.Button("Cancel", size="sm", elem_id="psr-replace-no")

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `ask` and `closed` fill."""
        return [self.card, self.words, self.name]  # type: ignore[list-item]

    def connect(self, jobs: JobPanel, generate_now: Callable[..., None], inputs: Sequence[Any]) -> None:
        """Events; `generate_now` is given `inputs` and starts a job."""

        def keep(name: str, *given: Any) -> list[Any]:
            kept = copy_workspace(self.screen.studio.workspace, self._beside(name))
            note_opened(kept)
            gr.Info(
                escape(f'The old pool is kept in "{kept}": open it by the name of the workspace at the top.'),
                duration=10,
            )
            generate_now(*given)
            return self.closed()

        def replace(*given: Any) -> list[Any]:
            generate_now(*given)
            return self.closed()

        jobs.starts(self.keep, keep, [self.name, *inputs], self.outputs)
        jobs.starts(self.replace, replace, list(inputs), self.outputs)
        self.leave.click(self.closed, None, self.outputs, **QUIET)

    def ask(self, recipe: Recipe) -> list[Any] | None:
        """The card, open, where the recipe would replace candidates; None where it would not."""
        studio = self.screen.studio
        gone = generate.replaced(studio.workspace, generate.left(studio.workspace, recipe, studio.bundle))
        if not gone:
            return None
        root, ledger = studio.workspace.root, studio.workspace.ledger
        saved, marked = ledger.selections(), ledger.marks()
        refined = [record for record in saved if studio.workspace.refined_files(record.name)]
        lost = [f"{gone:,} of {plural(len(studio.pool), 'candidate')} with their scores"]
        lost += [f"the pictures of {plural(len(saved), 'saved selection')}"] if saved else []
        lost += [f"{plural(len(refined), 'refined set')}"] if refined else []
        stays = ["exports and results"]
        if marked:
            stays.append(f"{plural(len(marked), 'pin or veto', 'pins and vetoes')} on the same numbers")
        words = (
            f"Replace the pool? These settings make other candidates: {', '.join(lost)} go. "
            f"{', '.join(stays).capitalize()} stay."
        )
        free = next(k for k in count(1) if not (root.parent / f"{root.name}-{k}").exists())
        return [gr.Column(visible=True), note(words), gr.Textbox(value=f"{root.name}-{free}")]

    def closed(self) -> list[Any]:
        """The card out of sight."""
        return [gr.Column(visible=False), gr.skip(), gr.skip()]

    def _beside(self, name: str) -> Path:
        return self.screen.studio.workspace.root.parent / check_folder_name("the workspace", name.strip())
