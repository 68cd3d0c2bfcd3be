"""The worker: order, both stops, what the ledger keeps, and what a failure says."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from psr_studio.app.jobs import CURVE_POINTS, JobState, JobWorker
from psr_studio.core.errors import JobError, ModelError
from psr_studio.core.progress import Progress
from psr_studio.storage.workspace import Workspace

SECONDS = 10.0  # far beyond what any of these needs


class Steps:
    """A step of `total` events, of which every `part`-th finishes a part; it waits before event `hold`."""

    def __init__(self, total: int = 9, part: int = 3, hold: int = -1) -> None:
        self.total, self.part, self.hold = total, part, hold
        self.held, self.go_on, self.closed = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, **params: object) -> Iterator[Progress]:
        try:
            for done in range(1, self.total + 1):
                if done == self.hold:
                    self.held.set()
                    assert self.go_on.wait(SECONDS)
                part_done = done % self.part == 0
                yield Progress(
                    "pool",
                    done,
                    self.total,
                    f"image {done}",
                    None,
                    part_done,
                    (np.full((2, 2, 1), done % 256, np.uint8),),
                    {"loss": 1 / done},
                )
        finally:
            self.closed.set()


@pytest.fixture
def start(workspace: Workspace) -> Iterator[Callable[..., JobWorker]]:
    workers: list[JobWorker] = []

    def make(**runs: Callable[..., Iterator[Progress]]) -> JobWorker:
        workers.append(JobWorker(workspace.ledger, runs))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def test_a_job_runs_to_its_end_and_is_noted(start, workspace):
    worker = start(pool=Steps(total=9))
    state = worker.wait(worker.submit("pool", steps=4), SECONDS)
    assert (state.state, state.done, state.total, state.fraction) == ("done", 9, 9, 1.0)
    assert [int(p.max()) for p in state.previews] == [9]
    assert state.curves["loss"] == tuple((float(n), 1 / n) for n in range(1, 10))
    record = workspace.ledger.job(state.id)
    assert (record.status, record.done, record.message, record.params) == ("done", 9, "image 9", {"steps": 4})


def test_stop_after_this_part_stops_where_a_part_is_written(start):
    """Asked for at image 5 of parts of three, it stops at image 6 and not before."""
    steps = Steps(total=9, part=3, hold=5)
    worker = start(pool=steps)
    job = worker.submit("pool")
    assert steps.held.wait(SECONDS)
    worker.stop_after_part(job)
    assert worker.snapshot(job).stopping == "after part"
    steps.go_on.set()
    state = worker.wait(job, SECONDS)
    assert (state.state, state.done) == ("cancelled", 6)
    assert steps.closed.is_set()


def test_stop_now_stops_at_the_next_event_and_closes_the_step(start):
    steps = Steps(total=9, part=3, hold=5)
    worker = start(pool=steps)
    job = worker.submit("pool")
    assert steps.held.wait(SECONDS)
    worker.stop_now(job)
    worker.stop_after_part(job)  # the weaker wish must not replace the stronger
    steps.go_on.set()
    state = worker.wait(job, SECONDS)
    assert (state.state, state.done) == ("cancelled", 5)
    assert steps.closed.is_set()


def test_a_stop_at_the_last_event_lets_the_job_be_done(start):
    steps = Steps(total=6, part=3, hold=6)
    worker = start(pool=steps)
    job = worker.submit("pool")
    assert steps.held.wait(SECONDS)
    worker.stop_now(job)
    steps.go_on.set()
    assert worker.wait(job, SECONDS).state == "done"


def test_jobs_wait_for_each_other_and_a_waiting_one_can_be_dropped(start, workspace):
    first = Steps(hold=2)
    worker = start(pool=first, score=Steps(), select=Steps())
    one, two, three = worker.submit("pool"), worker.submit("score"), worker.submit("select")
    assert first.held.wait(SECONDS)
    assert [job.state for job in worker.active()] == ["running", "queued", "queued"]
    worker.stop_now(two)
    first.go_on.set()
    assert worker.wait(three, SECONDS).state == "done"
    assert worker.snapshot(one).state == "done"
    assert workspace.ledger.job(two).status == "cancelled" and worker.snapshot(two).done == 0


def test_the_same_step_twice_is_refused(start):
    steps = Steps(hold=1)
    worker = start(pool=steps)
    worker.submit("pool")
    with pytest.raises(JobError) as caught:
        worker.submit("pool")
    steps.go_on.set()
    assert caught.value.problem == 'The step "pool" is already running.'
    assert caught.value.fix == "Wait until it is done, or stop it."


def test_an_expected_failure_keeps_its_two_sentences(start, workspace):
    def broken() -> Iterator[Progress]:
        yield Progress("score", 1, 4)
        raise ModelError("The weights are of another shape.", "Name other weights.")

    worker = start(score=broken)
    state = worker.wait(worker.submit("score"), SECONDS)
    assert (state.state, state.problem, state.fix) == (
        "failed",
        "The weights are of another shape.",
        "Name other weights.",
    )
    assert workspace.ledger.job(state.id).problem == state.problem


def test_an_unforeseen_failure_names_itself_and_the_log_and_the_worker_lives_on(start, caplog):
    def broken() -> Iterator[Progress]:
        yield Progress("score", 1, 4)
        raise ZeroDivisionError("x / 0")

    worker = start(score=broken, pool=Steps())
    state = worker.wait(worker.submit("score"), SECONDS)
    assert state.problem == "The step ended with an error that was not foreseen (ZeroDivisionError: x / 0)."
    assert '"log.txt"' in state.fix and "Traceback" in caplog.text
    assert worker.wait(worker.submit("pool"), SECONDS).state == "done"


def test_memory_that_ran_out_names_the_control_that_helps(start):
    def broken() -> Iterator[Progress]:
        yield Progress("pool", 0, 4)
        raise MemoryError("no 3 GiB")

    worker = start(pool=broken)
    state = worker.wait(worker.submit("pool"), SECONDS)
    assert state.problem == "The memory of the device ran out (no 3 GiB)."
    assert 'Halve "Batch size"' in state.fix


def test_a_file_that_the_system_refuses_is_said_as_such(start, tmp_path):
    """No step foresaw it, but the system's word and the file's name are there: that is no riddle for a log."""

    def refused() -> Iterator[Progress]:
        yield Progress("pool", 0, 4)
        raise OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "file"))

    worker = start(pool=refused)
    state = worker.wait(worker.submit("pool"), SECONDS)
    assert state.problem == f'Your quota on this disk is used up: "{tmp_path / "file"}" cannot be written.'
    assert state.fix.endswith("then run the step again: whole parts are kept.")


def test_nothing_at_the_end_of_a_job_ends_the_worker(workspace, caplog):
    """What is told of each end fails, a step asks the process to exit: those that wait run all the same."""

    def told(state: JobState) -> None:
        raise ModelError("The bundle is gone.", "Put it back.")

    def leaves() -> Iterator[Progress]:
        yield Progress("pool", 0, 4)
        raise SystemExit(3)

    worker = JobWorker(workspace.ledger, {"pool": leaves, "score": Steps(), "tune": Steps()}, told)
    jobs = [worker.submit("pool"), worker.submit("score"), worker.submit("tune", after=77)]
    assert [worker.wait(job, SECONDS).state for job in jobs] == ["failed", "done", "cancelled"]
    assert (
        worker.wait(worker.submit("tune"), SECONDS).state == "done" and "The bundle is gone." in caplog.text
    )
    worker.close()


def test_a_job_of_a_dead_process_is_interrupted_after_a_restart(tmp_path: Path):
    with Workspace.open(tmp_path / "ws") as ws:
        job = ws.ledger.create_job("pool", {})
        ws.ledger.update_job(job, status="running", done=120, total=600, message="part 2")
    with Workspace.open(tmp_path / "ws") as ws:
        state = JobWorker(ws.ledger, {}).latest("pool")
    assert state and (state.state, state.done, state.total, state.active) == ("interrupted", 120, 600, False)


def test_closing_the_worker_stops_what_runs(start):
    steps = Steps(total=10**6, part=10**6, hold=3)
    worker = start(pool=steps)
    job = worker.submit("pool")
    assert steps.held.wait(SECONDS)
    threading.Timer(0.05, steps.go_on.set).start()
    worker.close()
    assert worker.snapshot(job).state == "cancelled"


def test_curves_stay_bounded(start):
    worker = start(pool=Steps(total=3 * CURVE_POINTS, part=10**6))
    state = worker.wait(worker.submit("pool"), 60)
    curve = state.curves["loss"]
    assert CURVE_POINTS / 2 <= len(curve) <= CURVE_POINTS
    assert curve[0][0] == 1.0 and [x for x, _ in curve] == sorted(x for x, _ in curve)


def test_a_job_that_follows_another_is_dropped_when_that_one_was_stopped(start):
    steps = Steps(total=9, part=3, hold=4)
    worker = start(pool=steps, score=Steps())
    first = worker.submit("pool")
    second = worker.submit("score", after=first)
    assert steps.held.wait(SECONDS)
    worker.stop_now(first)
    steps.go_on.set()
    assert worker.wait(second, SECONDS).state == "cancelled"
    assert worker.ended().id == first, "what fell with it says nothing"
    again = worker.submit("pool")
    assert worker.wait(worker.submit("score", after=again), SECONDS).state == "done"
