"""The ImageNet teacher that ships: whole, small enough, opened alike by timm, and made by one command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.shipped import differences, read_teacher_index, shipped_teachers
from psr_studio.bundles.sources import Source, locate
from psr_studio.cli.doctor import teachers
from psr_studio.cli.main import main
from psr_studio.core.errors import ModelError
from psr_studio.core.resources import resource_dir
from psr_studio.models.levels import from_uint8
from psr_studio.models.teacher import Teacher, create_backbone
from psr_studio.training.imagenet_teacher import CONFIG, TASK, by_order, measure

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenette-sample"
MIB = 2**20


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def folder() -> Path:
    return shipped_teachers()["imagenet-teacher"]


def test_it_is_whole_in_half_precision_and_all_assets_stay_small(folder):
    files = read_teacher_index(folder)["files"]
    assert {"LICENSE", "README.md", "config.json", "model.safetensors"} == files.keys()
    assert differences(folder, files) == []
    state = load_file(folder / "model.safetensors")
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}
    sizes = [path.stat().st_size for path in resource_dir("assets").rglob("*") if path.is_file()]
    assert max(sizes) < 16 * MIB and sum(sizes) < 60 * MIB


def test_timm_opens_it_and_answers_the_same(folder):
    """On a picture of the network's own size, shown as timm shows it, both give equal logits."""
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 256, 256) * 2 - 1
    teacher = Teacher.from_timm_folder(folder)
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    data = timm.data.resolve_model_data_config(theirs)
    assert [*data["mean"], *data["std"]] == [0.5] * 6 and data["crop_pct"] == 0.875
    with torch.no_grad():
        expected = theirs(picture[..., 16:240, 16:240])  # 224 of 256, centre; values are in [-1, 1] already
        torch.testing.assert_close(teacher(picture)[0], expected, rtol=1e-4, atol=1e-4)


def test_a_description_names_it_and_it_is_here(folder):
    assert locate(Source("teacher", "imagenet-teacher", ("config.json", "model.safetensors"))) == folder


def test_doctor_tells_of_it_and_of_what_differs(folder, monkeypatch, tmp_path):
    (found,) = teachers()
    assert (
        found.name == 'Teacher "imagenet-teacher"' and not found.fix and "as its SHA-256 says" in found.found
    )
    copy = tmp_path / "assets" / "imagenet-teacher"
    copy.mkdir(parents=True)
    for name in ("teacher.toml", "config.json", "LICENSE", "README.md"):
        (copy / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr("psr_studio.bundles.shipped.resource_dir", lambda kind: tmp_path / kind)
    (found,) = teachers()
    assert found.needed_is_missing and found.found == f"{copy / 'model.safetensors'} is missing."


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not on this machine")
def test_it_knows_the_photographs_it_was_measured_on(folder, tmp_path):
    """Three of each class that it was not trained on: 98.7 % of all are right, so 27 of 30 are."""
    few = tmp_path / "few"
    for name in load_bundle(TASK).index["wordnet_ids"]:
        for split in ("train", "val"):
            (few / split / name).mkdir(parents=True)
            for path in sorted((PHOTOGRAPHS / "val" / name).iterdir())[: 3 if split == "val" else 1]:
                (few / split / name / path.name).write_bytes(path.read_bytes())
    found = measure(Teacher.from_timm_folder(folder), few)
    assert found.n == 40 and found.task_top1 >= 0.9


def test_tensors_take_the_places_of_their_numbers():
    one, two = torch.rand(2, 3), torch.rand(4)
    assert by_order({"a": one, "b": two}, {"x": torch.zeros(2, 3), "y": torch.zeros(4)}, Path("f")) == {
        "x": one, "y": two,
    }  # fmt: skip
    with pytest.raises(ModelError, match="f holds 1 tensors, but tf_efficientnet_lite0 has 2"):
        by_order({"a": one}, {"x": one, "y": two}, Path("f"))
    with pytest.raises(ModelError, match=r"f: a is \(2, 3\), but x needs \(4,\)"):
        by_order({"a": one}, {"x": two}, Path("f"))


def test_one_command_makes_it_of_a_checkpoint_with_other_names(tmp_path, capsys):
    """A network of random weights comes back: within the rounding of float16, whatever its tensors were called."""
    torch.manual_seed(0)
    network = create_backbone(CONFIG).eval()
    renamed = {f"_tensor{i}": value for i, value in enumerate(network.state_dict().values())}
    torch.save(renamed, tmp_path / "lite0.pth")
    rng = np.random.default_rng(0)
    for name in load_bundle(TASK).index["wordnet_ids"]:
        for split in ("train", "val"):
            (tmp_path / "photographs" / split / name).mkdir(parents=True)
            noise = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
            noise.save(tmp_path / "photographs" / split / name / "1.png")
    out = tmp_path / "made"
    command = ["convert-teacher", str(tmp_path / "lite0.pth"), "--photographs", str(tmp_path / "photographs")]
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "4,652,008 parameters" in said and "on 20 photographs" in said
    assert differences(out, read_teacher_index(out)["files"]) == []
    picture = from_uint8(rng.integers(0, 256, (1, 256, 256, 3)).astype(np.uint8))
    made = Teacher.from_timm_folder(out)
    whole = Teacher(network, CONFIG, "float32")
    torch.testing.assert_close(made(picture)[0], whole(picture)[0], rtol=0.02, atol=0.02)
    assert "| float16, as stored | 20 |" in (out / "README.md").read_text()
