"""Bundles whose parts lie elsewhere: found by name or folder, never fetched unasked, said clearly when missing."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from psr_studio.app.new_project import Training
from psr_studio.app.studio import Studio
from psr_studio.bundles.bundle import CODEC
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.described import external_bundles, load_external
from psr_studio.bundles.sources import Source, fingerprint, locate, remember
from psr_studio.cli.main import main
from psr_studio.core.errors import ModelError
from psr_studio.models.generator import Generator
from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone
from psr_studio.models.tiny import SCHEDULE, build_autoencoder, build_transformer
from psr_studio.recipe.load import load_recipe, presets

CPU = torch.device("cpu")
PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenette-sample"
# MinimaxDiffusion misc/class_*.txt and Efficient-Dataset-Condensation misc/class100.txt: label order, ImageNet rows
PAPERS = {
    "imagewoof-dit": [193, 182, 258, 162, 155, 167, 159, 273, 207, 229],
    "imagenette-dit": [0, 217, 482, 491, 497, 566, 569, 571, 574, 701],
    "imageidc-dit": [452, 64, 374, 236, 993, 176, 882, 904, 503, 74],
}
TIMM_CONFIG = {
    "architecture": "convnext_atto",
    "num_classes": 1000,
    "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
    "pretrained_cfg": {
        "input_size": [3, 224, 224],
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A generator, codec and teacher folder as the hub has them, small and random."""
    root = tmp_path_factory.mktemp("weights")
    build_transformer().save_pretrained(root / "generator" / "transformer")
    (root / "generator" / "scheduler").mkdir()
    config = {"_class_name": "DDIMScheduler", **SCHEDULE}
    (root / "generator" / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    build_autoencoder().save_pretrained(root / "codec")
    (root / "teacher").mkdir()
    (root / "teacher" / "config.json").write_text(json.dumps(TIMM_CONFIG))
    torch.manual_seed(0)
    save_file(
        create_backbone(TeacherConfig.from_timm_folder(root / "teacher", None)).state_dict(),
        root / "teacher" / "model.safetensors",
    )
    return root


@pytest.fixture
def described(tmp_path, weights) -> Path:
    """imagewoof at 64 px with these weights, in a description of the user's own."""
    text = Path(load_bundle("imagewoof-dit").path).read_text().replace("[256, 256, 3]", "[64, 64, 3]")
    for part, source in (("generator", "facebook/DiT-XL-2-256"), ("codec", "stabilityai/sd-vae-ft-mse"),
                         ("teacher", "timm/convnext_base.fb_in1k")):  # fmt: skip
        text = text.replace(f'"{source}"', f'"{weights / part}"')
    (tmp_path / "mine.toml").write_text(text)
    return tmp_path / "mine.toml"


# Descriptions and presets


@pytest.mark.parametrize("name", PAPERS)
def test_class_lists_are_in_the_label_order_of_the_papers(name):
    from timm.data import ImageNetInfo

    bundle = load_bundle(name)
    assert list(bundle.class_rows) == PAPERS[name]
    info = ImageNetInfo("imagenet-1k")
    assert [info.index_to_label_name(row) for row in PAPERS[name]] == bundle.index["wordnet_ids"]
    for class_name, row in zip(bundle.class_names, PAPERS[name], strict=True):
        assert class_name.lower() in info.index_to_description(row).lower()


def test_imagenet1k_has_all_classes_in_order():
    from timm.data import ImageNetInfo

    bundle = load_bundle("imagenet1k-dit")
    info = ImageNetInfo("imagenet-1k")
    assert bundle.class_rows is None and len(set(bundle.class_names)) == 1000
    assert bundle.index["wordnet_ids"] == info.label_names()


PHOTOS = sorted(name for name in external_bundles() if name.endswith("-photos"))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_bundle_of_photographs_is_judged_by_the_teacher_that_ships(name):
    """The classes and rows of the papers' bundle of that task; nothing but the real images is still to come."""
    recipe = load_recipe(presets()[name])
    bundle, papers = load_bundle(recipe.bundle), load_bundle(name.replace("-photos", "-dit"))
    assert bundle.name == name and not bundle.has("generator") and not bundle.has(CODEC)
    for key in ("class_names", "wordnet_ids", "class_indices"):
        assert bundle.index[key] == papers.index[key]
    assert [source.part for source in bundle.missing_parts()] == ["images"]
    teacher = bundle.teacher(CPU)
    assert teacher.config.architecture == "tf_efficientnet_lite0"
    height, width, channels = bundle.image_shape
    trained = Training.for_minutes(height, recipe.select.ipc * bundle.n_classes)
    assert recipe == recipe.with_values(trained.settings), "students as in a new project: in minutes on a CPU"
    logits, embeddings = teacher(torch.zeros(1, channels, height, width))
    assert logits.shape == (1, 10) and embeddings.shape == (1, 1280)


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not on this machine")
def test_photographs_go_in_as_the_pool_and_are_scored(tmp_path):
    """Two validation photographs of each class: nine in ten are judged to be what they are."""
    for folder in (PHOTOGRAPHS / "val").iterdir():
        (tmp_path / "some" / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:2]:
            shutil.copy(path, tmp_path / "some" / folder.name)
    with Studio(tmp_path / "ws", "imagenette-photos", device="cpu") as studio:
        list(studio.import_pool(tmp_path / "some"))
        list(studio.score())
        assert (studio.scores.logits.argmax(axis=1) == studio.pool.labels).mean() >= 0.9


@pytest.mark.parametrize("name", sorted({*external_bundles()} - {*PHOTOS}))
def test_each_variant_has_a_preset_of_its_name(name):
    recipe = load_recipe(presets()[name])
    bundle = load_bundle(recipe.bundle)
    assert bundle.name == recipe.bundle == name
    dgs = name.endswith("-dgs")
    assert bundle.sources["teacher"].name == f"timm/{'resnet50.tv_in1k' if dgs else 'convnext_base.fb_in1k'}"
    assert recipe.select.selector == ("dgs" if dgs else "psr")
    assert recipe.pool.pool_size == (5 if dgs else 2) * recipe.select.ipc
    assert (recipe.pool.steps, recipe.pool.sampler, bundle.guidance, bundle.guided_channels) == (
        50,
        "ddpm",
        4.0,
        3,
    )
    assert "CC BY-NC 4.0" in bundle.index["licence"] and bundle.image_shape == (256, 256, 3)


def test_a_near_name_is_offered():
    with pytest.raises(ModelError, match="There is no bundle") as err:
        load_bundle("imagewoof")
    assert 'Did you mean "imagewoof-dit"' in err.value.fix


def test_a_recipe_from_another_machine_says_how_to_name_its_bundle_anew(tmp_path, described, capsys):
    """The description has moved; the command as the message prints it mends the workspace."""
    root = tmp_path / "ws"
    with Studio(root, bundle=str(described)):
        pass
    here = described.rename(tmp_path / "here.toml")
    assert main(["status", "-w", str(root)]) == 2
    problem, fix = capsys.readouterr().err.splitlines()
    assert problem == (
        f'Problem: There is no bundle at "{described}": neither a folder with a bundle.toml nor a description is there.'
    )
    command = (
        fix.partition("`")[2].partition("`")[0].replace("WORKSPACE", str(root)).replace("PATH", str(here))
    )
    assert main(shlex.split(command)[1:]) == 0 and main(["status", "-w", str(root)]) == 0


def test_a_teacher_that_is_a_pickle_says_so_and_is_converted(weights, described, tmp_path, capsys):
    """The command as the message prints it, then the folder it wrote: the same answers as from the safetensors."""
    folder = tmp_path / "pickled teacher"
    folder.mkdir()
    shutil.copyfile(weights / "teacher" / "config.json", folder / "config.json")
    state = load_file(weights / "teacher" / "model.safetensors")
    torch.save(
        {"state_dict": {f"module.model.{key}": value for key, value in state.items()}},
        folder / "pytorch_model.bin",
    )
    described.write_text(described.read_text().replace(str(weights / "teacher"), str(folder)))
    with pytest.raises(ModelError) as err:
        load_bundle(described).teacher(CPU)
    assert err.value.problem == (
        f'The folder "{folder}" for the teacher holds no model.safetensors; pytorch_model.bin is a pickle, '
        "which can run code when opened."
    )
    command = shlex.split(
        err.value.fix.partition("`")[2].partition("`")[0].replace("FOLDER", str(tmp_path / "made"))
    )
    assert (
        main(command[1:]) == 0
        and "Converted the weights of convnext_atto: 1000 classes" in capsys.readouterr().out
    )
    described.write_text(described.read_text().replace(str(folder), str(tmp_path / "made")))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    same = Teacher.from_timm_folder(weights / "teacher", load_bundle(described).class_rows)
    assert torch.equal(load_bundle(described).teacher(CPU)(images)[0], same(images)[0])


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "_orig_mod."])
def test_what_wrappers_put_before_the_names_of_a_teacher_is_left_out(weights, tmp_path, prefix):
    folder = Path(shutil.copytree(weights / "teacher", tmp_path / "teacher"))
    plain = Teacher.from_timm_folder(folder)
    state = load_file(folder / "model.safetensors")
    save_file({prefix + key: value for key, value in state.items()}, folder / "model.safetensors")
    wrapped = Teacher.from_timm_folder(folder)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), wrapped.parameters(), strict=True))


