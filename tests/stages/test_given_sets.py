"""Any set is evaluated as it lies: folder, zip, tensors or workspace, beside real ones, on any test images."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from commands import problem_and_fix
from own_pictures import QUICK, colour, write_pictures
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import CLASS_NAMES, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.embedded import write_idx
from psr_studio.cli.main import main
from psr_studio.core.errors import SelectionError
from psr_studio.recipe.toml import to_toml
from psr_studio.stages.evaluate.arms import plan_arms
from psr_studio.stages.evaluate.comparing import rankings
from psr_studio.stages.evaluate.given import count_test_images, look_at_set, read_set, read_test_images
from psr_studio.stages.evaluate.stage import history
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.importing.items import PoolImportError
from psr_studio.stages.labels import soften

FOLDERS = ("00_boot", "01_T-shirt-top", "02_dress")  # as an export names them


def write_set(root, n: int = 2, size: int = 12):
    """Grey pictures of the tiny bundle's classes: the k-th of class c is all 40 c + k."""
    for c, name in enumerate(FOLDERS):
        (root / name).mkdir(parents=True)
        for k in range(n):
            Image.fromarray(np.full((size, size), 40 * c + k, np.uint8)).save(root / name / f"{k}.png")
    return root


def forms(root, tmp_path):
    """The same set as a folder, a zip and a file of tensors."""
    shutil.make_archive(str(tmp_path / "set"), "zip", root)
    levels = torch.tensor([[40 * c + k] for c in range(3) for k in range(2)], dtype=torch.uint8)
    images = levels[:, :, None, None].expand(6, 1, 12, 12).contiguous()
    save_file({"images": images, "labels": torch.tensor([0, 0, 1, 1, 2, 2])}, tmp_path / "set.safetensors")
    return [root, tmp_path / "set.zip", tmp_path / "set.safetensors"]


def test_a_set_is_read_from_folder_zip_and_tensors_alike(tiny_bundle, tmp_path):
    studio = Studio(tmp_path / "ws", tiny_recipe(tiny_bundle))
    wanted = [40 * c + k for c in range(3) for k in range(2)]
    for path in forms(write_set(tmp_path / "set"), tmp_path):
        given = look_at_set(path, studio.bundle)
        images, labels = read_set(given, studio.bundle)
        assert given.counts == {0: 2, 1: 2, 2: 2} and labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert images.shape == (6, 12, 12, 1) and images[:, 0, 0, 0].tolist() == wanted, path
    studio.close()


def test_a_set_stands_beside_random_real_images_without_any_pool(tiny_bundle, tmp_path):
    """As many of each class, the same labels, hard ones beside soft ones, and all real images where that is asked."""
    path = write_set(tmp_path / "set")
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.evaluate(sets=[str(path)], full=True, n_seeds=1))
        rows = studio.table()
        assert [(row.name, row.label_regime, row.n_images) for row in rows] == [
            (f'set "{path}"', "teacher, tau 1.5", 6),
            ("random real", "teacher, tau 1.5", 6),
            ("random real", "hard", 6),
            ("all real", "hard", 48),
        ]
        (event,) = finish(studio.evaluate())
        assert event.message == "All 4 students are trained."
        Image.fromarray(np.full((12, 12), 9, np.uint8)).save(path / "00_boot" / "0.png")
        assert studio.status()["evaluate"].state != "fresh", "another picture is another set"


def test_a_given_set_and_a_selection_share_their_controls(studio, tmp_path):
    path = write_set(tmp_path / "set")
    studio.set({"evaluate.sets": [str(path)], "evaluate.arms": ["selected"]})
    names = [arm.name for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)]
    assert names[:2] == ['selected "current"', f'set "{path}"'] and names[2:4] == [
        "random real",
        "generate-and-use",
    ]
    shutil.rmtree(path / FOLDERS[2])
    with pytest.raises(SelectionError) as err:
        plan_arms(studio.workspace, studio.recipe, studio.bundle)
    assert 'holds 2 classes and the selection "current" 3' in err.value.problem


def test_images_and_labels_of_given_and_of_all_real_ones(studio, tmp_path):
    path = write_set(tmp_path / "set")
    studio.set(
        {
            "evaluate.sets": [str(path)],
            "evaluate.full": True,
            "evaluate.labels": "hard",
            "evaluate.arms": ["selected"],
        }
    )
    arms = {arm.form: arm for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)}
    trainer = Trainer(studio.workspace, studio.recipe, studio.bundle)
    images, labels, logits = trainer.data_of(arms["set"], 0)
    assert images[:, 0, 0, 0].tolist() == [0, 1, 40, 41, 80, 81] and logits is None and len(labels) == 6
    whole, labels, _ = trainer.data_of(arms["all real"], 0)
    assert len(whole) == 48 == sum(arms["all real"].counts), "those that are held out as well"
    assert np.array_equal(whole, studio.bundle.all_train_images[0])


