"""A part of the classes is a task of its own: selection, students, tables and exports keep to it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny import TEST_PER_CLASS, finish

from psr_studio.core.errors import SelectionError
from psr_studio.method.refinement import adaptive_weight
from psr_studio.method.signals import difficulty, is_consistent, predictive_entropy, reliability
from psr_studio.stages.evaluate.arms import counts_of, plan_arms, random_real
from psr_studio.stages.evaluate.real_controls import RealImages
from psr_studio.stages.evaluate.stage import inputs
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.labels import soften
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.refine.loop import refine_batch
from psr_studio.stages.refine.stage import Refiner
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import stage as select
from psr_studio.stages.tune import proxies

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
    result = part.curation.select(ipc=2)
    assert [len(p) for p in result.picks] == [2, 0, 2] and result.budgets.tolist() == [2, 0, 2]
    assert part.curation.why(7) == 'Not picked: "T-shirt/top" is not among the classes of the task.'
    finish(part.select(name="gain", allocation="gain", ipc=3))
    assert len(part.selection("gain")) == 6


def test_signals_are_those_of_the_restricted_logits(part):
    scored, logits = part.curation.scored, part.scores.logits[:, TASK]
    own = np.isin(part.pool.labels, TASK)
    labels = np.searchsorted(TASK, part.pool.labels)[own]
    signals = scored.signals(1.5)
    assert np.array_equal(signals.reliability[own], reliability(logits[own], labels, 1.5))
    assert np.array_equal(signals.entropy[own], predictive_entropy(logits[own], 1.5))
    assert np.array_equal(scored.eligible[own], is_consistent(logits[own], labels))
    assert not scored.eligible[~own].any() and set(scored.predicted[own]) <= set(TASK)
    assert np.allclose(signals.soft_labels.sum(axis=1), 1) and not signals.soft_labels[0][1]


def test_the_live_selection_follows_the_classes_of_the_recipe(studio):
    whole = studio.curation.scored
    studio.set({"pool.classes": TASK})
    assert studio.curation.scored is not whole and studio.curation.scored.counts.tolist() == [6, 0, 6]
    assert studio.status()["select"].state == "stale", "it was made for other classes"


def test_students_have_as_many_outputs_and_see_no_other_class(part):
    finish(part.select())
    arms = plan_arms(part.workspace, part.recipe, part.bundle)
    trainer = Trainer(part.workspace, part.recipe, part.bundle)
    images, labels = trainer.test_split(arms[0])
    assert len(images) == 2 * TEST_PER_CLASS and set(labels.tolist()) == {0, 1}
    kept = torch.isin(trainer.test_labels, torch.tensor(TASK))
    assert torch.equal(images, trainer.test_images[kept])
    _, own, logits = trainer.data_of(arms[0], 0)
    own, logits = trainer.restricted(arms[0], own, logits)
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


def test_refinement_is_under_the_labels_of_the_task(part):
    """q_ref, p_i and the teacher's answer are over two classes, as for students and selection."""
    finish(part.select())
    work = Refiner(part.workspace, part.recipe, part.bundle, part.workspace.ledger.selection("current"))
    chosen = part.selection()
    selected = work.selected_rows(chosen.candidate_ids.tolist())
    assert selected.task.tolist() == TASK and selected.classes.tolist() == [0, 0, 2, 2]
    assert np.array_equal(selected.soft_labels, chosen.soft_labels[:, TASK])
    own = soften(part.scores.logits[chosen.positions][:, TASK], 1.5)
    assert np.allclose(selected.confidence, own[np.arange(4), [0, 0, 1, 1]])
    losses = {}
    for kl_steps in (0, 1):
        how = part.recipe.refine.model_copy(update={"n_steps": 1, "kl_steps": kl_steps})
        _, _, losses[kl_steps] = next(refine_batch(work.nets, selected, how, 1.5))
    pull = (losses[1] - losses[0]) / adaptive_weight(selected.confidence)
    assert np.allclose(pull, 0, atol=0.02), "before the first step the picture has the label of its seed"


def test_other_classes_make_other_refinements(part):
    """The same picks of class 0 under the labels of two tasks are two refinements."""
    finish(part.select())
    narrow = part.workspace.ledger.selection("current")
    wide = replace(narrow, picks={**narrow.picks, 1: [1_000_000]})
    pool = part.workspace.pool()
    hashes = {refine.class_hash(pool, part.recipe, part.bundle, record, 0) for record in (narrow, wide)}
    assert len(hashes) == 2


