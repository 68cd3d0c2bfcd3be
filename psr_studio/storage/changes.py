"""Files and the ledger changed together: one commit, which the next opening finishes or takes back.

What is new is made in `.new-<id>/` beside what it will replace. The commit

1. notes in the ledger what it is about to rename,
2. renames what stands there into `.old-<id>/`, and what is new into its place,
3. changes the ledger and marks the note as committed, in one transaction.

Until that transaction stands, all is renamed back; from then on all that is left to do is to remove what was
replaced. Both may be done again from any point where they were cut off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from psr_studio.core.errors import WorkspaceError
from psr_studio.core.files import flush_folder, flush_tree
from psr_studio.storage.database import Database

NEW, OLD = ".new-", ".old-"
ID = re.compile(r"[0-9a-f]{32}")
OURS = re.compile(rf"\.(new|old)-{ID.pattern}")
CHANGES_SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (
    id TEXT PRIMARY KEY, folder TEXT NOT NULL, moves TEXT NOT NULL, committed INTEGER NOT NULL DEFAULT 0);
"""


class Move(NamedTuple):
    """A name in a folder: whether something new comes there, and whether something stands there now."""

    name: str
    comes: bool
    stands: bool


class Renames(NamedTuple):
    """What one change renames in a folder."""

    folder: Path
    id: str
    moves: Sequence[Move]

    @property
    def new(self) -> Path:
        """Where what comes is made."""
        return self.folder / f"{NEW}{self.id}"

    @property
    def old(self) -> Path:
        """Where what stood there waits for the commit."""
        return self.folder / f"{OLD}{self.id}"

    def do(self) -> None:
        """Put everything in its place."""
        self.old.mkdir()
        for name, comes, stands in self.moves:
            if stands:
                os.replace(self.folder / name, self.old / name)
            if comes:
                os.replace(self.new / name, self.folder / name)
        self._flush()

    def undo(self) -> None:
        """Put everything back as it was, as far as it was moved at all."""
        if not self.new.is_dir():  # it goes last
            return
        for name, comes, stands in reversed(self.moves):
            place, new, old = self.folder / name, self.new / name, self.old / name
            came = comes and not _there(new) and (_there(old) or not stands)
            if came and _there(place):
                os.replace(place, new)
            if _there(old):
                os.replace(old, place)
        self._flush()

    def sweep(self) -> None:
        """Remove what is not needed any more; what cannot be removed stays until the next opening."""
        for path in (self.old, self.new):
            shutil.rmtree(path, ignore_errors=True)

    def _flush(self) -> None:
        for path in (self.new, self.old, self.folder):
            if path.is_dir():
                flush_folder(path)


class Note(NamedTuple):
    """What the ledger knows of a change that is not over."""

    renames: Renames
    committed: bool


class Changes(Database):
    """The part of the ledger that keeps notes of changes which are neither finished nor taken back."""

    def noted_changes(self, root: Path) -> dict[str, Note]:
        """Changes that are not over yet, by id."""
        rows = self._rows("SELECT * FROM changes")
        notes = self._readable(rows, lambda row: _note(root, row), "change", "id")
        return {note.renames.id: note for note in notes}

    def note_change(self, root: Path, renames: Renames) -> None:
        """Note what is about to be renamed."""
        folder, moves = renames.folder.relative_to(root).as_posix(), json.dumps(renames.moves)
        with self.transaction(durable=True):
            self._write("INSERT INTO changes (id, folder, moves) VALUES (?, ?, ?)", renames.id, folder, moves)

    def commit_change(self, change: str) -> None:
        """Mark a change as committed."""
        self._write("UPDATE changes SET committed = 1 WHERE id = ?", change)

    def settle_change(self, note: Note) -> None:
        """Finish a change that is committed, take any other back.

        Raises:
            WorkspaceError: what was moved cannot be moved back.
        """
        renames = note.renames
        if note.committed:
            renames.sweep()
            if _there(renames.old):  # as long as it is noted, nothing is taken out of it
                return
        else:
            try:
                renames.undo()
            except OSError as err:
                raise _stuck(renames.folder, err) from err
        with self.transaction(durable=True):
            self._write("DELETE FROM changes WHERE id = ?", renames.id)
        renames.sweep()


