"""A teacher of one's own classes: honest numbers, one network for PSR Studio and timm, two sentences for bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.described import load_external
from psr_studio.cli.main import main
from psr_studio.core.errors import StudioError
from psr_studio.method.metrics import calibration_by_chance, expected_calibration_error
from psr_studio.models.head import FOLDS, cross_fit, fit_head, folds_of
from psr_studio.models.levels import from_uint8
from psr_studio.models.teacher import CROSS_FITTED_NAME, Teacher, TeacherConfig, create_backbone
from psr_studio.stages.teach.pictures import RealPictures
from psr_studio.stages.teach.report import FROM_POOL, REPORT, Report
from psr_studio.stages.teach.stage import Options, teach

SIDE = 32
CONFIG = {
    "architecture": "convnext_atto",
    "num_classes": 7,
    "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
    "pretrained_cfg": {
        "input_size": [3, SIDE, SIDE],
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "first_conv": "stem.0",
        "classifier": "head.fc",
    },
}
COLOURS = {"amber": (200, 140, 20), "blue": (20, 40, 200), "green": (30, 180, 60)}


def write_backbone(folder: Path, **changes) -> Path:
    """A timm network of random weights: its features tell colours apart, as any network's do."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    torch.manual_seed(0)
    network = create_backbone(TeacherConfig.from_timm_folder(folder, None))
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("backbone") / "tiny")


