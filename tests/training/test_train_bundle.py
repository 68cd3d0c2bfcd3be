"""`train-bundle` on made-up data: every data set trains, stops and resumes, and what it makes opens."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gradio as gr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.data_sets import DataSet
from psr_studio.bundles.embedded import bundles
from psr_studio.bundles.originals import class_names, read_split
from psr_studio.cli.main import main
from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.errors import ModelError, StudioError
from psr_studio.models.teacher import Teacher, TeacherConfig
from psr_studio.recipe.load import load_recipe
from psr_studio.stages import weights
from psr_studio.training import codec, generator, teacher
from psr_studio.training.build import build_bundle, train_networks
from psr_studio.training.settings import CIFAR10, TRAINABLE, BundleSettings, Cycle
from psr_studio.ui.page import build_page
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.weights import WeightsPanel
from psr_studio.ui.screen import Screen

CPU = torch.device("cpu")
DATA = CIFAR10.data
THREE = replace(CIFAR10, data=replace(DATA, class_names=DATA.class_names[:3]))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


def quick(chosen: BundleSettings, **facts) -> BundleSettings:
    """The same data set and code path, networks and schedules of seconds."""
    how = chosen.teacher
    small = {"stem_type": "deep", "stem_width": 8, "layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}
    widths = (8,) * len(chosen.codec.widths)
    return replace(
        chosen,
        teacher=replace(how, kwargs=small, cycles=(Cycle(2, 0.1, erase=0.5), Cycle(1, 0.05)), batch=8, held_out=4),
        codec=replace(chosen.codec, widths=widths, steps=3, batch=4, warmup=1),
        generator=replace(chosen.generator, heads=2, head_dim=8, layers=1, steps=3, batch=4, warmup=1),
        gates=replace(chosen.gates, samples=4, train_samples=2, epochs=1, soft_epochs=1),
        data=replace(chosen.data, **facts),
    )  # fmt: skip


def pictures(data: DataSet, per_class: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise in the shape of a data set, class-major."""
    n = data.n_classes * per_class
    levels = np.random.default_rng(seed).integers(0, 256, (n, *data.shape), dtype=np.uint8)
    return levels, np.repeat(np.arange(data.n_classes), per_class)