class Change:
    """New files and folders, and a change of the ledger, that come to stand together or not at all.

    Make what is new in `new`, under the name that it will have in `folder`; then `commit`. Use it in a `with`
    block: at its end all is as it was unless the commit stands, and nothing is left over.

    Args:
        root: the workspace.
        folder: where things are to be put, the workspace or a folder in it; made when it is not there.

    Raises:
        OSError: as the disk says it.
    """

    def __init__(self, root: Path, folder: Path, ledger: Changes) -> None:
        self.folder = folder
        self._root, self._ledger = root, ledger
        self._id = uuid.uuid4().hex
        self._noted = False
        self._goes: list[str] = []
        self._then: list[Callable[[], None]] = []
        self.new = Renames(folder, self._id, ()).new
        folder.mkdir(exist_ok=True)
        self.new.mkdir()

    def remove(self, name: str) -> None:
        """Have the commit remove what has this name in the folder, where something has."""
        self._goes.append(name)

    def then(self, call: Callable[[], None]) -> None:
        """Have this called as soon as the commit stands."""
        self._then.append(call)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Put everything in its place; the ledger is changed in the block, whose end is the commit.

        Raises:
            OSError: as the disk says it.
            WorkspaceError: the ledger, or a workspace that is no longer where it was opened.
        """
        flush_tree(self.new)
        renames = Renames(self.folder, self._id, self._moves())
        self._noted = True
        self._ledger.note_change(self._root, renames)
        try:
            renames.do()
            with self._ledger.transaction(durable=True):
                yield
                self._ledger.commit_change(self._id)
        finally:  # an interrupt may come when the commit stands already
            if (note := self._note()) and note.committed:
                for call in self._then:
                    call()

    def _note(self) -> Note | None:
        return self._ledger.noted_changes(self._root).get(self._id)

    def _moves(self) -> list[Move]:
        comes = sorted(path.name for path in self.new.iterdir())
        goes = [name for name in self._goes if name not in comes and _there(self.folder / name)]
        return [Move(name, name in comes, _there(self.folder / name)) for name in (*comes, *goes)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._noted and (note := self._note()):
            self._ledger.settle_change(note)
        shutil.rmtree(self.new, ignore_errors=True)


def recover(root: Path, folders: Sequence[Path], ledger: Changes) -> None:
    """Finish or take back what was cut off; call it where no other process works in the workspace.

    Args:
        folders: in which changes are made.

    Raises:
        WorkspaceError: what was moved cannot be moved back.
    """
    for note in ledger.noted_changes(root).values():
        if note.renames.folder in folders:
            ledger.settle_change(note)
    kept = {note.renames.old for note in ledger.noted_changes(root).values()}
    for folder in folders:
        for path in folder.glob(".*-*"):
            if OURS.fullmatch(path.name) and path not in kept:
                _sweep(path)


def _note(root: Path, row: sqlite3.Row) -> Note:
    """ValueError for names that lead elsewhere: the ledger may come from somebody else."""
    moves = [Move(*move) for move in json.loads(row["moves"])]
    plain = all(move.name.strip(".") and Path(move.name).name == move.name for move in moves)
    if not ID.fullmatch(row["id"]) or not plain:
        raise ValueError(row["id"])
    return Note(Renames(root / row["folder"], row["id"], moves), bool(row["committed"]))


def _sweep(path: Path) -> None:
    """Remove what no note speaks of; what stood there before comes back where its place is empty.

    Such a note goes with its ledger only.
    """
    if path.name.startswith(OLD):
        for stood in path.iterdir():
            if not _there(path.parent / stood.name):
                os.replace(stood, path.parent / stood.name)
    shutil.rmtree(path, ignore_errors=True)


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _stuck(folder: Path, err: OSError) -> WorkspaceError:
    return WorkspaceError(
        f'What stood in "{folder}" could not be put back there ({err.strerror or err}).',
        "Close PSR Studio and open the workspace again: that puts it back, nothing is lost.",
    )
