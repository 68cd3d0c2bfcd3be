"""Soft labels that come along with an import are those of selection, training and export; a doubt is asked about."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import problem_and_fix
from PIL import Image
from safetensors.numpy import load_file, save_file
from tiny import SIZE, finish, full_studio, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import StudioError
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.items import ImageSource, LabelRows
from psr_studio.stages.importing.soft_labels import LOGITS, PROBABILITIES, matched
from psr_studio.stages.labels import soften

FOLDERS = ("boot", "T-shirt top", "dress")
N = 5
TAU = 1.5
LABELS = np.repeat(np.arange(3), N)


def picture(c: int, i: int) -> np.ndarray:
    return np.random.default_rng([c, i]).integers(0, 256, (SIZE, SIZE), np.uint8)


def some_logits() -> np.ndarray:
    """(15, 3) float32 in the order of the classes, each largest at its class."""
    drawn = np.random.default_rng(7).normal(0, 1, (3 * N, 3)).astype(np.float32)
    return drawn + 6 * np.eye(3, dtype=np.float32)[LABELS]


LOGIT_ROWS = some_logits()
# Files sort by name, so "T-shirt top" (class 1) comes before "boot" (class 0).
BY_NAME = np.concatenate([LOGIT_ROWS[LABELS == c] for c in (1, 0, 2)])
NAMES = [f"{FOLDERS[c]}/{i}.png" for c in (1, 0, 2) for i in range(N)]


@pytest.fixture
def pictures(tmp_path) -> Path:
    for c, name in enumerate(FOLDERS):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(N):
            Image.fromarray(picture(c, i)).save(tmp_path / "set" / name / f"{i}.png")
    return tmp_path / "set"


@pytest.fixture
def empty(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        yield studio


def taken(studio, source: Path, labels: Path, **options) -> str:
    """Import with labels, hold those of the pool against the ones that went in, and return what was said.

    A look before says the same of what will be imported, and leaves no pool.
    """
    seen = studio.check_import(source, labels=labels, **options)
    assert not len(studio.pool)
    said = finish(studio.import_pool(source, labels=labels, **options))[-1].message
    assert np.array_equal(studio.pool.labels, LABELS)
    assert seen == said.replace("Imported", "Would import") + " Nothing is written yet."
    kept = studio.pool.own_logits_at(np.arange(len(LABELS)))
    assert np.allclose(soften(kept, TAU), soften(LOGIT_ROWS, TAU), atol=1e-5)
    about = json.loads((studio.workspace.root / "pool" / "import.json").read_text())["soft_labels"]
    assert about["file"] == labels.name and about["file"] in said and about["agreement"] == "100%"
    return said


def refused(studio, source: Path, labels: Path, **options) -> StudioError:
    with pytest.raises(StudioError) as err:
        finish(studio.import_pool(source, labels=labels, **options))
    assert not len(studio.pool)
    return err.value


def table(path: Path, head: list | None, rows: list) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([*([head] if head else []), *rows])
    return path


# Every format


def npz(root: Path) -> Path:
    np.savez(root / "soft.npz", logits=BY_NAME)
    return root / "soft.npz"


def npz_with_names(root: Path) -> Path:
    np.savez(root / "soft.npz", names=np.array(NAMES[::-1]), soft_labels=soften(BY_NAME, TAU)[::-1])
    return root / "soft.npz"


def npy(root: Path) -> Path:
    np.save(root / "teacher.npy", BY_NAME)
    return root / "teacher.npy"


def pt(root: Path) -> Path:
    torch.save(torch.from_numpy(BY_NAME).double(), root / "soft.pt")
    return root / "soft.pt"


def safetensors(root: Path) -> Path:
    save_file({"soft_labels": soften(BY_NAME, TAU), "labels": np.arange(15)}, root / "soft.safetensors")
    return root / "soft.safetensors"


def csv_of_classes(root: Path) -> Path:
    """Columns named by class, in another order, beside a hard label in words."""
    rows = [[NAMES[i], "x", *BY_NAME[i, [2, 0, 1]]] for i in reversed(range(15))]
    return table(root / "soft.csv", ["file", "label", "Dress", "boot", "T-shirt/top"], rows)


def csv_of_numbers(root: Path) -> Path:
    """As our exports have them: the number of the class behind a word."""
    rows = [[f"/data/train/{NAMES[i]}", 1, *soften(BY_NAME, TAU)[i]] for i in range(15)]
    return table(root / "soft.csv", ["file", "label", "soft_label_0", "soft_label_1", "soft_label_2"], rows)


def csv_without_head(root: Path) -> Path:
    return table(root / "soft.csv", None, [[n, *row] for n, row in zip(NAMES, BY_NAME, strict=True)])


def csv_in_order(root: Path) -> Path:
    return table(root / "soft.csv", ["0", "1", "2"], BY_NAME.tolist())


def fkd(root: Path) -> Path:
    """A file per picture: coordinates, flips and logits of two crops, whose mean is the label."""
    for name, row in zip(NAMES, BY_NAME, strict=True):
        file = (root / "fkd" / name).with_suffix(".tar")
        file.parent.mkdir(parents=True, exist_ok=True)
        crops = torch.from_numpy(np.stack([row - 1, row + 1]))
        torch.save([torch.rand(2, 4), torch.tensor([0.0, 1.0]), crops], file)
    return root / "fkd"


FORMATS = {
    npz: (LOGITS, "in order"), npz_with_names: (PROBABILITIES, "by file name"), npy: (LOGITS, "in order"),
    pt: (LOGITS, "in order"), safetensors: (PROBABILITIES, "in order"), csv_of_classes: (LOGITS, "by file name"),
    csv_of_numbers: (PROBABILITIES, "by file name"), csv_without_head: (LOGITS, "by file name"),
    csv_in_order: (LOGITS, "in order"), fkd: (LOGITS, "by file name"),
}  # fmt: skip


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_each_picture_its_own_label(empty, pictures, tmp_path, write):
    numbers, rows = FORMATS[write]
    said = taken(empty, pictures, write(tmp_path))
    assert (
        f"({numbers}, rows {rows}, columns {'by class name' if write is csv_of_classes else 'in order'})"
        in said
    )


def test_probabilities_stay_what_they_are_at_the_temperature_of_the_recipe(empty, pictures, tmp_path):
    """softmax(tau log q / tau) = q; a share of 0 stays below 1e-6."""
    given = np.eye(3, dtype=np.float32)[[1] * N + [0] * N + [2] * N] * 0.75
    given[:, 0] += 0.25
    np.savez(tmp_path / "soft.npz", soft_labels=given)
    finish(empty.import_pool(pictures, labels=tmp_path / "soft.npz"))
    kept = soften(empty.pool.own_logits_at(np.arange(15)), TAU)
    wanted = np.concatenate([given[N : 2 * N], given[:N], given[2 * N :]])
    assert np.abs(kept - wanted).max() < 1e-6


def test_a_limit_takes_the_rows_of_the_pictures_that_are_kept(empty, pictures, tmp_path):
    finish(empty.import_pool(pictures, labels=npz(tmp_path), limit=2))
    kept = empty.pool.own_logits_at(np.arange(6))
    assert np.allclose(kept, LOGIT_ROWS[[0, 1, 5, 6, 10, 11]])


def test_of_a_teacher_of_imagenet_the_rows_of_the_classes_count():
    """Probabilities over 1000 classes become those among the two: q5 / (q5 + q7), whatever the rest had."""
    among = np.full((2, 1000), 0.5 / 998, np.float32)
    among[0, [5, 7]], among[1, [5, 7]] = (0.3, 0.2), (0.1, 0.4)
    source = ImageSource(Path("set"), "folder", {"a": 1, "b": 1})
    labels = matched(LabelRows(among), source, ClassNames(("a", "b"), (), (5, 7)), TAU, "soft.npy")
    assert labels.about["columns"] == "by row of ImageNet-1K" and labels.about["numbers"] == PROBABILITIES
    assert np.allclose(soften(labels.logits, TAU), [[0.6, 0.4], [0.2, 0.8]], atol=1e-6)


# What they are used for


def test_selection_training_and_export_use_them(tmp_path, tiny_bundle, pictures):
    """Scores of the pool are the given ones, real controls keep the teacher's, and table and card say so."""
    recipe = tiny_recipe(tiny_bundle, evaluate__arms=("selected",), evaluate__epochs=1, evaluate__n_seeds=1)
    with Studio(tmp_path / "ws", recipe) as studio:
        for stage in (lambda: studio.import_pool(pictures, labels=npz(tmp_path)), studio.score):
            finish(stage())
        scores = studio.scores
        assert np.array_equal(scores.logits, LOGIT_ROWS)
        assert not np.allclose(scores.teacher_logits, LOGIT_ROWS, atol=0.1)
        assert studio.status()["pool"].reason.startswith('Imported from "set"; soft labels from "soft.npz"')
        for stage in (studio.select, studio.evaluate, partial(studio.export, refined=False)):
            finish(stage())
        chosen = studio.selection()
        assert np.allclose(chosen.soft_labels, soften(LOGIT_ROWS[chosen.positions], TAU), atol=1e-6)
        rows = evaluate.table(studio.workspace, studio.recipe, studio.bundle)
        assert {(row.name, row.label_regime) for row in rows} == {
            ('selected "current"', "own labels, tau 1.5"),
            ("generate-and-use", "own labels, tau 1.5"),
            ("random real", "teacher, tau 1.5"),
            ("random real", "hard"),
        }
        folder = tmp_path / "ws" / "exports" / "set"
        kept = load_file(folder / "soft_labels.safetensors")
        assert np.allclose(kept["logits"], LOGIT_ROWS[chosen.positions])
        card = (folder / "README.md").read_text()
        assert "chosen by the signals of the soft labels that they came with" in card
        assert 'soft labels: soft labels from "soft.npz" (logits, rows in order' in card
        assert "The soft labels came with the pictures; so does their licence." in card


