"""The SQLite book of a workspace: marks and settings with undo, selections, trials, jobs, evaluations, judged picks."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from psr_studio.core.errors import JobError, SelectionError, did_you_mean
from psr_studio.storage.changes import CHANGES_SCHEMA, Changes
from psr_studio.storage.history import HISTORY_SCHEMA, History
from psr_studio.storage.judged import JUDGED_SCHEMA, Judged
from psr_studio.storage.parts import FILES_SCHEMA, Files
from psr_studio.storage.records import EvaluationRecord, JobRecord, SelectionRecord
from psr_studio.storage.trials import TRIALS_SCHEMA, TrialRecord, Trials
from psr_studio.storage.views import VIEWS_SCHEMA, Views

__all__ = ["JOB_STATES", "Ledger", "TrialRecord"]

JOB_STATES = ("queued", "running", "done", "failed", "cancelled", "interrupted")
LEDGER_SCHEMA = (
    HISTORY_SCHEMA
    + TRIALS_SCHEMA
    + JUDGED_SCHEMA
    + VIEWS_SCHEMA
    + CHANGES_SCHEMA
    + FILES_SCHEMA
    + """
CREATE TABLE IF NOT EXISTS selections (name TEXT PRIMARY KEY, created REAL NOT NULL, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stage TEXT NOT NULL, params TEXT NOT NULL, status TEXT NOT NULL,
    done INTEGER NOT NULL, total INTEGER NOT NULL, message TEXT NOT NULL, problem TEXT NOT NULL,
    fix TEXT NOT NULL, created REAL NOT NULL, started REAL, finished REAL);
