"""The bar above the tabs: project, bundle, teacher, device, the running job; and the dots of the tabs."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import gradio as gr

from psr_studio.app.jobs import JobState
from psr_studio.bundles.bundle import Bundle
from psr_studio.core.errors import StudioError
from psr_studio.core.words import duration
from psr_studio.stages import select
from psr_studio.stages.table import PIPELINE, STAGES
from psr_studio.storage.workspace import StageStatus
from psr_studio.ui.markup import STATES
from psr_studio.ui.one_file import one_body
from psr_studio.ui.panels.queue import queued
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.curate import saved_status
from psr_studio.ui.theme import STATIC
from psr_studio.ui.words import on_screen

TABS = tuple(dict.fromkeys(stage.tab for stage in PIPELINE))  # ids, in the order of the page


class TopBar:
    """Drawn by a script of our own from a plain value; every word is set as text there."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def build(self) -> None:
        """Draw it here."""
        self.bar = gr.HTML(
            value=self.names(),  # the rest follows when the page has loaded: it reads the heads of all parts
            html_template="<div class='psr-top'></div>",
            js_on_load=one_body(STATIC, "page", "mountPage({ element, props, watch })"),
            apply_default_css=False,
            elem_id="psr-topbar",
        )

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.bar]

    def version(self) -> Hashable:
        """Changes whenever the bar does."""
        return repr(self.shown_value())

    def values(self) -> list[Any]:
        """The value of the bar."""
        return [self.shown_value()]

    def shown_value(self) -> dict[str, Any]:
        """What the bar shows: names, jobs and the state of each tab."""
        active = self.screen.worker.active()
        return {
            **self.names(),
            "job": _pill(active[0], len(active) - 1) if active else _ended(self.screen.worker.ended()),
            "jobs": [asdict(entry) for entry in queued(self.screen.worker)],
            "stages": self._tabs({STAGES[job.stage].tab for job in active if job.state == "running"}),
        }

    def names(self) -> dict[str, Any]:
        """Project, tabs, and what the pictures and their scores are made with."""
        studio = self.screen.studio
        root = studio.workspace.root
        return {
            "project": root.name,
            "root": str(root),
            "token": self.screen.token,
            "tabs": TABS,
            "chips": [
                ["bundle", studio.bundle.name],
                ["teacher", _teacher(studio.bundle)],
                *([["labels", "came with the pictures"]] if studio.pool.has_own_logits else []),
                ["device", self.screen.device or studio.recipe.device],
            ],
        }

    def _tabs(self, running: set[str]) -> dict[str, Any]:
        """Each tab with its dot: that of its first stage that is not fresh, or else of its last one."""
        status = self.screen.status()
        shown: dict[str, StageStatus] = {}
        for stage in PIPELINE:
            if stage.tab not in shown or shown[stage.tab].state == "fresh":
                shown[stage.tab] = status[stage.name]
        with suppress(StudioError):  # no scored pool: the stage itself says so
            shown[select.STAGE.tab] = saved_status(self.screen)
        return {name: _dot(found, name in running) for name, found in shown.items()}


def _teacher(bundle: Bundle) -> str:
    """The hash of the teacher; in words where it has none that could be hashed."""
    waited = bundle.missing_part("teacher")
    if waited is None:
        return bundle.teacher_id.removeprefix("teacher-")
    return "not on this machine" if waited.name else "none yet"


def _dot(status: StageStatus, running: bool) -> dict[str, Any]:
    return {
        "state": status.state,
        "reason": f"{status.state}: {on_screen(status.reason)}",
        "running": running,
    }


def _ended(job: JobState | None) -> dict[str, Any] | None:
    """How a step ended stays in the bar until the next one begins: its tab may not be the one on screen."""
    if job is None:
        return None
    text = f"{STAGES[job.stage].title} {STATES[job.state]}"
    why = on_screen(job.problem)
    return {"tab": STAGES[job.stage].tab, "state": job.state, "fraction": 0.0, "text": text, "title": why}


def _pill(job: JobState, waiting: int) -> dict[str, Any]:
    left = f", {duration(job.eta_seconds)} left" if job.eta_seconds else ""
    count = f" {job.done:,}/{job.total:,}" if job.total else f" {STATES[job.state]}"
    more = f" (+{waiting})" if waiting else ""
    return {
        "tab": STAGES[job.stage].tab,
        "state": job.state,
        "fraction": job.fraction,
        "text": f"{STAGES[job.stage].title}{count}{left}{more}",
        "title": on_screen(job.message) or STAGES[job.stage].title,
    }