def test_an_export_and_its_labels_come_back_as_they_were(tmp_path, tiny_bundle):
    with full_studio(tmp_path / "first", tiny_bundle) as studio:
        finish(studio.export(refined=False))
        chosen, shown = studio.selection(), studio.pool.images_at(studio.selection().positions)
        logits = studio.scores.logits[chosen.positions]
    export = tmp_path / "first" / "exports" / "set"
    for number, labels in enumerate(("labels.csv", "soft_labels.safetensors")):
        with Studio(tmp_path / f"again-{number}", tiny_recipe(tiny_bundle)) as studio:
            finish(studio.import_pool(export, labels=export / labels))
            assert np.array_equal(studio.pool.images, shown)
            kept = studio.pool.own_logits_at(np.arange(len(chosen)))
            assert np.allclose(soften(kept, TAU), soften(logits, TAU), atol=1e-5)


def test_the_pool_of_another_workspace_brings_its_labels(empty, tmp_path, tiny_bundle, pictures):
    finish(empty.import_pool(pictures, labels=npz(tmp_path)))
    empty.close()
    with Studio(tmp_path / "second", tiny_recipe(tiny_bundle)) as studio:
        said = finish(studio.import_pool(tmp_path / "ws"))[-1].message
        assert np.array_equal(studio.pool.own_logits_at(np.arange(15)), LOGIT_ROWS)
        assert 'soft labels from "ws" (logits, rows in order, columns by class name)' in said


