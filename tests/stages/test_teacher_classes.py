"""Difficulty over every output of a teacher that knows more than the task: `score.teacher_classes = "all"`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from html import unescape

import gradio as gr
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny import finish, tiny_recipe, write_index

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.real_latents import finished, real_difficulty, real_uncertainty
from psr_studio.core.errors import WorkspaceError
from psr_studio.method.difficulty import smoothed
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import ClassPool
from psr_studio.method.signals import beyond_task, difficulty, difficulty_over_all, predictive_entropy
from psr_studio.recipe.load import load_recipe
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.evaluate.arms import plan_arms
from psr_studio.stages.evaluate.real_controls import RealImages
from psr_studio.stages.evaluate.test_sets import rows_of_set
from psr_studio.stages.export.stage import gather
from psr_studio.stages.generate import targets
from psr_studio.stages.score import stage as score
from psr_studio.storage.workspace import ScorePart
from psr_studio.ui.panels.difficulty import DifficultyPanel
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.pool import PoolTab

ROWS, N_OUTPUTS = (5, 0, 2), 7
CPU = torch.device("cpu")
ALL = {"score.teacher_classes": "all"}
DGS = {"select.selector": "dgs", "select.dgs.target": "ground"}


def by_hand(outputs: np.ndarray, places: np.ndarray) -> np.ndarray:
    """1 - softmax(outputs)[place], written out."""
    exponentials = np.exp(outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True))
    return 1 - exponentials[np.arange(len(places)), places] / exponentials.sum(axis=1)


@pytest.fixture(scope="module")
def wide_bundle(tmp_path_factory, tiny_bundle):
    """The tiny bundle by a teacher of seven outputs, of which three are the task's, in an order of their own."""
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("wide") / "tiny")
    shutil.rmtree(folder / "demo")
    config, weights = folder / "teacher" / "config.json", folder / "teacher" / "model.safetensors"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({**said, "n_classes": N_OUTPUTS, "class_indices": list(ROWS)}))
    state = load_file(weights)
    rng = np.random.default_rng(3)
    for name in ("head.weight", "head.bias"):
        known = state[name]
        state[name] = (rng.normal(size=(N_OUTPUTS, *known.shape[1:])) * known.std()).astype(np.float32)
        state[name][list(ROWS)] = known
    save_file(state, weights)
    write_index(folder)
    return folder


@pytest.fixture
def wide(tmp_path, wide_bundle):
    """A scored pool of it, selected from by DGS; difficulty is the task's."""
    with Studio(tmp_path / "wide", tiny_recipe(wide_bundle).with_values(DGS)) as studio:
        for stage in (studio.generate, studio.score, studio.select):
            finish(stage())
        yield studio


def outputs_of(studio: Studio, images: np.ndarray) -> np.ndarray:
    return studio.bundle.teacher(CPU).predict_all(torch.from_numpy(np.array(images)))[0].numpy()


def test_what_lies_beyond_the_task_weighs_as_all_its_outputs_together():
    outputs = np.random.default_rng(0).normal(scale=8, size=(50, N_OUTPUTS))
    outputs[0, ROWS[1]] = 60  # a sure prediction keeps its small difficulty
    labels = np.arange(50) % 3
    labels[0] = 1
    logits, places = outputs[:, list(ROWS)], np.array(ROWS)[labels]
    found = beyond_task(outputs, ROWS)
    assert found.shape == (50, 2)
    assert np.allclose(difficulty_over_all(logits, found, labels), by_hand(outputs, places), atol=1e-12)
    assert np.allclose(
        difficulty_over_all(logits, found, labels), difficulty(outputs, places), rtol=1e-9, atol=0
    )
    assert 0 < difficulty_over_all(logits, found, labels)[0] < 1e-15
    assert np.array_equal(found[:, 1], predictive_entropy(outputs, 1.0))
    assert np.array_equal(difficulty_over_all(logits, None, labels), difficulty(logits, labels))
    assert beyond_task(torch.from_numpy(outputs).float(), ROWS).dtype == torch.float32
    with pytest.raises(ValueError, match="All 3 outputs are the task's, but one outside it is needed"):
        beyond_task(logits, (0, 1, 2))


