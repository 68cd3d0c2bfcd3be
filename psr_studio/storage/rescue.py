"""What can still be read of a damaged database goes into a new one; the damaged file is kept as it is."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from psr_studio.core.disk import writing
from psr_studio.core.errors import DamagedError
from psr_studio.storage.database import AS_TEXT, DO_AGAIN, ENDINGS, Database, explain


def is_whole(path: Path) -> bool:
    """Whether every page can be read and fits the others; reads all of them and changes none."""
    try:
        with _read_only(path) as found:
            return found.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    except sqlite3.Error as err:
        said = explain(err, path)
        if isinstance(said, DamagedError):
            return False
        raise said from err


def set_aside(path: Path) -> Path:
    """Rename a database, with what belongs to it, to the first free name "<name>.damaged-<n>"; returns that path."""
    n = 1
    while (kept := path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    with writing(path, again=DO_AGAIN):
        for ending in ENDINGS:
            if (file := path.with_name(path.name + ending)).exists():
                os.replace(file, kept.with_name(kept.name + ending))
    return kept


def take_over(damaged: Path, into: Database) -> dict[str, int]:
    """Copy every row that can be read; returns how many by table."""
    with _read_only(damaged) as old:
        return {
            table: into.insert(table, _readable(old, table, names)) for table, names in into.columns().items()
        }


def _read_only(path: Path) -> closing[sqlite3.Connection]:
    found = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    found.text_factory = AS_TEXT
    return closing(found)


def _readable(old: sqlite3.Connection, table: str, columns: list[str]) -> list[tuple]:
    """Rows from the first one on, and from the last one back, to where the damage begins; in their order."""
    found: dict[int, tuple] = {}
    for order in ("ASC", "DESC"):
        try:
            query = f"SELECT rowid, {', '.join(columns)} FROM {table} NOT INDEXED ORDER BY rowid {order}"
            for rowid, *values in old.execute(query):
                if rowid in found:
                    break
                found[rowid] = tuple(values)
        except sqlite3.Error:
            continue
    return [found[rowid] for rowid in sorted(found)]
