"""Assigns the groups of a step, one at a time to each worker, and tells what happens as the step itself would.

What counts as done is what lies on the disk: when a worker dies, the groups it held that are not there are
assigned to others, and another worker takes its place.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from psr_studio.core.errors import JobError, StudioError, WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.stages.batches import FinishParts, Group, Stopwatch, Work
from psr_studio.stages.cost import Cost
from psr_studio.storage.records import EvaluationRecord
from psr_studio.workers.messages import Ended, Message, Signal, Task, WorkerPool

MOST_DEATHS = 3  # of workers over the same group, or before they were ready
WAIT_SECONDS = 1.0
MEASURE_SECONDS = 60.0  # groups are held back at most so long for the cost of the step


@dataclass
class _Worker:
    """What is known of a worker: the groups it holds, and the units it has added."""

    ready: bool = False
    ending: bool = False
    held: list[Group] = field(default_factory=list)
    written: int = 0  # of groups that are known to be on the disk
    gained: int = 0  # as its last event counts them

    @property
    def busy(self) -> bool:
        return bool(self.held) and not self.ready and not self.ending


class Dispatcher:
    """Keeps the workers of a pool busy until a step is done.

    Args:
        work: what is missing. left: finds out what is missing now.
        note: keeps a student that a worker has trained.
        known: seconds that the step takes by its last run; None has a worker measure.
    """

    def __init__(
        self, pool: WorkerPool, task: Task, work: Work, left: Callable[[], Work],
        note: Callable[[EvaluationRecord], None], known: float | None = None,
    ) -> None:  # fmt: skip
        self.pool, self.task, self.left, self.note, self.known = pool, task, left, note, known
        self.todo = deque(work.groups)
        self.numbers = {group.number for group in self.todo}
        self.new = work.total - work.found
        self.workers: dict[int, _Worker] = {}
        self.n = min(pool.size, len(self.todo))
        self.settled = 0  # units of workers that have gone
        self.shown = work.found
        self.deaths: Counter[int | None] = Counter()  # by group; None before any
        self.errors: list[StudioError] = []
        self.stopped = False
        self.message = ""
        self.clock = Stopwatch(started=False)
        self.since_start = Stopwatch(started=False)
        self.measuring: int | None = None  # the worker that finds out the cost, which comes before the work

    def events(self) -> Iterator[Progress]:
        """Work to the end; an event at least every second, at which the step can be stopped."""
        self.since_start.start()
        for number in range(self.n):
            self._start(measure=number == 0)
        self.measuring = next(iter(self.workers), None)
        yield self._event(f"Starting {plural(self.n, 'worker')} {self.pool.place}.")
        while self.workers:
            self._assign()
            messages = self.pool.receive(WAIT_SECONDS)
            for event in self._events_of(messages) if messages else [self._event(self.message)]:
                try:
                    yield event
                except FinishParts:
                    self.stopped = True
                    self.todo.clear()
        if self.errors:
            raise self.errors[0]
        if self.stopped:
            return
        if unseen := self.numbers & {group.number for group in self.left().groups}:
            raise _unseen(self.task.root, len(unseen))

    def _start(self, measure: bool = False) -> None:
        self.workers[self.pool.start(replace(self.task, measure=measure))] = _Worker()

    def _assign(self) -> None:
        """Give ready workers a group each; when none is left and none is being made, let all end."""
        if self.todo and self._still_measures():
            return
        ready = [(number, worker) for number, worker in self.workers.items() if worker.ready]
        for number, worker in ready:
            if self.todo:
                if not self.clock.seconds:  # opening networks would spoil the rate
                    self.clock.start()
                worker.ready = False
                worker.held.append(self.todo[0])
                self.pool.assign(number, self.todo.popleft())
        if self.todo or any(worker.busy for worker in self.workers.values()):
            return
        for number, worker in list(self.workers.items()):
            if worker.ready:
                worker.ready, worker.ending = False, True
                self.pool.assign(number, None)
            elif not worker.ending:  # still starting, and for nothing
                self.pool.stop(number)
                del self.workers[number]

    def _still_measures(self) -> bool:
        """Whether the cost is being found out; a worker that has died or waits for a place holds nobody up."""
        worker = self.workers.get(-1 if self.measuring is None else self.measuring)
        if worker is None or worker.ready or self.since_start.seconds > MEASURE_SECONDS:
            self.measuring = None
        return self.measuring is not None

    def _events_of(self, messages: Iterable[tuple[int, Message]]) -> Iterator[Progress]:
        for number, message in messages:
            event = self._take(number, message) if number in self.workers else None
            if event is not None:
                yield event

    def _take(self, number: int, message: Message) -> Progress | None:
        """Note a message; returns the event that comes of it."""
        worker = self.workers[number]
        match message:
            case Progress():
                worker.gained = message.done - self.task.found
                return self._event(message.message, message)
            case EvaluationRecord():
                self.note(message)
            case Cost():
                return self._event(self._cost_text(message), lasting=True)
            case (
                Signal.READY
            ):  # the end of its last group may run beside the next; those before it are written
                worker.ready = True
                worker.written += sum(group.new for group in worker.held[:-1])
                del worker.held[:-1]
            case Signal.OVER:
                self._leave(number, lost=())
            case StudioError():
                self.errors.append(message)
                self.todo.clear()
                self._leave(number, self._lost(worker))
            case Ended():
                return self._replace(number, message.words)
        return None

    def _replace(self, number: int, words: str) -> Progress:
        """Put what a dead worker has not written back, and another worker in its place."""
        lost = self._lost(self.workers[number])
        started = self.workers[number].ready or bool(self.workers[number].held)
        self._leave(number, lost)
        self.todo.extendleft(reversed(lost))
        died: list[int | None] = [group.number for group in lost]
        if not lost and not started:
            died = [None]
        self.deaths.update(died)
        often = [cause for cause in died if self.deaths[cause] >= MOST_DEATHS]
        told = f"A worker {words}."
        if often and (lost or not self.workers):
            self.errors.append(_too_often(max(self.deaths[cause] for cause in often), lost, words))
        if self.errors or self.stopped:
            self.todo.clear()
        elif not often and self.todo and len(self.workers) < self.n:
            self._start()
            told += f" {lost[0].name[0].upper()}{lost[0].name[1:]} are made again." if lost else ""
        return self._event(told)

    def _lost(self, worker: _Worker) -> list[Group]:
        """The groups a worker held that are not on the disk, with what is missing of them now."""
        if not worker.held:
            return []
        missing = {group.number: group for group in self.left().groups}
        return [missing[group.number] for group in worker.held if group.number in missing]

    def _leave(self, number: int, lost: list[Group] | tuple[()]) -> None:
        worker = self.workers.pop(number)
        held = sum(group.new for group in worker.held) - sum(group.new for group in lost)
        self.settled += worker.written + held
        self.pool.stop(number)

    def _event(self, message: str, of: Progress | None = None, **more: Any) -> Progress:
        """An event of a worker, or of our own, with what all have done together."""
        done = self.task.found + self.settled + sum(worker.gained for worker in self.workers.values())
        self.shown = max(self.shown, done)
        at_work = sum(worker.ready or bool(worker.held) for worker in self.workers.values())
        self.message = f"{plural(at_work, 'worker')}: {message}" if of and at_work else message
        return replace(
            of or Progress(self.task.stage, 0, 0),
            done=self.shown,
            total=self.task.total,
            message=self.message,
            seconds=self.clock.seconds,
            resumed=self.task.found,
            **more,
        )

    def _cost_text(self, cost: Cost) -> str:
        """What a worker says of its own work, for all of them together."""
        n = len(self.numbers) if cost.unit == "students" else self.new  # a group each; their units are epochs
        share = n / max(1, cost.images)
        whole = replace(
            cost,
            images=n,
            seconds=self.known or cost.seconds * share / min(self.n, self.pool.n_devices),
            disk_bytes=round(cost.disk_bytes * share),
        )
        each = "" if cost.memory_bytes is None else " each"
        return f"{whole.text.removesuffix('.')}{each}, by {plural(self.n, 'worker')}."


def _too_often(n: int, lost: list[Group], words: str) -> JobError:
    what = f"worked on {lost[0].name}" if lost else "started"
    return JobError(
        f"{n} workers died while they {what}; the last one {words}.",
        "Run the step again without workers to see where it fails: what was written is kept.",
    )


def _unseen(root: Path, n: int) -> WorkspaceError:
    return WorkspaceError(
        f'Workers wrote all that was assigned to them, but {n} groups of it are not seen in "{root}" here.',
        "Check that all machines mount the same disk there, then run the step again: the rest is kept.",
    )
