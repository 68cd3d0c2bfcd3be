"""A workspace that is moved, replaced or deleted while a step runs: the step says so, and writes nothing anywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny import CLASS_NAMES, finish

from psr_studio.app.studio import Studio
from psr_studio.core.errors import WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.storage.png import encode_png
from psr_studio.ui.curate.umap_process import answer

Harm = Callable[[Path], object]


def move(root: Path) -> None:
    os.rename(root, root.with_name("elsewhere"))


def replace(root: Path) -> None:
    move(root)
    shutil.copytree(root.with_name("elsewhere"), root)


def delete_ledger(root: Path) -> None:
    (root / "studio.sqlite").unlink()


def files(root: Path) -> dict[str, int]:
    """What is there but for the ledger; {} where no folder is."""
    found = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith("studio.sqlite")]
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in found}


def harmed(studio: Studio, events: Iterator[Progress], harm: Harm) -> WorkspaceError:
    """Run a step to its end, the harm being done after its second event; nothing is written after that."""
    root = studio.workspace.root
    next(events), next(events)
    harm(root)
    left, was_there = files(root), root.exists()
    with pytest.raises(WorkspaceError) as caught:
        finish(events)
    assert files(root) == left and root.exists() == was_there
    return caught.value


@pytest.mark.parametrize(
    ("harm", "noun"),
    [(move, "workspace"), (replace, "workspace"), (shutil.rmtree, "workspace"), (delete_ledger, "ledger")],
)
def test_a_pool_in_the_making(studio, harm, noun):
    err = harmed(studio, studio.generate(seed=5), harm)
    path = studio.workspace.root / ("studio.sqlite" if noun == "ledger" else "")
    assert err.problem == (
        f'The {noun} "{path}" is no longer the one that was opened: it was moved, replaced or deleted.'
    )
    assert err.fix.startswith("Put it back, or close PSR Studio and open the workspace where it is now.")
    with pytest.raises(WorkspaceError, match="is no longer the one that was opened"):
        studio.curation.mark([0], "pin")


@pytest.mark.parametrize("step", ["score", "refine", "evaluate", "export", "tune", "import"])
def test_every_other_step(studio, tmp_path, step):
    """Also where the first thing to fail is a file that cannot be read any more."""
    for name in CLASS_NAMES:
        (tmp_path / "set" / name.replace("/", "-")).mkdir(parents=True)
        picture = encode_png(np.zeros((8, 8, 1), np.uint8))
        (tmp_path / "set" / name.replace("/", "-") / "0.png").write_bytes(picture)
    if step == "score":
        shutil.rmtree(studio.workspace.root / "scores")
    unrefined = {"export": {"refined": False}, "evaluate": {"arms": ["selected"]}}
    if step == "import":
        events = studio.import_pool(tmp_path / "set", replace=True)
    else:
        events = getattr(studio, step)(**unrefined.get(step, {}))
    assert "is no longer the one that was opened" in harmed(studio, events, move).problem


def test_workers_of_a_workspace_that_was_moved(scored_workspace, tmp_path):
    root = shutil.copytree(scored_workspace, tmp_path / "run")
    with Studio(root, workers=1) as studio:
        assert "is no longer the one" in harmed(studio, studio.generate(seed=5), move).problem


def test_the_map_is_not_kept_where_no_folder_is(tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((12, 3), np.float32))
    gone = tmp_path / "gone" / "cache" / "map.npy"
    said = answer({"key": "k", "input": str(tmp_path / "in.npy"), "output": str(gone)})
    assert (
        said["failed"] == "k" and "FileNotFoundError" in said["reason"] and not (tmp_path / "gone").exists()
    )