def write_parquet(folder: Path, data: DataSet, per_class: int = 3) -> Path:
    """train.parquet and test.parquet in the Hugging Face image convention, without their metadata: plain numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, split in enumerate(("train", "test")):
        images, labels = pictures(data, per_class, seed)
        rows = [{"bytes": _png(image), "path": None} for image in images]
        pq.write_table(pa.table({"image": rows, "label": labels}), folder / f"{split}.parquet")
    return folder


def write_tiny_imagenet(root: Path, names: tuple[str, ...], side: int = 64, per_class: int = 6) -> Path:
    """As the archive of Tiny-ImageNet unpacks."""
    inside = root / "tiny-imagenet-200"
    rng = np.random.default_rng(0)
    rows = []
    for label, name in enumerate(names):
        for i in range(per_class):
            split, folder = ("train", f"train/{name}/images") if i else ("val", "val/images")
            path = inside / folder / f"{name if i else 'val'}_{label * (not i) + i}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path, "JPEG")
            if split == "val":
                rows.append(f"{path.name}\t{name}\t0\t0\t62\t62")
    (inside / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    (inside / "words.txt").write_text("".join(f"{name}\tthing {name}, something else\n" for name in names))
    return root


def class_folders(root: Path, data: DataSet) -> Path:
    """One picture of each class, whose red is its label."""
    for i, name in enumerate(data.class_names):
        (root / name).mkdir(parents=True)
        Image.new("RGB", (data.side, data.side), (i, 0, 0)).save(root / name / "a.png")
    return root


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def cifar(tmp_path_factory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("cifar"), DATA)


@pytest.mark.parametrize("name", [name for name, row in TRAINABLE.items() if row.data.class_names])
def test_each_data_set_trains_for_a_few_steps(name, tmp_path):
    """The networks that come out take its pictures and know its classes and the null class."""
    chosen = quick(TRAINABLE[name])
    folder = write_parquet(tmp_path / "data", chosen.data, per_class=3 if chosen.data.n_classes <= 10 else 1)
    list(train_networks(chosen, folder, tmp_path, tmp_path / "bundle", 0, CPU))
    check_networks(tmp_path / "bundle", chosen.data)


def test_tiny_imagenet_is_read_as_its_archive_unpacks(tmp_path):
    """train/<wnid>/images/ and val_annotations.txt; label order is the order of the wnids, words.txt names them."""
    folders = ("n01443537", "n01629819", "n02056570")
    root = write_tiny_imagenet(tmp_path / "data", folders)
    names, found = class_names(root, "Tiny-ImageNet")
    assert found == folders and names[1] == "thing n01629819"
    chosen = quick(TRAINABLE["tiny-imagenet"], class_names=names, folder_names=found)
    list(train_networks(chosen, root, tmp_path, tmp_path / "bundle", 0, CPU))
    check_networks(tmp_path / "bundle", chosen.data)


def check_networks(made: Path, data: DataSet) -> None:
    from psr_studio.models.codec import Codec
    from psr_studio.models.generator import Generator, Sampling

    images = torch.from_numpy(pictures(data, 1)[0])
    logits, _ = Teacher.from_folder(made / "teacher").predict(images)
    assert logits.shape == (data.n_classes, data.n_classes)
    net = Generator.from_folder(made / "generator")
    last = data.n_classes - 1
    *_, (_, latents) = net.sample([0, last], [1, 2], Sampling("ddim", steps=2, guidance=2.0))
    decoded = Codec.from_folder(made / "generator" / "vae", data.shape).decode_uint8(latents)
    assert decoded.shape == (2, *data.shape)


def test_a_training_that_was_stopped_goes_on_to_the_very_same_networks(cifar, tmp_path, monkeypatch):
    """Stopped after every single step, each time from the checkpoint: bit for bit what one run gives."""
    chosen = quick(CIFAR10)
    list(train_networks(chosen, cifar, tmp_path / "whole", tmp_path / "whole" / "bundle", 0, CPU))

    def stop_at_once(self, step, final=False):
        self.step = step
        self._save()
        raise InterruptedError

    stops = 0
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "reached", stop_at_once)
        for _ in range(40):
            try:
                list(train_networks(chosen, cifar, tmp_path / "parts", tmp_path / "parts" / "bundle", 0, CPU))
            except InterruptedError:
                stops += 1
    n_teacher = 3 * ((30 - 4) // 8)
    assert stops == n_teacher + 3 + 3
    for path in sorted((tmp_path / "whole" / "bundle").rglob("*.safetensors")):
        other = tmp_path / "parts" / "bundle" / path.relative_to(tmp_path / "whole" / "bundle")
        assert path.read_bytes() == other.read_bytes(), path.name


def test_a_checkpoint_of_other_settings_is_refused(cifar, tmp_path):
    list(teacher.train(quick(CIFAR10), cifar, tmp_path, tmp_path / "teacher", 0, CPU))
    other = replace(quick(CIFAR10), teacher=replace(quick(CIFAR10).teacher, kwargs={}))
    with pytest.raises(StudioError) as err:
        list(teacher.train(other, cifar, tmp_path, tmp_path / "teacher", 0, CPU))
    assert f"{tmp_path / 'teacher.pt'} was made with other settings" in err.value.problem
    assert "--work" in err.value.fix


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A whole bundle of CIFAR-10's kind, made by the command of the real one, with the folder of its data."""
    root = tmp_path_factory.mktemp("made")
    folder = write_parquet(root / "data", THREE.data, per_class=10)
    lines = list(
        build_bundle(quick(THREE), folder, root / "work", root / "bundle", device="cpu", about="a copy")
    )
    assert lines[-1] == f"The bundle is in {root / 'bundle'}"
    return root


def test_the_command_makes_a_whole_bundle_without_an_image_of_the_data_set(made):
    bundle = load_bundle(made / "bundle")
    assert bundle.verify() == []
    assert sorted(p.name for p in (made / "bundle" / "data").iterdir()) == [
        "README.md", "train_difficulty.safetensors",
    ]  # fmt: skip
    difficulty, labels = bundle.train_difficulty
    assert len(difficulty) == 30 and np.bincount(labels).tolist() == [10] * 3


