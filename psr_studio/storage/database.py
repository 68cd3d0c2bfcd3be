"""One SQLite file behind a lock: transactions, rows that cannot be read, and errors in words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from psr_studio.core.errors import WorkspaceError
from psr_studio.core.place import Place
from psr_studio.storage.parquet import FORMAT_VERSION, newer_format

BUSY_SECONDS = 10.0
IN_MEMORY = Path(":memory:")
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

    def _prepare(self, schema: str) -> None:
        with self._explained():
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT_VERSION:
            raise newer_format(self.path.parent, found)
        with self._explained():
            self._db.row_factory = sqlite3.Row
            self._db.text_factory = partial(str, encoding="utf-8", errors="replace")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(schema)
            self._db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:  # our mistake, such as use after closing: not the disk's
            raise
        except sqlite3.Error as err:
            raise _explain(err, self.path) from err

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


def _explain(err: sqlite3.Error, path: Path) -> WorkspaceError:
    text = str(err)
    if "full" in text:
        return WorkspaceError(
            f'The disk is full: "{path}" cannot grow.',
            "Free some space there and do it again: nothing was lost.",
        )
    if "readonly" in text or "unable to open" in text:
        return WorkspaceError(
            f'The ledger "{path}" cannot be written to ({text}).',
            "Give yourself write permission there, or choose another workspace folder.",
        )
    if "locked" in text:
        return WorkspaceError(
            f'The ledger "{path}" is held by another process for more than {BUSY_SECONDS:.0f} seconds.',
            "Close the other PSR Studio on this workspace.",
        )
    return WorkspaceError(
        f'The ledger "{path}" is damaged: {text}.',
        "Move this file away and open the workspace again: pool and scores stay, marks and results go.",
    )
