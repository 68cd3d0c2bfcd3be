"""Workers of the test's own process, for what is shared among several."""

from __future__ import annotations

import queue

from psr_studio.core.errors import StudioError
from psr_studio.stages.batches import Group
from psr_studio.workers.messages import Ended, Message, Signal, Task
from psr_studio.workers.worker import WorkerThread

SECONDS = 60.0  # far beyond what an answer needs


class ThreadWorkers:
    """Workers in threads of this process, spoken to as Ray actors are; number `dies` dies over its first group."""

    place = "in this process"
    n_devices = 1

    def __init__(self, size: int = 2, dies: frozenset[int] = frozenset()) -> None:
        self.size, self.dies = size, dies
        self.workers: dict[int, WorkerThread] = {}
        self.messages: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self.started = 0

    def open(self, device: str) -> ThreadWorkers:
        return self

    def start(self, task: Task) -> int:
        self.started += 1
        self.workers[self.started] = WorkerThread(task)
        self._fetch(self.started)
        return self.started

    def assign(self, worker: int, group: Group | None) -> None:
        if worker in self.dies and group is not None:
            self.messages.put((worker, Ended("fell over")))
        else:
            self._fetch(worker, group)

    def _fetch(self, worker: int, *groups: Group | None) -> None:
        """Everything up to the next question or the end."""
        messages: list[Message] = []
        while not messages or not isinstance(messages[-1], Signal | StudioError | Ended):
            messages += self.workers[worker].exchange(*groups)
            groups = ()
        for message in messages:
            self.messages.put((worker, message))

    def receive(self, seconds: float) -> list[tuple[int, Message]]:
        return [self.messages.get(timeout=SECONDS)]

    def stop(self, worker: int) -> None:
        self.workers.pop(worker, None)

    def close(self) -> None:
        self.workers.clear()
