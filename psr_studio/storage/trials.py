"""The trials of a search, as they were made: the search goes on from them after a restart."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from psr_studio.storage.database import Database

TRIALS_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT NOT NULL, record TEXT NOT NULL);
"""


@dataclass(frozen=True)
class TrialRecord:
    """One trial: settings of a selection, and what the proxy says of the images it picks."""

    study: str  # hash of what all trials of a search have in common
    number: int  # from 0, in the order tried
    proxy: str
    value: float  # top-1 on the held-out images, in [0, 1]
    settings: dict[str, Any]  # of the selection; weights resolved
    params: dict[str, Any]  # the point in the space that is searched
    value_hash: str  # of what the value was made from: the picks and the proxy
    n_images: int
    seconds: float
    created: float = field(default_factory=time.time)


class Trials(Database):
    """The part of the ledger that keeps trials."""

    def add_trial(self, record: TrialRecord) -> None:
        """Keep a trial."""
        self._write(
            "INSERT INTO trials (study, record) VALUES (?, ?)", record.study, json.dumps(asdict(record))
        )

    def trials(self, study: str | None = None) -> list[TrialRecord]:
        """The trials of a study, or all, the oldest first."""
        if study is None:
            rows = self._rows("SELECT * FROM trials ORDER BY id")
        else:
            rows = self._rows("SELECT * FROM trials WHERE study = ? ORDER BY id", study)
        return self._readable(rows, lambda row: TrialRecord(**json.loads(row["record"])), "trial", "id")
