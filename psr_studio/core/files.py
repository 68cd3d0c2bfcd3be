"""Files that are written whole or not at all where no workspace is concerned, and their hashes."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

DROPPINGS = ("thumbs.db", "ehthumbs.db", "desktop.ini")  # beside hidden files: what systems leave in folders
SERVICE_FOLDERS = (
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
)

TEMP_PREFIX = ".tmp-"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write under; it becomes `path` when the block ends well, and goes otherwise.

    The folder is made when it is missing. The temporary name ends as `path` does.

    Raises:
        OSError: as the disk says it; an older `path` is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(temp_name(path.name))
    try:
        yield temp
        flush(temp)
        os.replace(temp, path)
    finally:
        temp.unlink(missing_ok=True)


def temp_name(rest: str) -> str:
    """A temporary name that says which process on which machine writes there, and ends in `rest`."""
    return f"{TEMP_PREFIX}{os.getpid()}-{this_host()}-{rest}"


def this_host() -> str:
    """The name of this machine, with only letters and digits."""
    return "".join(ch for ch in socket.gethostname() if ch.isalnum()) or "host"


def flush(path: Path) -> None:
    """Have a written file, or on POSIX the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
