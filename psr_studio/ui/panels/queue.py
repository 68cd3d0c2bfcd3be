"""What the queue shows of each job: the one that runs, then those that wait, in order."""

from __future__ import annotations

from dataclasses import dataclass

from psr_studio.app.jobs import JobState, JobWorker
from psr_studio.core.words import duration
from psr_studio.stages.table import STAGES
from psr_studio.ui.markup import job_facts


@dataclass(frozen=True)
class Entry:
    """A row of the queue, in words; `state` as in `JobState`."""

    id: int
    tab: str
    title: str
    state: str
    stopping: str
    facts: str
    fraction: float
    resumes: bool


def queued(worker: JobWorker) -> list[Entry]:
    """The jobs that run or wait."""
    active = worker.active()
    return [_entry(job, place, active) for place, job in enumerate(active)]


def _entry(job: JobState, place: int, active: list[JobState]) -> Entry:
    stage = STAGES[job.stage]
    return Entry(
        job.id,
        stage.tab,
        stage.title,
        job.state,
        job.stopping,
        job_facts(job) if job.state == "running" else _waits(job, place, active),
        job.fraction,
        stage.resumes,
    )


def _waits(job: JobState, place: int, active: list[JobState]) -> str:
    """The job without which it falls, or its place."""
    cause = next((other for other in active if other.id == job.after), None)
    if cause is not None:
        return f'waits for "{STAGES[cause.stage].verb}", and falls with it'
    left = active[0].eta_seconds if place == 1 else None
    return f"next, in about {duration(left)}" if left else f"waits, number {place + 1} in the queue"
