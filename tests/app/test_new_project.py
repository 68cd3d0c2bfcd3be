"""A project from nothing but pictures: shown before anything is written, then curated, evaluated and exported."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from commands import problem_and_fix
from own_pictures import NAMES, SIDE, write_pictures, write_teacher
from PIL import Image
from tiny import finish

from psr_studio.app.new_project import Training, make, plan, recipe_for_set
from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.shipped import TEACHER_INDEX
from psr_studio.cli.main import main
from psr_studio.core import resources
from psr_studio.core.errors import ModelError, StudioError
from psr_studio.core.resources import resource_dir

QUICK = {
    "evaluate.epochs": 2,
    "evaluate.n_checks": 1,
    "evaluate.n_seeds": 1,
    "select.ipc": 2,
    "device": "cpu",
}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """A zip of generated pictures, a folder of real ones and a teacher that knows more classes, in another order."""
    root = tmp_path_factory.mktemp("given")
    write_pictures(root / "made" / "pool", 6)
    (root / "made" / "pool" / "sky" / "notes.txt").write_text("blue")
    shutil.make_archive(str(root / "pool"), "zip", root / "made")
    write_pictures(root / "real", 16, first=50)
    write_teacher(root / "teacher", NAMES[::-1])
    return root


def test_a_zip_and_real_photographs_become_a_curated_evaluated_exported_set(given, tmp_path, capsys):
    root = tmp_path / "fruit"
    flags = ["--real", str(given / "real"), "--teacher", str(given / "teacher")]
    assert main(["new", str(root), "--pictures", str(given / "pool.zip"), *flags, "-q"]) == 0
    said = capsys.readouterr().out
    assert "18 pictures of 3 classes, 6 of each: apple (6), plum (6), sky (6)" in said
    assert f"Sizes: {SIDE} x {SIDE}" in said and "1 passed over (1 .txt)" in said
    assert "20% of each class are drawn for the test (seed 0" in said and "one of 4 of the others" in said
    assert f"psr-studio app -w {root}" in said
    bundle = load_bundle(root / "fruit.toml")
    assert bundle.class_names == NAMES and bundle.class_rows == (2, 1, 0)
    assert len(bundle.test_set[1]) == 9
    with Studio(root, **QUICK) as studio:
        assert [len(studio.pool), studio.recipe.export.refined] == [18, False]
        finish(studio.score())
        assert (studio.scores.logits.argmax(axis=1) == studio.pool.labels).mean() > 0.9
        for step in (studio.select, studio.evaluate, studio.export):
            finish(step())
        assert {row.arm for row in studio.table()} == {"selected", "random real", "generate-and-use"}
        assert len(list((root / "exports" / "set").rglob("*.png"))) == 6


@pytest.mark.parametrize(
    ("side", "n", "trained"),
    [
        (256, 30, (64, "psr-kd-64", 120)),
        (224, 12, (64, "psr-kd-64", 300)),
        (224, 1000, (64, "psr-kd-64", 40)),
        (64, 30, (64, "psr-kd", 120)),
        (32, 100, (32, "psr-kd", 144)),
        (32, 30, (32, "psr-kd", 300)),
    ],
)
def test_students_of_a_new_project_are_trained_in_minutes(side, n, trained):
    """By the pixels that one is shown: 3,600 pictures of 64 px, unless 40 epochs are more or the protocol has less."""
    found = Training.for_minutes(side, n)
    assert (found.seen, found.protocol, found.epochs) == trained
    assert found.epochs == 40 or found.epochs * n * found.seen**2 <= 3600 * 64**2


def test_the_training_is_said_before_and_stands_in_the_recipe(tmp_path):
    """Large pictures are brought to 64 px for students, and to nothing else."""
    source = write_pictures(tmp_path / "large", 3, side=96)
    chosen = plan(tmp_path / "ws", source)
    assert "Students will see 64 x 64 pixels for 300 epochs (protocol psr-kd-64)" in " ".join(chosen.lines)
    finish(make(chosen))
    with Studio(tmp_path / "ws") as studio:
        asked = studio.recipe.evaluate
        assert (asked.protocol, asked.epochs, asked.student, asked.n_seeds) == (
            "psr-kd-64",
            300,
            "convnet-4",
            3,
        )
        assert studio.bundle.image_shape == (96, 96, 3)


def test_a_look_writes_nothing(given, tmp_path, capsys):
    root = tmp_path / "new"
    assert main(["new", str(root), "--pictures", str(given / "made" / "pool"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "18 pictures of 3 classes" in said and "Nothing was written." in said
    assert "psr-studio weights" in said and "--images FOLDER --use" in said
    assert not root.exists()


def test_without_a_teacher_that_knows_them_the_project_waits_for_one(given, tmp_path):
    """What nobody here can judge is imported all the same, and the teacher is named later, by a command."""
    root = tmp_path / "later"
    chosen = plan(root, given / "made" / "pool")
    assert (
        f"psr-studio teach -w {root} --images FOLDER --use" in " ".join(chosen.notes)
        and chosen.description.teacher == ""
    )
    finish(make(chosen))
    with Studio(root, **QUICK) as studio:
        assert len(studio.pool) == 18
        with pytest.raises(ModelError, match="teacher folder") as refused:
            finish(studio.score())
        assert "psr-studio teach" in refused.value.fix
    teacher = write_teacher(tmp_path / "fits")
    assert main(["weights", str(root / "later.toml"), "--teacher", str(teacher)]) == 0
    with Studio(root) as studio:
        finish(studio.score())
        assert (studio.scores.logits.argmax(axis=1) == studio.pool.labels).mean() > 0.9


def test_a_teacher_that_says_no_names_is_taken_in_this_order_and_said(given, tmp_path):
    silent = write_teacher(tmp_path / "silent", says_names=False)
    chosen = plan(tmp_path / "ws", given / "made" / "pool", teacher=str(silent))
    assert chosen.description.rows is None
    assert "taken for the classes in this order, apple, plum, sky" in chosen.notes[0]


def test_imagenet_knows_wordnet_ids_and_names(tmp_path):
    """Folders of WordNet ids are called by their names, and the rows of the teacher are those of ImageNet-1K."""
    source = write_pictures(tmp_path / "set", 2, NAMES[:2])
    (source / "apple").rename(source / "n02102040")
    (source / "plum").rename(source / "n01440764")
    facts = {"architecture": "convnext_atto", "num_classes": 1000,
             "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5], "std": [0.5]}}  # fmt: skip
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "config.json").write_text(json.dumps(facts))
    (tmp_path / "teacher" / "model.safetensors").write_bytes(b"never opened here")
    made = plan(tmp_path / "ws", source, teacher=str(tmp_path / "teacher")).description
    assert made.class_names == ("tench", "English springer") and made.rows == (0, 217)
    assert made.wordnet_ids == ("n01440764", "n02102040")


def test_the_shipped_teacher_is_taken_where_it_is_there_and_knows_the_classes(tmp_path, monkeypatch):
    """PSR Studio lies elsewhere here, with such a teacher among its assets: found by name, on every machine."""
    home = tmp_path / "installed"
    (home / "assets").mkdir(parents=True)
    (home / "pyproject.toml").touch()
    shutil.copytree(resource_dir("presets"), home / "presets")
    shipped = home / "assets" / "imagenet-teacher"
    write_teacher(shipped, ("plum", "apple", "sky", "tree"))
    (shipped / TEACHER_INDEX).write_text('name = "imagenet-teacher"')
    monkeypatch.setattr(resources, "PACKAGE", home / "psr_studio")
    chosen = plan(tmp_path / "ws", write_pictures(tmp_path / "set", 2))
    assert chosen.description.teacher == "imagenet-teacher" and chosen.description.rows == (1, 0, 2)
    finish(make(chosen))
    with Studio(tmp_path / "ws", **QUICK) as studio:
        finish(studio.score())
        assert (studio.scores.logits.argmax(axis=1) == studio.pool.labels).all()
    other = write_pictures(tmp_path / "other", 2)
    (other / "sky").rename(other / "sea")
    assert plan(tmp_path / "ws2", other).description.teacher == ""


def test_the_side_that_is_proposed_enlarges_at_most_half_of_the_pictures(tmp_path):
    for name, side in (("a", 70), ("b", 100), ("c", 150)):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", (side, side + 20)).save(tmp_path / "set" / name / "0.png")
    assert plan(tmp_path / "ws", tmp_path / "set").description.side == 96
    assert plan(tmp_path / "ws", tmp_path / "set", side=40).description.side == 40


def test_numbered_folders_and_a_broken_picture(tmp_path):
    source = write_pictures(tmp_path / "set", 3)
    for name, number in zip(NAMES, ("1", "2", "3"), strict=True):
        (source / name).rename(source / number)
    (source / "2" / "9.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    chosen = plan(tmp_path / "ws", source)
    assert any("Cannot be read" in line and "2/9.png" in line for line in chosen.lines)
    *_, last = finish(make(chosen))
    assert "9 pictures" in last.message and "1 left out" in last.message and '"1" is "1"' in last.message


def test_a_class_of_one_picture_is_said(tmp_path):
    source = write_pictures(tmp_path / "set", 2)
    (source / "sky" / "01.png").unlink()
    assert 'Of "sky" there is one picture only' in " ".join(plan(tmp_path / "ws", source).notes)


def photographs_zip(folder, *, n=6, inside="photographs", splits=("",), names=NAMES):
    """A zip of real pictures in a folder of its own, of each split if there are some."""
    for split in splits:
        write_pictures(folder / inside / split, n, names, first=50)
    packed = shutil.make_archive(str(folder / "photographs"), "zip", folder, inside)
    shutil.rmtree(folder / inside)
    return Path(packed)


@pytest.mark.parametrize("splits", [("",), ("train", "val")])
def test_real_photographs_in_a_zip_are_copied_into_the_project(given, tmp_path, splits):
    """Byte by byte, by class, with the split that they have; the zip may go then, and the project is whole."""
    packed, root = photographs_zip(tmp_path, splits=splits), tmp_path / "fruit"
    chosen = plan(root, given / "made" / "pool", real=packed, teacher=str(given / "teacher"))
    said = " ".join(chosen.lines)
    assert "Real pictures in photographs.zip 18 pictures of 3 classes, 6 of each" in said
    assert ("For the test: 18 pictures" in said) is (len(splits) == 2)
    assert f'copied into the project, to "{chosen.real.folder.name}"' in said and not root.exists()
    with zipfile.ZipFile(packed) as opened:
        there = sorted(opened.read(name) for name in opened.namelist() if name.endswith(".png"))
    finish(make(chosen))
    packed.unlink()
    files = sorted(chosen.real.folder.rglob("*.png"))
    assert sorted(file.read_bytes() for file in files) == there
    with Studio(root, **QUICK) as studio:
        n_test = 18 if len(splits) == 2 else 3  # all, or a fifth of each six
        assert [len(studio.bundle.all_train_images[1]), len(studio.bundle.test_set[1])] == [
            len(there) - n_test,
            n_test,
        ]
        finish(studio.score())
        logits = studio.bundle.teacher(torch.device("cpu")).predict(torch.tensor(studio.bundle.test_set[0]))[
            0
        ]
        assert (
            logits.argmax(dim=1).numpy() == studio.bundle.test_set[1]
        ).mean() > 0.9  # each under its class


def test_real_pictures_that_cannot_be_read_or_have_another_class_are_left_out_and_said(given, tmp_path):
    packed, root = photographs_zip(tmp_path, names=(*NAMES, "tree")), tmp_path / "fruit"
    with zipfile.ZipFile(packed, "a") as opened:
        opened.writestr("photographs/sky/broken.png", b"\x89PNG\r\n\x1a\nno more")
    chosen = plan(root, given / "made" / "pool", real=packed)
    assert 'classes that the pictures have not are left aside: "tree"' in " ".join(chosen.notes)
    events = finish(make(chosen))
    assert any("1 that cannot be read left out" in event.message for event in events)
    assert len(list(chosen.real.folder.rglob("*.png"))) == 18


def test_a_project_that_was_stopped_is_made_by_the_same_again(given, tmp_path):
    """Nothing half-copied stays, and what is whole is not copied twice."""
    packed, root = photographs_zip(tmp_path, n=12), tmp_path / "fruit"
    chosen = plan(root, given / "made" / "pool", real=packed)
    events = make(chosen)
    assert "Copying real pictures" in next(events).message
    events.close()
    assert not list(root.rglob("*.png"))
    finish(make(chosen))
    copied = {file: file.stat().st_mtime_ns for file in chosen.real.folder.rglob("*.png")}
    shutil.rmtree(root / "pool")
    finish(make(plan(root, given / "made" / "pool", real=packed)))
    assert len(copied) == 36 and all(file.stat().st_mtime_ns == time for file, time in copied.items())


def test_a_set_is_judged_beside_real_pictures_from_a_zip(given, tmp_path):
    recipe = recipe_for_set(tmp_path / "ws", given / "made" / "pool", photographs_zip(tmp_path))
    assert len(load_bundle(recipe.bundle).test_set[1]) == 3


def test_a_class_may_be_called_train(given, tmp_path):
    """A folder of that name is a split only beside one for the test."""
    for folder, first in (("set", 0), ("real", 50)):
        write_pictures(tmp_path / folder, 6, first=first)
        (tmp_path / folder / "sky").rename(tmp_path / folder / "train")
    finish(make(plan(tmp_path / "ws", tmp_path / "set", real=tmp_path / "real")))
    with Studio(tmp_path / "ws") as studio:
        assert studio.bundle.class_names == ("apple", "plum", "train") and len(studio.bundle.test_set[1]) == 3


def nothing(root):
    """The pictures stay as they are."""


def without_real_sky(root):
    shutil.rmtree(root / "real" / "sky")


def one_real_sky(root):
    for file in sorted((root / "real" / "sky").iterdir())[1:]:
        file.unlink()


def only_train(root):
    (root / "real").rename(root / "train")
    (root / "real").mkdir()
    (root / "train").rename(root / "real" / "train")


def sky_is_sea(root):
    (root / "pool" / "sky").rename(root / "pool" / "sea")


def test_what_is_said_of_the_pictures_is_said_to_the_import(given, tmp_path, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (given / "made" / "pool").glob("*/*.png"):
        shutil.copy(file, flat / f"{file.parent.name}-{file.name}")
    flags = ["--pictures", str(flat), "--rule", "{class}-#", "-q"]
    assert main(["new", str(tmp_path / "ws"), *flags]) == 0
    assert "Imported 18 pictures of 3 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("prepare", "flags", "said"),
    [
        (nothing, ["--pictures", "{nowhere}"], "There is nothing at"),
        (nothing, ["--size", "4"], "4 x 4"),
        (nothing, ["--teacher", "{nowhere}"], "neither a folder nor a name of timm"),
        (without_real_sky, ["--real", "{real}"], 'has no real pictures of "sky"'),
        (one_real_sky, ["--real", "{real}"], 'has 1 real picture of "sky", but 2 are needed'),
        (only_train, ["--real", "{real}"], 'has no folder "apple" of real pictures at once'),
        (nothing, ["--real", "{nowhere}"], "There is nothing at"),
        (nothing, ["--real", "{zip}"], "is a zip whose end is missing"),
        (sky_is_sea, ["--teacher", "{teacher}"], 'knows no "sea"'),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_before_anything_is(given, tmp_path, capsys, prepare, flags, said):
    source = shutil.copytree(given / "made", tmp_path / "given")
    shutil.copytree(given / "real", source / "real")
    prepare(source)
    (tmp_path / "half.zip").write_bytes((given / "pool.zip").read_bytes()[:-200])
    places = {
        "zip": tmp_path / "half.zip",
        "nowhere": tmp_path / "no-where",
        "real": source / "real",
        "teacher": given / "teacher",
    }
    filled = [flag.format(**places) for flag in flags]
    pictures = [] if "--pictures" in filled else ["--pictures", str(source / "pool")]
    assert main(["new", str(tmp_path / "ws"), *pictures, *filled]) == 2
    problem, _ = problem_and_fix(capsys.readouterr().err)
    assert said in problem
    assert not (tmp_path / "ws").exists()


def test_a_pool_that_is_there_is_kept(given, tmp_path):
    finish(make(plan(tmp_path / "ws", given / "made" / "pool")))
    with pytest.raises(StudioError, match="holds a pool already"):
        plan(tmp_path / "ws", given / "made" / "pool")