def test_difficulty_over_all_is_the_softmax_over_every_output_and_nothing_else_moves(wide):
    task = wide.curation.scored
    outputs, places = outputs_of(wide, wide.pool.images), np.array(ROWS)[wide.pool.labels]
    assert outputs.shape == (18, N_OUTPUTS) and not task.over_all
    assert np.array_equal(task.difficulty, difficulty(wide.scores.logits, wide.pool.labels))
    wide.set(ALL)
    found = wide.curation.scored
    assert found is not task and found.over_all and found.content_hash != task.content_hash
    assert np.allclose(found.difficulty, by_hand(outputs, places), atol=1e-5)
    assert np.abs(found.difficulty - task.difficulty).max() > 0.01, "or this says nothing"
    assert np.allclose(found.measure(1.0), predictive_entropy(outputs, 1.0), atol=1e-5)
    assert np.array_equal(found.first(3).difficulty, found.difficulty[np.tile(np.arange(6) < 3, 3)])
    assert np.array_equal(found.eligible, task.eligible)
    for one, other in zip(vars(found.signals(1.5)).values(), vars(task.signals(1.5)).values(), strict=True):
        assert np.array_equal(one, other)


def test_real_images_are_over_the_same_outputs_as_candidates(wide):
    """Those that DGS aims at, those that DAG places, test sets, and controls that DGS chooses among real images."""
    wide.set({**ALL, "select.dgs.target": "scale", "evaluate.arms": ["selected", "real:dgs"]})
    bundle, (images, labels) = wide.bundle, wide.bundle.train_subset
    wanted = by_hand(outputs_of(wide, images), np.array(ROWS)[labels])
    values, owners = bundle.original_difficulty((0, 2), over_all=True)
    assert set(owners) == {0, 2} and np.allclose(values, wanted[np.isin(labels, (0, 2))], atol=1e-5)
    scored, real = wide.curation.scored, RealImages(wide.recipe, bundle, CPU)
    finish(wide.select())
    arm = plan_arms(wide.workspace, wide.recipe, bundle)[-1]
    assert arm.rule == "dgs"
    for class_id in range(3):
        own = np.flatnonzero(labels == class_id)
        for found in (
            scored.original_difficulty(class_id),
            finished(real_difficulty(bundle, class_id, (0, 1, 2), CPU, over_all=True)),
            real.class_pool(class_id, own, arm).difficulty,
        ):
            assert np.allclose(found, wanted[own], atol=1e-5)
        entropy = finished(real_uncertainty(bundle, class_id, (0, 1, 2), CPU, over_all=True))
        assert np.allclose(entropy, predictive_entropy(outputs_of(wide, images[own]), 1.0), atol=1e-5)
        expected = smoothed(scored.difficulty[scored.members(class_id)], wanted[own].astype(np.float32))
        assert np.allclose(scored.smoothed(class_id, 0.5).original, expected.original, atol=1e-4)
    images, labels = bundle.test_set
    hardness = by_hand(outputs_of(wide, images), np.array(ROWS)[labels])
    easy = rows_of_set("easy", bundle, images, labels, (0, 1, 2), CPU, over_all=True)
    for class_id in range(3):
        own = np.flatnonzero(labels == class_id)
        rest = np.setdiff1d(own, easy)
        assert len(rest) == 3 and hardness[np.intersect1d(own, easy)].max() <= hardness[rest].min()


def test_an_export_says_the_difficulty_that_the_page_shows(wide):
    wide.set(ALL)
    finish(wide.select())
    record = wide.workspace.ledger.selection("current")
    data = gather(wide.workspace, wide.recipe.with_values({"export.refined": False}), wide.bundle, record)
    shown = wide.curation.scored.difficulty[wide.pool.positions(record.candidate_ids)]
    assert np.array_equal(data.signals["difficulty"], shown)