def write_pictures(root: Path, n: int = 12, noise: int = 30, classes=COLOURS, seed: int = 0) -> Path:
    """A folder per class of n pictures of its colour and noise."""
    rng = np.random.default_rng(seed)
    for name, colour in classes.items():
        (root / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.array(colour) + rng.integers(-noise, noise + 1, (SIDE, SIDE, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / name / f"{i}.png")
    return root


def taught(images: Path, out: Path, backbone: Path) -> Report:
    finish(teach(RealPictures(images), Options(out, str(backbone), device="cpu")))
    return Report.read(out)


# The head


def test_the_head_is_at_the_least_of_its_loss():
    """Cross-entropy plus penalty / 2 * |W|^2 on scaled features is convex: at its least the gradient is zero."""
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    x = torch.randn(60, 5) * 4 + 7 + labels[:, None]
    head = fit_head(x, labels, 3, penalty=0.1)
    spread = x.std(0, correction=0).square().mean().sqrt()
    weight = (head.weight * spread).requires_grad_()
    bias = (head.bias + head.weight @ x.mean(0)).requires_grad_()
    loss = (
        F.cross_entropy(F.linear((x - x.mean(0)) / spread, weight, bias), labels)
        + 0.05 * weight.square().sum()
    )
    loss.backward()
    assert weight.grad.abs().max() < 1e-3 and bias.grad.abs().max() < 1e-3
    torch.testing.assert_close(head.cooled(2.0)(x), head(x) / 2)


def test_folds_deal_every_class_out_evenly():
    labels = np.repeat([0, 1, 2], [5, 11, 7])
    folds = folds_of(labels)
    for c in range(3):
        counts = np.bincount(folds[labels == c], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert np.array_equal(folds, folds_of(labels))


def test_what_is_told_is_of_pictures_the_head_did_not_see():
    """Labels drawn at random cannot be told from features: a head knows its own 40 pictures by heart, in 60 dimensions,
    and is right on unseen ones by chance only, with confidence near 1 / 2."""
    torch.manual_seed(1)
    x, labels = torch.randn(40, 60), torch.randint(2, (40,))
    assert (fit_head(x, labels, 2, 0.001)(x).argmax(1) == labels).all()
    crossed = cross_fit(x, labels, 2)
    assert (crossed.logits.argmax(1) == labels).float().mean() < 0.75
    assert crossed.logits.softmax(1).max(1).values.mean() < 0.9


def test_what_chance_explains_of_a_calibration_error():
    """Confidence 0.75 on n pictures: the mean of |correct - 0.75 n| / n is about sqrt(0.75 * 0.25 / n * 2 / pi)."""
    logits = np.log(np.array([[0.75, 0.25]])).repeat(64, axis=0)
    expected = np.sqrt(0.75 * 0.25 / 64 * 2 / np.pi)
    assert abs(calibration_by_chance(logits, n_draws=2000) - expected) < 0.1 * expected
    sure = np.array([[50.0, 0.0]]).repeat(10, axis=0)
    assert calibration_by_chance(sure) == pytest.approx(expected_calibration_error(sure, np.zeros(10, int)))


# The teacher


def test_it_is_one_network_for_the_studio_and_for_timm(tmp_path, backbone):
    """Equal logits from our folder, from "local-dir:" and from a checkpoint path; classes in the folders' order."""
    report = taught(write_pictures(tmp_path / "real"), tmp_path / "teacher", backbone)
    assert report.how == "cross-fitted" and report.n == report.n_taught == 36
    assert report.accuracy > 0.9 and not report.warnings
    assert [row[:2] for row in report.per_class] == [(name, 12) for name in COLOURS]
    out = tmp_path / "teacher"
    teacher = Teacher.from_timm_folder(out)
    assert json.loads((out / "config.json").read_text())["label_names"] == list(COLOURS)
    images = np.stack([np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in COLOURS.values()])
    pixels = from_uint8(images)
    logits = teacher(pixels)[0]
    assert logits.argmax(1).tolist() == [0, 1, 2]
    theirs = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    again = timm.create_model(
        "convnext_atto", checkpoint_path=str(out / "model.safetensors"), num_classes=3, **CONFIG["model_args"]
    ).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(pixels), logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(again(pixels), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_held_out_by_their_folder_are_not_learned_from(tmp_path, backbone, packed):
    """With the labels of the held-out split swapped every answer there is wrong, but for a head that saw them."""
    write_pictures(tmp_path / "real" / "train")
    swapped = dict(zip(COLOURS, [*list(COLOURS.values())[1:], COLOURS["amber"]], strict=True))
    write_pictures(tmp_path / "real" / "val", n=4, classes=swapped, seed=1)
    real = tmp_path / "real"
    if packed:
        real = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "real"))
    report = taught(real, tmp_path / "teacher", backbone)
    assert (report.how, report.n_taught, report.n) == ("held out", 36, 12)
    assert report.accuracy < 0.1
    assert any(sentence.startswith("Too weak to judge: ") for sentence in report.warnings)
    assert any("It knows amber, blue, green badly" in sentence for sentence in report.warnings)


def test_pictures_that_the_bundle_draws_for_its_test_are_not_learned_from(
    tmp_path, backbone, capsys, monkeypatch
):
    """Students are tested on them: with them in another colour than their class, the teacher is wrong on all."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    real, pool = write_pictures(tmp_path / "real", n=10), write_pictures(tmp_path / "pool", n=5, seed=1)
    root = tmp_path / "ws"
    assert main(["new", str(root), "--pictures", str(pool), "--real", str(real), "-q"]) == 0
    drawn = load_external(root / "ws.toml").drawn_test(real)
    assert len(drawn) == 6 and load_external(root / "ws.toml").drawn_test(pool) == set()
    colours = [*list(COLOURS)[1:], "amber"]
    for name, other in zip(COLOURS, colours, strict=True):
        for i, file in enumerate(sorted(file for file in drawn if file.startswith(name))):
            shutil.copy(tmp_path / "pool" / other / f"{i}.png", real / file)
    capsys.readouterr()
    command = ["teach", "-w", str(root), "--images", str(real), "--backbone", str(backbone)]
    assert main([*command, "--device", "cpu", "-q"]) == 0
    made = root / "teachers" / "teacher-1"
    report = Report.read(made)
    assert (report.how, report.n_taught, report.n, report.accuracy) == ("held out", 24, 6, 0.0)
    use = f"psr-studio weights {root / 'ws.toml'} --teacher {made}"
    assert use in capsys.readouterr().out and main(use.split()[1:]) == 0


def test_a_copy_counts_once_and_other_files_are_told(tmp_path, backbone):
    real = write_pictures(tmp_path / "real" / "train")
    copy = tmp_path / "real" / "val" / "blue"
    copy.mkdir(parents=True)
    (copy / "same.png").write_bytes((real / "blue" / "0.png").read_bytes())
    (real / "blue" / "notes.txt").write_text("hello")
    report = taught(tmp_path / "real", tmp_path / "teacher", backbone)
    assert report.how == "cross-fitted" and report.n == 36
    assert report.left_out == "1 copy of other pictures left out. Other files: 1 passed over (1 .txt)."


def test_outputs_are_taken_by_their_names_whatever_the_bundle_says_of_rows(tmp_path, backbone):
    """A description with ImageNet rows and another order of classes takes a taught teacher by its outputs' names."""
    taught(write_pictures(tmp_path / "real"), tmp_path / "teacher", backbone)
    names = ["green", "amber", "blue"]
    (tmp_path / "mine.toml").write_text(
        f"class_names = {json.dumps(names)}\nclass_indices = [0, 217, 482]\nimage_shape = [32, 32, 3]\n"
        f'mean = 0.5\nstd = 0.5\n[teacher]\nsource = "{tmp_path / "teacher"}"\n'
        f'[generator]\nsource = "none/none"\n'
    )
    teacher = load_external(tmp_path / "mine.toml").teacher(torch.device("cpu"))
    images = np.stack([np.full((SIDE, SIDE, 3), COLOURS[name], np.uint8) for name in names])
    assert teacher(from_uint8(images))[0].argmax(1).tolist() == [0, 1, 2]


def test_the_pool_serves_where_there_are_no_real_pictures_and_says_so(tmp_path, tiny_bundle, capsys):
    """Grey candidates of the tiny bundle, on a network for grey pictures; written into the workspace."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.generate())
        backbone = str(tiny_bundle / "teacher")
        finish(studio.teach(backbone=backbone))
        names, shape = studio.bundle.class_names, studio.bundle.image_shape
        images = studio.pool.images_at([0, 1])
    report = Report.read(tmp_path / "ws" / "teachers" / "teacher-1")
    assert report.how == "pool" and report.n == 18 and FROM_POOL in report.notes
    teacher = Teacher.from_timm_folder(tmp_path / "ws" / "teachers" / "teacher-1")
    assert teacher.config.input_size == shape[0] and teacher(from_uint8(images))[0].shape == (2, len(names))
    command = ["teach", "--pool", "-w", str(tmp_path / "ws"), "--backbone", backbone, "--device", "cpu", "-q"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Its labels come from the pool itself" in said and "teachers/teacher-2" in said


@pytest.mark.parametrize("given", ["real", "pool"])
def test_the_card_of_an_export_tells_of_a_taught_teacher(tmp_path, backbone, monkeypatch, given):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    pool, root = write_pictures(tmp_path / "made", n=6), tmp_path / "ws"
    assert main(["new", str(root), "--pictures", str(pool), "-q"]) == 0
    taught_on = (
        ["--pool"] if given == "pool" else ["--images", str(write_pictures(tmp_path / "real", n=7, seed=1))]
    )
    named = ["--backbone", str(backbone), "--device", "cpu", "-q"]
    assert main(["teach", "-w", str(root), "--use", *taught_on, *named]) == 0
    made = root / "teachers" / "teacher-1"
    for step in ("score", "select", "export"):
        assert main([step, "-w", str(root), "--ipc", "2", "--device", "cpu", "-q"]) == 0
    card = (root / "exports" / "set" / "README.md").read_text()
    source = "18 pictures of the pool itself" if given == "pool" else "21 real pictures"
    assert f"- teacher's origin: taught on {source}: {Report.read(made).headline}" in card
    assert (FROM_POOL in card) is (given == "pool")


def test_a_teacher_that_no_bundle_can_use_is_refused_before_it_is_taught(tmp_path, tiny_bundle, capsys):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.generate())
    command = ["teach", "--backbone", str(tiny_bundle / "teacher"), "--device", "cpu", "-q", "--use"]
    for given, said in (
        (["--pool", "-w", str(tmp_path / "ws")], '"tiny" needs no teacher of its own'),
        (
            ["--images", str(tmp_path)],
            "It is not said which bundle is to use it. Fix: Name a workspace of it with -w.",
        ),
    ):
        assert main([*command, *given]) == 2
        assert said in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "ws" / "teachers").exists()


def test_from_the_command_line(tmp_path, backbone, capsys):
    real, out = write_pictures(tmp_path / "real"), tmp_path / "made"
    command = [
        "teach",
        "--images",
        str(real),
        "--out",
        str(out),
        "--backbone",
        str(backbone),
        "--device",
        "cpu",
    ]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "right, calibration error" in said and "amber  12" in said
    assert f"psr-studio weights BUNDLE --teacher {out}" in said
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        CROSS_FITTED_NAME,
        REPORT,
    }
    assert main(command) == 2
    assert f'"{out}" is not an empty folder.' in capsys.readouterr().err
    assert main(["teach"]) == 2
    assert "It is not said which pictures to teach on." in capsys.readouterr().err


def test_the_network_that_ships_is_the_backbone_unless_another_is_named(tmp_path):
    """Three plain colours, five pictures each: any ImageNet network tells them apart."""
    real = write_pictures(tmp_path / "real", n=5)
    finish(teach(RealPictures(real), Options(tmp_path / "teacher", device="cpu")))
    report = Report.read(tmp_path / "teacher")
    assert report.accuracy == 1.0 and report.backbone == "imagenet-teacher"
    assert Teacher.from_timm_folder(tmp_path / "teacher").config.architecture == "tf_efficientnet_lite0"


def test_pictures_it_was_taught_on_are_judged_by_a_head_that_did_not_see_them(tmp_path, backbone):
    """Two classes of the same noise cannot be told apart. What scores pictures says so of those it learned from, as the
    report does; a copy with one pixel changed, or a picture that needs a gradient, gets the network's own answer."""
    same = {"one": (120, 120, 120), "two": (120, 120, 120)}
    real = write_pictures(tmp_path / "real", n=20, noise=100, classes=same)
    report = taught(real, tmp_path / "teacher", backbone)
    teacher = Teacher.from_timm_folder(tmp_path / "teacher")
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(real.rglob("*.png"))])
    labels = np.repeat([0, 1], 20)
    told = teacher.predict(torch.from_numpy(images))[0]
    assert (told.argmax(1).numpy() == labels).mean() == report.accuracy
    assert not torch.allclose(told, teacher(from_uint8(images))[0], atol=1e-3)
    named = Teacher.from_timm_folder(tmp_path / "teacher", class_names=("two", "one"))
    torch.testing.assert_close(named.predict(torch.from_numpy(images))[0], told[:, [1, 0]])
    images[:, 0, 0] ^= 1
    changed = teacher.predict(torch.from_numpy(images))[0]
    torch.testing.assert_close(changed, teacher(from_uint8(images))[0], rtol=1e-4, atol=1e-4)


