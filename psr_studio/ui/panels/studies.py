"""The accordion "Studies" of the Evaluate tab: a table or figure of the papers, run as a job and shown as it fills."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from psr_studio.core.errors import RecipeError, StudioError
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.study import STAGE
from psr_studio.studies.entries import COLUMNS, own_entries, published_entries
from psr_studio.studies.report import figure_of, report_paths, standing
from psr_studio.studies.results import Result
from psr_studio.studies.study import Study, cells
from psr_studio.studies.table import STUDIES, find_study
from psr_studio.ui.markup import download, error, note, table
from psr_studio.ui.panels.controls import Settings
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import QUIET, label

BUDGETS, STUDENTS = "study.budgets", "study.students"
ABOUT = (
    "A table or figure of the papers on these models. Students are trained as set above, by as many seeds; what is "
    "finished is never run twice, and the pool grows where a study needs more candidates."
)


class StudiesPanel:
    """Choice, figure, table and report of a study; all pages show the one that was chosen last."""

    def __init__(self, screen: Screen, jobs: JobPanel) -> None:
        self.screen, self.jobs = screen, jobs
        last = screen.worker.latest(STAGE.name)
        name = last.params.get("name") if last else None
        self.shown = name if name in STUDIES else next(iter(STUDIES))
        self.settings = Settings(screen.studio, {STUDENTS: evaluate.students(screen.studio.bundle)})

    def build(self) -> None:
        """Draw it here, with its events."""
        with gr.Accordion("Studies", open=False, elem_id="psr-studies"), gr.Row():
            with gr.Column(scale=4, min_width=340):
                gr.HTML(note(ABOUT))
                choices = [(f"{study.place}: {name}", name) for name, study in STUDIES.items()]
                self.chosen = gr.Dropdown(choices, value=self.shown, label="Study", elem_id="psr-study")
                self.budgets = gr.Textbox(
                    _typed(self.screen.studio.recipe.study.budgets), label=label(BUDGETS), max_lines=1,
                    info="Such as 1, 10, 50; those of the study when empty.", elem_id="psr-study-budgets",
                )  # fmt: skip
                self.settings.add(STUDENTS, allow_custom_value=True)
                run = gr.Button(STAGE.verb, variant="primary", elem_id="psr-study-run")
            with gr.Column(scale=8, min_width=480):
                self.words = gr.HTML(elem_id="psr-study-words")
                self.plot = gr.Plot(show_label=False, visible=False)
                self.table = gr.HTML(elem_id="psr-study-table")
        answered(self.chosen.input, self.on_show, self.chosen, self.outputs[1:], **QUIET)
        self.jobs.starts(run, self.on_run, [self.chosen, self.budgets, *self.settings.outputs])

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.chosen, self.words, self.plot, self.table]

    def version(self) -> Hashable:
        """Changes with every cell that is finished, and with what is asked for."""
        studio = self.screen.studio
        page, _ = report_paths(studio.workspace, STUDIES[self.shown])
        written = page.stat().st_mtime_ns if page.is_file() else 0
        running = self._runs(STUDIES[self.shown])
        return self.shown, written, running, studio.recipe.study, studio.recipe.evaluate

    def values(self) -> list[Any]:
        """The choice, how far the study is, its figure and its lines."""
        return [self.shown, *self._drawn()]

    def _drawn(self) -> list[Any]:
        studio, study = self.screen.studio, STUDIES[self.shown]
        hidden = gr.Plot(visible=False)
        try:
            found = studio.study_results(study.name)
        except StudioError as err:  # such as a student of the recipe that these pictures have no room for
            return [error(err.problem, err.fix), hidden, ""]
        running = self._runs(study)
        rest = "" if running else self._rest(study)
        words = note(f"{study.place}: {study.title} {standing(found, running)} {rest}") + self._links()
        if not any(result.rows for result in found):
            return [words, hidden, ""]
        return [
            words,
            gr.Plot(figure_of(study, found, studio.bundle), visible=True),
            _lines(study.name, found),
        ]

    def _runs(self, study: Study) -> bool:
        jobs = self.screen.worker.active()
        return any(job.stage == STAGE.name and job.params.get("name") == study.name for job in jobs)

    def _rest(self, study: Study) -> str:
        """What is left to do and how long it takes, "" where that cannot be said."""
        try:
            return self.screen.studio.study_outlook(study.name)
        except StudioError:
            return ""

    def _links(self) -> str:
        paths = report_paths(self.screen.studio.workspace, STUDIES[self.shown])
        query = urlencode({"token": self.screen.token})
        return "".join(
            download(f"psr/study/{path.name}?{query}", f"Download {path.name}")
            for path in paths
            if path.is_file()
        )

    def on_show(self, name: str) -> list[Any]:
        """Show another study."""
        self.shown = find_study(name).name
        return self._drawn()

    def on_run(self, name: str, budgets: str, *given: Any) -> None:
        """Queue the cells of a study that are missing; what is refused is not queued."""
        studio = self.screen.studio
        values = {BUDGETS: _budgets(budgets), **self.settings.read(given)}
        cells(
            find_study(name), studio.recipe.with_values(values), studio.bundle
        )  # refused before it is queued
        self.shown = name
        self.screen.worker.submit(STAGE.name, name=name, **values)


def _typed(budgets: Sequence[int] | None) -> str:
    return ", ".join(map(str, budgets or ()))


def _budgets(text: str) -> list[int] | None:
    """Budgets as they are typed, "1, 10, 50"; None for nothing."""
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() for word in words):
        raise RecipeError(
            f'"{BUDGETS}" is "{text}", but whole numbers are needed.', "Write them as in 1, 10, 50.", BUDGETS
        )
    return [int(word) for word in words] or None


def _lines(name: str, found: Sequence[Result]) -> str:
    entries = (*own_entries(found), *published_entries(STUDIES[name]))
    return table(COLUMNS, (entry.cells for entry in entries), right=(3, 6, 7))
