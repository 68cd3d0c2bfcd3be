"""What the system says when it refuses a file, in two sentences: the one home of these words.

A refusal (a full disk, a quota, a limit, a lost permission, a disk that fails or is away) says nothing about what is
in the file, so no sentence here gives a file up.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from psr_studio.core.errors import DiskError, StudioError

TEMP_PREFIX = ".tmp-"
RUN_AGAIN = "run the step again: whole parts are kept"
PROBE_BYTES = 2**16  # more than what SQLite asks for at once
ROOM = 2**28  # bytes to free at least: the next files want some, too
AWAY = {
    errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH,
}  # fmt: skip


@contextmanager
def writing(path: Path, *, needed: int = 0, again: str = RUN_AGAIN) -> Iterator[None]:
    """Say in words why the system did not let the block write `path`, a file or a folder.

    Args:
        needed: bytes that were to be written, where that is known.
        again: what to do once the cause is removed; ends the sentence "Free some space, then ...".

    Raises:
        DiskError: the disk refused; any other error passes.
    """
    try:
        yield
    except StudioError:
        raise
    except Exception as err:
        if (said := refusal(err, path)) is None:
            raise
        raise disk_error(said, path, needed=needed, again=again) from err


@contextmanager
def reading(path: Path, *, again: str = RUN_AGAIN) -> Iterator[None]:
    """Say in words why the system did not let the block read `path`; a file that is not there passes."""
    try:
        yield
    except OSError as err:
        if err.errno is None or isinstance(err, FileNotFoundError):
            raise
        raise disk_error(err, path, again=again, write=False) from err


def refusal(err: BaseException, path: Path) -> OSError | None:
    """What the system said, where `err` came of a refused write to `path`; None where it did not.

    Some libraries drop the system's number or keep it in their text only; then a small file beside `path` finds out.
    """
    if isinstance(err, OSError) and err.errno is not None:
        return err
    if numbered := re.search(r"\(os error (\d+)\)", str(err)):  # safetensors
        return OSError(int(numbered[1]), os.strerror(int(numbered[1])))
    return probe(path) or (err if isinstance(err, OSError) else None)


def probe(path: Path, size: int = 0) -> OSError | None:
    """What the system says to a small file beside `path` that ends behind its first `size` bytes; None: it is kept."""
    temp = temp_path(folder_of(path) / path.name)
    try:
        with temp.open("wb") as file:
            file.seek(size)
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as err:
        return err
    finally:
        remove_if_possible(temp)
    return None


def temp_path(path: Path) -> Path:
    """A new temporary name beside `path`, which ends as `path` does."""
    return path.with_name(temp_name(f"{uuid.uuid4().hex[:8]}-{path.name[-40:]}"))


def temp_name(rest: str) -> str:
    """A temporary name that says which process on which machine writes there, and ends in `rest`."""
    return f"{TEMP_PREFIX}{os.getpid()}-{this_host()}-{rest}"


def this_host() -> str:
    """The name of this machine, with only letters and digits."""
    return "".join(ch for ch in socket.gethostname() if ch.isalnum()) or "host"


def remove_if_possible(path: Path) -> bool:
    """Remove a file that nobody misses; whether it was there and is gone."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def disk_error(
    err: OSError, path: Path, *, needed: int = 0, again: str = RUN_AGAIN, write: bool = True
) -> DiskError:
    """The system's refusal to write, or to read, `path` in words; see `writing`."""
    words = next((words for codes, words in CAUSES if err.errno in codes), _other)
    problem, remedy = words(err, path, needed, write)
    return DiskError(problem, f"{remedy}, then {again}.")


def foreseen(err: BaseException) -> DiskError | None:
    """An error that nobody put into words, where it is a refusal by the system and names its file."""
    if not isinstance(err, OSError) or not isinstance(err.filename, str | bytes):
        return None
    if not any(err.errno in codes for codes, _ in CAUSES):
        return None
    path = Path(os.fsdecode(err.filename))
    unreadable = path.exists() and not os.access(path, os.R_OK)
    return disk_error(err, path, again=RUN_AGAIN, write=not unreadable)