# What a teacher may ask for


REACHES = {
    "hub": {"architecture": "hf-hub:someone/model"},
    "old hub": {"architecture": "hf_hub:someone/model"},
    "folder": {"architecture": "local-dir:/tmp"},
    "repository": {"architecture": "someone/model"},
    "pickle": {"model_args": {"checkpoint_path": "weights.pth"}},
    "cache": {"model_args": {"cache_dir": "/tmp"}},
    "cfg": {"model_args": {"pretrained_cfg": {"hf_hub_id": "someone/model"}}},
    "overlay": {"model_args": {"pretrained_cfg_overlay": {"file": "weights.pth"}}},
    "features": {"model_args": {"features_only": True}},
    "device": {"model_args": {"device": "cuda"}},
}


@pytest.mark.parametrize("asked", REACHES)
@pytest.mark.parametrize("own", [True, False], ids=["bundled", "timm"])
def test_a_teacher_reaches_neither_the_network_nor_another_file(tmp_path, monkeypatch, asked, own):
    """What would be fetched or opened is watched: neither a socket nor torch.load is touched."""
    reached: list[str] = []
    monkeypatch.setattr(socket, "socket", lambda *args, **kwargs: reached.append("network") or 1 / 0)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: reached.append("pickle") or 1 / 0)
    given = {**TIMM_CONFIG, **REACHES[asked]}
    if own:
        facts = {"input_size": 224, "mean": [0.5], "std": [0.5], "n_classes": 10, "in_chans": 1}
        given = {**facts, "architecture": given["architecture"], "kwargs": given["model_args"]}
    (tmp_path / "config.json").write_text(json.dumps(given))
    with pytest.raises(ModelError) as err:
        (Teacher.from_folder if own else Teacher.from_timm_folder)(tmp_path)
    assert not reached and err.value.problem and err.value.fix
    odd = (
        given["architecture"]
        if "architecture" in REACHES[asked]
        else next(iter(REACHES[asked]["model_args"]))
    )
    assert odd in err.value.problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", 7), ("architecture", "no_such_network"), ("num_classes", "1000"), ("num_classes", 0),
        ("model_args", [1]), ("model_args", {"depths": {"a": 1}}), ("model_args", {"depths": "x"}),
        ("pretrained_cfg", []), ("pretrained_cfg", {"input_size": "big", "mean": [0.5], "std": [0.5]}),
        ("pretrained_cfg", {"input_size": [3, 224, 224], "mean": [0.5, None, 0.5], "std": [1, 1, 1]}),
        ("pretrained_cfg", {"input_size": [3, 224, 224], "mean": [0.5, 0.5, 0.5], "std": [0, 0, 0]}),
        ("pretrained_cfg", {"input_size": [3, 224, 224], "mean": [0.5, 0.5], "std": [1, 1]}),
    ],
)  # fmt: skip
def test_values_of_other_types_in_a_teachers_config(tmp_path, key, value):
    (tmp_path / "config.json").write_text(json.dumps({**TIMM_CONFIG, key: value}))
    with pytest.raises(ModelError):
        Teacher.from_timm_folder(tmp_path)