CREATE TABLE IF NOT EXISTS evaluations (id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
"""
)
SAVING = '"Save selection as" on the Curate tab (or run `psr-studio select`)'


def no_selection() -> SelectionError:
    """The error for a step or a panel that reads one, where none was ever saved."""
    return SelectionError("No selection is saved in this workspace.", f"Press {SAVING} first.")


class Ledger(Trials, Judged, Views, History, Changes, Files):
    """Thread-safe; marks, settings and undo stand in `History`, the trials of a search in `Trials`, students by which
    picks are judged in `Judged`, named views of the pool in `Views`, what a change of files and ledger needs in
    `Changes`, what was found in files in `Files`.

    A row that is damaged is left out and named in `damaged`; the others are read.

    Args:
        path: the SQLite file, made when missing.
        exclusive: this process is the only writer, so jobs found unfinished are "interrupted".

    Raises:
        WorkspaceError: the file is of a newer format version, is not SQLite, or cannot be written to.
    """

    def __init__(self, path: Path, *, exclusive: bool = True) -> None:
        super().__init__(path, LEDGER_SCHEMA)
        if exclusive:
            unfinished = "status IN ('queued', 'running')"
            self._write(
                f"UPDATE jobs SET status = 'interrupted', finished = ? WHERE {unfinished}", time.time()
            )

    # Selections

    def save_selection(self, record: SelectionRecord) -> None:
        """Keep a selection under its name; an older one of that name is replaced."""
        self._write(
            "INSERT OR REPLACE INTO selections VALUES (?, ?, ?)",
            record.name,
            record.created,
            json.dumps(asdict(record)),
        )

    def selection(self, name: str) -> SelectionRecord:
        """The selection of that name; SelectionError with the near match when there is none."""
        if found := self._selections("WHERE name = ?", name):
            return found[0]
        if self._rows("SELECT name FROM selections WHERE name = ?", name):
            raise SelectionError(
                f'The selection "{name}" is damaged in the ledger and cannot be read.',
                "Save it anew under this name, or name another one.",
            )
        names = [record.name for record in self.selections()]
        if not names:
            raise no_selection()
        fix = f"{did_you_mean(name, names)}Name one of them, or press {SAVING}."
        raise SelectionError(f'There is no selection "{name}". Selections: {", ".join(names)}.', fix)

    def has_selection(self, name: str) -> bool:
        """Whether one of that name can be read."""
        return bool(self._selections("WHERE name = ?", name))

    def selections(self) -> list[SelectionRecord]:
        """All saved selections, the oldest first."""
        return self._selections("ORDER BY created, name")

    def _selections(self, which: str, *values: Any) -> list[SelectionRecord]:
        rows = self._rows(f"SELECT name, record FROM selections {which}", *values)
        return self._readable(rows, lambda row: _selection(row["record"]), "selection", "name")

    def note_selection(self, name: str, note: str) -> None:
        """Write the user's own words beside a selection; SelectionError when there is none of that name."""
        self.save_selection(replace(self.selection(name), note=note))

    def delete_selection(self, name: str) -> None:
        """Forget a selection; nothing happens when there is none of that name."""
        self._write("DELETE FROM selections WHERE name = ?", name)

    # Jobs

    def create_job(self, stage: str, params: Mapping[str, Any]) -> int:
        """Note a queued job and return its number."""
        values = asdict(JobRecord(0, stage, dict(params), created=time.time()))
        del values["id"]
        values["params"] = json.dumps(values["params"])
        marks = ", ".join("?" for _ in values)
        return self._write(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", *values.values())

    def update_job(self, job_id: int, **changes: Any) -> None:
        """Change fields of a job; entering "running" or a final status also notes the time."""
        known = {f.name for f in fields(JobRecord)} - {"id", "stage", "params", "created"}
        assert changes.keys() <= known, f"fields of a job are {sorted(known)}, got {sorted(changes)}"
        status = changes.get("status")
        assert status is None or status in JOB_STATES, f"status {status}"
        if status == "running":
            changes.setdefault("started", time.time())
        elif status not in (None, "queued"):
            changes.setdefault("finished", time.time())
        if changes:
            pairs = ", ".join(f"{name} = ?" for name in changes)
            self._write(f"UPDATE jobs SET {pairs} WHERE id = ?", *changes.values(), job_id)

    def job(self, job_id: int) -> JobRecord:
        """The job of that number; JobError when there is none."""
        found = self._readable(self._rows("SELECT * FROM jobs WHERE id = ?", job_id), _job, "job", "id")
        if not found:
            raise JobError(
                f"There is no job {job_id} in this workspace.", "Reload the page to see the jobs there are."
            )
        return found[0]

    def jobs(self) -> list[JobRecord]:
        """All jobs, the newest first."""
        return self._readable(self._rows("SELECT * FROM jobs ORDER BY id DESC"), _job, "job", "id")

    # Evaluations

    def add_evaluation(self, record: EvaluationRecord) -> None:
        """Keep the result of one student."""
        self._write("INSERT INTO evaluations (record) VALUES (?)", json.dumps(asdict(record)))

    def evaluations(self) -> list[EvaluationRecord]:
        """All results, the oldest first."""
        rows = self._rows("SELECT * FROM evaluations ORDER BY id")
        return self._readable(rows, lambda row: _evaluation(row["record"]), "result", "id")

    # Damage

    def unreadable(self) -> list[str]:
        """The rows that are damaged and left out, each in words."""
        for read in (
            self.selections, self.jobs, self.evaluations, self.trials, self.judged, self.marks, self.settings,
        ):  # fmt: skip
            read()
        return list(self.damaged)


def _selection(text: str) -> SelectionRecord:
    """JSON has text keys only; classes become numbers again. Rows from before notes and marks have neither."""
    data = json.loads(text)
    for name in ("picks", "scores", "terms", "filled", "shortfall"):
        data[name] = {int(class_id): value for class_id, value in data[name].items()}
    data["picks"] = {class_id: [int(cid) for cid in ids] for class_id, ids in data["picks"].items()}
    data["settings"] = dict(data["settings"].items())
    return SelectionRecord(**data)


def _evaluation(text: str) -> EvaluationRecord:
    data = json.loads(text)
    data["curve"] = [(int(step), float(accuracy)) for step, accuracy in data["curve"]]
    data["confusion"] = [tuple(map(int, cell)) for cell in data.get("confusion", ())]
    data |= {name: float(data[name]) for name in ("last", "best", "seconds")}
    data["ece"] = None if data.get("ece") is None else float(data["ece"])
    return EvaluationRecord(**data)


def _job(row: sqlite3.Row) -> JobRecord:
    return JobRecord(**{**dict(row), "params": json.loads(row["params"])})
