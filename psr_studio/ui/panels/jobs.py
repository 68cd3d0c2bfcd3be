"""The job of a tab: progress, last pictures, the two stops; drawn from the worker, so it outlives a tab."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import gradio as gr

from psr_studio.app.jobs import JobState
from psr_studio.stages.stage import Stage
from psr_studio.stages.table import STAGES
from psr_studio.ui.markup import job_card, note
from psr_studio.ui.press import MARKED, TO_FIELD, answered, begun
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, QUIET, said

STOPS = {"after": "Stop after this part", "now": "Stop now"}


class JobPanel:
    """Shows the newest job of some stages.

    Args:
        stages: those that this tab starts.
        idle: what is said before the first job, if anything.
    """

    def __init__(self, screen: Screen, stages: Sequence[Stage], idle: str = "") -> None:
        self.screen = screen
        self.stages = [stage.name for stage in stages]
        self.idle = idle
        self.presses: list[Any] = []

    def build(self) -> None:
        """Draw it here."""
        first = self.stages[0]
        self.card = gr.HTML(note(self.idle), visible=bool(self.idle), elem_id=f"psr-job-{first}")
        with gr.Row(elem_classes="psr-stops"):
            self.after = gr.Button(
                STOPS["after"], size="sm", visible=False, elem_id=f"psr-stop-after-{first}"
            )
            self.now = gr.Button(
                STOPS["now"], size="sm", variant="stop", visible=False, elem_id=f"psr-stop-now-{first}"
            )
        for button, stop in ((self.after, self._stop_after), (self.now, self._stop_now)):
            self.presses.append(answered(button.click, said(stop), None, None, **PRESSED))

    def starts(
        self,
        button: gr.Button,
        handler: Callable[..., Any],
        inputs: Any,
        outputs: Sequence[Any] = (),
        js: str | None = None,
    ) -> Any:
        """Let a press of `button` call `handler`, which queues a job and fills `outputs`; returns the event.

        Args:
            js: what the page does with the inputs before they are sent.
        """
        how = {**PRESSED, **MARKED, "js": begun(js, button.value)}
        event = button.click(said(handler), inputs, list(outputs), **how)
        event.failure(None, js=TO_FIELD, **QUIET)
        self.presses.append(event)
        return event

    def redrawn_by(self, draw: Callable[..., list[Any]], seen: gr.State, outputs: Sequence[Any]) -> None:
        """Draw the page as soon as a press is answered, not when its timer comes round."""
        for event in self.presses:
            event.success(draw, seen, outputs, **{**QUIET, **MARKED})

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.card, self.after, self.now]

    def job(self) -> JobState | None:
        """The job to show: the one that runs, else the newest, unless that fell with the one before it."""
        found = self._newest()
        running = [number for number, job in found.items() if job.state == "running"]
        if not found:
            return None
        newest = found[max(running or found)]
        cause = found.get(newest.after or 0)
        return cause if cause and newest.state == "cancelled" and cause.state != "done" else newest

    def _newest(self) -> dict[int, JobState]:
        return {job.id: job for stage in self.stages if (job := self.screen.worker.latest(stage))}

    def version(self) -> Hashable:
        """Changes whenever what is shown does."""
        job = self.job()
        return job and (job.id, job.state, job.done, job.total, job.message, job.stopping, round(job.seconds))

    def _cards(self, job: JobState) -> str:
        """The card of a job, below the one of the job that it came after: what that did stays to be read."""
        cause = self._newest().get(job.after or 0)
        first = [job_card(cause, "")] if cause and cause.state == "done" else []
        return "".join([*first, job_card(job, self._again(job.stage))])

    def values(self) -> list[Any]:
        """The card and the two buttons."""
        job = self.job()
        if job is None:
            return [gr.HTML(note(self.idle), visible=bool(self.idle)), *[gr.Button(visible=False)] * 2]
        running = job.state == "running"
        resumes = STAGES[job.stage].resumes
        return [
            gr.HTML(self._cards(job), visible=True),
            gr.Button(visible=running and resumes, interactive=not job.stopping),
            gr.Button(visible=job.active, interactive=job.stopping != "now"),
        ]

    def _again(self, stage: str) -> str:
        verb, status = STAGES[stage].verb, self.screen.status()
        if stage not in status:
            kept = STAGES[stage].resumes  # an import or a download is whole or not there
            return f'Press "{verb}" ' + (
                "to go on from there: what is finished stays." if kept else "to begin again."
            )
        if status[stage].state == "missing":
            return f'{status[stage].reason} Nothing was finished: press "{verb}" to begin again.'
        return f'{status[stage].reason} Press "{verb}" to go on from there: what is written stays.'

    def _stop_after(self) -> None:
        if job := self.job():
            self.screen.worker.stop_after_part(job.id)

    def _stop_now(self) -> None:
        if job := self.job():
            self.screen.worker.stop_now(job.id)