@pytest.mark.parametrize("text", ["[" * 5000, '{"num_classes": ' + "9" * 5000 + "}", "null", ""])
def test_a_config_that_no_json_reader_takes(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match="cannot be read as the settings of a teacher"):
        Teacher.from_timm_folder(tmp_path)


def test_an_index_that_names_a_pickle_is_refused(weights, tmp_path, monkeypatch):
    """Weights in several files are found by an index, which could name any file."""
    folder = Path(shutil.copytree(weights / "generator", tmp_path / "generator")) / "transformer"
    whole = folder / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(whole), folder / "shard.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(load_file(whole), "shard.bin")}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    whole.unlink()
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("a pickle was opened"))
    with pytest.raises(ModelError, match='names "shard.bin"; PSR Studio opens safetensors only'):
        Generator.from_folder(folder.parent)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("beta_schedule", "no such"),
        ("num_train_timesteps", "many"),
        ("num_train_timesteps", -1),
        ("beta_start", None),
    ],
)
def test_a_schedule_that_cannot_be_made_is_named(weights, tmp_path, key, value):
    folder = Path(shutil.copytree(weights / "generator", tmp_path / "generator"))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match="describes no schedule that can be made"):
        Generator.from_folder(folder)


# What a description may say


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[193, 182, 258, 162, 155, 167, 159, 273, 207, 229]", "[193, 182, 258, 162, 155, 167, 159, 273, 207, 1000]",
         "The generator has 1000 classes, but row 1000 of them is asked for"),
        ("[193, 182, 258,", "[193, 193, 258,", '"class_indices" holds 193 twice, so that two classes would be'),
        ("[193, 182, 258,", "[193, 258,", '"class_indices" has 9 values, but "class_names" has 10.'),
        ("[193, 182, 258,", "[-1, 182, 258,", '"class_indices" is -1, but it must be from 0 to'),
        ("[193, 182, 258,", "[true, 182, 258,", '"class_indices" is true, but it must be a whole number.'),
        ("[64, 64, 3]", "[64, 64]", '"image_shape" has 2 values, but it must have 3.'),
        ("[64, 64, 3]", "[64, 64, 2]", "Images have 2 channels, but only 1 and 3 can be shown."),
        ("[64, 64, 3]", '"64"', '"image_shape" is "64", but it must be a list.'),
        ("[64, 64, 3]", "[64, 64, " + "9" * 5000 + "]", "a whole number in it has more than 4,300 digits"),
        ("[64, 64, 3]", "[" * 3000 + "]" * 3000, "lie too deep in one another"),
        ("guidance = 4.0", 'guidance = "high"', '"guidance" is "high", but it must be a number.'),
        ("[teacher]", "[codec.teacher]", "lacks teacher"),
        ("[teacher] #", "[[teacher]] #", '"teacher" must be a table.'),
        ("[teacher] # PSR", "[teacher]\nfiles = [\"../secret\"]", "leads out of the folder of the part"),
        ("[teacher] # PSR", "[teacher]\nfiles = [\"/etc/passwd\"]", "leads out of the folder of the part"),
        ("[images] #", "[images]\nsize = [1] #", '"images.size" is [1], but it must be a whole number.'),
        ('"Australian terrier"', '"beagle"', 'The class name "beagle" is there twice.'),
        ('"Australian terrier"', '"Beagle"', 'The class name "beagle" and "Beagle" differ by case only.'),
    ],
)  # fmt: skip
def test_a_description_that_no_bundle_can_be(described, old, new, said):
    text = described.read_text()
    assert old in text
    described.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError) as err:
        load_bundle(described).generator(CPU, torch.float32)
    assert said in err.value.problem and err.value.fix


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_description_that_windows_saved_is_read(described, encoding):
    names = load_bundle(described).class_names
    described.write_bytes(described.read_text(encoding="utf-8").encode(encoding))
    assert load_bundle(described).class_names == names


