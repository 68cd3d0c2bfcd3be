"""Marks and settings with undo.

Undo works on an append-only list of actions, each with the state before and after it, so it survives a
restart. A new action drops what had been undone: it stays in the list, out of reach.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from psr_studio.core.errors import SelectionError
from psr_studio.storage.database import UNREADABLE, Database

Mark = Literal["pin", "veto"]
MARKS = ("pin", "veto")
APPLIED, UNDONE, DROPPED = 0, 1, 2
LONGEST_TAG = 40
MOST_ACTIONS = 2**31  # that are listed at once
CHANGED = "changed"
WEIGHTS = ("alpha", "beta", "gamma")  # left out, they follow the preset of the budget
NAMES = {"ipc": "K", "lam": "lambda", "within_bin": "within bin", "drawn": "drawn target"}  # as on screen
LOCKED = "locked"  # among the settings: {class id: [candidate ids in pick order]}
HISTORY_SCHEMA = """
CREATE TABLE IF NOT EXISTS marks (
    candidate_id INTEGER PRIMARY KEY, mark TEXT NOT NULL, reason TEXT NOT NULL, place INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tags (candidate_id INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (candidate_id, tag));
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, kind TEXT NOT NULL,
    description TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0);
"""


class _Done(NamedTuple):
    """An action, when it was done by our own clock, the gesture it was part of, and `absent` at its start."""

    action: int
    when: float
    gesture: str
    absent: Mapping[str, Any]


class History(Database):
    """What the user did by hand in a workspace: pins, vetoes and current settings."""

    _last = _Done(0, 0.0, "", {})  # what this process did last

    # Marks

    def set_marks(self, candidate_ids: Iterable[int], mark: Mark | None, reason: str = "") -> str | None:
        """Pin, veto or clear (None) candidates as one undoable action.

        Returns:
            Its description, or None when nothing changed.
        """
        if mark not in (*MARKS, None):
            raise SelectionError(
                f'There is no mark "{mark}".', f"Use one of: {', '.join(MARKS)}, or none to clear."
            )
        with self.transaction():
            state = self._marks()
            before: dict[str, Any] = {}
            after: dict[str, Any] = {}
            place = max((row[2] for row in state.values()), default=0)
            for cid in dict.fromkeys(int(c) for c in candidate_ids):
                old = state.get(cid)
                place += 1
                new = None if mark is None else [mark, reason, place]
                if (old and old[:2]) != (new and new[:2]):
                    before[str(cid)], after[str(cid)] = old, new
            if not after:
                return None
            return self._act("marks", f"{mark or 'clear'} {_noun(list(after))}", before, after)

    def marks(self) -> dict[int, str]:
        """All marks: candidate id to "pin" or "veto"."""
        return {cid: row[0] for cid, row in self._marks().items()}

    def mark_reasons(self) -> dict[int, str]:
        """The reasons that were given with marks; those without a reason are left out."""
        return {cid: row[1] for cid, row in self._marks().items() if row[1]}

    def pinned(self) -> list[int]:
        """Pinned candidates in the order they were pinned."""
        rows = self._marks().items()
        return [cid for cid, row in sorted(rows, key=lambda item: item[1][2]) if row[0] == "pin"]

    def vetoed(self) -> list[int]:
        """Vetoed candidates by number."""
        return sorted(cid for cid, row in self._marks().items() if row[0] == "veto")

    # Tags

    def set_tag(self, candidate_ids: Iterable[int], tag: str, on: bool = True) -> str | None:
        """Give candidates a tag, or take it from them; as `move_tag`."""
        return self.move_tag(tag, candidate_ids if on else (), () if on else candidate_ids)

    def move_tag(self, tag: str, to: Iterable[int], away_from: Iterable[int]) -> str | None:
        """Give a tag to some candidates and take it from others, as one undoable action.

        Returns:
            Its description, or None when nothing changed.

        Raises:
            SelectionError: a tag that is empty, longer than `LONGEST_TAG` letters, or holds a quote or a line break.
        """
        tag = tag.strip()
        if not tag or len(tag) > LONGEST_TAG or '"' in tag or not tag.isprintable():
            raise SelectionError(
                f'"{tag[:LONGEST_TAG]}" cannot be a tag: it must have 1 to {LONGEST_TAG} letters and no quotes.',
                "Name another one, such as blurry.",
            )
        with self.transaction():
            known = self.tags()
            given = [cid for cid in dict.fromkeys(map(int, to)) if tag not in known.get(cid, ())]
            taken = [cid for cid in dict.fromkeys(map(int, away_from)) if tag in known.get(cid, ())]
            if not given and not taken:
                return None
            before = {str(cid): known.get(cid, []) for cid in (*given, *taken)}
            after = {str(cid): sorted({*known.get(cid, []), tag}) for cid in given}
            after |= {str(cid): sorted({*known[cid]} - {tag}) for cid in taken}
            words = [f"{verb} {_noun(ids)}" for verb, ids in (("tag", given), ("untag", taken)) if ids]
            return self._act("tags", f'{" and ".join(words)} "{tag}"', before, after)

    def tags(self) -> dict[int, list[str]]:
        """The tags of every candidate that has some, sorted."""
        found: dict[int, list[str]] = {}
        for cid, tag in self._rows("SELECT candidate_id, tag FROM tags ORDER BY candidate_id, tag"):
            found.setdefault(int(cid), []).append(str(tag))
        return found

    def tagged(self) -> dict[str, list[int]]:
        """The candidates of every tag, ascending, by its name."""
        found: dict[str, list[int]] = {}
        for cid, tag in self._rows("SELECT candidate_id, tag FROM tags ORDER BY tag, candidate_id"):
            found.setdefault(str(tag), []).append(int(cid))
        return found

    def tag_counts(self) -> dict[str, int]:
        """The number of candidates of every tag, by name."""
        rows = self._rows("SELECT tag, COUNT(*) FROM tags GROUP BY tag ORDER BY tag")
        return {str(tag): int(n) for tag, n in rows}

    def last_tagging(self) -> int:
        """Number of the last action on tags that stands, 0 for none: as long as it is the same, the tags are."""
        standing = "SELECT MAX(id) FROM actions WHERE kind = 'tags' AND undone = ?"
        return self._rows(standing, APPLIED)[0][0] or 0

    # Settings

    def set_settings(
        self,
        values: Mapping[str, Any],
        merge_within: float = 0.0,
        absent: Mapping[str, Any] | None = None,
        gesture: str = "",
    ) -> str | None:
        """Change current settings (weights, ipc, temperature ...) as one undoable action.

        Args:
            values: plain JSON values; keys that are not named stay.
            merge_within: a change of the same keys at most so many seconds after the last action joins it, where
                this process did that, so that one drag of a slider is one undo.
            absent: what counts for settings that were never set, for the words alone.
            gesture: names what the user is in the middle of; changes of one gesture in a row are one action, however
                long it lasts. "" for a change by itself.

        Returns:
            Its description, or None when nothing changed.
        """
        with self.transaction():
            current = self.settings()
            changed = {k: v for k, v in values.items() if k not in current or current[k] != v}
            if not changed:
                return None
            before = {k: [current[k]] if k in current else None for k in changed}
            last = self._rows("SELECT * FROM actions WHERE undone = ? ORDER BY id DESC LIMIT 1", APPLIED)
            after = {k: [v] for k, v in changed.items()}
            absent = absent or {}
            if last and self._joins(last[0], changed, merge_within, gesture):
                before, after = before | json.loads(last[0]["before"]), json.loads(last[0]["after"]) | after
                absent = {**absent, **self._last.absent}
                self._db.execute("UPDATE actions SET undone = ? WHERE id = ?", (DROPPED, last[0]["id"]))
            known = {k: [v] for k, v in absent.items()}
            words = _settings_text({**known, **_present(before)}, after)
            done = self._act("settings", words, before, after)
            self._last = self._last._replace(gesture=gesture, absent=absent)
            return done

    def settings(self) -> dict[str, Any]:
        """The current settings; {} before the first change."""
        rows = self._rows("SELECT * FROM settings")
        return dict(self._readable(rows, _setting, "setting", "key"))

    def locked(self) -> dict[int, list[int]]:
        """Classes whose picks are kept as they are, and those candidates in pick order."""
        found = self.settings().get(LOCKED) or {}
        return {int(class_id): [int(cid) for cid in picks] for class_id, picks in found.items()}

    def change(
        self, marks: Mapping[int, Mark | None], settings: Mapping[str, Any], description: str
    ) -> str | None:
        """Change marks and settings together, as one undoable action.

        Args:
            marks: candidate id to its new mark, None to clear it; pins are placed in this order.
            settings: as `set_settings` takes them.
            description: what the user did, for the history.

        Returns:
            The description, or None when nothing changed.
        """
        with self.transaction():
            had, current = self._marks(), self.settings()
            last = max((row[2] for row in had.values()), default=0)
            asked = {cid: mark and [mark, "", last + i] for i, (cid, mark) in enumerate(marks.items(), 1)}
            after_marks = {str(cid): row for cid, row in asked.items() if had.get(cid) != row}
            before_marks = {cid: had.get(int(cid)) for cid in after_marks}
            changed = {k: v for k, v in settings.items() if k not in current or current[k] != v}
            if not after_marks and not changed:
                return None
            before = {k: [current[k]] if k in current else None for k in changed}
            return self._act(
                "both",
                description,
                {"marks": before_marks, "settings": before},
                {"marks": after_marks, "settings": {k: [v] for k, v in changed.items()}},
            )

    def start_anew(self, settings: Mapping[str, Any], description: str) -> None:
        """Forget every mark, every tag and every setting but these, and put what was done before out of reach of undo.

        It is itself an action; undone, no setting is left either.
        """
        with self.transaction():
            self._db.execute("UPDATE actions SET undone = ?", (DROPPED,))
            self._db.execute("DELETE FROM marks")
            self._db.execute("DELETE FROM tags")
            self._db.execute("DELETE FROM settings")
            before = {"marks": {}, "settings": dict.fromkeys(settings)}
            after = {"marks": {}, "settings": {key: [value] for key, value in settings.items()}}
            self._act("both", description, before, after)

    def actions(self, limit: int = 50) -> list[dict[str, Any]]:
        """What was done, the newest first: "id", "description", "created", "undone"; dropped actions are out."""
        rows = self._rows(
            "SELECT id, description, created, undone FROM actions WHERE undone != ? ORDER BY id DESC LIMIT ?",
            DROPPED,
            min(max(limit, 0), MOST_ACTIONS),
        )
        return [{**dict(row), "undone": row["undone"] == UNDONE} for row in rows]

    # Undo

    def undo(self) -> str | None:
        """Take back the last action; returns its description, None when there is nothing to take back."""
        return self._step(APPLIED, "DESC", "before", UNDONE)

    def redo(self) -> str | None:
        """Do again what was taken back last; returns its description, None when there is nothing."""
        return self._step(UNDONE, "ASC", "after", APPLIED)

    def next_undo(self) -> str | None:
        """Description of what `undo` would take back."""
        return self._peek(APPLIED, "DESC")

    def next_redo(self) -> str | None:
        """Description of what `redo` would do again."""
        return self._peek(UNDONE, "ASC")

    # Inside

    def _marks(self) -> dict[int, list]:
        return dict(self._readable(self._rows("SELECT * FROM marks"), _mark, "mark", "candidate_id"))

    def _joins(self, last: sqlite3.Row, changed: Mapping[str, Any], within: float, gesture: str) -> bool:
        if gesture:
            return last["id"] == self._last.action and self._last.gesture == gesture
        return (
            last["kind"] == "settings"
            and last["id"] == self._last.action
            and time.monotonic() - self._last.when < within
            and json.loads(last["after"]).keys() == changed.keys()
        )

    def _act(self, kind: str, description: str, before: dict, after: dict) -> str:
        self._db.execute("UPDATE actions SET undone = ? WHERE undone = ?", (DROPPED, UNDONE))
        action = self._write(
            "INSERT INTO actions (created, kind, description, before, after) VALUES (?, ?, ?, ?, ?)",
            *(time.time(), kind, description, json.dumps(before), json.dumps(after)),
        )
        self._last = _Done(action, time.monotonic(), "", {})
        self._apply(kind, after)
        return description

    def _apply(self, kind: str, state: dict[str, Any]) -> None:
        """Bring the named marks or settings into `state`; None means absent. "both" holds one of each."""
        if kind == "both":
            self._apply("marks", state["marks"])
            self._apply("settings", state["settings"])
            return
        if kind == "tags":
            for cid, tags in state.items():
                self._db.execute("DELETE FROM tags WHERE candidate_id = ?", (int(cid),))
                self._db.executemany("INSERT INTO tags VALUES (?, ?)", [(int(cid), tag) for tag in tags])
            return
        table, key = ("marks", "candidate_id") if kind == "marks" else ("settings", "key")
        for name, row in state.items():
            if row is None:
                self._db.execute(f"DELETE FROM {table} WHERE {key} = ?", (name,))
            elif kind == "marks":
                self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)", (int(name), *row))
            else:
                self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(row[0])))

    def _step(self, where: int, order: str, side: str, flag: int) -> str | None:
        with self.transaction():
            rows = self._rows(f"SELECT * FROM actions WHERE undone = ? ORDER BY id {order} LIMIT 1", where)
            if not rows:
                return None
            try:
                self._apply(rows[0]["kind"], json.loads(rows[0][side]))
            except UNREADABLE as err:
                raise _unreadable(rows[0]["description"]) from err
            self._db.execute("UPDATE actions SET undone = ? WHERE id = ?", (flag, rows[0]["id"]))
            return rows[0]["description"]

    def _peek(self, where: int, order: str) -> str | None:
        rows = self._rows(
            f"SELECT description FROM actions WHERE undone = ? ORDER BY id {order} LIMIT 1", where
        )
        return rows[0]["description"] if rows else None


def _noun(candidate_ids: Sequence[int | str]) -> str:
    return f"candidate {candidate_ids[0]}" if len(candidate_ids) == 1 else f"{len(candidate_ids)} candidates"


def _mark(row: sqlite3.Row) -> tuple[int, list]:
    if row["mark"] not in MARKS:
        raise ValueError(row["mark"])
    return int(row["candidate_id"]), [row["mark"], row["reason"], int(row["place"])]


def _setting(row: sqlite3.Row) -> tuple[str, Any]:
    return row["key"], json.loads(row["value"])


def _unreadable(description: str) -> SelectionError:
    return SelectionError(
        f'The action "{description}" is damaged in the ledger, so it cannot be taken back or done again.',
        "Set marks and sliders by hand instead: they stand as they were.",
    )


def _present(state: Mapping[str, list | None]) -> dict[str, list]:
    return {key: row for key, row in state.items() if row is not None}


def _settings_text(before: Mapping[str, list], after: Mapping[str, list]) -> str:
    """What changed, in words: "alpha 3 to 2.5, K 10"; of a list only that it changed."""
    parts = []
    for key, row in after.items():
        alone = key.rpartition(".")[2]  # without the table of its selector
        name = NAMES.get(alone, alone)
        left_out = "preset" if alone in WEIGHTS else "none"
        old = (_word(before[key]) or left_out) if key in before else ""
        new = _word(row) or left_out
        if old != new or new == CHANGED:  # a weight is set with the two others, though they stay
            parts.append(f"{name} {old} to {new}" if old and CHANGED not in (old, new) else f"{name} {new}")
    return ", ".join(parts) or "settings as they were"


def _word(row: list | None) -> str:
    """One value in words; "" when it was absent or left out."""
    value = None if row is None else row[0]
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return CHANGED
    return f"{value:g}" if isinstance(value, float) else str(value)
