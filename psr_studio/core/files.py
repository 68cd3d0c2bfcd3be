"""Files that are written whole or not at all where no workspace is concerned, and their hashes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psr_studio.core.errors import WorkspaceError
from psr_studio.disk import RUN_AGAIN, reading, remove_if_possible, temp_path, writing


@contextmanager
def whole_file(path: Path, *, needed: int = 0, again: str = RUN_AGAIN) -> Iterator[Path]:
    """A name beside `path` to write under; it becomes `path` when the block ends well, and goes otherwise.

    The folder is made when it is missing. The temporary name ends as `path` does. `needed` and `again` as
    `disk.writing` takes them.

    Raises:
        DiskError: why the disk refused; an older `path` is whole.
    """
    with writing(path, needed=needed, again=again):
        path.parent.mkdir(parents=True, exist_ok=True)
        temp = temp_path(path)
        try:
            yield temp
            os.replace(temp, path)
        finally:
            remove_if_possible(temp)


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
    with reading(found, again="try again"), suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        found.lstat()
    return found


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