@pytest.mark.parametrize("name", sorted(external_bundles()))
def test_no_two_classes_of_a_shipped_bundle_differ_by_case_only(name):
    names = [each.casefold() for each in load_bundle(name).class_names]
    assert len(set(names)) == len(names)


# What is missing


def test_missing_weights_are_two_sentences_and_no_wait():
    bundle = load_bundle("imagewoof-dit")
    with pytest.raises(ModelError) as err:
        bundle.generator(CPU, torch.float32)
    assert err.value.problem == (
        'The generator "facebook/DiT-XL-2-256" of "imagewoof-dit" is not on this machine, and nothing is '
        "downloaded unasked."
    )
    for words in ("Download weights", "--download", "about 2.8 GiB", "CC BY-NC 4.0", "--generator FOLDER"):
        assert words in err.value.fix
    with pytest.raises(ModelError, match="The images folder of"):
        _ = bundle.test_set
    assert (
        not bundle.has_train_difficulty and bundle.teacher_id
    )  # a page that only shows states needs no weights


def test_a_folder_is_remembered_for_every_bundle_that_needs_it(weights, tmp_path):
    load_external("imagewoof-dit").remember("generator", weights / "generator")
    for name in ("imagewoof-dit", "imagenette-dit-dgs"):
        bundle = load_external(name)
        assert bundle.folder("generator") == weights / "generator"
        assert "generator" not in [source.part for source in bundle.missing_parts()]
    with pytest.raises(ModelError, match="holds no transformer/config.json"):
        load_external("imagewoof-dit").remember("generator", tmp_path)
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "diffusion_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError) as err:
        load_external("imagewoof-dit").remember("generator", tmp_path)
    assert (
        f"psr-studio convert-weights {tmp_path / 'transformer' / 'diffusion_pytorch_model.bin'} "
        in err.value.fix
    )
    (tmp_path / "whole.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file") as err:
        load_external("imagewoof-dit").remember("generator", tmp_path / "whole.pt")
    assert f"psr-studio convert-weights {tmp_path / 'whole.pt'} --out FOLDER" in err.value.fix
    with pytest.raises(ModelError) as err:
        load_external("imagewoof-dit").remember("codec", tmp_path / "transformer")
    assert "convert-weights" not in err.value.fix and "as safetensors" in err.value.fix
    load_external("imagewoof-dit").remember("generator", "")
    assert "generator" in [source.part for source in load_external("imagenette-dit").missing_parts()]


