"""How this process's memory is handed out and looked through; called first thing by every program of ours."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KEPT_BYTES = 2**29
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h


def keep_freed_memory() -> bool:
    """Keep what is freed, up to half a GiB, for the next tensors.

    By itself glibc maps every block above some MiB anew and gives it back when it is freed, so each step of a
    network gets its activations page by page from the system again: half the time of training a small student on a
    CPU. Threads share one arena, since others cannot grow beyond 64 MiB.

    Returns:
        False where another C library, or the environment (MALLOC_..., GLIBC_TUNABLES), decides.
    """
    told = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    if told or not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version") or not hasattr(library, "mallopt"):
        return False
    options = (M_MMAP_THRESHOLD, KEPT_BYTES), (M_TRIM_THRESHOLD, KEPT_BYTES), (M_ARENA_MAX, 1)
    return all(library.mallopt(option, value) == 1 for option, value in options)


def end_at_once() -> None:
    """Look for no garbage at the end of the process: with torch and Gradio in it that takes seconds."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


@contextmanager
def importing() -> Iterator[Callable[[], None]]:
    """Look for no garbage among what is imported until what it gives is called, or the block ends.

    A fifth of the start of the page goes there otherwise. What is there at that call is never looked through again.
    """

    def imported() -> None:
        gc.freeze()
        gc.enable()

    gc.disable()
    try:
        yield imported
    finally:
        gc.enable()
