"""One SQLite file behind a lock: transactions, rows that cannot be read, and errors in words."""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from psr_studio.core.disk import disk_error, probe
from psr_studio.core.errors import DamagedError, DiskError, WorkspaceError
from psr_studio.core.place import Place
from psr_studio.storage.parquet import FORMAT_VERSION, newer_format

BUSY_SECONDS = 10.0
DO_AGAIN = "do it again: nothing was lost"
ENDINGS = ("", "-wal", "-shm")  # a database in WAL mode is these files together
OF_CONTENT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
BY_DISK = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
IN_MEMORY = Path(":memory:")
AS_TEXT = partial(str, encoding="utf-8", errors="replace")  # a damaged text must not hide its whole row
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
T = TypeVar("T")


class Database:
    """Thread-safe access to the SQLite file `path` through one connection.

    `place` is where it was opened, None in memory; `damaged` says which rows were left out, and grows when one
    turns out to be damaged.

    Raises:
        WorkspaceError: the file is of a newer format version, is not SQLite, or cannot be written to.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = Path(path)
        self.damaged: list[str] = []
        self._lock = threading.RLock()
        with self._explained():
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare(schema)
            self.place = None if self.path == IN_MEMORY else Place(self.path.parent, self.path)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()

    def copy_to(self, path: Path) -> None:
        """Write everything into a new file."""
        with self._lock, self._explained(), closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)

    def _prepare(self, schema: str) -> None:
        with self._explained():
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT_VERSION:
            raise newer_format(self.path.parent, found)
        with self._explained():
            self._db.row_factory = sqlite3.Row
            self._db.text_factory = AS_TEXT
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(schema)
            self._db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    def columns(self) -> dict[str, list[str]]:
        """The names of the columns, by table."""
        tables = self._rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return {name: [row["name"] for row in self._rows(f"PRAGMA table_info({name})")] for (name,) in tables}

    def insert(self, table: str, rows: Sequence[tuple]) -> int:
        """Add whole rows, but for those that a row of the table excludes; returns how many were added."""
        names = self.columns()[table]
        marks = ", ".join("?" for _ in names)
        with self.transaction():
            before = self._db.total_changes
            self._db.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)
            return self._db.total_changes - before

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:  # our mistake, such as use after closing: not the disk's
            raise
        except sqlite3.Error as err:
            raise explain(err, self.path) from err

    @contextmanager
    def transaction(self, durable: bool = False) -> Iterator[None]:
        """All or nothing, also against other processes; inside another one it is a part of that.

        Args:
            durable: have it survive a power cut, too, when the block has ended.

        Raises:
            WorkspaceError: the file is no longer where it was opened, and nothing has changed.
        """
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            with self._explained():
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    if self.place:
                        self.place.check()
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise

    def _write(self, sql: str, *values: Any) -> int:
        with self.transaction():
            return self._db.execute(sql, values).lastrowid or 0

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            return self._db.execute(sql, values).fetchall()

    def _readable(
        self, rows: Iterable[sqlite3.Row], read: Callable[[sqlite3.Row], T], noun: str, key: str
    ) -> list[T]:
        """What `read` makes of the rows; a damaged one is left out and named in `damaged` by its column `key`."""
        found = []
        for row in rows:
            try:
                found.append(read(row))
            except UNREADABLE:
                said = f'the {noun} "{row[key]}" of "{self.path.name}", which cannot be read'
                if said not in self.damaged:
                    self.damaged.append(said)
        return found


def explain(err: sqlite3.Error, path: Path) -> WorkspaceError:
    """SQLite's code in words. Only what it says of the content is damage; of the disk it knows little: we ask it."""
    code = getattr(err, "sqlite_errorcode", 0)
    name = getattr(err, "sqlite_errorname", type(err).__name__)
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WorkspaceError(
            f'The ledger "{path}" is held by another process for more than {BUSY_SECONDS:.0f} seconds.',
            "Close the other PSR Studio on this workspace.",
        )
    if code & 0xFF in OF_CONTENT:
        command = f"psr-studio doctor --rescue -w {shlex.quote(str(path.parent))}"
        return DamagedError(
            f'The ledger "{path}" is damaged: {err}.',
            f'Put a backup in its place, with no older "{path.name}-wal" beside it, or run `{command}`: '
            "this file is kept, and what can be read of it is taken over.",
        )
    if (refused := _refusal(code & 0xFF, path)) is not None:
        return refused
    return DiskError(
        f'The ledger "{path}" could not be used: {err} ({name}).',
        f"Check its disk, or copy the whole workspace to another one, then {DO_AGAIN}.",
    )


def _refusal(code: int, path: Path) -> DiskError | None:
    """What the system says of the ledger's disk, or of the files that belong to the ledger."""
    if code == sqlite3.SQLITE_FULL:
        return disk_error(OSError(errno.ENOSPC, ""), path, again=DO_AGAIN)
    if code not in BY_DISK:
        return None
    files = [file for ending in ENDINGS if (file := path.with_name(path.name + ending)).exists()]
    if said := probe(path, max((file.stat().st_size for file in files), default=0)):
        return disk_error(said, path, again=DO_AGAIN)
    barred = [file for file in files if not os.access(file, os.R_OK | os.W_OK)]
    return disk_error(OSError(errno.EACCES, ""), barred[0], again=DO_AGAIN) if barred else None
