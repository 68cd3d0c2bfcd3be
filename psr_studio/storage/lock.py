"""One writer per workspace: an operating system lock, which dies with its process."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from filelock import FileLock, Timeout

from psr_studio.core.disk import writing
from psr_studio.core.errors import WorkspaceError

LOCK_NAME = ".lock"
OPEN_AGAIN = "open the workspace again, or choose another folder: nothing was changed"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
NUMBER_AT = 1  # in the file: Windows locks its first byte, and locked bytes cannot be read


class FolderLock:
    """Holds `<root>/.lock` from construction to `release`; any thread may let go.

    Raises:
        WorkspaceError: another process (numbered) or this one holds it, or the disk refuses the file.
    """

    def __init__(self, root: Path) -> None:
        path = root / LOCK_NAME
        self._lock = FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            with writing(path, again=OPEN_AGAIN):
                self._acquire(root, path)
                with path.open("r+b", buffering=0) as file:  # a buffer would be written again
                    file.seek(NUMBER_AT)
                    file.truncate()
                    file.write(str(os.getpid()).encode())
        except BaseException:
            self.release()
            raise

    def _acquire(self, root: Path, path: Path) -> None:
        try:
            self._lock.acquire()
        except Timeout as err:
            raise _taken(root, path) from err
        except OSError as err:
            if err.errno in NO_LOCKS:
                raise _unlockable(root, err) from err
            raise

    def release(self) -> None:
        """Let go; the file stays, since removing it would race with the next process. May be called twice."""
        self._lock.release()


def _taken(root: Path, path: Path) -> WorkspaceError:
    with path.open("rb") as file:
        file.seek(NUMBER_AT)
        holder = file.read(32).decode(errors="replace").strip()
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