def test_only_what_reads_difficulty_is_stale_when_it_is_over_other_outputs(wide):
    """Scores hold both; selections by DGS, test sets, steered pools and controls are others, those by PSR are not."""
    finish(wide.select(selector="psr", name="psr"))
    wide.set({"evaluate.arms": ["selected"]})
    recipe, bundle = wide.recipe, wide.bundle

    def over_all(**values):
        plain = recipe.with_values({key.replace("__", "."): value for key, value in values.items()})
        return plain, plain.with_values(ALL)

    arm = plan_arms(wide.workspace, recipe, bundle)[0]
    for name, changes in (("psr", False), ("dgs", True)):
        plain, changed = over_all(select__selector=name, evaluate__arms=["selected", f"real:{name}"])
        assert (plain_settings := score.status(wide.workspace, plain, bundle)).state == "fresh"
        assert score.status(wide.workspace, changed, bundle) == plain_settings
        controls = [plan_arms(wide.workspace, r, bundle)[-1].inputs for r in (plain, changed)]
        assert (controls[0] != controls[1]) == changes
    for name, changes in (("original", False), ("random", False), ("easy", True), ("scale", True)):
        hashes = [evaluate.job(r, bundle, arm, 0).inputs_hash for r in over_all(evaluate__test_set=name)]
        assert (hashes[0] != hashes[1]) == changes
    for name, changes in (("mgd3", False), ("dag", True)):
        made = [targets.settings(r, bundle, (0, 1, 2)) for r in over_all(pool__guidance=name, pool__steps=50)]
        assert (made[0] != made[1]) == changes
    wide.set({**ALL, "select.selector": "psr", "select.name": "psr"})
    assert wide.status()["select"].state == "fresh"
    wide.set({"select.selector": "dgs", "select.name": "current"})
    assert wide.status()["select"].reason == '"current" was made with other settings.'
    finish(wide.select())
    assert wide.status()["select"].state == "fresh"


def test_selectors_say_whether_they_read_difficulty():
    """Other difficulties give other picks by those that say so, and the same by all others."""
    rng = np.random.default_rng(1)
    n, embeddings = 40, rng.normal(size=(40, 4)).astype(np.float32)
    distances = ((embeddings[:, None] - embeddings) ** 2).sum(axis=2)
    pool = ClassPool(
        rng.random(n), rng.random(n), rng.random(n), embeddings, np.ones(n, bool), lambda: distances,
        real_centroid=lambda: embeddings.mean(axis=0),
    )  # fmt: skip
    for name, selector in SELECTORS.items():
        values = {"target": "ground"} if name == "dgs" else {}
        others = replace(pool, difficulty=1 - pool.difficulty)
        one, other = (selector.choose(p, 8, values).indices.tolist() for p in (pool, others))
        assert (one != other) == selector.reads_difficulty, name


def test_scores_from_before_there_was_a_choice_do_for_the_task_and_are_made_anew_for_all(wide):
    ws, bundle = wide.workspace, wide.bundle
    stored = ws.scores(bundle.teacher_id)
    for part in wide.pool.parts():
        rows = wide.pool.positions(part.candidate_ids)
        old = ScorePart(part.candidate_ids, stored.logits[rows], stored.embeddings[rows])
        hashed = score.part_hash(bundle, part)
        ws.write_scores_part(bundle.teacher_id, part.class_id, part.part, columns=old, inputs_hash=hashed)
    assert wide.status()["score"].state == wide.status()["select"].state == "fresh"
    assert len(finish(wide.score())) == 1, "nothing is scored again"
    before = wide.curation.scored.difficulty
    wide.set(ALL)
    assert wide.status()["score"].state == "stale"
    for use in (lambda: wide.curation.scored, lambda: finish(wide.select())):
        with pytest.raises(WorkspaceError) as err:
            use()
        assert err.value.problem == (
            "These scores hold the 3 classes of the task, but difficulty is to be over all 7 outputs of the teacher."
        )
        assert (
            err.value.fix == 'Press "Score" again (or run `psr-studio score`): only what changed is scored.'
        )
    assert finish(wide.score())[-1].done == 18
    assert wide.status()["score"].state == "fresh" and wide.curation.scored.over_all
    wide.set({"score.teacher_classes": "task"})
    assert wide.status()["score"].state == "fresh" and len(finish(wide.score())) == 1
    assert np.array_equal(wide.curation.scored.difficulty, before)


