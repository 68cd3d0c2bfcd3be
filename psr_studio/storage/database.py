"""One SQLite file behind a lock: transactions, and errors in words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psr_studio.core.errors import WorkspaceError
from psr_studio.storage.parquet import FORMAT_VERSION, newer_format

BUSY_SECONDS = 10.0


class Database:
    """Thread-safe access to the SQLite file `path` through one connection.

    Raises:
        WorkspaceError: the file is of a newer format version, is not SQLite, or cannot be written to.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        with self._explained():
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare(schema)
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
    def _transaction(self) -> Iterator[None]:
        """All or nothing, also against other processes."""
        with self._lock, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _write(self, sql: str, *values: Any) -> int:
        with self._transaction():
            return self._db.execute(sql, values).lastrowid or 0

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            return self._db.execute(sql, values).fetchall()


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