def test_the_cards_say_what_the_networks_are_and_every_gate(made):
    card = (made / "bundle" / "teacher" / "README.md").read_text()
    assert "timm `resnet10t`" in card and "(licence: not stated by its authors)" in card and "a copy" in card
    names = [row["name"] for row in json.loads((made / "bundle" / "gates.json").read_text())]
    assert len(names) == 9 and names[0] == "teacher top-1"
    whole = (made / "bundle" / "README.md").read_text()
    assert all(name in whole for name in names)


def test_a_second_run_measures_and_trains_nothing_again(made, tmp_path):
    """The same command is how it resumes; where all is done it only puts the bundle in place again."""
    work = {p: p.stat().st_mtime_ns for p in (made / "work").glob("*.*")}
    list(build_bundle(quick(THREE), made / "data", made / "work", tmp_path / "again", device="cpu"))
    assert {p: p.stat().st_mtime_ns for p in (made / "work").glob("*.*")} == work
    assert load_bundle(tmp_path / "again").verify() == []


def test_the_page_opens_on_the_demo_pool_and_every_step_runs_once_the_images_are_named(
    made, tmp_path, capsys
):
    """Without them evaluation says what is missing and how to name it; all before it needs none."""
    few = {"evaluate.epochs": 1, "evaluate.n_seeds": 1, "refine.n_steps": 2, "refine.kl_steps": 1, "ipc": 1}
    with Studio(tmp_path / "ws", "cifar10", demo=True, bundle=str(made / "bundle"), **few) as studio:
        assert len(studio.pool) == 120 and studio.scores is not None
        list(studio.select())
        list(studio.refine())
        with pytest.raises(ModelError) as err:
            list(studio.evaluate())
        assert err.value.problem.startswith('The images "CIFAR-10" of ')
        assert "are not on this machine, and nothing is downloaded unasked." in err.value.problem
        assert f"`psr-studio weights {made / 'bundle'} --images FOLDER`" in err.value.fix
        assert main(["weights", str(made / "bundle"), "--images", str(made / "data")]) == 0
        assert f"here    images     CIFAR-10  in {made / 'data'}" in capsys.readouterr().out
        list(studio.evaluate())
        list(studio.export())
        list(studio.import_pool(class_folders(tmp_path / "set", THREE.data), replace=True))
        list(studio.score())
        list(studio.select())
        assert len(studio.pool) == 3
        images, labels = studio.bundle.test_set
    own, owners = pictures(THREE.data, 10, seed=1)
    assert (images == own).all() and (labels == owners).all()


def test_the_pool_tab_offers_the_images_and_takes_a_folder_of_them(made, tmp_path):
    screen = Screen(Studio(tmp_path / "ws", "cifar10", demo=True, bundle=str(made / "bundle")))
    try:
        assert build_page(screen) is not None
        jobs = JobPanel(screen, (weights.STAGE,))
        panel = WeightsPanel(screen, jobs)
        with gr.Blocks():
            jobs.build()
            panel.build()
        shown, agreed, button = panel.values()
        assert "CIFAR-10" in shown and "about 163 MiB" in shown and "not here" in shown
        assert button.value == "Download weights (about 0.2 GiB)" and button.visible and agreed.visible
        shown, agreed, button = panel.on_use("images", str(made / "data"))
        assert str(made / "data") in shown and not button.visible and not agreed.visible
    finally:
        screen.close()


def test_controls_and_held_out_share_no_image(made):
    bundle = load_bundle(made / "bundle")
    bundle.remember("images", made / "data")
    (controls, a), (held_out, b) = bundle.train_subset, bundle.held_out
    assert np.bincount(a).tolist() == [8] * 3 and np.bincount(b).tolist() == [2] * 3
    assert not {x.tobytes() for x in controls} & {x.tobytes() for x in held_out}


