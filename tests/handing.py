"""Workers of the test's own process, for what is shared among several."""

from __future__ import annotations

import queue

from psr_studio.core.errors import StudioError
from psr_studio.stages.batches import Group
from psr_studio.workers.messages import Gone, Order, Said, Sign
from psr_studio.workers.worker import Hand

SECONDS = 60.0  # far beyond what an answer needs


class HandCrew:
    """Workers in threads of this process, spoken to as Ray actors are; number `dies` dies over its first group."""

    place = "in this process"
    n_devices = 1

    def __init__(self, size: int = 2, dies: frozenset[int] = frozenset()) -> None:
        self.size, self.dies = size, dies
        self.hands: dict[int, Hand] = {}
        self.said: queue.SimpleQueue[tuple[int, Said]] = queue.SimpleQueue()
        self.hired = 0

    def gather(self, device: str) -> HandCrew:
        return self

    def hire(self, order: Order) -> int:
        self.hired += 1
        self.hands[self.hired] = Hand(order)
        self._fetch(self.hired)
        return self.hired

    def give(self, worker: int, group: Group | None) -> None:
        if worker in self.dies and group is not None:
            self.said.put((worker, Gone("fell over")))
        else:
            self._fetch(worker, group)

    def _fetch(self, worker: int, *groups: Group | None) -> None:
        """Everything up to the next question or the end."""
        said: list[Said] = []
        while not said or not isinstance(said[-1], Sign | StudioError | Gone):
            said += self.hands[worker].exchange(*groups)
            groups = ()
        for words in said:
            self.said.put((worker, words))

    def heard(self, seconds: float) -> list[tuple[int, Said]]:
        return [self.said.get(timeout=SECONDS)]

    def dismiss(self, worker: int) -> None:
        self.hands.pop(worker, None)

    def close(self) -> None:
        self.hands.clear()
