"""Where the pool of a cell lies: in the workspace of the study, or in a workspace of its own below that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from psr_studio.storage.records import EvaluationRecord
from psr_studio.storage.workspace import Workspace

FOLDER = "studies"
POOLS = "pools"


class Homes:
    """The workspaces of the pools of a study, each opened when it is first asked for; use it in a `with` block.

    Args:
        writing: those of pools are made where they are missing, and this process becomes their only writer.
    """

    def __init__(self, ws: Workspace, writing: bool = False) -> None:
        self.ws, self.writing = ws, writing
        self._own: dict[str, Workspace] = {}

    def of(self, pool: str) -> Workspace | None:
        """The workspace of a pool by its name, "" for that of the study; None where it is not there.

        Raises:
            WorkspaceError: it cannot be written to, or is open elsewhere.
        """
        if not pool:
            return self.ws
        if pool not in self._own:
            root = self.ws.root / FOLDER / POOLS / pool
            if not self.writing and not (root / "recipe.toml").is_file():
                return None
            self._own[pool] = Workspace.open(root, create=self.writing, lock=self.writing)
        return self._own[pool]

    def at(self, pool: str) -> Workspace:
        """The same where it is there, as it always is with `writing`."""
        home = self.of(pool)
        assert home is not None
        return home

    def evaluations(self, pools: Iterable[str]) -> dict[str, EvaluationRecord]:
        """What the workspaces of these pools, and that of the study, know of students, by inputs hash."""
        there = (self.ws, *filter(None, map(self.of, pools)))
        return {record.inputs_hash: record for ws in there for record in ws.ledger.evaluations()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for ws in self._own.values():
            ws.close()