def test_all_real_images_train_by_the_epochs_of_as_many_images(studio):
    studio.set(
        {
            "evaluate.protocol": "minimax",
            "evaluate.epochs": "minimax",
            "evaluate.full": True,
            "evaluate.arms": ["selected"],
        }
    )
    epochs = {
        arm.form: arm.epochs(studio.recipe.evaluate)
        for arm in plan_arms(studio.workspace, studio.recipe, studio.bundle)
    }
    assert epochs["selected"] == 2000 and epochs["all real"] == 1500, "2 and 16 images of a class"


def write_official(root, images, labels):
    for name, values in (("images-idx3-ubyte", images[..., 0]), ("labels-idx1-ubyte", labels)):
        write_idx(values, root / f"t10k-{name}.gz")


def test_test_images_come_from_a_folder_a_data_set_on_disk_and_official_files(
    tiny_bundle, tmp_path, monkeypatch
):
    """Class folders in test/, a Hugging Face data set with its split, and idx files as torchvision puts them."""
    datasets = pytest.importorskip("datasets")
    from psr_studio.bundles.data_sets import DATA_SETS, DataSet

    studio = Studio(tmp_path / "ws", tiny_recipe(tiny_bundle))
    root = tmp_path / "real"
    write_set(root / "test", 3)
    write_set(root / "train", 1)
    wanted, labels = read_set(look_at_set(root / "test", studio.bundle), studio.bundle)
    found = [read_test_images(root, studio.bundle)]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASS_NAMES))}
    )
    rows = {"image": [Image.fromarray(x[..., 0]) for x in wanted], "label": labels.tolist()}
    table = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"test": table}).save_to_disk(tmp_path / "hf")
    found.append(read_test_images(tmp_path / "hf", studio.bundle))
    known = DataSet("tiny", "Tiny", 12, 1, CLASS_NAMES)
    monkeypatch.setitem(DATA_SETS, "tiny", known)
    (tmp_path / "idx").mkdir()
    write_official(tmp_path / "idx", wanted, labels)
    found.append(read_test_images(tmp_path / "idx", studio.bundle))
    for images, classes in found:
        assert np.array_equal(images, wanted) and classes.tolist() == labels.tolist()
    finish(studio.evaluate(sets=[str(root / "train")], test_images=str(root), n_seeds=1, controls=False))
    (record,) = studio.workspace.ledger.evaluations()
    assert sum(n for *_, n in record.confusion) == 9, "nine test images"
    studio.close()


def test_one_command_judges_a_folder_beside_real_pictures(tmp_path, capsys):
    """No bundle, no teacher, no pool: hard labels, the real pictures split here, controls as many."""
    made = write_pictures(tmp_path / "made", 2, ("plum", "tree"))
    real = write_pictures(tmp_path / "real", 20, ("plum", "tree"), first=50)
    assert colour("plum", 0).shape == (32, 32, 3)
    flags = [f"--set={key}={value}" for key, value in QUICK.items() if key not in ("device", "select.ipc")]
    command = ["evaluate", str(made), "--protocol", "minimax", "--labels", "hard", "--real", str(real), "-q"]
    command += ["-w", str(tmp_path / "ws"), "--device", "cpu", *flags]
    assert main(command) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert f'set "{made}"' in out and "random real" in out and "minimax" in out and "hard" in out
    assert main(command) == 0 and capsys.readouterr().out == out, "the same again trains nothing anew"
    assert main(["evaluate", "--real", str(real), "-w", str(tmp_path / "none"), "-q"]) == 2
    assert "Name the set, or leave out --real" in capsys.readouterr().err


