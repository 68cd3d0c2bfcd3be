"""Cut a process off at the calls by which it changes the disk: folders, renames, removals, syncs and commits.

What a killed process leaves is what lies on the disk at that moment, so one run that copies the disk before each
call shows what a kill at each of them leaves; `kill_at` really kills.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

CALLS = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "fsync")
COMMIT = "COMMIT"
KILLED, LATE = 9, 300  # exit status; seconds after which a child that hangs is ended

Cut = Callable[[int, str], None]


class _Calls:
    """Tells `cut` each call of this process from now on, by number and name, before it is made."""

    def __init__(self, cut: Cut) -> None:
        self.n, self.cut, self._inside = 0, cut, False
        self._lock = threading.RLock()  # files are flushed several at a time
        for name in CALLS:
            setattr(os, name, self._told(name, getattr(os, name)))
        tell = self.tell

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if sql == COMMIT:
                    tell(COMMIT)
                return super().execute(sql, *values)

        sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]

    def _told(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def told(*args: Any, **kwargs: Any) -> Any:
            self.tell(name)
            return call(*args, **kwargs)

        return told

    def tell(self, name: str) -> None:
        with self._lock:
            if not self._inside:
                self._inside, self.n = True, self.n + 1
                try:
                    self.cut(self.n, name)
                finally:
                    self._inside = False


def _in_a_child(work: Callable[[], object], cut: Cut) -> int:
    """Run it in a copy of this process that ends without a word; returns its exit status.

    Both compute with one thread from now on: a copy has none of the threads that torch would wait for, and what
    is done again here must come to the same bits.
    """
    torch.set_num_threads(1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(LATE)
            _Calls(cut)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def left_by_kills(work: Callable[[], object], root: Path, folder: Path) -> list[tuple[str, Path]]:
    """Run it once; returns each call by name, and what `root` holds where the process is gone before that call."""
    folder.mkdir()

    def keep(n: int, name: str) -> None:
        copy = folder / f"{n:05d} {name}"
        copy.mkdir()
        if root.is_dir():
            shutil.copytree(root, copy / root.name)

    assert _in_a_child(work, keep) == 0
    return [(copy.name.partition(" ")[2], copy / root.name) for copy in sorted(folder.iterdir())]


def kill_at(n: int, work: Callable[[], object]) -> None:
    """Run it in a process that is gone before its call number n."""
    assert _in_a_child(work, lambda at, _: os._exit(KILLED) if at == n else None) == KILLED


def interrupt_at(n: int, work: Callable[[], object]) -> None:
    """Run it in a process that gets Ctrl+C before its call number n, and comes to its end by itself."""

    def stop(at: int, _: str) -> None:
        if at == n:
            raise KeyboardInterrupt

    assert _in_a_child(work, stop) == 0
