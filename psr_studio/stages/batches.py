"""Which units of work are computed together: a pure function of the recipe, never of what is on disk.

A batch mixes its members' rounding, so a run that was killed reaches the same bytes only if it forms the same
batches again. Therefore whole groups are planned first; a group with a missing unit is computed again as it
was, and only the missing units are written.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

S = TypeVar("S")
T = TypeVar("T")

N_PREVIEWS = 8
PREVIEWS_PER_BATCH = 5  # pictures half made, shown while a batch is computed
AHEAD = 4  # items for each thread that wait to be taken
COMPUTED = 0.95  # the share of a group's work that is done when its first member can be written


class FinishParts(BaseException):
    """Thrown into a running step where a part was just written: write what else is in flight, begin nothing, end.

    Where one process does the step nothing else is, and it ends as when it is closed.
    """


@dataclass(frozen=True)
class Group:
    """Units that are computed together; the smallest piece of work that one process takes.

    Attributes:
        number: its place among the groups of the step, also among those that are done.
        units: all of them. missing: those to be written. new: items in the missing ones.
        name: in words, such as '24 candidates of "boot"'.
    """

    number: int
    units: tuple[int, ...]
    missing: tuple[int, ...]
    new: int
    name: str


@dataclass(frozen=True)
class Work:
    """What a step has to do: `found` of `total` items are on the disk, the missing ones are in `groups`.

    A process that shares the work with others pulls its groups one by one, from an iterator that asks for them.

    Attributes:
        waiting: groups that are made from what others write; they are among the groups of what is left after those.
    """

    total: int
    found: int
    groups: Iterable[Group]
    waiting: tuple[Group, ...] = ()

    @property
    def missing(self) -> list[int]:
        """The units to be written."""
        return [unit for group in (*self.groups, *self.waiting) for unit in group.missing]


def plan_groups(sizes: Sequence[int], batch_size: int) -> list[list[int]]:
    """Pack neighbouring units, whole, into groups of at most `batch_size` items.

    A unit larger than that is a group of its own, to be computed in several batches (`spans`).

    Args:
        sizes: items per unit.

    Returns:
        Positions of units; in order, every unit once.
    """
    groups: list[list[int]] = []
    room = 0
    for unit, size in enumerate(sizes):
        if not groups or size > room:
            groups.append([])
            room = batch_size
        groups[-1].append(unit)
        room -= size
    return groups


def plan_work(
    units: Mapping[int, int], missing: Collection[int], batch_size: int, words: Callable[[Sequence[int]], str],
    alone: Collection[int] = (),
) -> Work:  # fmt: skip
    """The groups that lack a unit.

    Args:
        units: every unit of the step, in order, with its items.
        missing: units that are not on the disk. words: names the units of a group. alone: each a group of its own.
    """
    numbers, groups = list(units), []
    filling = [max(n, batch_size) if unit in alone else n for unit, n in units.items()]
    for number, rows in enumerate(plan_groups(filling, batch_size)):
        together = tuple(numbers[row] for row in rows)
        if lacking := tuple(unit for unit in together if unit in missing):
            new = sum(units[unit] for unit in lacking)
            groups.append(Group(number, together, lacking, new, words(together)))
    total = sum(units.values())
    return Work(total, total - sum(group.new for group in groups), tuple(groups))


def spans(n_items: int, batch_size: int) -> list[slice]:
    """Cut n items into batches of `batch_size`, the last one shorter."""
    return [slice(start, min(start + batch_size, n_items)) for start in range(0, n_items, batch_size)]


def preview_steps(n_steps: int) -> range:
    """The steps of a batch, from 1, after which pictures half made are shown; after the last one they are whole."""
    every = max(1, n_steps // PREVIEWS_PER_BATCH)
    return range(every, n_steps, every)


def units_done(before: int, new: int, share: float, written: int = 0) -> int:
    """Units done in the middle of a group: most of it while it is computed, the rest as members are written.

    Args:
        before: units done before the group. new: units it adds. share: of its computation, in [0, 1].
        written: units of it that are on the disk.
    """
    return before + round(COMPUTED * share * new + (1 - COMPUTED) * written)


class Beside(Generic[T]):
    """Runs the end of one group's work (decode, encode, write) beside the beginning of the next group's.

    It pays where a device computes and the CPU would wait for it. Switched off, everything runs in place.
    One job runs at a time, in order; its errors are raised when its results are asked for.
    """

    def __init__(self, enabled: bool) -> None:
        self._pool = ThreadPoolExecutor(1) if enabled else None
        self._last: Future[list[T]] | None = None

    def run(self, items: Iterable[T]) -> Iterator[T]:
        """Begin to work through `items`; yields the results of the job before, or its own when switched off."""
        if self._pool is None:
            yield from items
            return
        before, self._last = self._last, self._pool.submit(list, items)
        if before is not None:
            yield from before.result()

    def rest(self) -> Iterator[T]:
        """The results of the last job."""
        last, self._last = self._last, None
        if last is not None:
            yield from last.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def ahead(items: Iterable[S], work: Callable[[S], T], n_threads: int) -> Iterator[tuple[S, T]]:
    """Each item with what `work` makes of it, in order; the next ones are worked on beside the caller.

    It pays for work that lets go of Python's lock, such as decoding pictures. An error of `work` is raised at its item.
    """
    with ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[tuple[S, Future[T]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > AHEAD * n_threads:
                    first, made = waiting.popleft()
                    yield first, made.result()
            while waiting:
                first, made = waiting.popleft()
                yield first, made.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class Stopwatch:
    """Seconds since it was started; opening weights before that would spoil the rate."""

    def __init__(self, started: bool = True) -> None:
        self._began = time.perf_counter() if started else None

    def start(self) -> None:
        """Begin to count."""
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far; 0 before the start."""
        return 0.0 if self._began is None else time.perf_counter() - self._began