def test_the_command_says_what_is_here_and_what_is_not(weights, capsys):
    assert main(["weights", "imagewoof-dit"]) == 1
    said = capsys.readouterr().out
    assert "MISSING generator  facebook/DiT-XL-2-256  about 2.8 GiB, licence: CC BY-NC 4.0" in said
    assert "psr-studio weights imagewoof-dit --download" in said
    flags = [f"--{part}={weights / part}" for part in ("generator", "codec", "teacher")]
    assert main(["weights", "imagewoof-dit", *flags]) == 0
    assert f"here    generator  facebook/DiT-XL-2-256  in {weights / 'generator'}" in capsys.readouterr().out
    assert main(["weights", "imagewof-dit"]) == 2
    assert 'Did you mean "imagewoof-dit"' in capsys.readouterr().err


def test_identity_follows_the_files(weights, tmp_path):
    import shutil

    shutil.copytree(weights / "teacher", tmp_path / "teacher")
    before = fingerprint(tmp_path / "teacher", ("*",))
    assert before == fingerprint(weights / "teacher", ("*",))
    path = tmp_path / "teacher" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, (1, 1))
    assert fingerprint(tmp_path / "teacher", ("*",)) != before


# A description of the user's own


def test_what_a_generator_is_opened_with_belongs_to_its_identity(described):
    text = described.read_text()
    plain = load_bundle(described).identity("generator")
    described.write_text(text.replace("[generator]", '[generator]\nprompt = "a photo of {}"', 1))
    worded = load_bundle(described).identity("generator")
    described.write_text(text.replace("[generator]", '[generator]\nprompt = "a drawing of {}"', 1))
    assert len({plain, worded, load_bundle(described).identity("generator")}) == 3


