"""A workspace copied whole beside the first."""

from __future__ import annotations

import shutil

import pytest

from psr_studio.app.studio import Studio
from psr_studio.core.errors import WorkspaceError
from psr_studio.storage.copying import copy_workspace
from psr_studio.storage.workspace import Workspace


def test_a_copy_is_whole_and_of_its_own(tmp_path, scored_workspace):
    root = shutil.copytree(scored_workspace, tmp_path / "ws")
    with Studio(root) as studio:
        studio.curation.save("mine")
        before = studio.pool.content_hash()
        kept = copy_workspace(studio.workspace, tmp_path / "kept")
        studio.workspace.ledger.delete_selection("mine")
        for _ in studio.generate(seed=7):
            pass
        assert studio.pool.content_hash() != before
    with Studio(kept) as copy:
        assert copy.pool.content_hash() == before, "a replaced part is another file"
        assert copy.status()["score"].state == "fresh"
        assert [record.name for record in copy.workspace.ledger.selections()] == ["current", "mine"]
    assert not [path for path in tmp_path.iterdir() if path.name not in ("ws", "kept")]


def test_what_is_there_is_not_copied_over(tmp_path, scored_workspace):
    root = shutil.copytree(scored_workspace, tmp_path / "ws")
    (tmp_path / "kept").mkdir()
    with Workspace.open(root) as ws, pytest.raises(WorkspaceError) as caught:
        copy_workspace(ws, tmp_path / "kept")
    assert "is there already" in caught.value.problem and not list((tmp_path / "kept").iterdir())
