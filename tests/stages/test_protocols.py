"""Named protocols: what each teaches, at which size, by whose labels, and how a recipe takes one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import ARCHITECTURE, TEACHER_KWARGS, finish
from torchvision.transforms import functional as T

from psr_studio.core.errors import RecipeError
from psr_studio.core.pictures import centres
from psr_studio.method.protocols import PROTOCOLS
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone
from psr_studio.recipe.load import load_recipe, parse_assignment, recipe_from_toml
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml
from psr_studio.stages.evaluate.arms import plan_arms
from psr_studio.stages.evaluate.lessons import BatchTeacher, side_of, sized, training_of
from psr_studio.stages.evaluate.stage import history, training_inputs
from psr_studio.stages.evaluate.training import Trainer

REGIMES = {
    "psr-kd": "teacher, tau 1.5",
    "psr-kd-64": "teacher, tau 1.5",
    "dc": "hard",
    "minimax": "hard",
    "idc-cifar": "hard",
    "rded": "teacher online, T 20",
    "fkd": "teacher per epoch, T 20",
}
ONE = {"arms": ["selected"], "n_seeds": 1}


def test_a_record_is_frozen_and_says_where_it_is_read():
    assert list(PROTOCOLS) == list(REGIMES)
    for protocol in PROTOCOLS.values():
        assert protocol.help.endswith(".") and "\n" not in protocol.help and protocol.source
        with pytest.raises(dataclasses.FrozenInstanceError):
            protocol.lr = 1.0


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_protocol_trains_the_set_and_its_controls(studio, name):
    finish(studio.evaluate(protocol=name, epochs=2, batch_size=4, n_checks=2, **ONE))
    rows = studio.table()
    assert {row.protocol for row in rows} == {name}
    assert {row.label_regime for row in rows if "hard labels" not in row.name} <= {REGIMES[name], "hard"}
    assert rows[0].label_regime == REGIMES[name] and (rows[0].epochs, rows[0].n_images) == (2, 6)
    assert [row.arm for row in rows][1:3] == ["random real", "generate-and-use"]
    assert len(rows) == (3 if REGIMES[name] == "hard" else 4), "real images with hard labels beside soft ones"


def test_labels_of_a_protocol_can_be_changed(studio):
    for labels, regime in (
        ("hard", "hard"),
        ("teacher", "teacher, tau 1.5"),
        ("protocol", "teacher online, T 20"),
    ):
        studio.set({"evaluate.protocol": "rded", "evaluate.labels": labels, "evaluate.arms": ["selected"]})
        assert plan_arms(studio.workspace, studio.recipe, studio.bundle)[0].label_regime == regime


def test_numbers_come_with_the_protocol_unless_they_were_changed():
    plain = Recipe()
    minimax = plain.with_values({"evaluate.protocol": "minimax", "select.ipc": 20})
    how = minimax.evaluate
    assert (how.epochs, how.batch_size, how.n_checks, how.lr) == (1500, 64, 100, 0.01)
    assert minimax.with_values({"select.ipc": 1}).evaluate.epochs == 3000, "by images per class"
    rded = minimax.with_values({"evaluate.protocol": "rded"}).evaluate
    assert (rded.epochs, rded.batch_size, rded.lr, rded.weight_decay, rded.n_checks) == (
        300,
        100,
        1e-3,
        0.01,
        6,
    )
    mine = plain.with_values({"evaluate.epochs": 7}).with_values({"evaluate.protocol": "minimax"}).evaluate
    assert (mine.epochs, mine.batch_size) == (7, 64), "what was changed stays"
    named = plain.with_values({"evaluate.protocol": "minimax", "evaluate.batch_size": 32}).evaluate
    assert (named.epochs, named.batch_size) == (2000, 32)


def test_a_recipe_of_a_protocol_survives_its_file(tmp_path):
    for name in PROTOCOLS:
        recipe = Recipe().with_values({"evaluate.protocol": name, "evaluate.labels": "hard"})
        again = recipe_from_toml(to_toml(recipe), tmp_path / "recipe.toml")
        assert again.evaluate == recipe.evaluate


@pytest.mark.parametrize(("former", "kind"), [("kd", "stored"), ("hard", "hard")])
def test_the_two_former_protocols_are_understood(former, kind, tmp_path):
    """They trained as DC does, over 300 epochs, and said which labels."""
    key, value = parse_assignment(f"evaluate.protocol={former}")
    assigned = Recipe().with_values({"evaluate.labels": "hard", key: value})
    written = recipe_from_toml(f'[evaluate]\nprotocol = "{former}"\n', tmp_path / "old.toml")
    for recipe in (assigned, written):
        assert (recipe.evaluate.protocol, recipe.evaluate.label_kind) == ("psr-kd", kind)
        assert recipe.evaluate.epochs == 300
    with pytest.raises(RecipeError, match="psr-kd, psr-kd-64, dc, minimax, idc-cifar, rded, fkd"):
        Recipe().with_values({"evaluate.protocol": "mtt"})


def test_students_of_before_count_under_the_new_names(studio):
    """DC's way of training is noted as it was: "kd" with the teacher's labels, "hard" with hard ones."""
    for protocol, labels, noted in (
        ("psr-kd", "protocol", "kd"), ("psr-kd", "hard", "hard"), ("dc", "protocol", "hard"), ("dc", "teacher", "kd"),
        ("minimax", "hard", "minimax"),
    ):  # fmt: skip
        studio.set({
            "evaluate.protocol": protocol, "evaluate.labels": labels, "evaluate.arms": ["selected"],
            "evaluate.controls": False,
        })  # fmt: skip
        (arm,) = plan_arms(studio.workspace, studio.recipe, studio.bundle)
        inputs = training_inputs(studio.recipe, studio.bundle, arm)
        assert inputs["protocol"] == noted
        assert ("images per curve point" in inputs) == (noted != "minimax"), "Minimax looks at all images"
    finish(studio.evaluate(protocol="psr-kd", labels="hard", controls=False, **ONE))
    (event,) = finish(studio.evaluate(protocol="dc", labels="protocol", lr=0.01))
    assert event.message == "All 1 students are trained."
    assert [row.protocol for row in history(studio.workspace)] == ["psr-kd"]


@pytest.mark.parametrize(
    ("height", "width", "side", "shorter"), [(256, 256, 224, 224), (40, 60, 28, 32), (20, 20, 28, 28)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_brought_to_size_as_torchvision_does(height, width, side, shorter, channels):
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, channels), np.uint8)
    for image, found in zip(images, centres(images, side, shorter), strict=True):
        plain = Image.fromarray(image[..., 0] if channels == 1 else image)
        wanted = T.center_crop(T.resize(plain, shorter), side)
        assert np.array_equal(
            found.reshape(side, side, channels), np.asarray(wanted).reshape(side, side, channels)
        )


def test_students_train_at_the_size_of_the_protocol_and_smaller_pictures_stay(studio):
    class Large:
        image_shape = (256, 256, 3)

    images = np.zeros((1, 256, 256, 3), np.uint8)
    images[:, 16:240, 16:240] = 200  # the middle 224 of 256
    for name, protocol in PROTOCOLS.items():
        found = sized(images, protocol, Large())
        side = {"minimax": 224, "rded": 224, "fkd": 224, "psr-kd-64": 64}.get(name, 256)
        assert found.shape[1:3] == (side, side), name
    assert (sized(images, PROTOCOLS["rded"], Large(), tested=True) == 200).all(), (
        "cut out of 256, as its test is"
    )
    assert (sized(images, PROTOCOLS["minimax"], Large(), tested=True) == 0).any(), "resized to 224 whole"
    assert side_of(PROTOCOLS["minimax"], studio.bundle) == 12


def test_the_online_teacher_labels_the_batch_as_the_student_sees_it(studio):
    """Its logits of the very pictures, restricted to the task: a batch at rest is answered as when it was scored."""
    images, _ = studio.bundle.train_subset
    device = torch.device("cpu")
    batch = NormalisedImages.of(torch.from_numpy(images[:5].copy()), studio.bundle.normalisation, device)[:]
    logits, _ = studio.bundle.teacher(device).predict(torch.from_numpy(images[:5].copy()))
    found = BatchTeacher(studio.bundle, device, [0, 2])(1, slice(0, 5), batch)
    assert torch.allclose(found, logits[:, [0, 2]], atol=1e-4)


def test_nothing_of_a_mixed_batch_is_cut_off_before_the_online_teacher_sees_it():
    """A teacher that cuts out the centre of pictures: what CutMix put at an edge is in its answer all the same."""
    config = TeacherConfig(
        architecture=ARCHITECTURE, input_size=12, mean=(0.5,), std=(0.25,), n_classes=3, in_chans=1,
        crop_pct=0.75, kwargs=TEACHER_KWARGS,
    )  # fmt: skip
    torch.manual_seed(0)
    teacher = Teacher(create_backbone(config).float().eval(), config, "cutting").eval()
    plain = torch.zeros(1, 1, 12, 12)
    mixed = plain.clone()
    mixed[..., :1] = 1.0
    with torch.no_grad():
        centre, uncut = (
            [teacher(images, uncut=way)[0] for images in (plain, mixed)] for way in (False, True)
        )
    assert torch.allclose(*centre, atol=1e-6) and not torch.allclose(*uncut, atol=1e-3)

    class Cutting:
        normalisation = (0.5, 0.25)

        def teacher(self, device):
            return teacher

    found = BatchTeacher(Cutting(), torch.device("cpu"), [0, 1, 2])(
        1, slice(0, 1), (mixed / 2 + 0.5 - 0.5) / 0.25
    )
    assert torch.allclose(found, uncut[1], atol=1e-5)


def test_without_augmentation_nothing_is_mixed_either(studio):
    """What ARS compares with: the pictures as they are."""
    device = torch.device("cpu")
    for name in ("minimax", "rded", "idc-cifar"):
        found = {}
        for augment in (True, False):
            settings = studio.recipe.with_values(
                {"evaluate.protocol": name, "evaluate.augment": augment}
            ).evaluate
            found[augment] = training_of(settings, 2, 1, studio.bundle, device)
        assert found[True].mix > 0 == found[False].mix and found[False].augment is None, name
    plain = studio.recipe.with_values({"evaluate.protocol": "psr-kd"})
    (arm, *_) = plan_arms(studio.workspace, plain.with_values({"evaluate.arms": ["selected"]}), studio.bundle)
    known = training_inputs(plain, studio.bundle, arm)
    assert known != training_inputs(plain.with_values({"evaluate.mirrored": False}), studio.bundle, arm)


@pytest.mark.parametrize(("name", "passes"), [("rded", 2), ("fkd", 1)])
def test_labels_of_every_epoch_are_made_once_for_all_students(studio, monkeypatch, name, passes):
    """3 epochs of 2 batches: the online teacher sees each student's batches, the other those of the first alone."""
    seen = []
    whole = BatchTeacher.__call__

    def counted(teacher, epoch, places, batch):
        seen.append((epoch, places.start, batch))
        return whole(teacher, epoch, places, batch)

    monkeypatch.setattr(BatchTeacher, "__call__", counted)
    studio.set({
        "evaluate.protocol": name, "evaluate.epochs": 3, "evaluate.batch_size": 4, "evaluate.n_checks": 1,
        "evaluate.arms": ["selected"], "evaluate.controls": False,
    })  # fmt: skip
    (arm,) = plan_arms(studio.workspace, studio.recipe, studio.bundle)
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    losses = [[check.loss for check in trainer.train(arm, seed)] for seed in (0, 1)]
    assert [(epoch, start) for epoch, start, _ in seen] == [
        (e, s) for e in (1, 2, 3) for s in (0, 4)
    ] * passes
    assert losses[0] != losses[1], "first weights differ"
    firsts = [batch for epoch, start, batch in seen if (epoch, start) == (1, 0)]
    assert passes == 1 or not torch.equal(*firsts), "each student has batches of its own"


def test_the_presets_ask_for_protocols_that_are():
    assert load_recipe("fashion-mnist").evaluate.protocol == "psr-kd"


def test_a_test_set_by_difficulty_is_judged_before_the_protocol_resizes_it(studio, monkeypatch):
    """What is easy at the size of the pictures may not be at half of it."""
    studio.set({"evaluate.test_set": "easy", "evaluate.arms": ["selected"]})
    found = {}
    for size in (None, 6):
        monkeypatch.setitem(PROTOCOLS, "psr-kd", dataclasses.replace(PROTOCOLS["psr-kd"], size=size))
        (arm, *_) = plan_arms(studio.workspace, studio.recipe, studio.bundle)
        trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
        found[size] = trainer.test_split(arm)[0].numpy(), trainer.test_images.numpy()
    whole, small = (found[size] for size in (None, 6))
    rows = [
        next(i for i, image in enumerate(whole[1]) if np.array_equal(image, chosen)) for chosen in whole[0]
    ]
    assert np.array_equal(small[0], small[1][rows]) and len(rows) == 9
