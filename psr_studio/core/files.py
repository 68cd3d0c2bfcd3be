"""Files that are written whole or not at all where no workspace is concerned, and their hashes."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