def size_text(n_bytes: int) -> str:
    """A size in words: "1.50 GiB", "12.0 MiB", "3.2 KiB"."""
    if n_bytes >= 2**30:
        return f"{n_bytes / 2**30:.2f} GiB"
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes >= 2**20 else f"{n_bytes / 2**10:.1f} KiB"


Words = Callable[
    [OSError, Path, int, bool], tuple[str, str]
]  # error, path, bytes needed, written: problem, remedy


def _full(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    free = size_text(shutil.disk_usage(folder_of(path)).free)
    if _has_no_names_left(path):
        return (
            f'The disk of "{path}" has no room for one more file of any size, though {free} are free.',
            "Remove files there that you do not need, small ones as well as large ones",
        )
    lacking = f'writing "{path}" needs {size_text(needed)}' if needed else f'"{path}" cannot be written'
    return (
        f"The disk is full: {lacking}, {free} are free.",
        f"Free at least {size_text(max(needed, ROOM))} there",
    )


def _has_no_names_left(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    found = os.statvfs(folder_of(path))
    return found.f_files > 0 and found.f_favail == 0


def _quota(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    return (
        f'Your quota on this disk is used up: "{path}" cannot be written.',
        "Remove files of yours from that disk, or ask for a larger quota",
    )


def _too_large(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    limit = _size_limit()
    if limit is None:
        return (
            f'"{path}" cannot grow further: the file system of this disk knows no larger files.',
            "Move the folder to a disk with another file system",
        )
    return (
        f'"{path}" cannot be written: this process may write files of {size_text(limit)} at most.',
        "Start PSR Studio from a shell in which `ulimit -f` says unlimited",
    )


def _size_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _read_only(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    return (
        f'The disk of "{folder_of(path)}" can be read only ({_said(err)}).',
        "Mount it for writing, or copy the folder to another disk",
    )


def _denied(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    if not write:
        return f'"{path}" cannot be read ({_said(err)}).', "Give yourself read permission there"
    folder = folder_of(path)
    writable = path.is_file() and os.access(folder, os.W_OK | os.X_OK)
    what = f'file "{path}"' if writable else f'folder "{folder}"'
    return f"The {what} cannot be written to ({_said(err)}).", "Give yourself write permission there"


def _failing(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    return (
        f'The disk reports an error of its own at "{path}" ({_said(err)}).',
        "Copy the whole folder to another disk, have this one checked",
    )


def _away(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    return f'The disk of "{path}" does not answer ({_said(err)}).', "Connect it again"


def _crowded(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    return (
        f'"{path}" cannot be opened: as many files are open as may be ({_said(err)}).',
        "Start PSR Studio from a shell in which `ulimit -n` says 1024 or more",
    )


def _too_long(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    shown = str(path)
    return (
        f'The path "{shown[:40]}...", {len(shown)} characters, is too long for this disk.',
        "Choose a shorter one",
    )


def _no_folder(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    file = next((p for p in path.absolute().parents if os.path.isfile(p)), None)
    if file is None:
        return _other(err, path, needed, write)
    return f'"{path}" cannot be there: "{file}" is a file, not a folder.', "Choose another path"


def _other(err: OSError, path: Path, needed: int, write: bool) -> tuple[str, str]:
    return f'"{path}" could not be {"written" if write else "read"}: {_said(err)}.', "Check the disk"


CAUSES: tuple[tuple[set[int], Words], ...] = (
    ({errno.ENOSPC}, _full),
    ({errno.EDQUOT}, _quota),
    ({errno.EFBIG}, _too_large),
    ({errno.EROFS}, _read_only),
    ({errno.EACCES, errno.EPERM}, _denied),
    ({errno.EIO}, _failing),
    (AWAY, _away),
    ({errno.EMFILE, errno.ENFILE}, _crowded),
    ({errno.ENAMETOOLONG}, _too_long),
    ({errno.ENOTDIR, errno.EEXIST}, _no_folder),
)


def _said(err: OSError) -> str:
    return str(err) if err.errno is None else os.strerror(err.errno)


def folder_of(path: Path) -> Path:
    """The folder `path` lies in, or would; the nearest one that is there."""
    return next((p for p in path.absolute().parents if os.path.isdir(p)), Path("/"))