def test_labels_in_order_follow_the_folders_to_another_order(tmp_path, tiny_bundle):
    """Folders 0, 1, 2 hold classes 1, 2, 0, and so do the columns: both move, and each picture keeps its own class."""
    with full_studio(tmp_path / "made", tiny_bundle, pool__pool_size=8, select__ipc=5) as studio:
        at, own = studio.pool.labels, studio.scores.logits.argmax(axis=1)
        images = [studio.pool.images_at(np.flatnonzero((own == c) & (at == c)))[:5] for c in range(3)]
    assert min(map(len, images)) >= 4
    to, rows = (1, 2, 0), []
    for folder, c in enumerate(to):
        (tmp_path / "set" / str(folder)).mkdir(parents=True)
        for i, image in enumerate(images[c]):
            Image.fromarray(image[..., 0]).save(tmp_path / "set" / str(folder) / f"{i}.png")
            rows.append(np.eye(3, dtype=np.float32)[folder] * 5 + i)
    np.save(tmp_path / "soft.npy", np.stack(rows))
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.import_pool(tmp_path / "set", labels=tmp_path / "soft.npy"))
        finish(studio.score())
        assert studio.class_order().is_offered
        finish(studio.reorder())
        kept = studio.pool.own_logits_at(np.arange(len(studio.pool)))
        assert np.array_equal(kept.argmax(axis=1), studio.pool.labels)
        assert studio.pool.has_own_logits and "soft labels" in studio.status()["pool"].reason


