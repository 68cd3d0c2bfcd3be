"""One writer per workspace: an operating system lock, which dies with its process."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import IO

from psr_studio.core.disk import writing
from psr_studio.core.errors import WorkspaceError

LOCK_NAME = ".lock"
OPEN_AGAIN = "open the workspace again, or choose another folder: nothing was changed"


class FolderLock:
    """Holds `<root>/.lock` from construction to `release`.

    Raises:
        WorkspaceError: another process (numbered) or this one holds it, or the disk refuses the file.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / LOCK_NAME
        with writing(self.path, again=OPEN_AGAIN):
            self._file: IO[str] | None = open(self.path, "a+", encoding="ascii")
        try:
            _lock(self._file)
        except OSError as err:
            holder = _holder(self._file)
            self._file.close()
            held = err.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
            raise (_taken(root, holder) if held else _unlockable(root, err)) from err
        try:
            with writing(self.path, again=OPEN_AGAIN):
                os.ftruncate(self._file.fileno(), 0)
                os.write(self._file.fileno(), f"{os.getpid()}\n".encode())  # a buffer would be written again
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go; the file stays, since removing it would race with the next process. May be called twice."""
        if self._file is not None:
            _unlock(self._file)
            self._file.close()
            self._file = None


def _taken(root: Path, holder: str) -> WorkspaceError:
    if holder == str(os.getpid()):
        who, fix = "this process", "Close the other one first, or choose another workspace folder."
    else:
        who = f"another process (number {holder})" if holder else "another process"
        fix = "Close the PSR Studio that runs there, or choose another workspace folder."
    return WorkspaceError(f'The workspace "{root}" is already open in {who}.', fix)


def _unlockable(root: Path, err: OSError) -> WorkspaceError:
    return WorkspaceError(
        f'The disk of "{root}" offers no file locks ({err.strerror}), so two writers could clash.',
        "Put the workspace on a local disk.",
    )


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read(32).strip()


if sys.platform == "win32":
    import msvcrt

    # Windows locks bytes, and locked bytes cannot be read: lock one far behind the process number.
    FAR_BYTE = 1 << 20

    def _lock(file: IO[str]) -> None:
        file.seek(FAR_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: IO[str]) -> None:
        file.seek(FAR_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