def test_a_set_that_cannot_be_read_leaves_nothing_behind_and_names_no_control_of_an_import(
    tmp_path, tiny_bundle, capsys
):
    """Nor does one that is tested on itself; a workspace that is there keeps its recipe."""
    (tmp_path / "empty").mkdir()
    path, root = write_set(tmp_path / "set"), tmp_path / "ws"

    def refused(*flags: str) -> tuple[str, str]:
        assert main(["evaluate", *flags, "-w", str(root), "-q"]) == 2
        return problem_and_fix(capsys.readouterr().err)

    problem, fix = refused(str(tmp_path / "empty"))
    assert problem.endswith('empty" holds no pictures.') and "--" not in fix and not root.exists()
    assert fix.startswith("Name a folder with a folder of pictures for each class")
    about = ["-p", str(tmp_path / "tiny.toml")]
    (tmp_path / "tiny.toml").write_text(to_toml(tiny_recipe(tiny_bundle)), encoding="utf-8")
    problem_of_itself, fix_of_itself = refused(str(path), "--test", str(path), *about)
    assert "which students are trained on" in problem_of_itself and "(--test)" in fix_of_itself
    assert not root.exists()
    with Studio(root, "fashion-mnist"):
        saved = (root / "recipe.toml").read_bytes()
    assert refused(str(tmp_path / "empty")) == (problem, fix)
    assert (root / "recipe.toml").read_bytes() == saved


def test_pictures_that_are_trained_on_are_no_test_images(studio, tmp_path):
    """Neither the folder of the set nor one around it; the test split beside a training split is."""
    write_set(tmp_path / "real" / "train", 1)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "train")
    for tested in ("real/train", "link", "real"):
        with pytest.raises(PoolImportError) as err:
            studio.set(
                {
                    "evaluate.sets": [str(tmp_path / "real" / "train")],
                    "evaluate.test_images": str(tmp_path / tested),
                }
            )
        assert "an accuracy on them says nothing" in err.value.problem and not studio.recipe.evaluate.sets
    write_set(tmp_path / "real" / "test", 3)
    studio.set({
        "evaluate.sets": [str(tmp_path / "real" / "train")], "evaluate.test_images": str(tmp_path / "real"),
    })  # fmt: skip


def test_an_export_is_evaluated_by_its_own_soft_labels_on_request(studio, tiny_bundle, tmp_path):
    """Probabilities are those of its file, picture by picture; the controls beside it keep the teacher's."""
    finish(studio.select())
    finish(studio.export(refined=False))
    folder = studio.workspace.export_path("set")
    stored = load_file(folder / "soft_labels.safetensors")
    lines = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()
    marked = [line.split(",") for line in lines]
    first = marked[0].index("soft_label_0")
    marked[1][first : first + 3] = ["0.25", "0.25", "0.5"]  # no teacher's label
    (folder / "labels.csv").write_text(
        "\n".join(map(",".join, [marked[0], *marked[:0:-1]])), encoding="utf-8"
    )
    expected = stored["soft_labels"].numpy().copy()
    expected[0] = (0.25, 0.25, 0.5)
    with Studio(tmp_path / "other", tiny_recipe(tiny_bundle)) as other:
        finish(other.evaluate(sets=[str(folder)], set_labels=True, n_seeds=1, epochs=1))
        assert [(row.arm, row.label_regime) for row in other.table()] == [
            ("set", "own labels, tau 1.5"), ("random real", "teacher, tau 1.5"), ("random real", "hard"),
        ]  # fmt: skip
        (score,), real = rankings(history(other.workspace)), other.table()[1]
        assert score.ior == score.row.last_mean - real.last_mean, "IOR is against the teacher's labels"
        assert score.missing == "the set with hard labels, both without augmentation"
        arm = plan_arms(other.workspace, other.recipe, other.bundle)[0]
        images, labels, logits = Trainer(other.workspace, other.recipe, other.bundle).data_of(arm, 0)
        assert np.array_equal(labels, stored["labels"].numpy())
        np.testing.assert_allclose(soften(logits, arm.temperature), expected, atol=1e-5)
        other.set({"evaluate.labels": "hard"})
        assert [arm.label_regime for arm in plan_arms(other.workspace, other.recipe, other.bundle)] == [
            "hard"
        ] * 2
        other.set({"evaluate.labels": "protocol"})
        (folder / "labels.csv").unlink()
        with pytest.raises(SelectionError) as err:
            plan_arms(other.workspace, other.recipe, other.bundle)
        assert err.value.problem == f'"{folder}" has no soft labels of its own: it holds no "labels.csv".'


def test_test_images_of_a_path_are_counted_without_the_bundles_own_and_named_in_the_table(
    studio, tmp_path, monkeypatch
):
    write_set(tmp_path / "elsewhere" / "test", 3)
    studio.set({"evaluate.test_images": str(tmp_path / "elsewhere")})
    monkeypatch.setattr(type(studio.bundle), "test_set", property(lambda self: 1 / 0))
    assert count_test_images(studio.recipe.evaluate, studio.bundle) == 9
    finish(studio.evaluate(arms=["selected"], n_seeds=1, controls=False))
    assert [row.protocol for row in history(studio.workspace)] == ['psr-kd, test images of "elsewhere"']
