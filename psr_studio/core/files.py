"""Files that are written whole or not at all, flushed to the disk, and what else concerns any file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from psr_studio.core.disk import (
    RUN_AGAIN,
    TEMP_PREFIX,
    reading,
    remove_if_possible,
    temp_path,
    this_host,
    writing,
)
from psr_studio.core.errors import ModelError, WorkspaceError
from psr_studio.core.place import Place
from psr_studio.core.words import printable

FLUSHED_AT_ONCE = 16  # files; a disk takes many together nearly as fast as one
FOREIGN_TEMP_SECONDS = (
    24 * 3600.0
)  # another machine's writer cannot be asked whether it lives; a day is long enough
DROPPINGS = ("thumbs.db", "ehthumbs.db", "desktop.ini")  # beside hidden files: what systems leave in folders
SERVICE_FOLDERS = (
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
)


@contextmanager
def whole_file(
    path: Path, *, needed: int = 0, again: str = RUN_AGAIN, place: Place | None = None
) -> Iterator[Path]:
    """A name beside `path` to write under; it becomes `path` when the block ends well, and goes otherwise.

    The folder is made when it is missing. The temporary name ends as `path` does. `needed` and `again` as
    `disk.writing` takes them.

    Args:
        place: what must still be where it was opened; it is looked at before any folder is made.

    Raises:
        DiskError: why the disk refused. WorkspaceError: the place has changed. Nothing half-written remains, and an
            older `path` is whole.
    """
    with writing(path, needed=needed, again=again):
        if place:
            place.check()
        path.parent.mkdir(parents=True, exist_ok=True)
        temp = temp_path(path)
        try:
            yield temp
            flush(temp)
            os.replace(temp, path)
        finally:  # a cancelled step must not leave its half behind either
            remove_if_possible(temp)
        flush_folder(path.parent)


@contextmanager
def whole_folder(path: Path, *, again: str = RUN_AGAIN) -> Iterator[Path]:
    """A folder beside `path` to write into; it becomes `path`, not there or empty, when the block ends well.

    Errors of the block, which may do more than write, pass as they are.

    Raises:
        DiskError: why the disk refused the folder itself. Nothing half-written remains.
    """
    temp = path.with_name(f"{TEMP_PREFIX}{path.name}")
    with writing(path, again=again):
        shutil.rmtree(temp, ignore_errors=True)
        temp.mkdir(parents=True)
    try:
        yield temp
        with writing(path, again=again):
            flush_tree(temp)
            if path.is_dir():
                path.rmdir()
            os.replace(temp, path)
            flush_folder(path.parent)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def write_bytes(
    path: Path, data: bytes | memoryview, place: Place | None = None, again: str = RUN_AGAIN
) -> None:
    """Write `data` as `whole_file` does."""
    with whole_file(path, needed=len(data), again=again, place=place) as temp:
        temp.write_bytes(data)


def flush(path: Path) -> None:
    """Have a written file, or on POSIX the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder(folder: Path) -> None:
    """Have the renames in a folder survive a power cut, where the system lets a folder be flushed."""
    if os.name != "posix":
        return
    try:
        flush(folder)
    except OSError as err:  # some network file systems have no such call; the files are already flushed
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def flush_tree(folder: Path) -> None:
    """Have everything under a folder survive a power cut."""
    inside = [path for path in folder.rglob("*") if not path.is_symlink()]
    with ThreadPoolExecutor(FLUSHED_AT_ONCE) as pool:
        list(pool.map(flush, (path for path in inside if path.is_file())))
    for path in (*inside, folder):
        if path.is_dir():
            flush_folder(path)


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
    if os.name == "posix" and pid.isdigit() and rest.partition("-")[0] == this_host():
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


def check_path(path: str | Path) -> Path:
    """A path that a person named, with "~" as their home folder; nothing needs to be there.

    Raises:
        WorkspaceError: no system can have a file there.
    """
    if "\0" in str(path):
        raise WorkspaceError(
            f"The path {str(path)!r} holds a NUL character, which no path can have.", "Choose another path."
        )
    try:
        found = Path(path).expanduser()
    except RuntimeError as err:  # Python finds no home folder of this user
        raise WorkspaceError(
            f'The path "{path}" begins at a home folder, but this user has none.', "Write the path in full."
        ) from err
    try:
        str(found).encode()
    except UnicodeEncodeError as err:  # names in an older encoding, as of an old disk or zip
        raise WorkspaceError(
            f'The path "{printable(str(found))}" holds bytes that are no UTF-8, which no file could name.',
            "Rename that folder or file, or choose another path.",
        ) from err
    with reading(found, again="try again"), suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        found.lstat()
    return found


def absolute_path(path: str | Path) -> Path:
    """The whole path of what a person named; WorkspaceError as `check_path`, of the folders above as well."""
    return check_path(check_path(path).absolute())


def listing(root: Path, base: Path) -> list[tuple[str, int, int]]:
    """Every file below a path, or that file itself: its name from `base` on, its size and its time of change."""
    files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
    found = [(p, p.stat()) for p in files if p.exists()]
    return [(p.relative_to(base).as_posix(), s.st_size, s.st_mtime_ns) for p, s in found]


def check_empty(folder: Path, again: str) -> None:
    """Raise ModelError where a folder that is to be made holds something, DiskError where it cannot be made."""
    with writing(folder, again=again):
        in_use = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if in_use:
        raise ModelError(f'"{folder}" is not an empty folder.', "Name another one. Nothing was changed.")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serves_a_system(path: PurePosixPath) -> bool:
    """Whether a file is hidden, lies in a hidden or a service folder, or is what a system left there."""
    return (
        any(part.startswith(".") or part.lower() in SERVICE_FOLDERS for part in path.parts)
        or path.name.lower() in DROPPINGS
    )
