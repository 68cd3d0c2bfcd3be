"""One worker runs the long steps, one at a time, in a thread of its own: a closed page loses nothing.

What a job has done stands in the ledger; its last pictures and its curves stay in memory. After a restart a
job that was running is "interrupted": the step itself resumes at the first part that is missing.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psr_studio.core.disk import foreseen
from psr_studio.core.errors import JobError, StudioError
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import Stopped, stopped_by
from psr_studio.stages.batches import FinishParts
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.records import JobRecord

LOG = logging.getLogger(__name__)
STOP_NOW, STOP_AFTER_PART = "now", "after part"
KEPT_PREVIEWS = 24
CURVE_POINTS = 2000  # beyond it every second point of a curve is dropped
LEDGER_SECONDS = 1.0  # between two notes of the same job
ACTIVE = ("queued", "running")

Run = Callable[..., Iterator[Progress]]
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class JobState:
    """A job at one moment. `state` is one of `ledger.JOB_STATES`, `stopping` the stop that was asked for."""

    id: int
    stage: str
    state: str
    params: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    rate: float = 0.0  # units per second of this run
    eta_seconds: float | None = None
    message: str = ""
    problem: str = ""
    fix: str = ""
    stopping: str = ""
    seconds: float = 0.0  # since it began to run
    previews: tuple[np.ndarray, ...] = ()  # of the last batch, uint8 (H, W, channels)
    curves: Mapping[str, Curve] = field(default_factory=dict)  # metric -> (epoch, or units done; value)
    cost: str = ""  # what the step said it would cost
    after: int | None = None  # the job without which this one is dropped

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE

    @property
    def fraction(self) -> float:
        """Share done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total > 0 else float(self.state == "done")


class _Job:
    """What changes while a job waits and runs; guarded by the worker's lock."""

    def __init__(self, job_id: int, stage: str, params: dict[str, Any], after: int | None = None) -> None:
        self.id, self.stage, self.params, self.after = job_id, stage, params, after
        self.status = "queued"
        self.stopping = ""
        self.error = ("", "")
        self.event = Progress(stage, 0, 0)
        self.came = 0.0  # when it did
        self.step, self.advanced = 1, 0.0  # units of the last advance, and seconds of the step at it
        self.previews: tuple[np.ndarray, ...] = ()
        self.cost = ""
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self.started = 0.0
        self.finished = 0.0
        self.noted = 0.0
        self.over = threading.Event()

    def take(self, event: Progress) -> None:
        """Keep what an event tells."""
        if event.done > self.event.done:
            self.step, self.advanced = event.done - self.event.done, event.seconds
        self.event, self.came = event, time.monotonic()
        if event.lasting:
            self.cost = event.message
        if event.previews:  # a batch at a time: pictures half made must not stand beside finished ones
            self.previews = event.previews[-KEPT_PREVIEWS:]
        x = float(event.metrics.get("epoch", event.done))
        for name, value in event.metrics.items():
            curve = self.curves.setdefault(name, [])
            curve.append((x, float(value)))
            if len(curve) > CURVE_POINTS:
                del curve[1::2]

    def stops_here(self) -> bool:
        """Whether to stop at this event."""
        return self.stops_now() or (
            self.stopping == STOP_AFTER_PART and self.event.part_done and not self.ends()
        )

    def stops_now(self) -> bool:
        """Whether to stop also between two events."""
        return self.stopping == STOP_NOW and not self.ends()

    def ends(self) -> bool:
        """Whether this was the last event, after which the step ends by itself."""
        return self.event.done >= self.event.total > 0

    def state(self) -> JobState:
        """A frozen copy."""
        event, running = self.event, self.status == "running"
        until = time.monotonic() if running else self.finished
        waited = until - self.came if running and self.came else 0.0
        rate, left = event.waited(waited, self.step, max(0.0, event.seconds - self.advanced))
        return JobState(
            self.id,
            self.stage,
            self.status,
            self.params,
            event.done,
            event.total,
            rate,
            left if running else None,
            event.message,
            *self.error,
            stopping=self.stopping if running else "",
            seconds=max(0.0, until - self.started) if self.started else 0.0,
            previews=self.previews,
            curves={name: tuple(points) for name, points in self.curves.items()},
            cost=self.cost,
            after=self.after,
        )


