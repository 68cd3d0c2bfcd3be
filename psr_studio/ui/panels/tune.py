"""The accordion "Tune" beside the workbench: search selector and weights, see the trials, take one with a click."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from html import escape
from typing import Any

import gradio as gr

from psr_studio.core.errors import SelectionError
from psr_studio.stages import tune
from psr_studio.stages.tune.stage import describe
from psr_studio.storage.trials import TrialRecord
from psr_studio.ui.markup import note
from psr_studio.ui.panels.controls import Settings
from psr_studio.ui.panels.estimate import empty_note, todo_note
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.plots.tune import trials_figure
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, QUIET, said

ABOUT = (
    "Tries settings with the budget, pins and vetoes on the sliders, and judges each set by a cheap proxy on real "
    "images that no control uses. The proxy is not the evaluation."
)
TRYING = "Settings are being tried: what stands on the sliders first."
EMPTY = 'Nothing is tried yet. Press "Tune": what stands on the sliders is tried first.'
OLDER = "The trials below are of another search: other images per class, marks, proxy, selectors or pool."
KNN_ONLY, STUDENT_ONLY = "tune.neighbours", "tune.student_epochs"
SHOWN = 50  # rows
# One listener for all buttons of the table, which is drawn anew with every trial.
LISTEN = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-trial]');
  if (button) trigger('take', { study: button.dataset.study, trial: Number(button.dataset.trial) });
});
"""


class TunePanel:
    """Settings, progress, figure and table of a search."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.jobs = _TuneJobs(screen, [tune.STAGE])
        titles = [(selector["title"], selector["name"]) for selector in screen.studio.curation.selectors()]
        self.settings = Settings(screen.studio, {"tune.selectors": titles})

    def build(self) -> None:
        """Draw it here."""
        with gr.Accordion("Tune", open=False, elem_id="psr-tune-panel"):
            gr.HTML(note(ABOUT))
            self.settings.add("tune.selectors", "tune.weights", "tune.trials", "tune.proxy")
            with gr.Accordion("More settings", open=False):
                self.settings.add(KNN_ONLY, STUDENT_ONLY, "tune.seed")
            self.run = gr.Button("Tune", variant="primary", elem_id="psr-tune")
            self.trust = gr.HTML(elem_id="psr-tune-trust")
            self.jobs.build()
            self.plot = gr.Plot(show_label=False, visible=False)
            self.table = gr.HTML(note(EMPTY), js_on_load=LISTEN, elem_id="psr-trials")

    def connect(self, island: gr.HTML) -> None:
        """Events; `island` is the workbench, which follows a trial that is taken."""
        self.jobs.starts(self.run, self._run, self.settings.outputs)
        self.settings.controls["tune.proxy"].change(
            self._trust, self.settings.controls["tune.proxy"], self.trust, **QUIET
        )
        answered(self.table.take, said(self.on_take), None, [self.table, island], **PRESSED)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.trust, self.plot, self.table]

    def version(self) -> Hashable:
        """Changes with every trial and with what stands on the sliders."""
        ledger = self.screen.studio.workspace.ledger
        return (
            len(ledger.trials()),
            self.screen.studio.tune_status(sliders=True),
            self.screen.studio.curation.settings(),
            self.screen.studio.recipe.tune,
            self.screen.works_on(tune.STAGE.name),
        )

    def values(self) -> list[Any]:
        """What the proxy is worth, the figure and the table."""
        found = self.screen.studio.trials(sliders=True)
        total = max(self.screen.studio.recipe.tune.trials, len(found))
        plot = gr.Plot(trials_figure(found, total), visible=True) if found else gr.Plot(visible=False)
        return [self._trust(self.screen.studio.recipe.tune.proxy), plot, self._table(found)]

    def _run(self, *given: Any) -> None:
        self.screen.submit("tune", self.settings.read(given), sliders=True)

    def on_take(self, event: gr.EventData) -> list[Any]:
        """The named trial goes on the sliders, as one action that can be undone; the workbench looks again."""
        studio = self.screen.studio
        asked = event._data or {}
        found = studio.workspace.ledger.trials(str(asked.get("study")))
        trials = [trial for trial in found if trial.number == asked.get("trial")]
        if not trials:
            raise SelectionError("That trial is not in this workspace any more.", "Reload the page.")
        self.screen.workbench.act(lambda: studio.curation.take(trials[0]))
        gr.Info(f"On the sliders: {describe(trials[0].settings)}. Undo takes it back.", duration=5)
        revision = f"taken {self.screen.workbench.revision}"
        return [self.values()[2], {"token": self.screen.token, "base": "", "revision": revision}]

    def _trust(self, proxy: str) -> str:
        studio = self.screen.studio
        recipe = studio.curation.recipe().with_values({"tune.proxy": proxy})
        return note(studio.tune_trust(proxy)) + todo_note(self.screen, tune.STAGE, "trial", recipe)

    def _table(self, trials: Sequence[TrialRecord]) -> str:
        if not trials:
            return empty_note(self.screen, tune.STAGE, EMPTY, TRYING)
        stale = self.screen.studio.tune_status(sliders=True).state == "stale"
        rows = "".join(self._row(trial, rank) for rank, trial in enumerate(trials[:SHOWN], 1))
        head = "<th>Rank</th><th class=psr-right>Trial</th><th class=psr-right>Proxy %</th><th>Settings</th><th></th>"
        more = note(f"{len(trials) - SHOWN} more, below these.") if len(trials) > SHOWN else ""
        opening = '<div class="psr-scroll" style="max-height:26rem"><table class="psr-table"><thead><tr>'
        body = f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        return f"{note(OLDER) if stale else ''}{opening}{body}{more}"

    def _row(self, trial: TrialRecord, rank: int) -> str:
        words = escape(describe(trial.settings))
        if self.screen.studio.curation.holds(trial):
            action = "on the sliders"
        else:
            action = (
                f'<button type="button" class="psr-take" data-study="{escape(trial.study)}" '
                f'data-trial="{trial.number}" aria-label="Take this one: {words}">Take this one</button>'
            )
        return (
            f"<tr><td>{rank}</td><td class=psr-right>{trial.number + 1}</td>"
            f"<td class=psr-right>{100 * trial.value:.2f}</td><td>{words}</td><td>{action}</td></tr>"
        )


class _TuneJobs(JobPanel):
    """The job of the search; it is no step of the pipeline, so the bar has no dot for it."""

    def _again(self, stage: str) -> str:
        reason = self.screen.studio.tune_status(sliders=True).reason
        return f'{reason} Press "Tune" to go on from there: trials are kept.'
