""" "Stop now" is answered before the next batch, however far off the next event of a step is."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest
import torch
from tiny import finish

from psr_studio.app.jobs import JobWorker
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import Stopped, stop_if_asked, stopped_by
from psr_studio.models.memory import MicroBatches
from psr_studio.models.students import Training, build_student, top1, train_student

SECONDS = 5.0  # what a user is promised
LONG = 200  # batches of one epoch


def test_a_thread_is_asked_only_in_its_own_block():
    stop_if_asked()
    with stopped_by(lambda: True):
        other = threading.Thread(target=stop_if_asked)
        other.start()
        other.join()
        with stopped_by(lambda: False):
            stop_if_asked()
        with pytest.raises(Stopped):
            stop_if_asked()
    stop_if_asked()


def test_an_epoch_is_left_in_the_middle():
    """One epoch of 200 batches has one event, at its end: it is stopped at the fourth batch."""
    learned = []

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        learned.append(len(targets))
        return torch.nn.functional.cross_entropy(logits, targets)

    images, labels = torch.zeros(LONG, 1, 8, 8), torch.zeros(LONG, dtype=torch.int64)
    student, how = build_student("convnet-3", 2, 1, 8), Training(epochs=1, batch_size=1, n_checks=1)
    with stopped_by(lambda: len(learned) == 3), pytest.raises(Stopped):
        list(train_student(student, images, labels, loss, images, labels, how, seed=0))
    assert len(learned) == 3


def test_a_check_on_many_images_is_left_in_the_middle():
    asked = count()
    images, labels = torch.zeros(LONG, 1, 8, 8), torch.zeros(LONG, dtype=torch.int64)
    with stopped_by(lambda: next(asked) == 2), pytest.raises(Stopped):
        top1(build_student("convnet-3", 2, 1, 8), images, labels, batch_size=10)
    assert next(asked) == 3, "of 20 batches"


@pytest.mark.parametrize("stage", ["pool", "score", "refine", "evaluate", "export"])
def test_every_step_looks_for_a_stop_more_often_than_it_tells(studio, stage):
    if stage == "pool":
        shutil.rmtree(studio.workspace.root / "pool")
    if stage == "score":
        shutil.rmtree(studio.workspace.root / "scores")
    if stage == "evaluate":
        finish(studio.refine())
    if stage == "export":
        studio.set({"export.refined": False})
    looks = 0

    def asked() -> bool:
        nonlocal looks
        looks += 1
        return False

    with stopped_by(asked):
        *events, _ = finish(studio.runs[stage]())  # the last one sums up
    assert looks > len(events), (looks, len(events))


def test_a_job_that_tells_nothing_for_long_is_stopped_in_time(workspace):
    began, closed = threading.Event(), threading.Event()

    def step() -> Iterator[Progress]:
        yield Progress("evaluate", 0, 2)
        batches = MicroBatches("testing on")
        try:
            while True:  # an epoch without an end
                batches.map(lambda rows: (rows + 1,), torch.zeros(1))
                began.set()
        finally:
            closed.set()

    worker = JobWorker(workspace.ledger, {"evaluate": step})
    job = worker.submit("evaluate")
    assert began.wait(SECONDS)
    asked_at = time.monotonic()
    worker.stop_now(job)
    assert worker.wait(job, SECONDS).state == "cancelled"
    assert time.monotonic() - asked_at < SECONDS and closed.is_set()
    worker.close()
