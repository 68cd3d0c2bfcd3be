"""Write a file whole or not at all, flushed to the disk."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from psr_studio.disk import RUN_AGAIN, TEMP_PREFIX, host, remove_if_possible, temp_path, writing

FOREIGN_TEMP_SECONDS = (
    24 * 3600.0
)  # another machine's writer cannot be asked whether it lives; a day is long enough


def write_bytes(path: Path, data: bytes | memoryview, again: str = RUN_AGAIN) -> None:
    """Write `data` under a temporary name in the folder of `path`, flush it to the disk and rename it.

    Args:
        again: what to do once a cause that the system names is removed (`disk.writing`).

    Raises:
        DiskError: the disk is full or cannot be written to. Nothing half-written
            remains, and an older `path` is whole.
    """
    temp = temp_path(path)
    with writing(path, needed=len(data), again=again):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temp, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temp, path)
        except BaseException:  # a cancelled step must not leave its half behind either
            remove_if_possible(temp)
            raise
        _sync_folder(path.parent)


def sweep_temps(folder: Path) -> int:
    """Remove the temporary files that dead writers left anywhere under `folder`; returns how many.

    One that cannot be removed is in nobody's way.
    """
    return sum(
        remove_if_possible(temp)
        for temp in folder.rglob(f"{TEMP_PREFIX}*")
        if temp.is_file() and _writer_is_dead(temp)
    )


def _writer_is_dead(temp: Path) -> bool:
    pid, _, rest = temp.name.removeprefix(TEMP_PREFIX).partition("-")
    if os.name == "posix" and pid.isdigit() and rest.partition("-")[0] == host():
        return not _alive(int(pid))
    # Windows cannot be asked without harm: os.kill(pid, 0) ends the process there.
    return time.time() - temp.stat().st_mtime > FOREIGN_TEMP_SECONDS


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system lets a folder be flushed."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as err:  # some network file systems have no such call; the file itself is already flushed
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