def test_a_generator_of_another_kind_needs_no_files_of_a_dit(described, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "anything").write_text("weights")
    lines = described.read_text().splitlines()
    at = lines.index("[generator]")
    lines[at + 1 : at + 3] = ['kind = "mine"', f'source = "{tmp_path / "own"}"']
    described.write_text("\n".join(lines))
    assert locate(load_bundle(described).sources["generator"]) == tmp_path / "own"
    with pytest.raises(ModelError, match='no kind of generator "mine"'):
        load_bundle(described).generator(CPU, torch.float32)


def test_a_missing_folder_of_ones_own_description_is_named_by_its_file(described):
    described.write_text(described.read_text().replace("/generator", "/nowhere"))
    with pytest.raises(ModelError) as err:
        load_bundle(described).generator(CPU, torch.float32)
    assert f"psr-studio weights {described} --generator FOLDER" in err.value.fix


def test_a_description_is_found_from_every_folder(described, tmp_path, monkeypatch):
    monkeypatch.chdir(described.parent)
    with Studio(tmp_path / "ws", "tiny-dit", bundle="mine.toml") as studio:
        assert studio.recipe.bundle == str(described)
        studio.set({"bundle": "fashion-mnist"})
        assert studio.recipe.bundle == "fashion-mnist"


def test_a_teacher_as_timm_saves_it_opens(weights, tmp_path):
    """It repeats the number of classes among the arguments of the model."""
    from timm.models._hub import save_for_hf  # older releases do not lift it

    backbone = create_backbone(TeacherConfig.from_timm_folder(weights / "teacher", None))
    given = {**TIMM_CONFIG["model_args"], "num_classes": 1000, "in_chans": 3, "global_pool": "avg"}
    save_for_hf(backbone, tmp_path / "saved", model_args=given, safe_serialization=True)
    teacher = Teacher.from_timm_folder(tmp_path / "saved", [3, 5])
    assert teacher(torch.zeros(1, 3, 64, 64))[0].shape == (1, 2)


def test_a_described_bundle_opens_its_networks(described):
    bundle = load_bundle(described)
    generator, codec, teacher = bundle.generator(CPU, torch.float32), bundle.codec(CPU), bundle.teacher(CPU)
    assert generator.null_class == 10 and generator.learns_variance
    assert generator.latent_shape == codec.latent_shape == (4, 8, 8)
    logits, _ = teacher(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 10)


def test_a_row_that_the_teacher_has_not_is_named(weights):
    with pytest.raises(ModelError, match='"convnext_atto" has 1000 classes, but row 1000'):
        Teacher.from_timm_folder(weights / "teacher", [1000])


def test_real_images_are_the_users_own(described, tmp_path, monkeypatch):
    bundle = load_bundle(described)
    rng = np.random.default_rng(0)
    for split, n in (("train", 8), ("val", 2)):
        for name in bundle.index["wordnet_ids"]:
            (tmp_path / "imagenet" / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (80, 70, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "imagenet" / split / name / f"{i}.png")
    bundle.remember("images", tmp_path / "imagenet")
    images, labels = bundle.test_set
    assert images.shape == (20, 64, 64, 3) and list(np.bincount(labels)) == [2] * 10
    assert list(np.bincount(bundle.train_subset[1])) == [6] * 10
    assert list(np.bincount(bundle.held_out[1])) == [2] * 10
    values, of = bundle.train_difficulty
    assert values.shape == of.shape == (60,) and ((values >= 0) & (values <= 1)).all()


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no photographs beside the checkout")
def test_the_teacher_sees_photographs_as_timm_shows_them(weights):
    from timm.data import create_transform

    teacher = Teacher.from_timm_folder(weights / "teacher", PAPERS["imagenette-dit"])
    facts = TIMM_CONFIG["pretrained_cfg"]
    theirs = create_transform(
        facts["input_size"], crop_pct=0.875, interpolation="bicubic", mean=facts["mean"], std=facts["std"]
    )
    for path in sorted(PHOTOGRAPHS.glob("val/*/*"))[::40]:
        with Image.open(path) as image:
            photograph = image.convert("RGB")
        pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None] / 127.5 - 1
        ours = teacher.preprocess(pixels)[0]
        difference = (ours - theirs(photograph)).abs() * torch.tensor(facts["std"]).view(3, 1, 1)
        assert ours.shape == (3, 224, 224)
        assert difference.mean() < 1 / 255 and difference.max() < 3 / 255  # timm rounds to 8 bits on its way