class JobWorker:
    """Runs steps one at a time, in the order they were asked for.

    Args:
        ledger: where jobs are noted.
        runs: stage to the function that starts it; its generator is consumed and closed in our thread.
        on_end: told each job that is over, in our thread.
    """

    def __init__(
        self, ledger: Ledger, runs: Mapping[str, Run], on_end: Callable[[JobState], None] | None = None
    ) -> None:
        self._on_end = on_end
        self._ledger = ledger
        self._runs = dict(runs)
        self.lock = threading.RLock()
        self._jobs: dict[int, _Job] = {}
        self._queue: queue.Queue[_Job | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._retired = False

    def submit(self, stage: str, *, after: int | None = None, **params: Any) -> int:
        """Queue a step and return the number of its job; `params` go to its function.

        Args:
            after: a job of this worker; unless that one is done, this one is dropped when its turn comes.

        Raises:
            JobError: that step already waits or runs, or the worker is retired.
        """
        assert stage in self._runs, f"stage {stage} is none of {sorted(self._runs)}"
        with self.lock:
            self.check_free(stage)
            job = _Job(self._ledger.create_job(stage, params), stage, params, after)
            self._jobs[job.id] = job
            self._queue.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="psr-jobs", daemon=True)
                self._thread.start()
        return job.id

    def check_free(self, stage: str) -> None:
        """Raise JobError while that step waits or runs, and once no job is taken any more."""
        if self._retired:
            raise JobError("Another workspace is being opened here.", "Wait until it is open.")
        if any(job.stage == stage for job in self.active()):
            raise JobError(f'The step "{stage}" is already running.', "Wait until it is done, or stop it.")

    def stop_after_part(self, job_id: int) -> None:
        """Stop where the next part is written: nothing that was computed is lost."""
        self._stop(job_id, STOP_AFTER_PART)

    def stop_now(self, job_id: int) -> None:
        """Stop before the next batch; the unfinished part is computed again when the step is run again."""
        self._stop(job_id, STOP_NOW)

    def snapshot(self, job_id: int) -> JobState:
        """The job now; JobError when there is none of that number."""
        with self.lock:
            job = self._jobs.get(job_id)
            return job.state() if job else _recorded(self._ledger.job(job_id))

    def latest(self, stage: str) -> JobState | None:
        """The newest job of a step, also from before a restart; None when it was never run."""
        with self.lock:
            mine = [job for job in self._jobs.values() if job.stage == stage]
            if mine:
                return mine[-1].state()
        return next((_recorded(record) for record in self._ledger.jobs() if record.stage == stage), None)

    def newest(self) -> JobState | None:
        """The job that was asked for last since the start; None before the first."""
        with self.lock:
            return next((job.state() for job in reversed(self._jobs.values())), None)

    def ended(self) -> JobState | None:
        """The job that ended last since the start, not one that fell with it; None before the first."""
        with self.lock:
            over = [job for job in self._jobs.values() if job.status not in ACTIVE]
            begun = [job for job in over if job.after is None or job.started] or over
            return max(begun, key=lambda job: job.finished).state() if begun else None

    def active(self) -> list[JobState]:
        """The job that runs and those that wait, in order."""
        with self.lock:
            return [job.state() for job in self._jobs.values() if job.status in ACTIVE]

    def wait(self, job_id: int, timeout: float | None = None) -> JobState:
        """Block until a job of this worker is over, or the seconds have passed."""
        self._jobs[job_id].over.wait(timeout)
        return self.snapshot(job_id)

    def retire(self) -> None:
        """Take no more jobs.

        Raises:
            JobError: one waits or runs.
        """
        with self.lock:
            if any(job.status in ACTIVE for job in self._jobs.values()):
                raise JobError(
                    "A job waits or runs in this workspace, which would end with it.",
                    'Wait until it is done, or stop it: press the pill at the top, then "Stop now".',
                )
            self._retired = True

    def resume(self) -> None:
        """Take jobs again."""
        self._retired = False

    def close(self, timeout: float = 10.0) -> None:
        """Stop what runs, drop what waits, and end the thread; may be called twice."""
        with self.lock:
            for job in self._jobs.values():
                if job.status in ACTIVE:
                    self.stop_now(job.id)
            thread, self._thread = self._thread, None
        if thread:
            self._queue.put(None)
            thread.join(timeout)

    def _stop(self, job_id: int, wish: str) -> None:
        with self.lock:
            job = self._jobs.get(job_id)
            if job is None or job.status not in ACTIVE:
                return
            if job.status == "queued":
                self._finish(job, "cancelled")
            elif job.stopping != STOP_NOW:  # the stronger wish stays
                job.stopping = wish

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            with self.lock:
                if job.status != "queued":
                    continue
                before = self._jobs.get(job.after) if job.after is not None else None
                if job.after is not None and (before is None or before.status != "done"):
                    self._finish(job, "cancelled")
                    continue
            self._run(job)

    def _run(self, job: _Job) -> None:
        with self.lock:
            job.status, job.started = "running", time.monotonic()
        try:
            self._note(job, status="running")
            status = self._consume(job)
        except StudioError as err:
            job.error, status = (err.problem, err.fix), "failed"
        except BaseException as err:  # the last place that can tell the user; a library may even ask to exit
            LOG.exception("job %d (%s)", job.id, job.stage)
            job.error, status = _unforeseen(err), "failed"
        self._finish(job, status)

    def _consume(self, job: _Job) -> str:
        events = self._runs[job.stage](**job.params)
        try:
            with stopped_by(job.stops_now):
                for event in events:
                    with self.lock:
                        job.take(event)
                        stop = job.stops_here()
                    if stop:
                        self._finish_parts(job, events)
                        return "cancelled"
                    if event.part_done or time.monotonic() - job.noted > LEDGER_SECONDS:
                        self._note(job)
        except Stopped:
            return "cancelled"
        finally:
            if isinstance(events, Generator):
                events.close()
        return "done"

    def _finish_parts(self, job: _Job, events: Iterator[Progress]) -> None:
        """After "stop after this part": let the other workers of the step, if it has some, write theirs."""
        if job.stopping != STOP_AFTER_PART or not isinstance(events, Generator):
            return
        try:
            event = events.throw(FinishParts())
            while job.stopping == STOP_AFTER_PART:
                with self.lock:
                    job.take(event)
                event = next(events)
        except (FinishParts, StopIteration):
            return

    def _finish(self, job: _Job, status: str) -> None:
        with self.lock:
            job.status, job.finished = status, time.monotonic()
        try:
            self._note(job, status=status, problem=job.error[0], fix=job.error[1])
            if self._on_end:
                self._on_end(job.state())
        except Exception:  # what follows a job is no part of it, and the next one must run
            LOG.exception("after job %d (%s)", job.id, job.stage)
        finally:
            job.over.set()

    def _note(self, job: _Job, **changes: Any) -> None:
        """Write to the ledger; a ledger that cannot be written to must not stop the work itself."""
        job.noted = time.monotonic()
        event = job.event
        try:
            self._ledger.update_job(
                job.id, done=event.done, total=event.total, message=event.message, **changes
            )
        except StudioError as err:
            LOG.warning("job %d is not noted: %s", job.id, err.problem)


def _recorded(record: JobRecord) -> JobState:
    """A job from before a restart."""
    until = record.finished or record.started or 0.0
    return JobState(
        record.id,
        record.stage,
        record.status,
        record.params,
        record.done,
        record.total,
        message=record.message,
        problem=record.problem,
        fix=record.fix,
        seconds=until - record.started if record.started else 0.0,
    )


def _unforeseen(err: BaseException) -> tuple[str, str]:
    """Problem and fix for an error that no step foresaw; torch's own type is known by its name only."""
    if (refused := foreseen(err)) is not None:
        return refused.problem, refused.fix
    if type(err).__name__ in ("OutOfMemoryError", "MemoryError"):
        return (
            f"The memory of the device ran out ({err}).",
            'Halve "Batch size": same result up to rounding, only slower. Parts that were written stay.',
        )
    return (
        f"The step ended with an error that was not foreseen ({type(err).__name__}: {err}).",
        'Look at "log.txt" in the workspace for the details, then run the step again: it resumes.',
    )
