"""Write a file whole or not at all, and say clearly why a disk refused it."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
import uuid
from pathlib import Path

from psr_studio.core.errors import WorkspaceError

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
TEMP_PREFIX = ".tmp-"
FOREIGN_TEMP_SECONDS = (
    24 * 3600.0
)  # another machine's writer cannot be asked whether it lives; a day is long enough


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` under a temporary name in the folder of `path`, flush it to the disk and rename it.

    Raises:
        WorkspaceError: the disk is full or cannot be written to. Nothing half-written
            remains, and an older `path` is whole.
    """
    temp = path.parent / f"{TEMP_PREFIX}{os.getpid()}-{_host()}-{uuid.uuid4().hex[:8]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temp, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
    except BaseException as err:  # a cancelled step must not leave its half behind either
        temp.unlink(missing_ok=True)
        if isinstance(err, OSError):
            raise disk_error(err, path, len(data)) from err
        raise
    _sync_folder(path.parent)


def disk_error(err: OSError, path: Path, needed: int = 0) -> WorkspaceError:
    """Put an operating system's refusal to write `needed` bytes to `path` into words."""
    if err.errno in FULL_DISK:
        free = shutil.disk_usage(_existing(path)).free
        wanted = size_text(max(needed, 2**28))
        return WorkspaceError(
            f'The disk is full: writing "{path}" needs {size_text(needed)}, {size_text(free)} are free.',
            f"Free at least {wanted} there, then run the step again: whole parts are kept.",
        )
    if err.errno in READ_ONLY:
        return WorkspaceError(
            f'The folder "{_existing(path)}" cannot be written to ({err.strerror}).',
            "Give yourself write permission there, or choose another workspace folder.",
        )
    return WorkspaceError(
        f'"{path}" could not be written: {err.strerror or err}.',
        "Check the disk, then run the same step again.",
    )


def sweep_temps(folder: Path) -> int:
    """Remove the temporary files that dead writers left anywhere under `folder`; returns how many."""
    swept = 0
    for temp in folder.rglob(f"{TEMP_PREFIX}*"):
        if temp.is_file() and _writer_is_dead(temp):
            temp.unlink(missing_ok=True)
            swept += 1
    return swept


def size_text(n_bytes: int) -> str:
    """A size in words: "1.50 GiB", "12.0 MiB", "3.2 KiB"."""
    if n_bytes >= 2**30:
        return f"{n_bytes / 2**30:.2f} GiB"
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes >= 2**20 else f"{n_bytes / 2**10:.1f} KiB"


def _writer_is_dead(temp: Path) -> bool:
    pid, _, rest = temp.name.removeprefix(TEMP_PREFIX).partition("-")
    if os.name == "posix" and pid.isdigit() and rest.rpartition("-")[0] == _host():
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


def _host() -> str:
    """The name of this machine, with only letters and digits."""
    return "".join(ch for ch in socket.gethostname() if ch.isalnum()) or "host"


def _existing(path: Path) -> Path:
    """The nearest parent folder that is there."""
    return next((p for p in path.absolute().parents if p.is_dir()), Path("/"))


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system lets a folder be flushed."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as err:  # some network file systems have no such call; the file itself is already flushed
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise disk_error(err, folder) from err
    finally:
        os.close(handle)