# What is refused


def test_columns_in_another_order_than_the_classes_are_refused(empty, pictures, tmp_path):
    np.save(tmp_path / "soft.npy", BY_NAME[:, [2, 0, 1]])
    err = refused(empty, pictures, tmp_path / "soft.npy")
    assert "is the class of 0% of the pictures, and of 100% with the columns in another order" in err.problem
    assert 'column 2 looks like "boot"' in err.problem
    assert "name them by class in the head of a CSV file" in err.fix


WRONG = {
    "rows": (lambda root: np.save(root / "x.npy", BY_NAME[:14]), '"x.npy" has 14 rows of labels, but there are 15'),
    "columns": (
        lambda root: table(root / "x.csv", None, np.zeros((15, 4)).tolist()),
        '"x.csv" has 4 columns of labels, but the task has 3 classes',
    ),
    "shape": (lambda root: np.savez(root / "x.npz", a=np.zeros((15, 4))), "no single tensor with a column for each"),
    "finite": (lambda root: np.save(root / "x.npy", BY_NAME * np.nan), "not finite numbers, in 15 of 15 rows"),
    "pickle": (lambda root: np.savez(root / "x.npz", a=np.array([{}], object)), "no plain tensors, or is damaged"),
    "half": (lambda root: (root / "x.safetensors").write_bytes(b"\0" * 20), "no plain tensors, or is damaged"),
    "kind": (lambda root: (root / "x.txt").write_text("0.1"), '"x.txt" is no file of labels that is read'),
    "empty": (lambda root: (root / "x.csv").write_text(""), '"x.csv" is empty'),
    "word": (
        lambda root: table(root / "x.csv", ["file", "0", "1", "2"], [[n, 1, "much", 3] for n in NAMES]),
        'Line 2 of "x.csv" holds "much" where a number',
    ),
    "short": (
        lambda root: table(root / "x.csv", ["0", "1", "2"], [[1, 2, 3], [1, 2]]),
        'Line 3 of "x.csv" has 2 columns, the first has 3',
    ),
    "class": (
        lambda root: table(root / "x.csv", ["file", "boot", "dress", "shirt"], [[n, 1, 2, 3] for n in NAMES]),
        'has 0 columns for the class "T-shirt/top"',
    ),
    "lacking": (
        lambda root: table(root / "x.csv", None, [[n, 1, 2, 3] for n in NAMES[1:]]),
        '1 of 15 pictures have no row in "x.csv", such as "T-shirt top/0.png"',
    ),
    "doubt": (
        lambda root: table(root / "x.csv", None, [[Path(n).name, 1, 2, 3] for n in NAMES]),
        'leaves a doubt which row is whose: "T-shirt top/0.png"',
    ),
    "twice": (
        lambda root: table(root / "x.csv", None, [[n, 1, 2, 3] for n in [*NAMES, NAMES[0]]]),
        'leaves a doubt which row is whose: "T-shirt top/0.png"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_the_labels_of_these_pictures_is_refused(empty, pictures, tmp_path, what):
    write, words = WRONG[what]
    folder = tmp_path / "given"
    folder.mkdir()
    write(folder)
    err = refused(empty, pictures, next(folder.iterdir()))
    assert words in err.problem and err.fix.endswith(".")


def test_the_command_line_takes_them_and_names_what_is_not_there(tmp_path, tiny_bundle, pictures, capsys):
    bundle = tmp_path / "recipe.toml"
    bundle.write_text(f'bundle = "{tiny_bundle}"\n')
    given = ["import", str(pictures), "-w", str(tmp_path / "ws"), "-p", str(bundle), "-q", "--labels"]
    assert main([*given, str(tmp_path / "none.npz")]) != 0
    problem, fix = problem_and_fix(capsys.readouterr().err)
    assert "There is nothing at" in problem and "--labels" in fix
    assert main([*given, str(npz(tmp_path))]) == 0
    assert 'soft labels from "soft.npz"' in capsys.readouterr().out