def test_all_real_images_are_the_whole_training_split_and_not_what_controls_keep(made):
    bundle = load_bundle(made / "bundle")
    bundle.index["images"]["train_per_class"] = 4
    bundle.remember("images", made / "data")
    assert np.bincount(bundle.train_subset[1]).tolist() == [3] * 3 and len(bundle.held_out[1]) == 3
    images, labels = read_split(made / "data", "train", bundle.data_set)
    assert np.array_equal(bundle.all_train_images[0], images) and len(images) == 30
    assert np.array_equal(bundle.all_train_images[1], labels)


def test_changed_images_change_what_results_are_tied_to(made, tmp_path):
    bundle = load_bundle(made / "bundle")
    absent = bundle.identity("data")
    folder = shutil.copytree(made / "data", tmp_path / "data")
    bundle.remember("images", folder)
    named = bundle.identity("data")
    images, labels = pictures(THREE.data, 2)
    rows = [{"bytes": _png(image), "path": None} for image in images]
    pq.write_table(pa.table({"image": rows, "label": labels}), folder / "test.parquet")
    assert len({absent, named, bundle.identity("data")}) == 3
    assert len(bundle.test_set[0]) == 6


def test_a_folder_of_something_else_is_refused_when_it_is_named(made, tmp_path):
    bundle = load_bundle(made / "bundle")
    write_parquet(tmp_path / "svhn", replace(DATA, class_names=("0", "1")))
    with pytest.raises(ModelError) as err:
        bundle.remember("images", tmp_path / "svhn")
    assert 'holds 2 classes and no class "airplane"; CIFAR-10 has 3.' in err.value.problem
    with pytest.raises(ModelError) as err:
        bundle.remember("images", tmp_path / "nowhere")
    assert "holds no test images of CIFAR-10" in err.value.problem
    assert bundle.missing_parts(), "nothing was remembered"


# Where a data set may lie


def official_cifar10(root: Path, monkeypatch, per_batch: int = 4) -> Path:
    """The official files in small, as torchvision checks them: each by its sum."""
    import pickle

    from torchvision.datasets import CIFAR10 as Official

    base = root / Official.base_folder
    base.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sums = {}
    for name, _ in [*Official.train_list, *Official.test_list, (Official.meta["filename"], "")]:
        data = {
            "data": rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8),
            "labels": list(range(per_batch)),
        }
        raw = pickle.dumps({"label_names": list(DATA.class_names)} if "meta" in name else data)
        (base / name).write_bytes(raw)
        sums[name] = hashlib.md5(raw).hexdigest()
    for which in ("train_list", "test_list"):
        monkeypatch.setattr(Official, which, [[name, sums[name]] for name, _ in getattr(Official, which)])
    monkeypatch.setattr(Official, "meta", {**Official.meta, "md5": sums[Official.meta["filename"]]})
    return base


def test_the_official_files_are_read_from_their_folder_and_from_the_one_around_it(tmp_path, monkeypatch):
    base = official_cifar10(tmp_path, monkeypatch)
    images, labels = read_split(base, "train", DATA)
    assert images.shape == (20, 32, 32, 3) and labels.tolist() == [0, 1, 2, 3] * 5
    again, _ = read_split(tmp_path, "train", DATA)
    assert (again == images).all()
    (base / "test_batch").write_bytes(b"changed")
    with pytest.raises(ModelError, match="holds no test images of CIFAR-10"):
        read_split(tmp_path, "test", DATA)


def test_class_folders_are_read_in_label_order(tmp_path):
    """Folders sort by name, labels follow the data set: "truck" is the last class wherever it lies."""
    for split in ("train", "test"):
        class_folders(tmp_path / split, DATA)
    images, labels = read_split(tmp_path, "test", DATA)
    assert (images[:, 0, 0, 0] == labels).all() and sorted(labels) == list(range(10))


