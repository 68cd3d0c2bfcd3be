"""Studies over ways of filling a pool: each has a pool of its own below the workspace, made as any other."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import CLASS_NAMES, finish, run_python, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import SelectionError
from psr_studio.method.metrics import mean_pairwise_distance
from psr_studio.recipe.load import load_recipe
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.homes import FOLDER, POOLS
from psr_studio.studies.report import report_paths
from psr_studio.studies.study import cells, pool_recipes
from psr_studio.studies.table import STUDIES

GUIDED, STOPS = STUDIES["guided-pools"], STUDIES["dag-stops"]
QUICK: dict[str, Any] = {
    "study__budgets": [1], "evaluate__n_seeds": 1, "evaluate__epochs": 2, "pool__batch_size": 32,
    "pool__igd__epochs": 1, "pool__igd__depth": 1, "pool__igd__start": 30, "finetune__epochs": 1,
}  # fmt: skip
WAYS = ("plain", "MGD3", "DAG", "D4M", "RDED", "Minimax", "IGD")


@pytest.fixture(scope="module")
def guided(tmp_path_factory, tiny_bundle) -> Path:
    """A workspace in which the study of the pools is finished."""
    root = tmp_path_factory.mktemp("guided")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSR_STUDIO_HOME", str(root / "home"))
        with Studio(root / "ws", tiny_recipe(tiny_bundle, **QUICK)) as studio:
            finish(studio.study("guided-pools"))
    return root / "ws"


def lines_of(root: Path, study: Any) -> list[dict[str, str]]:
    with Workspace.open(root, lock=False) as ws, report_paths(ws, study)[1].open(encoding="utf-8") as file:
        return [line for line in csv.DictReader(file) if line["source"] == "here"]


def trained_in(root: Path) -> dict[str, list[tuple[str, float]]]:
    """Students of the workspace of each pool: inputs hash, and when it was trained."""
    found = {}
    for home in sorted((root / FOLDER / POOLS).iterdir()):
        with Workspace.open(home, lock=False) as ws:
            found[home.name] = [(record.inputs_hash, record.created) for record in ws.ledger.evaluations()]
    return found


def test_each_way_stands_as_generated_and_as_chosen_from_beside_the_same_random_real_images(guided):
    lines = {line["images"]: line for line in lines_of(guided, GUIDED)}
    uses = [f"{way}: {use}" for way in WAYS for use in ("generate-and-use", "PSR", "DGS")]
    assert list(lines) == [*uses, "random real", "random real, hard labels"]
    assert {(line["missing"], line["n"]) for line in lines.values()} == {("", "1")}
    assert {(lines[use]["candidates per class"], lines[use]["pool agreement"] != "") for use in uses} == {
        ("" if "generate" in use else "2", True) for use in uses
    }
    assert len({line["set"] for line in lines.values()}) > len(WAYS), "pools differ"
    page = (guided / FOLDER / "guided-pools.html").read_text(encoding="utf-8")
    assert "<h2>The pools</h2>" in page and "DAG: dag (strength 0.1, stop 25, centers 1" in page


def test_workers_fill_and_train_for_each_pool_to_the_same_lines(tmp_path, tiny_bundle, monkeypatch):
    """The workspace that they share is that of the pool; what pools have in common is trained once there too."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    for name, workers in (("alone", None), ("shared", ThreadWorkers(1))):
        with Studio(tmp_path / name, tiny_recipe(tiny_bundle, **QUICK)) as studio:
            studio.workers = workers
            events = finish(studio.study("dag-stops"))
    assert {e.stage for e in events if "1 worker: " in e.message} == {"pool", "score", "study"}
    assert lines_of(tmp_path / "shared", STOPS) == lines_of(tmp_path / "alone", STOPS)
    alone, shared = (
        {k: {n for n, _ in v} for k, v in trained_in(tmp_path / w).items()} for w in ("alone", "shared")
    )
    assert alone == shared and len(alone) > 1


def test_controls_that_pools_share_are_trained_once(guided):
    """Two rows of random real images for seven pools: a record that is in several ledgers is one and the same."""
    records = [record for found in trained_in(guided).values() for record in found]
    assert len({name for name, _ in records}) == len(set(records)) == 3 * len(WAYS) + 2
    assert len(records) == 5 * len(WAYS)