# Bad input


def refused(images: Path, out: Path, backbone: object) -> StudioError:
    with pytest.raises(StudioError) as err:
        taught(images, out, backbone)
    assert not out.exists() and not [p for p in out.parent.iterdir() if p.name.startswith(".tmp")]
    return err.value


def test_pictures_that_cannot_teach_are_refused(tmp_path, backbone):
    out = tmp_path / "teacher"
    one = write_pictures(tmp_path / "one", classes={"amber": (1, 2, 3)})
    assert 'There is one class in "' in refused(one, out, backbone).problem
    few = write_pictures(tmp_path / "few", n=4)
    assert 'The class "amber" has 4 pictures in "' in refused(few, out, backbone).problem
    broken = write_pictures(tmp_path / "broken")
    (broken / "blue" / "3.png").write_bytes(b"no picture at all")
    err = refused(broken, out, backbone)
    assert '3.png" cannot be used: it is none of PNG' in err.problem and err.fix == "Replace or remove it."
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in refused(tmp_path / "empty", out, backbone).problem


def test_backbones_that_do_not_fit_are_refused(tmp_path, backbone):
    real, out = write_pictures(tmp_path / "real", n=5), tmp_path / "teacher"
    assert 'There is no backbone "imagenet-teachr"' in refused(real, out, "imagenet-teachr").problem
    err = refused(real, out, "resnet18.a1_in1k")
    assert err.problem.startswith('The backbone "timm/resnet18.a1_in1k" is not on this machine')
    assert "--download" in err.fix
    (tmp_path / "bare").mkdir()
    assert "lacks config.json or model.safetensors" in refused(real, out, tmp_path / "bare").problem
    other = write_backbone(tmp_path / "other", num_classes=9)
    (other / "config.json").write_text(json.dumps(CONFIG))
    assert "are of another shape" in refused(real, out, other).problem
    five = {**CONFIG["pretrained_cfg"], "input_size": [5, SIDE, SIDE], "mean": [0.5] * 5, "std": [0.5] * 5}
    assert (
        "sees 5 channels" in refused(real, out, write_backbone(tmp_path / "5", pretrained_cfg=five)).problem
    )