def test_the_official_files_are_downloaded_when_that_is_asked_for(made, tmp_path, monkeypatch):
    """torchvision fetches its archive, from a server of this machine here, and the folder is remembered."""
    from torchvision.datasets import CIFAR10 as Official

    official_cifar10(tmp_path / "there", monkeypatch)
    archive = tmp_path / "there" / Official.filename
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "there" / Official.base_folder, Official.base_folder)
    monkeypatch.setattr(Official, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    bundle = load_bundle(made / "bundle")
    bundle.index["class_names"] = list(DATA.class_names)
    handler = partial(SimpleHTTPRequestHandler, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(Official, "url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
        events = list(bundle.download())
        server.shutdown()
    assert events[-1].message == "CIFAR-10 is here." and not bundle.missing_parts()
    assert len(bundle.test_set[0]) == 4


def test_a_data_set_without_weights_says_how_to_make_them():
    for name in ("cifar100", "svhn", "tiny-imagenet"):
        with pytest.raises(ModelError) as err:
            load_bundle(load_recipe(name).bundle)
        assert f"`psr-studio train-bundle {name} --data FOLDER`" in err.value.fix


def test_no_data_folder_names_what_may_be_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudioError) as err:
        next(build_bundle("svhn", None, tmp_path / "work", tmp_path / "out", device="cpu"))
    assert "SVHN" in err.value.problem and "--data" in err.value.fix


@pytest.mark.parametrize(
    ("columns", "lacking"), [({"label": [0]}, "pictures"), ({"image": [{"bytes": b""}]}, "labels")]
)
def test_a_table_without_pictures_or_labels_is_named(tmp_path, columns, lacking):
    pq.write_table(pa.table(columns), tmp_path / "test-00000-of-00001.parquet")
    with pytest.raises(ModelError, match=f"has no column of {lacking}; its columns are"):
        read_split(tmp_path, "test", DATA)


def test_a_broken_picture_is_named_with_its_row(tmp_path):
    write_parquet(tmp_path, DATA, per_class=1)
    table = pq.read_table(tmp_path / "test.parquet").to_pydict()
    table["image"][4]["bytes"] = b"no picture"
    pq.write_table(pa.table(table), tmp_path / "test.parquet")
    with pytest.raises(ModelError, match=r'"test.parquet, row 4" in ".*" cannot be used'):
        read_split(tmp_path, "test", DATA)


def test_labels_that_a_table_names_are_taken_by_name(tmp_path):
    """Its numbers may follow another order than the data set's."""
    names = sorted(DATA.class_names, reverse=True)
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    images = [{"bytes": _png(image), "path": None} for image in pictures(DATA, 1)[0]]
    table = pa.table({"image": images, "label": list(range(10))}).replace_schema_metadata(metadata)
    (tmp_path / "train").mkdir()
    pq.write_table(table, tmp_path / "train" / "0000.parquet")
    _, labels = read_split(tmp_path, "train", DATA)
    assert [DATA.class_names[label] for label in labels] == names


@pytest.mark.parametrize("name", bundles())
def test_the_records_build_the_networks_that_ship(name):
    """What the command trains is what lies in assets: the same teacher, and the same tensors in the same shapes."""
    chosen, shipped = TRAINABLE[name], bundles()[name]
    config = TeacherConfig.from_folder(shipped / "teacher")
    own, there = (c.model_dump_json() for c in (teacher.config_of(chosen, config.calibration), config))
    assert own == there
    latent = chosen.codec.size // 2 ** (len(chosen.codec.widths) - 1)
    shape = (chosen.codec.latent_channels, latent, latent)
    for net, folder in (
        (codec.build(chosen.codec, chosen.data.channels), "vae"),
        (generator.build(chosen, shape), "transformer"),
    ):
        weights = load_file(shipped / "generator" / folder / "diffusion_pytorch_model.safetensors")
        own = {key: value.shape for key, value in net.state_dict().items()}
        assert {key: value.shape for key, value in weights.items()} == own
    assert sum(value.numel() for value in weights.values()) <= 10_000_000


def test_tables_that_lie_nearest_are_the_data_set(tmp_path):
    """A folder of many things may hold other sets further down; one that lies deep in it is not looked for."""
    write_parquet(tmp_path / "a" / "b" / "c" / "d", DATA, per_class=1)
    with pytest.raises(ModelError, match="holds no test images of CIFAR-10"):
        read_split(tmp_path, "test", DATA)
    write_parquet(tmp_path / "data", DATA, per_class=2)
    assert len(read_split(tmp_path, "test", DATA)[0]) == 20
    write_parquet(tmp_path, DATA, per_class=1)
    assert len(read_split(tmp_path, "test", DATA)[0]) == 10