def test_a_pool_of_a_study_is_a_workspace_and_the_one_of_the_study_is_left_alone(guided):
    """Its measures are those of the candidates that its cells choose from, 2 of each class."""
    assert not (guided / "pool").exists()
    with Studio(guided / FOLDER / POOLS / "dag-1", create=False) as studio:
        assert studio.recipe.pool.guidance == "dag" and studio.status()["pool"].state == "fresh"
        first = studio.curation.scored.first(2)
        spread = np.mean([mean_pairwise_distance(first.embeddings[first.members(c)]) for c in range(3)])
        hard, agreed = first.difficulty.mean(), first.eligible.mean()
    line = next(line for line in lines_of(guided, GUIDED) if line["images"] == "DAG: PSR")
    shown = [float(line[f"pool {name}"]) for name in ("diversity", "difficulty", "agreement")]
    assert np.allclose(shown, [spread, hard, agreed], atol=6e-4)


KILLED = """
from psr_studio.app.studio import Studio
with Studio(sys.argv[1]) as studio:
    for event in studio.study("dag-stops"):
        print(event.stage, int(event.part_done), flush=True)
"""


def test_a_killed_study_of_pools_makes_nothing_twice(tmp_path, tiny_bundle, monkeypatch):
    """Killed while the second pool is filled: parts and students that were there stay, byte for byte."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    root = tmp_path / "ws"
    Studio(root, tiny_recipe(tiny_bundle, **QUICK | {"pool__batch_size": 10})).close()
    process = run_python(KILLED, root)
    parts = 0
    for line in process.stdout:
        parts += line.split() == ["pool", "1"]
        if parts == len(CLASS_NAMES) + 1:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    made = {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}
    kept = trained_in(root)
    assert len(kept["mgd3-1"]) == 2 and not kept["dag-1"] and any("dag-1" in path.parts for path in made)
    with Studio(root) as studio:
        finish(studio.study("dag-stops"))
        assert all(result.finished for result in studio.study_results("dag-stops"))
        last = finish(studio.study("dag-stops"))[-1]
        assert last.done == last.total == last.resumed
    assert {path: path.stat().st_mtime_ns for path in made} == made
    after = trained_in(root)
    assert after["mgd3-1"] == kept["mgd3-1"]
    assert len({name for found in after.values() for name, _ in found}) == len(STOPS.levels) + 1
    assert [line["labels"] for line in lines_of(root, STOPS)] == ["hard"] * (len(STOPS.levels) + 1)


def test_a_pool_has_as_many_targets_as_images_per_class_and_room_for_its_largest_cell():
    recipe = load_recipe("fashion-mnist")
    pools = pool_recipes(cells(GUIDED, recipe, load_bundle(recipe.bundle)))
    assert {name: int(found.pool.pool_size) for name, found in pools.items()} == {
        "plain": 100, "minimax": 100, "mgd3-10": 20, "dag-10": 20, "d4m-10": 20, "rded": 100, "igd": 100,
        "mgd3-50": 100, "dag-50": 100, "d4m-50": 100,
    }  # fmt: skip
    targets = {name: (found.pool.mgd3.modes, found.pool.dag.centers) for name, found in pools.items()}
    assert targets["mgd3-50"] == (50, 10) and targets["dag-50"] == (10, 50)
    assert {found.pool.steps for found in pools.values()} == {50}


def test_what_comes_before_the_candidates_is_said_until_it_is_done(tmp_path, tiny_bundle, guided):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, **QUICK)) as studio:
        said = studio.study_outlook("guided-pools")
        assert said.endswith(
            "First real images are read, a generator is fine-tuned and a surrogate is trained in 1 pass, "
            "which is not counted."
        )
        assert "not counted" not in studio.study_outlook("budgets")
        studio.set({"pool.guidance": "mgd3"})
        assert studio.study_outlook("budgets").endswith("First real images are read, which is not counted.")
    with Studio(guided) as studio:
        studio.set({"evaluate.epochs": 3})
        said = studio.study_outlook("guided-pools")
        studio.set({"evaluate.epochs": 2})
    assert said.startswith("To do: ") and "not counted" not in said and "candidate" not in said


def test_controls_may_be_trained_alone_but_not_nothing(studio):
    finish(studio.select())
    finish(studio.evaluate(arms=[], n_seeds=1, epochs=1))
    assert [row.arm for row in studio.table()] == ["random real", "generate-and-use", "random real"]
    with pytest.raises(SelectionError, match="no control is asked for"):
        finish(studio.evaluate(controls=False))
