"""Shared by all tests: no network, a workspace under a temporary folder, and real parts to fill it with."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before anything imports them: tests must behave as on a machine without a network, and leave each other room.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two tests run side by side, on two cores
os.environ.setdefault(
    "NUMBA_NUM_THREADS", "1"
)  # UMAP would set torch's threads to it, which changes last bits
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import numpy as np
import pytest

from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import PoolPart, ScorePart, Workspace

N_CLASSES, EMBEDDING, LATENT, PICTURE = 3, 5, (4, 2, 2), (8, 8, 1)
CLASS_NAMES = ("boot", "coat", "dress")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests begin first, those of the browser second, or one would be left alone at the end.

    Tests marked "gpu" are skipped where none is.
    """
    longest = ("slow", "browser")
    items.sort(key=lambda item: [item.get_closest_marker(mark) is None for mark in longest])
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_collection_finish() -> None:
    """Before any test has computed anything; see `copies`. Garbage is not looked for among what is imported by now."""
    import copies

    gc.freeze()
    copies.begin()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "ws") as ws:
        yield ws


@pytest.fixture
def pool_part() -> Callable[..., PoolPart]:
    """A factory: `pool_part(class_id, start, n)` gives n random candidates, the same ones each time."""

    def make(class_id: int, start: int = 0, n: int = 3) -> PoolPart:
        rng = np.random.default_rng([class_id, start])
        return PoolPart(
            np.array([candidate_id(class_id, i) for i in range(start, start + n)], np.int64),
            rng.integers(0, 2**63 - 1, n),
            rng.integers(0, 256, (n, *PICTURE), np.uint8),
            rng.normal(size=(n, *LATENT)).astype(np.float32),
        )

    return make


@pytest.fixture
def filled(workspace: Workspace, pool_part: Callable[..., PoolPart]) -> Workspace:
    """Three classes of two parts of three candidates; all scored by "teacher@0"."""
    rng = np.random.default_rng(0)
    for class_id in range(N_CLASSES):
        for part in range(2):
            columns = pool_part(class_id, 3 * part)
            workspace.write_pool_part(
                class_id,
                part,
                columns=columns,
                inputs_hash="h0",
                settings={"sampler": "ddim", "steps": 4},
                class_names=CLASS_NAMES,
            )
            scores = ScorePart(
                columns.candidate_ids,
                rng.normal(size=(3, N_CLASSES)).astype(np.float32),
                rng.normal(size=(3, EMBEDDING)).astype(np.float32),
            )
            workspace.write_scores_part("teacher@0", class_id, part, columns=scores, inputs_hash="s0")
    return workspace


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of real networks of a few thousand parameters, with a demo pool; tests must not change it."""
    from tiny import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", demo=True)


@pytest.fixture(scope="session")
def scored_workspace(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A closed workspace with a scored pool and a selection, to be copied by tests that change it."""
    from tiny import full_studio

    root = tmp_path_factory.mktemp("scored") / "ws"
    full_studio(root, tiny_bundle).close()
    return root


@pytest.fixture
def studio(tmp_path: Path, scored_workspace: Path, tiny_bundle: Path) -> Iterator[Any]:
    """A studio of its own on a copy of `scored_workspace`."""
    import shutil

    from tiny import tiny_recipe

    from psr_studio.app.studio import Studio

    shutil.copytree(scored_workspace, tmp_path / "run")
    with Studio(tmp_path / "run", tiny_recipe(tiny_bundle)) as opened:
        yield opened


@pytest.fixture
def screen(studio: Any) -> Iterator[Any]:
    """The page's own side of `studio`, with its job worker."""
    from psr_studio.ui.screen import Screen

    found = Screen(studio)
    yield found
    found.close()


@pytest.fixture
def client(screen: Any) -> Iterator[Any]:
    """Asks the routes of `screen` as the page does, without a browser."""
    from serving import client_of

    with client_of(screen) as found:
        yield found
