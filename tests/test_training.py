"""`train-bundle` on made-up data: every data set trains, stops and resumes, and what it makes opens."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from psr_studio.errors import StudioError
from psr_studio.models.teacher import Teacher
from psr_studio.originals import class_names
from psr_studio.training import teacher
from psr_studio.training.build import train_networks
from psr_studio.training.checkpoints import Checkpoint
from psr_studio.training.settings import CIFAR10, DATA_SETS, Cycle, DataSet

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


def quick(chosen: DataSet, **changes) -> DataSet:
    """The same data set and code path, networks and schedules of seconds."""
    how = chosen.teacher
    small = {"stem_type": "deep", "stem_width": 8, "layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}
    widths = (8,) * len(chosen.codec.widths)
    return replace(
        chosen,
        teacher=replace(how, kwargs=small, cycles=(Cycle(2, 0.1, erase=0.5), Cycle(1, 0.05)), batch=8, held_out=4),
        codec=replace(chosen.codec, widths=widths, steps=3, batch=4, warmup=1),
        generator=replace(chosen.generator, heads=2, head_dim=8, layers=1, steps=3, batch=4, warmup=1),
        gates=replace(chosen.gates, samples=4, train_samples=2, epochs=2, soft_epochs=2),
        **changes,
    )  # fmt: skip


def pictures(chosen: DataSet, per_class: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise in the shape of a data set, class-major."""
    n = chosen.n_classes * per_class
    levels = np.random.default_rng(seed).integers(0, 256, (n, *chosen.shape), dtype=np.uint8)
    return levels, np.repeat(np.arange(chosen.n_classes), per_class)


def write_parquet(folder: Path, chosen: DataSet, per_class: int = 3) -> Path:
    """train.parquet and test.parquet in the Hugging Face image convention, without their metadata: plain numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, split in enumerate(("train", "test")):
        images, labels = pictures(chosen, per_class, seed)
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


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def cifar(tmp_path_factory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("cifar"), CIFAR10)


@pytest.mark.parametrize("name", [name for name, row in DATA_SETS.items() if row.class_names])
def test_each_data_set_trains_for_a_few_steps(name, tmp_path):
    """The networks that come out take its pictures and know its classes and the null class."""
    chosen = quick(DATA_SETS[name])
    folder = write_parquet(tmp_path / "data", chosen, per_class=3 if chosen.n_classes <= 10 else 1)
    list(train_networks(chosen, folder, tmp_path, tmp_path / "bundle", 0, CPU))
    check_networks(tmp_path / "bundle", chosen)


def test_tiny_imagenet_is_read_as_its_archive_unpacks(tmp_path):
    """train/<wnid>/images/ and val_annotations.txt; label order is the order of the wnids, words.txt names them."""
    folders = ("n01443537", "n01629819", "n02056570")
    root = write_tiny_imagenet(tmp_path / "data", folders)
    names, found = class_names(root, "Tiny-ImageNet")
    assert found == folders and names[1] == "thing n01629819"
    chosen = quick(DATA_SETS["tiny-imagenet"], class_names=names, folder_names=found)
    list(train_networks(chosen, root, tmp_path, tmp_path / "bundle", 0, CPU))
    check_networks(tmp_path / "bundle", chosen)


def check_networks(made: Path, chosen: DataSet) -> None:
    from psr_studio.models.codec import Codec
    from psr_studio.models.generator import Generator, Sampling

    images = torch.from_numpy(pictures(chosen, 1)[0])
    logits, _ = Teacher.from_folder(made / "teacher").predict(images)
    assert logits.shape == (chosen.n_classes, chosen.n_classes)
    net = Generator.from_folder(made / "generator")
    last = chosen.n_classes - 1
    *_, (_, latents) = net.sample([0, last], [1, 2], Sampling("ddim", steps=2, guidance=2.0))
    decoded = Codec.from_folder(made / "generator" / "vae", chosen.shape).decode_uint8(latents)
    assert decoded.shape == (2, *chosen.shape)


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