def test_difficulties_of_real_images_are_over_the_task(part):
    """DGS compares pool and original: both are 1 - p of the teacher restricted to the classes of the task."""
    images, labels = part.bundle.train_subset
    teacher = part.bundle.teacher(torch.device("cpu"))
    for class_id in TASK:
        own = np.array(images[labels == class_id])
        logits = teacher.predict(torch.from_numpy(own))[0].numpy()[:, TASK]
        wanted = difficulty(logits, np.full(len(own), TASK.index(class_id)))
        assert np.allclose(part.curation.scored.original_difficulty(class_id), wanted, atol=1e-6)
    assert part.curation.scored.original_difficulty(1) is None
    real = RealImages(part.recipe, part.bundle, torch.device("cpu"))
    part.set({"evaluate.arms": ["selected", "real:dgs"]})
    finish(part.select())
    arm = next(arm for arm in plan_arms(part.workspace, part.recipe, part.bundle) if arm.rule == "dgs")
    rows = np.flatnonzero(labels == 2)
    assert np.allclose(real.class_pool(2, rows, arm).original_difficulty, wanted, atol=1e-6)


def test_with_all_classes_the_difficulties_are_those_that_ship(studio):
    shipped, labels = studio.bundle.train_difficulty
    assert np.array_equal(studio.curation.scored.original_difficulty(1), shipped[labels == 1])


@pytest.mark.parametrize("proxy", ["knn", "student"])
def test_a_search_judges_by_images_of_the_task(part, proxy):
    """Held-out images of other classes could only be missed; students have as many outputs as the task."""
    part.set({"tune.proxy": proxy, "tune.student_epochs": 1})
    judge = proxies.open_proxy(part.recipe, part.bundle)
    n = int(np.isin(part.bundle.held_out[1], TASK).sum())
    assert len(judge.labels_of) == n < len(part.bundle.held_out[1])
    *_, value = judge(part.curation.select(ipc=2))
    assert 0 <= value <= 1 and value * n == pytest.approx(round(value * n))
    if proxy == "student":
        assert judge.student_and_training().classifier.out_features == 2 and set(
            judge.labels_of.tolist()
        ) == {0, 1}


def test_the_agreement_that_is_said_is_among_the_classes_of_the_task(part, tmp_path):
    logits = np.array([[1.0, 3.0, 0.0], [0.0, 3.0, 1.0], [2.0, 0.0, 1.0]])
    assert score.agreement(logits, 0, TASK) == pytest.approx(2 / 3)
    assert score.agreement(logits, 1, TASK) == pytest.approx(2 / 3), "of another class, among all"


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
    """Hashes of what was trained and selected before classes, locks and budgets could be set, but for curves, whose
    points are measured on other images now, and for DSA, whose cutout is larger.
    """
    studio.set({"evaluate.arms": ["selected"], "evaluate.n_checks": 1})
    arms = plan_arms(studio.workspace, studio.recipe, studio.bundle)
    assert set(inputs(studio.recipe, studio.bundle, arms[0], 0)) == {
        "stage", "arm", "label_regime", "protocol", "student", "training", "augment", "n_checks", "seed",
        "dtype", "data", "cutout",
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
    studio.curation.set_own_budgets({1: 4})
    studio.curation.save("uneven")
    record = studio.workspace.ledger.selection("uneven")
    assert counts_of(record) == (2, 4, 2)
    studio.set({"evaluate.arms": ["selected"]})
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle):
        assert np.bincount(trainer.data_of(arm, 0)[1]).tolist() == [2, 4, 2], arm.name
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
    images, labels, logits = trainer.data_of(own, 0)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2] and logits.shape == (6, 3)
    assert np.array_equal(images, trainer.data_of(own, 1)[0]), "herding draws nothing"
    pool, owners = studio.bundle.train_subset
    real = trainer.real_images
    mean = real.embeddings[owners == 0].mean(axis=0)
    first = next(i for i in np.flatnonzero(owners == 0) if np.array_equal(pool[i], images[0]))
    away = ((real.embeddings[owners == 0] - mean) ** 2).sum(axis=1)
    assert ((real.embeddings[first] - mean) ** 2).sum() == pytest.approx(away.min(), rel=1e-4)
    by_chance = arms["real, random (teacher labels)"]
    assert not np.array_equal(trainer.data_of(by_chance, 0)[0], trainer.data_of(by_chance, 1)[0])
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
    assert trainer.data_of(arm, 0)[1].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_changed_file_of_the_bundle_is_another_bundle(tmp_path, tiny_bundle):
    """Same name in bundle.toml, other bytes on the disk."""
    import shutil

    from psr_studio.bundles.catalogue import load_bundle

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
