"""Evaluate: every accuracy beside its controls, with its conditions; no student trained twice."""

from __future__ import annotations

import math
import shutil
import statistics
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import TRAIN_PER_CLASS, finish, full_studio, write_index

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import ModelError, SelectionError, WorkspaceError
from psr_studio.method.distillation import hard_label_loss, kd_loss
from psr_studio.method.signals import difficulty
from psr_studio.recipe.load import load_recipe, presets
from psr_studio.recipe.schema import TEST_SETS
from psr_studio.stages.evaluate.arms import plan_arms, random_real
from psr_studio.stages.evaluate.lessons import normalised, targets_of
from psr_studio.stages.evaluate.stage import Row, format_table, history, plan, row_of, training_inputs
from psr_studio.stages.evaluate.test_sets import rows_of_set
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.labels import soften
from psr_studio.storage.records import EvaluationRecord

SELECTED_ONLY = {"arms": ["selected"]}


def arms(studio, **settings) -> dict[str, object]:
    """The arms of the recipe by name."""
    studio.set({f"evaluate.{key}": value for key, value in settings.items()})
    return {arm.name: arm for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)}


def test_controls_always_stand_beside(studio):
    finish(studio.refine())
    assert list(arms(studio)) == [
        'refined "current"',
        'selected "current"',
        "random real",
        "generate-and-use",
        "random real, hard labels",
    ]
    assert list(arms(studio, controls=False)) == ['refined "current"', 'selected "current"']


def test_every_soft_arm_has_the_same_label_regime(studio):
    found = arms(studio, **SELECTED_ONLY)
    assert {a.label_regime for n, a in found.items() if "hard" not in n} == {"teacher, tau 1.5"}
    assert (found["random real, hard labels"].label_regime, found["random real, hard labels"].protocol) == (
        "hard",
        "psr-kd",
    )


def test_under_hard_labels_all_arms_are_hard_and_none_twice(studio):
    found = arms(studio, labels="hard", **SELECTED_ONLY)
    assert list(found) == [
        'selected "current", hard labels',
        "random real, hard labels",
        "generate-and-use, hard labels",
    ]
    assert {a.label_regime for a in found.values()} == {"hard"}


def test_other_saved_selections_can_be_compared(studio):
    finish(studio.select(selector="random", name="by chance"))
    finish(studio.select(selector="psr", name="current"))
    assert 'selected "by chance"' in arms(studio, compare=["by chance", "current"], **SELECTED_ONLY)


def test_images_and_labels_of_each_arm(studio):
    """K images of each class: the picks, the first K of the pool, or real ones; q = softmax(l / tau)."""
    finish(studio.refine())
    found = arms(studio)
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    chosen, pool = studio.selection(), studio.pool
    images, labels, logits = trainer.data_of(found['selected "current"'], seed=0)
    assert np.array_equal(images, pool.images_at(chosen.positions)) and labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.allclose(torch.softmax(torch.from_numpy(logits.copy()) / 1.5, 1).numpy(), chosen.soft_labels)
    refined, _, q_ref = trainer.data_of(found['refined "current"'], seed=0)
    assert np.array_equal(refined, studio.refined().images)
    assert np.array_equal(q_ref, logits), "the label is that of the seed, not of the refined image"
    first, labels, _ = trainer.data_of(found["generate-and-use"], seed=0)
    assert np.array_equal(first, pool.images_at([0, 1, 6, 7, 12, 13])) and labels.tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    real, labels, _ = trainer.data_of(found["random real"], seed=0)
    rows = random_real(studio.bundle, (0, 1, 2), 2, seed=0)
    assert np.array_equal(real, studio.bundle.train_subset[0][rows]) and labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert trainer.data_of(found["random real, hard labels"], seed=0)[2] is None


def test_each_seed_draws_its_own_real_images(studio):
    a, b = (random_real(studio.bundle, (0, 1, 2), 4, seed) for seed in (0, 1))
    assert a.tolist() != b.tolist() and a.tolist() == random_real(studio.bundle, (0, 1, 2), 4, 0).tolist()
    assert len(set(a.tolist())) == 12, "no image twice"
    assert studio.bundle.train_subset[1][a].tolist() == [c for c in range(3) for _ in range(4)]