# Downloads, from a hub of our own on this machine

REPOSITORY = "someone/tiny-teacher"


class Hub(BaseHTTPRequestHandler):
    """The few answers of a hub that a download needs."""

    files: dict[str, bytes] = {}

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        if self.path.startswith(f"/api/models/{REPOSITORY}"):
            names = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            data = json.dumps({"id": REPOSITORY, "sha": "a" * 40, "siblings": names}).encode()
        else:
            data = self.files.get(self.path.partition(f"/{REPOSITORY}/resolve/main/")[2], b"")
        self.send_response(200 if data else 404)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def fetch(tmp_path: Path, files: dict[str, bytes], **environment: str) -> dict[str, object]:
    """Download in a process with a network, an empty cache and this hub; what was said."""
    Hub.files = files
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = f"""
import json
from psr_studio.core.network import stay_offline
stay_offline()  # as the page does
from psr_studio.core.errors import StudioError
from psr_studio.bundles.sources import Source, download, locate
source = Source("teacher", {REPOSITORY!r}, ("config.json", "*.safetensors"))
out = {{"before": str(locate(source)), "error": None}}
try:
    out["messages"] = [e.message for e in download([source], "http://127.0.0.1:{server.server_port}")]
except StudioError as err:
    out["error"] = [err.problem, err.fix]
out["after"] = str(locate(source))
print(json.dumps(out))"""
    env = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    env |= {
        "HF_HOME": str(tmp_path / "hf"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_HUB_DISABLE_XET": "1",
        **environment,
    }
    try:
        run = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300
        )
    finally:
        server.shutdown()
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_download_that_was_asked_for(tmp_path, weights):
    files = {name: (weights / "teacher" / name).read_bytes() for name in ("config.json", "model.safetensors")}
    found = fetch(tmp_path, {**files, "pytorch_model.bin": b"not needed"})
    assert found["before"] == "None" and found["error"] is None
    assert found["messages"][-1] == f"{REPOSITORY} is here."
    folder = Path(found["after"])
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}


@pytest.mark.slow
def test_who_keeps_the_hub_offline_keeps_it_so(tmp_path):
    problem, fix = fetch(tmp_path, {"config.json": b"{}"}, HF_HUB_OFFLINE="1")["error"]
    assert "could not be fetched" in problem and "HF_HUB_OFFLINE" in fix


@pytest.mark.slow
def test_a_repository_of_pickles_says_how_to_convert(tmp_path):
    found = fetch(tmp_path, {"config.json": b"{}", "diffusion_pytorch_model.bin": b"x"})
    problem, fix = found["error"]
    assert "holds diffusion_pytorch_model.bin, a pickle" in problem
    assert fix.startswith("Run `psr-studio convert-weights") and found["after"] == "None"


def test_without_a_network_a_download_ends_in_two_sentences():
    source = Source("teacher", "someone/nothing", ("config.json",), "MIT", 1)
    from psr_studio.bundles.sources import download

    with pytest.raises(ModelError, match=r'"someone/nothing" could not be fetched') as err:
        list(download([source]))
    assert "--teacher FOLDER" in err.value.fix
    assert locate(source) is None
    with pytest.raises(ModelError, match="is not there"):
        remember(source, "/nowhere/at/all")