def test_over_a_teacher_of_just_the_task_all_is_task_bit_for_bit(studio):
    studio.set({"select.selector": "dgs"})
    files = [part.path.stat().st_mtime_ns for part in studio.pool.parts()]
    task, picks = studio.curation.scored, studio.curation.select().candidate_ids
    studio.set(ALL)
    found = studio.curation.scored
    assert studio.status()["score"].state == "fresh" and not found.over_all
    assert np.array_equal(found.difficulty, task.difficulty)
    for class_id in range(3):
        assert np.array_equal(found.original_difficulty(class_id), task.original_difficulty(class_id))
    assert studio.curation.select().candidate_ids == picks
    assert files == [part.path.stat().st_mtime_ns for part in studio.pool.parts()]


def test_a_part_of_the_classes_may_be_judged_among_all_of_them(studio):
    """The other classes are outputs beyond the task, too; the difficulties of real images are those that ship."""
    studio.set({"pool.classes": [0, 2], **ALL})
    scored, own = studio.curation.scored, np.isin(studio.pool.labels, (0, 2))
    wanted = difficulty(studio.scores.logits, studio.pool.labels)
    assert scored.over_all and np.array_equal(scored.difficulty[own], wanted[own])
    values, owners = studio.bundle.train_difficulty
    assert np.array_equal(scored.original_difficulty(2), values[owners == 2])


def test_presets_run_difficulty_as_their_papers_do():
    for name, wanted in (
        ("imagenette-dit-dgs", "all"), ("imagewoof-dit-dgs", "all"), ("imageidc-dit-dgs", "all"),
        ("imagenet1k-dit-dgs", "all"), ("imagenette-dit-dag", "all"), ("imagewoof-minimax", "all"),
        ("imagenette-dit", "task"),
        ("imagewoof-dit", "task"), ("fashion-mnist", "task"), ("fashion-mnist-dag", "task"),
    ):  # fmt: skip
        assert load_recipe(name).score.teacher_classes == wanted, name


def test_the_page_offers_it_where_the_teacher_knows_more(wide, studio):
    for owner, offered in ((wide, True), (studio, False)):
        screen = Screen(owner)
        try:
            tab = PoolTab(screen)
            with gr.Blocks():
                tab.build()
            assert ("score.teacher_classes" in tab.scoring.controls) == offered
            if offered:
                control = tab.scoring.controls["score.teacher_classes"]
                assert control.label == "Difficulty over" and "authors of DGS" in control.info
                given = {**tab.settings.shown(), **tab.scoring.shown()}
                assert "Not used yet" not in tab.told(*given.values())
                said = unescape(tab.told(*{**given, **ALL}.values()))
                assert 'Not used yet: "Difficulty over". Press "Score" to work with what is shown.' in said
                assert "outputs of the teacher" not in DifficultyPanel(screen).draw(0)[0]
                owner.set(ALL)
                assert "softened over all 7 outputs of the teacher" in DifficultyPanel(screen).draw(0)[0]
        finally:
            screen.close()


def test_a_described_teacher_says_how_many_outputs_it_has(wide_bundle):
    assert load_bundle("tiny-dit").n_outputs == 1000
    assert (load_bundle(wide_bundle).n_outputs, load_bundle(wide_bundle).n_classes) == (N_OUTPUTS, 3)
