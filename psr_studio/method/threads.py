"""Work on classes in threads: kernels release the interpreter's lock, and each class writes only its own rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

# Work below this many elementary steps is done before another thread has woken up.
WORTH_A_THREAD = 200_000


def over_classes(work: Callable[[int, int], object], costs: Sequence[int] | np.ndarray) -> None:
    """Call `work(first, last)` on ranges of classes that together cover all, in threads where it pays.

    Args:
        work: does classes first..last - 1, independent of every other class, so that threads change nothing.
        costs: (C,) elementary steps of each class.
    """
    total = np.cumsum(costs, dtype=np.float64)
    if not len(total):
        return
    n = max(1, min(n_threads(), len(total), int(total[-1] // WORTH_A_THREAD)))
    inner = np.searchsorted(total, total[-1] * np.arange(1, n) / n) + 1
    borders = [0, *inner.tolist(), len(total)]
    ranges = [(a, b) for a, b in zip(borders[:-1], borders[1:], strict=True) if a < b]
    others = [_workers().submit(work, first, last) for first, last in ranges[1:]]
    work(*ranges[0])
    for other in others:
        other.result()


def n_threads() -> int:
    """Return how many cores this process may use; OMP_NUM_THREADS, when set, limits it as it does elsewhere."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(limit))) if limit.isdigit() else cores


@cache
def _workers() -> ThreadPoolExecutor:
    """Return threads that wait for work, started once; a forked child starts its own."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_workers.cache_clear)
    return ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="select")
