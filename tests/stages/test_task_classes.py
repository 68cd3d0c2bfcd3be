"""A part of the classes is a task of its own: selection, students, tables and exports keep to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from steps import asked
from tiny import TEST_PER_CLASS, finish

from psr_studio.core.errors import SelectionError
from psr_studio.method.signals import is_consistent, predictive_entropy, reliability
from psr_studio.stages.evaluate.arms import counts_of, plan_arms, random_real
from psr_studio.stages.evaluate.stage import inputs
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.labels import soften
from psr_studio.stages.select import stage as select

TASK = [0, 2]


@pytest.fixture
def part(studio):
    """A pool of three classes of which the recipe names two."""
    studio.set({"pool.classes": TASK, "evaluate.arms": ["selected"], "evaluate.n_seeds": 1})
    return studio


def test_only_the_classes_of_the_task_are_selected_from(part):
    finish(part.select(name="part"))
    chosen = part.selection("part")
    assert chosen.labels.tolist() == [0, 0, 2, 2]
    result = part.live.select(asked(part, ipc=2))
    assert [len(p) for p in result.picks] == [2, 0, 2] and result.budgets.tolist() == [2, 0, 2]
    assert part.live.why(7) == 'Not picked: "T-shirt/top" is not among the classes of the task.'
    finish(part.select(name="gain", allocation="gain", ipc=3))
    assert len(part.selection("gain")) == 6


def test_signals_are_those_of_the_restricted_logits(part):
    live, logits = part.live, part.scores.logits[:, TASK]
    own = np.isin(part.pool.labels, TASK)
    labels = np.searchsorted(TASK, part.pool.labels)[own]
    assert np.array_equal(live.reliability[own], reliability(logits[own], labels, 1.5))
    assert np.array_equal(live.entropy[own], predictive_entropy(logits[own], 1.5))
    assert np.array_equal(live.eligible[own], is_consistent(logits[own], labels))
    assert not live.eligible[~own].any() and set(live.predicted[own]) <= set(TASK)
    assert np.allclose(live.soft_labels(np.arange(18)).sum(axis=1), 1) and not live.soft_labels(0)[1]


def test_the_live_selection_follows_the_classes_of_the_recipe(studio):
    whole = studio.live
    studio.set({"pool.classes": TASK})
    assert studio.live is not whole and studio.live.counts.tolist() == [6, 0, 6]
    assert studio.status()["select"].state == "stale", "it was made for other classes"


def test_students_have_as_many_outputs_and_see_no_other_class(part):
    finish(part.select())
    arms = plan_arms(part.workspace, part.recipe, part.bundle)
    trainer = Trainer(part.workspace, part.recipe, part.bundle)
    images, labels = trainer._test_split(arms[0])
    assert len(images) == 2 * TEST_PER_CLASS and set(labels.tolist()) == {0, 1}
    kept = torch.isin(trainer.test_labels, torch.tensor(TASK))
    assert torch.equal(images, trainer.test_images[kept])
    _, own, logits = trainer._data(arms[0], 0)
    own, logits = trainer._in_task(arms[0], own, logits)
    assert own.tolist() == [0, 0, 1, 1] and logits.shape == (4, 2)
    finish(part.evaluate())
    rows = part.table()
    assert [row.n_images for row in rows] == [4] * 4
    chance = [round(2 * TEST_PER_CLASS * row.last_mean, 6) for row in rows]
    assert all(n == int(n) for n in chance), "shares of the test images of two classes"


def test_selections_of_two_tasks_do_not_stand_in_one_table(part):
    finish(part.select(name="part"))
    part.set({"evaluate.compare": ["current"]})
    with pytest.raises(SelectionError) as err:
        plan_arms(part.workspace, part.recipe, part.bundle)
    assert err.value.problem.startswith('"current" holds 3 classes and "part" 2, not the same ones')


def test_an_export_numbers_the_classes_of_the_task_from_0(part, tmp_path):
    finish(part.select())
    finish(part.export(refined=False, formats=["folder", "parquet"], zip=False))
    folder = part.workspace.export_path("set")
    assert sorted(p.name for p in folder.iterdir() if p.name[:2].isdigit()) == ["00_boot", "01_dress"]
    arrays = load_file(folder / "soft_labels.safetensors")
    assert arrays["labels"].tolist() == [0, 0, 1, 1] and arrays["soft_labels"].shape == (4, 2)
    chosen = part.selection()
    logits = part.scores.logits[chosen.positions][:, TASK]
    assert np.allclose(arrays["soft_labels"], soften(logits, 1.5))
    assert (
        np.allclose(chosen.soft_labels[:, TASK], arrays["soft_labels"]) and not chosen.soft_labels[:, 1].any()
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    assert any(name.startswith("01_dress/") for name in manifest["files"])
    assert part.status()["export"].state == "fresh"


def test_with_all_classes_nothing_is_named_so_that_results_stay_fresh(studio):
    """Hashes of what was trained and selected before classes, locks and budgets could be set."""
    studio.set({"evaluate.arms": ["selected"]})
    arms = plan_arms(studio.workspace, studio.recipe, studio.bundle)
    assert set(inputs(studio.recipe, studio.bundle, arms[0], 0)) == {
        "stage", "arm", "label_regime", "protocol", "student", "training", "augment", "n_checks", "seed",
        "dtype", "data",
    }  # fmt: skip
    teacher = studio.bundle.identity("teacher")
    by_name = {arm.name: arm.inputs for arm in arms}
    assert by_name["random real"] == repr([teacher, [0, 1, 2], 2])
    assert by_name["random real, hard labels"] == repr([[0, 1, 2], 2])
    made_from = select.inputs(studio.workspace, studio.recipe, studio.bundle)
    assert set(made_from) == {"stage", "scores", "settings", "pinned", "vetoed"}
    assert set(made_from["settings"]) == {
        "selector", "ipc", "temperature", "alpha", "beta", "gamma", "normalize", "on_shortage"
    }  # fmt: skip


def test_controls_get_as_many_images_as_an_uneven_selection(studio):
    studio.set_own_budgets({1: 4})
    studio.save_selection("uneven")
    record = studio.workspace.ledger.selection("uneven")
    assert counts_of(record) == (2, 4, 2)
    studio.set({"evaluate.arms": ["selected"]})
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle):
        assert np.bincount(trainer._data(arm, 0)[1]).tolist() == [2, 4, 2], arm.name
    even = random_real(studio.bundle, (0, 1, 2), 2, seed=3)
    assert even.tolist() == random_real(studio.bundle, (0, 1, 2), [2, 2, 2], seed=3).tolist()


def test_selectors_on_real_images_are_controls_with_their_labels_named(studio):
    studio.set(
        {"evaluate.arms": ["selected", "real:herding", "real:random", "real:dgs"], "evaluate.n_seeds": 1}
    )
    arms = {arm.name: arm for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)}
    own = arms["real, herding (teacher labels)"]
    assert own.selection == "" and own.label_regime == "teacher, tau 1.5" and own.rule == "herding"
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    images, labels, logits = trainer._data(own, 0)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2] and logits.shape == (6, 3)
    assert np.array_equal(images, trainer._data(own, 1)[0]), "herding draws nothing"
    pool, owners = studio.bundle.train_subset
    real = trainer._real_images
    mean = real.embeddings[owners == 0].mean(axis=0)
    first = next(i for i in np.flatnonzero(owners == 0) if np.array_equal(pool[i], images[0]))
    away = ((real.embeddings[owners == 0] - mean) ** 2).sum(axis=1)
    assert ((real.embeddings[first] - mean) ** 2).sum() == pytest.approx(away.min(), rel=1e-4)
    by_chance = arms["real, random (teacher labels)"]
    assert not np.array_equal(trainer._data(by_chance, 0)[0], trainer._data(by_chance, 1)[0])
    assert len({arm.inputs for arm in arms.values()}) == len(arms)
    finish(studio.evaluate())
    assert "real, herding (teacher labels)" in [row.name for row in studio.table()]
    studio.set({"evaluate.protocol": "hard"})
    names = [arm.name for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)]
    assert "real, herding, hard labels" in names


def test_a_control_by_psr_takes_every_weight_that_a_recipe_may_hold(studio):
    """Weights over 10 were refused in the middle of an evaluation; students of older versions stay known."""
    studio.set({"evaluate.arms": ["selected", "real:psr"], "select.psr.alpha": 20.0})
    *_, arm = plan_arms(studio.workspace, studio.recipe, studio.bundle)
    assert arm.rule == "psr" and arm.inputs.endswith(
        "{'alpha': 20.0, 'beta': 1.0, 'gamma': 0.5, 'normalize': True, 'scaling': 'pool', "
        "'on_shortage': 'fill'}]"
    )
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    assert trainer._data(arm, 0)[1].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_changed_file_of_the_bundle_is_another_bundle(tmp_path, tiny_bundle):
    """Same name in bundle.toml, other bytes on the disk."""
    import shutil

    from psr_studio.bundles.bundle import load_bundle

    folder = shutil.copytree(tiny_bundle, tmp_path / "copy")
    bundle = load_bundle(folder)
    before = {part: bundle.identity(part) for part in ("generator", "teacher", "data")}
    assert before == {part: load_bundle(tiny_bundle).identity(part) for part in before}
    path = folder / "teacher" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert bundle.identity("teacher") != before["teacher"]
    assert bundle.identity("generator") == before["generator"]
    (folder / "data" / "train_difficulty.safetensors").unlink()
    assert bundle.identity("data") != before["data"] and not bundle.has_train_difficulty
