"""Processes that a test can kill, without the seconds that imports take: copies of this one as it was before any test.

The first copy is made when all tests are collected, with all that they import and nothing computed; it copies itself
whenever a test asks for a process, and ends with this one.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from typing import IO, Any

MOST_BYTES = 2**20  # of what is asked for at once

_first: socket.socket | None = None


class Copy:
    """A process that runs some code, with a part of what `subprocess.Popen` has: text to and from it, and its end."""

    def __init__(self, pid: int, stdin: IO[str] | None, stdout: IO[str] | None, alive: int) -> None:
        self.pid, self.stdin, self.stdout, self._alive = pid, stdin, stdout, alive

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self) -> None:
        """Until it has ended: first its end of a pipe is closed, then its locks, then its number is free."""
        os.read(self._alive, 1)
        os.close(self._alive)
        while _is_there(self.pid):
            time.sleep(0.001)

    def communicate(self, text: str = "") -> tuple[str, None]:
        """Write the last that it reads, and return the rest of what it writes, once it has ended."""
        if self.stdin is not None:
            self.stdin.write(text)
            self.stdin.close()
        said = ""
        if self.stdout is not None:
            said = self.stdout.read()
            self.stdout.close()
        self.wait()
        return said, None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def begin() -> None:
    """Make the first copy, where processes can be copied with what they have imported."""
    global _first
    if _first is not None or sys.platform != "linux":
        return
    _first, theirs = socket.socketpair()
    if os.fork() == 0:
        try:
            _first.close()
            _serve(theirs)
        finally:
            os._exit(0)
    theirs.close()


def started(code: str, arguments: Sequence[object], stdin: bool, stdout: bool) -> Copy | None:
    """A copy that runs `code` in this process's folder and environment; None where there are none.

    Args:
        stdin, stdout: whether it has a pipe in the place of ours.
    """
    if _first is None:
        return None
    ends: dict[str, tuple[int, int]] = {"alive": os.pipe()}
    ends |= {name: os.pipe() for name, wanted in (("in", stdin), ("out", stdout)) if wanted}
    theirs = [ends["in"][0] if stdin else 0, ends["out"][1] if stdout else 1, 2, ends["alive"][1]]
    asked = pickle.dumps((code, [str(argument) for argument in arguments], os.getcwd(), dict(os.environ)))
    assert len(asked) < MOST_BYTES
    socket.send_fds(_first, [len(asked).to_bytes(4, "big")], theirs)
    _first.sendall(asked)
    pid = int.from_bytes(_first.recv(4, socket.MSG_WAITALL), "big")
    assert pid, "the first copy has ended"  # to end process 0 would end all
    for descriptor in {*theirs} - {0, 1, 2}:
        os.close(descriptor)
    return Copy(
        pid,
        os.fdopen(ends["in"][1], "w") if stdin else None,
        os.fdopen(ends["out"][0]) if stdout else None,
        ends["alive"][0],
    )


def _serve(asking: socket.socket) -> None:
    """Copy this process for each request until nobody is left to ask."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with who asks
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone
    while True:
        size, descriptors, *_ = socket.recv_fds(asking, 4, 4)
        if not size:
            return
        asked = pickle.loads(asking.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            asking.close()
            _run(*asked, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        asking.sendall(pid.to_bytes(4, "big"))


def _run(code: str, arguments: list[str], folder: str, environment: dict[str, str], ends: list[int]) -> None:
    """What a copy does, and then its end. The last of `ends` stays open as long as it lives."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor, end in enumerate(ends[:3]):
            os.dup2(end, descriptor)
            os.close(end)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["-c", *arguments]
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(code, "<copy>", "exec"), names)
        status = 0
    except SystemExit as err:
        status = err.code if isinstance(err.code, int) else int(err.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)
