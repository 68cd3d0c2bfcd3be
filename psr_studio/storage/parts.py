"""The parts of a workspace: read with their checksums, and remembered as whole or as damaged.

A part is read through once: when this process has written it that is known, otherwise when its state is first asked
for. What was found is kept in the ledger while size and time of change of the file stay, so a state costs one look at
the folder's entry. Damage that shows while a part is read is kept alike, and its step makes the part anew; what else
lies in its folder is read through again then, for a disk that rots seldom does it in one place.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from psr_studio.core.disk import reading
from psr_studio.core.errors import DamagedError, StudioError
from psr_studio.storage.database import Database
from psr_studio.storage.parquet import PartInfo, check_part, read_part

LOG = logging.getLogger(__name__)
READERS = min(4, os.cpu_count() or 1)
FILES_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, inputs_hash TEXT NOT NULL,
    problem TEXT NOT NULL);
"""


class Seen(NamedTuple):
    """What was found in a file while it had this size and this time of change; `problem` is "" for a whole one."""

    size: int
    changed: int  # nanoseconds
    inputs_hash: str
    problem: str


class Files(Database):
    """The part of the ledger that keeps what was found in files, by path below the workspace."""

    def note_files(self, found: dict[str, Seen], forget: str = "") -> None:
        """Keep what was found, and forget first what is known of a folder."""
        with self.transaction():
            if forget:
                self._db.execute("DELETE FROM files WHERE path GLOB ?", (f"{forget}/*",))
            rows = [(path, *seen) for path, seen in found.items()]
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def noted_files(self) -> dict[str, Seen]:
        """All that is kept."""
        return {path: Seen(*seen) for path, *seen in self._rows("SELECT * FROM files")}


class Reader:
    """Reads parts and remembers nothing of them."""

    def read(self, path: Path, names: Sequence[str]) -> tuple[PartInfo, dict[str, Any]]:
        """See `read_part`."""
        return read_part(path, names)

    def note_damage(self, err: DamagedError) -> None:
        """Take notice of what an error says of a part."""


class Parts(Reader):
    """Reads the parts below `root` and knows which are whole; safe to share between threads."""

    def __init__(self, root: Path, files: Files) -> None:
        self._root, self._files = root, files
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] | None = None

    def read(self, path: Path, names: Sequence[str]) -> tuple[PartInfo, dict[str, Any]]:
        """See `read_part`; damage is remembered."""
        try:
            return super().read(path, names)
        except DamagedError as err:
            self.note_damage(err)
            raise

    def note_whole(self, path: Path, info: PartInfo) -> None:
        """Remember a part that was just written."""
        self._note({path: (info.inputs_hash, "")})

    def note_damage(self, err: DamagedError) -> None:
        """Remember what an error says of a part of this workspace."""
        path = err.path
        if (
            path is None
            or not err.reason
            or not path.is_relative_to(self._root)
            or (there := stamp(path)) is None
        ):
            return
        seen = Seen(*there, "", err.reason)
        if self._all().get(self._name(path)) != seen:
            self._keep({self._name(path): seen}, forget=path.relative_to(self._root).parts[0])

    def look(self, paths: Iterable[Path]) -> dict[Path, Seen | None]:
        """What is in each file, None where there is none; those that are new or changed are read through.

        Raises:
            DiskError: the system does not let us look. WorkspaceError: a part of a newer format version.
        """
        found = {path: self._known(path) for path in paths}
        if unknown := [path for path, (there, seen) in found.items() if there and seen is None]:
            with ThreadPoolExecutor(READERS) as readers:
                self._note(dict(zip(unknown, readers.map(_examine, unknown), strict=True)))
            found |= {path: self._known(path) for path in unknown}
        return {path: seen for path, (_, seen) in found.items()}

    def _known(self, path: Path) -> tuple[bool, Seen | None]:
        """Whether there is a file, and what is known of it as it is."""
        there = stamp(path)
        seen = self._all().get(self._name(path))
        return there is not None, seen if seen is not None and seen[:2] == there else None

    def _all(self) -> dict[str, Seen]:
        with self._lock:
            if self._seen is None:
                self._seen = self._files.noted_files()
            return self._seen

    def _note(self, found: dict[Path, tuple[str, str]]) -> None:
        stamped = {path: (stamp(path), what) for path, what in found.items()}
        self._keep(
            {self._name(path): Seen(*there, *what) for path, (there, what) in stamped.items() if there}
        )

    def _keep(self, seen: dict[str, Seen], forget: str = "") -> None:
        """In memory and in the ledger; one that cannot be written to must not stop the work."""
        known = self._all()
        with self._lock:
            kept = {
                name: was for name, was in known.items() if not forget or not name.startswith(f"{forget}/")
            }
            self._seen = {**kept, **seen}
        try:
            self._files.note_files(seen, forget)
        except StudioError as err:
            LOG.warning("the state of %d files is not kept: %s", len(seen), err.problem)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file, which change with it; None where there is none."""
    with reading(path):
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
    return found.st_size, found.st_mtime_ns


def _examine(path: Path) -> tuple[str, str]:
    """The inputs hash of a part, and what is wrong with it."""
    try:
        return check_part(path).inputs_hash, ""
    except DamagedError as err:
        return "", err.reason
