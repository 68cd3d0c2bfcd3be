"""Students by which picks were judged, each kept as soon as it was trained: judging goes on from them after a stop."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field

from psr_studio.storage.database import Database

JUDGED_SCHEMA = "CREATE TABLE IF NOT EXISTS judged (inputs_hash TEXT PRIMARY KEY, record TEXT NOT NULL);"


@dataclass(frozen=True)
class JudgedStudent:
    """What one student says of the images that it was trained on; accuracy in [0, 1]."""

    inputs_hash: str  # of the student, and of the images that it was not shown
    n_held_out: int  # real images that it is judged by
    loss: float  # their mean cross-entropy
    accuracy: float  # on them
    agreement: list[float]  # of each image with them, in [-1, 1]; [] where images were left out
    created: float = field(default_factory=time.time)


class Judged(Database):
    """The part of the ledger that keeps such students."""

    def add_judged(self, record: JudgedStudent) -> None:
        """Keep a student; the same one trained again takes its place."""
        self._write(
            "INSERT OR REPLACE INTO judged VALUES (?, ?)", record.inputs_hash, json.dumps(asdict(record))
        )

    def judged(self) -> dict[str, JudgedStudent]:
        """All of them, by the hash of what they were made from."""
        rows = self._rows("SELECT * FROM judged ORDER BY rowid")
        found = self._readable(
            rows, lambda row: JudgedStudent(**json.loads(row["record"])), "judged student", "inputs_hash"
        )
        return {record.inputs_hash: record for record in found}

    def n_judged(self) -> int:
        """How many there are."""
        return int(self._rows("SELECT COUNT(*) FROM judged")[0][0])