def test_the_losses_are_those_of_the_protocols(studio):
    found = arms(studio, **SELECTED_ONLY)
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    _, labels, cached = trainer.data_of(found['selected "current"'], 0)
    soft, kd = targets_of(labels, soften(cached, 1.5), 1.5)
    assert kd(logits, soft) == kd_loss(logits, soft, 1.5)
    hard, cross_entropy = targets_of(labels, None, 1.5)
    assert cross_entropy(logits, hard) == hard_label_loss(logits, hard)
    rows, mixed = targets_of(labels, None, 1.5, 3)  # the same loss of labels that CutMix can mix
    assert mixed(logits, rows).item() == pytest.approx(hard_label_loss(logits, hard).item(), abs=1e-6)


def test_students_see_normalised_pixels(studio):
    """The bundle's mean is 0.5 and its deviation 0.25: black becomes -2 and white 2."""
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    pixels = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    assert normalised(pixels, studio.bundle, trainer.device)[:].flatten().tolist() == [-2.0, 2.0]


def test_every_level_is_normalised_as_all_at_once_would_be():
    """float32, bit for bit, in the same memory format: ((x / 127.5 - 1 + 1) / 2 - mean) / std, by channel."""
    channels = [
        np.array(v, np.float32).reshape(-1, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ]
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(4, 8, 8, 3)
    levels.setflags(write=False)
    for mean, std in (channels, (0.286, 0.353)):
        pixels = torch.tensor(levels).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = ((pixels + 1) / 2 - torch.as_tensor(mean)) / torch.as_tensor(std)
        kept = normalised(levels, SimpleNamespace(normalisation=(mean, std)), torch.device("cpu"))
        for rows in (slice(1, 3), torch.tensor([3, 0, 0])):
            assert torch.equal(kept[rows], wanted[rows]) and kept[rows].stride() == wanted[rows].stride()


def test_the_test_split_is_kept_at_rest(studio):
    """A quarter of what it would take as float32: 18 pictures of 12 x 12."""
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    assert trainer.test_images.nbytes == 18 * 12 * 12
    assert np.array_equal(trainer.test_images.numpy(), studio.bundle.test_set[0])


def test_records_events_and_table(studio):
    events = finish(studio.evaluate(**SELECTED_ONLY))
    records = studio.workspace.ledger.evaluations()
    assert len(records) == 8, "4 arms x 2 seeds"
    assert [r.seed for r in records] == [0] * 4 + [1] * 4, "one seed after another"
    first = records[0]
    assert (first.arm, first.selection, first.student, first.ipc, first.n_images) == (
        "selected",
        "current",
        "convnet-3",
        2,
        6,
    )
    assert [epoch for epoch, _ in first.curve] == [2, 3] and first.last == first.curve[-1][1]
    assert first.best == max(accuracy for _, accuracy in first.curve)
    assert events[-1].done == events[-1].total == 24 and sum(e.part_done for e in events) == 8
    curve = [e.metrics['top1/selected "current"'] for e in events if 'top1/selected "current"' in e.metrics]
    assert curve[:2] == [accuracy for _, accuracy in first.curve]
    rows = studio.table()
    own = [r.last for r in records if r.arm == "selected"]
    assert rows[0].last_mean == pytest.approx(statistics.fmean(own))
    assert rows[0].last_std == pytest.approx(statistics.stdev(own)), "the deviation of the sample, n - 1"
    assert [row.n for row in rows] == [2] * 4 and studio.status()["evaluate"].state == "fresh"


def test_a_trained_student_is_not_trained_again(studio):
    finish(studio.evaluate(n_seeds=1, **SELECTED_ONLY))
    before = studio.workspace.ledger.evaluations()
    (event,) = finish(studio.evaluate())
    assert event.message == "All 4 students are trained." and studio.workspace.ledger.evaluations() == before
    events = finish(studio.evaluate(n_seeds=2))
    assert events[0].resumed == 12 and len(studio.workspace.ledger.evaluations()) == 8
    studio.set({"evaluate.lr": 0.02})
    assert studio.status()["evaluate"].state == "stale" and studio.table() == []


def test_stopping_keeps_the_students_that_are_done(studio):
    events = studio.evaluate(n_seeds=1, **SELECTED_ONLY)
    while not next(events).part_done:
        pass
    next(events)
    events.close()
    assert studio.status()["evaluate"].reason == "1 of 4 students are trained."


def test_controls_are_shared_between_selections(studio):
    """Random real images do not depend on the selection, so another one does not train on them again."""
    finish(studio.evaluate(n_seeds=1, **SELECTED_ONLY))
    finish(studio.select(selector="random", name="by chance"))
    events = finish(studio.evaluate())
    assert sum(e.part_done for e in events) == 1
    assert [row.name for row in studio.table()] == [
        'selected "by chance"',
        "random real",
        "generate-and-use",
        "random real",
    ]
    assert len(history(studio.workspace)) == 5


def test_two_sets_under_one_name_are_two_rows(studio):
    """The mean of both is the accuracy of neither: two students each, not four of one set."""
    finish(studio.evaluate(n_seeds=2, controls=False, **SELECTED_ONLY))
    first = studio.table()[0]
    finish(studio.select(selector="random", name="current"))
    finish(studio.evaluate())
    rows = [row for row in history(studio.workspace) if row.selection == "current"]
    assert [(row.name, row.n) for row in rows] == [('selected "current"', 2)] * 2
    assert rows == [first, studio.table()[0]] and rows[0].set_id != rows[1].set_id
    assert all(row.set_id in format_table(rows) and row.day in format_table(rows) for row in rows)


def test_two_ways_of_training_are_two_rows_of_one_set(studio):
    finish(studio.evaluate(n_seeds=1, controls=False, **SELECTED_ONLY))
    finish(studio.evaluate(lr=0.02))
    rows = history(studio.workspace)
    assert [row.n for row in rows] == [1, 1] and rows[0].set_hash == rows[1].set_hash
    assert rows[0].trained < rows[1].trained


def test_results_that_do_not_say_what_their_set_was_are_not_averaged(studio):
    """As they were kept before: two seeds each of two sets at 70 % and 50 % are no 60 +- 12 %."""
    for number, last in enumerate((0.7, 0.7, 0.5, 0.5)):
        studio.workspace.ledger.add_evaluation(
            replace(record(last, last, number % 2), inputs_hash=f"h{number}", set_hash="", training_hash="")
        )
    assert [row.last_mean for row in history(studio.workspace)] == [0.7, 0.7, 0.5, 0.5]


def test_the_same_seed_gives_the_same_student(studio):
    found = arms(studio, n_seeds=1, **SELECTED_ONLY)
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    a, b, c = (
        [check.loss for check in trainer.train(found['selected "current"'], seed)] for seed in (0, 0, 1)
    )
    assert a == b != c


def test_a_small_device_trains_the_same_students_and_says_so_once(studio, monkeypatch):
    """PyTorch's convolution refuses more than two pictures: six are trained on, eighteen tested on."""
    finish(studio.evaluate(n_seeds=2, controls=False, **SELECTED_ONLY))
    whole = studio.workspace.ledger.evaluations()
    convolve = torch.nn.Conv2d.forward

    def refuse(layer: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 2:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return convolve(layer, x)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", refuse)
    studio.set({"evaluate.n_checks": 3})  # so that they are trained again
    messages = [event.message for event in studio.evaluate(n_seeds=2, controls=False, **SELECTED_ONLY)]
    again = studio.workspace.ledger.evaluations()[len(whole) :]
    assert len(again) == len(whole) == 2
    for one, other in zip(whole, again, strict=True):  # 18 test images; one may tip over by rounding
        assert abs(one.last - other.last) < 1.5 / 18
    for work in ("training on", "testing on"):
        assert sum(f"Not enough memory for {work} " in message for message in messages) == 1, messages


def test_an_unrefined_selection_is_not_called_refined(studio):
    with pytest.raises(WorkspaceError) as err:
        finish(studio.evaluate())
    assert err.value.problem == (
        'The selection "current" is not refined with these settings: None of 3 refined classes is there.'
    )
    assert "Refine" in err.value.fix and "use the selected images as they are" in err.value.fix


def test_nothing_to_train_on(studio):
    with pytest.raises(SelectionError, match="no form of the selection"):
        finish(studio.evaluate(arms=[], controls=False))


def test_a_student_nobody_knows(studio):
    with pytest.raises(ModelError, match='There is no student "convnet3"'):
        finish(studio.evaluate(student="convnet3", **SELECTED_ONLY))


MINIMAX_EPOCHS = {1: 3000, 10: 2000, 50: 1500, 200: 1000, 500: 500}  # the most images per class; 300 for more


def the_papers() -> list[str]:
    return [name for name in presets() if "-dit" in name and name != "tiny-dit"]


@pytest.mark.parametrize("name", the_papers())
def test_presets_of_the_papers_train_as_minimax_does(name):
    """MinimaxDiffusion, argument.py: other numbers for more than 100 classes. PSR's have the teacher's labels."""
    chosen = load_recipe(name)
    how = chosen.evaluate
    large = load_bundle(chosen.bundle).n_classes > 100
    assert (how.lr, how.weight_decay, how.batch_size) == ((0.1, 1e-4, 128) if large else (0.01, 5e-4, 64))
    rule = next(epochs for most, epochs in MINIMAX_EPOCHS.items() if chosen.select.ipc <= most)
    assert how.epochs == (300 if large else rule)
    assert (how.protocol, how.record.size, how.n_checks) == ("minimax", 224, 100)
    assert how.label_kind == ("stored" if chosen.select.selector == "psr" else "hard")


def test_more_real_images_than_the_bundle_holds(studio):
    with pytest.raises(SelectionError) as err:
        random_real(studio.bundle, (0, 1, 2), TRAIN_PER_CLASS + 1, seed=0)
    assert err.value.problem == (
        'The bundle "tiny" holds 12 real images of class "boot", but the control needs 13.'
    )
    assert err.value.fix.startswith('Lower "Images per class" to 12 or less')


def record(last: float, best: float, seed: int = 0) -> EvaluationRecord:
    return EvaluationRecord(
        "s", "selected", "convnet-3", "kd", "teacher, tau 1.5", 10, seed, 100, last, best, [(1, last)], 5.0,
        inputs_hash=f"h{seed}",
    )  # fmt: skip


def test_one_student_has_no_deviation():
    row = row_of([record(0.5, 0.6)], "s")
    assert math.isnan(row.last_std) and row.last_mean == 0.5
    assert "50.0  60.0" in " ".join(format_table([row]).split()).replace(" 60.0", "  60.0")


def test_the_table_shows_all_conditions():
    """0.80 and 0.84: mean 82.0, deviation of the sample 0.04 / sqrt(2) = 2.8 points."""
    text = format_table([row_of([record(0.80, 0.85), record(0.84, 0.85, seed=1)], "s")])
    head, _, line = text.splitlines()
    assert head.split() == [
        "arm", "labels", "protocol", "student", "epochs", "IPC", "images", "n", "last", "%", "best", "%", "ECE", "%",
        "seconds", "set", "trained",
    ]  # fmt: skip
    for part in ('selected "s"', "teacher, tau 1.5", "kd", "convnet-3", "82.0 ± 2.8", "85.0 ± 0.0", "10"):
        assert part in line
    assert (
        isinstance(row_of([record(0.8, 0.8)], ""), Row) and row_of([record(0.8, 0.8)], "").name == "selected"
    )


def test_calibration_is_kept_with_every_student_and_older_results_have_none(studio):
    finish(studio.evaluate(arms=["selected"], controls=False, n_seeds=2))
    eces = [record.ece for record in studio.workspace.ledger.evaluations()]
    assert len(eces) == 2 and all(0 <= ece <= 1 for ece in eces)
    (row,) = studio.table()
    mean, std = 100 * np.mean(eces), 100 * np.std(eces, ddof=1)
    assert row.calibration == f"{mean:.1f} ± {std:.1f}" and row.calibration in format_table([row])
    older = [record(0.8, 0.8), record(0.84, 0.84, seed=1)]
    assert row_of(older, "s").calibration == "not kept"
    mixed = [older[0], replace(older[1], ece=0.123)]
    assert row_of(mixed, "s").calibration == "12.3 (1 of 2)"


def test_an_empty_table_says_what_to_do():
    with pytest.raises(SelectionError) as err:
        format_table([])
    assert err.value.fix == "Run the evaluate step first."


def test_the_plan_is_a_pure_function_of_the_recipe(studio):
    studio.set({"evaluate.arms": ["selected"]})
    first = plan(studio.workspace, studio.recipe, studio.bundle)
    again = plan(studio.workspace, studio.recipe, studio.bundle)
    assert [j.inputs_hash for j in first] == [j.inputs_hash for j in again]
    assert len({j.inputs_hash for j in first}) == len(first) == 8


def test_students_that_began_otherwise_are_not_averaged(studio):
    """The ResNets once began with PyTorch's weights: how weights are drawn is part of what they are made from."""
    (arm, *_) = arms(studio, **SELECTED_ONLY).values()

    def made_from(student: str) -> dict:
        return training_inputs(studio.recipe.with_values({"evaluate.student": student}), studio.bundle, arm)

    assert made_from("resnet-18")["first weights"] == made_from("resnetap-10")["first weights"]
    assert "first weights" not in made_from("convnet-3")


def test_a_control_that_aims_at_difficulties_that_are_not_there_is_refused_before_training(
    tmp_path, tiny_bundle
):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (folder / "data" / "train_difficulty.safetensors").unlink()
    write_index(folder)
    with full_studio(tmp_path / "ws", folder) as studio:
        studio.set({"evaluate.arms": ["selected", "real:dgs"]})
        events = studio.evaluate()
        with pytest.raises(SelectionError) as err:
            next(events)
        assert err.value.problem == (
            'The target "scale" aims at the difficulties of the real images, but this bundle has none.'
        )
        assert err.value.fix == (
            'Choose another target, such as "ground", or take "real:dgs" out of "evaluate.arms".'
        )
        assert studio.status()["evaluate"].reason == err.value.problem
        assert not studio.workspace.ledger.evaluations()
        studio.set({"select.dgs.target": "ground"})
        assert [arm.rule for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)][-1] == "dgs"


def test_test_sets_by_difficulty_are_halves_of_each_class(studio):
    """The easy one is the easiest half by the teacher's difficulty; drawn ones are the same images for all students."""
    images, labels = studio.bundle.test_set
    device = torch.device("cpu")
    rows = {name: rows_of_set(name, studio.bundle, images, labels, (0, 1, 2), device) for name in TEST_SETS}
    assert rows["original"].tolist() == list(range(len(labels)))
    logits, _ = studio.bundle.teacher(device).predict(torch.from_numpy(np.array(images)))
    hardness = difficulty(logits.numpy(), labels)
    for name in ("random", "easy", "scale"):
        assert np.bincount(labels[rows[name]]).tolist() == [3, 3, 3] and len(set(rows[name])) == 9
        again = rows_of_set(name, studio.bundle, images, labels, (0, 1, 2), device)
        assert again.tolist() == rows[name].tolist()
    for class_id in range(3):
        own = np.flatnonzero(labels == class_id)
        easy = np.intersect1d(own, rows["easy"])
        assert hardness[easy].max() <= hardness[np.setdiff1d(own, easy)].min()


def test_results_on_two_test_sets_are_two_rows_that_say_which(studio):
    finish(studio.evaluate(controls=False, **SELECTED_ONLY))
    finish(studio.evaluate(test_set="easy"))
    rows = history(studio.workspace)
    assert [row.protocol for row in rows] == ["psr-kd", "psr-kd, easy test images"]
    finish(studio.evaluate(test_set="original"))
    assert len(studio.workspace.ledger.evaluations()) == 4, "the whole split was there already"


def test_settings_can_be_chosen_by_held_out_images_without_a_look_at_the_test_split(studio, monkeypatch):
    held_out, _ = studio.bundle.held_out
    monkeypatch.setattr(type(studio.bundle), "test_set", property(lambda self: 1 / 0))
    finish(studio.evaluate(test_set="held-out", **SELECTED_ONLY))
    rows = history(studio.workspace)
    assert {row.protocol for row in rows} == {"psr-kd, held-out images"}
    assert {row.n_tested for row in rows} == {len(held_out)} != {0}


def test_a_part_of_the_classes_has_its_test_set_too(studio):
    finish(studio.select(**{"pool.classes": [0, 2], "name": "two"}))
    trainer_arm = arms(studio, test_set="easy", controls=False, **SELECTED_ONLY)['selected "two"']
    images, labels = Trainer(studio.workspace, studio.recipe, studio.bundle).test_split(trainer_arm)
    assert np.bincount(labels.numpy()).tolist() == [3, 3] and len(images) == 6


def test_a_test_set_after_the_real_images_needs_their_difficulties(studio, tmp_path, tiny_bundle):
    without = shutil.copytree(tiny_bundle, tmp_path / "without")
    (without / "data" / "train_difficulty.safetensors").unlink()
    write_index(without)
    bundle = load_bundle(str(without))
    recipe = studio.recipe.with_values({"evaluate.test_set": "scale", "evaluate.controls": False})
    recipe = recipe.with_values({"evaluate.arms": ["selected"]})
    with pytest.raises(SelectionError) as err:
        plan_arms(studio.workspace, recipe, bundle)
    assert '"scale" follows the difficulty of the real training images' in err.value.problem
    assert err.value.fix == 'Set "evaluate.test_set" to "original", "random" or "easy".'
