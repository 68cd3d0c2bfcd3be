"""``psr-studio train-bundle``: one seeded, resumable command that makes a whole bundle."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from psr_studio.bundles.bundle import CODEC
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.data_sets import DataSet
from psr_studio.bundles.embedded import INDEX, write_idx
from psr_studio.bundles.originals import class_names
from psr_studio.core.checkpoints import seconds_of
from psr_studio.core.devices import in_words, pick_device
from psr_studio.core.errors import StudioError
from psr_studio.core.files import sha256, whole_folder
from psr_studio.models.codec import Codec
from psr_studio.models.teacher import Teacher
from psr_studio.training import cards, codec, gates, generator, teacher
from psr_studio.training.loop import load, steps_left
from psr_studio.training.settings import BundleSettings, settings_of

# Where Debian's package dataset-fashion-mnist puts it, and where torchvision's downloads are found by habit.
USUAL_FOLDERS = ("/usr/share/datasets/{name}", "data/{torchvision}/raw", "data/{name}")
PARTS = ("teacher", "codec", "generator")


def build_bundle(
    name: str | BundleSettings,
    data_folder: str | Path | None,
    work: str | Path,
    out: str | Path,
    seed: int = 0,
    device: str = "auto",
    about: str = "",
) -> Iterator[str]:
    """Trains teacher, codec and generator, writes the data files, measures the gates, writes the cards.

    Each step is skipped where its result lies in ``work`` already, and each training goes on at its last checkpoint
    there, so running the command again resumes it. Yields one line of progress at a time.

    Args:
        name: of a data set, or its record.
        about: what a reader of the cards must know of this copy of the data, such as that it was encoded anew.

    Raises:
        StudioError: a bundle this command cannot make, or no data files.
    """
    settings = settings_of(name) if isinstance(name, str) else name
    where = pick_device(device)
    folder, work, out = find_folder(settings.data, data_folder), Path(work), Path(out)
    if not settings.data.class_names:
        names, folders = class_names(folder, settings.data.title)
        settings = replace(settings, data=replace(settings.data, class_names=names, folder_names=folders))
    work.mkdir(parents=True, exist_ok=True)
    made = work / "bundle"
    yield from train_networks(settings, folder, work, made, seed, where)
    yield "Writing the data files"
    write_data(settings, folder, made, Teacher.from_folder(made / "teacher", where), seed)
    write_index(settings, made)
    yield "Measuring the gates"
    measured = []
    for gate in gates.measure(load_bundle(made), settings, folder, where, work / "gates.json"):
        measured.append(gate)
        yield f"{'pass' if gate.passed else 'MISS'}  {gate.name}: {gate.value:.4f} (needed {gate.needed}) {gate.note}"
    (made / "gates.json").write_text(
        json.dumps([g.as_dict() for g in measured], indent=2) + "\n", encoding="utf-8"
    )
    yield "Making the demo pool"
    write_demo(settings, made)
    seconds = {part: seconds_of(work / f"{part}.pt") for part in PARTS}
    cards.write(settings, made, seconds, _device_words(where), seed, about)
    write_index(settings, made)
    shutil.copytree(made, out, dirs_exist_ok=True)
    yield f"The bundle is in {out}"


def find_folder(data: DataSet, folder: str | Path | None = None) -> Path:
    """The folder that holds a data set: the one given, or the first usual one; what it holds is seen when it is read.

    Raises:
        StudioError: none is given and no usual one is there.
    """
    if folder:
        return Path(folder).expanduser().absolute()
    usual = [text.format(name=data.name, torchvision=data.torchvision) for text in USUAL_FOLDERS]
    for candidate in (Path(text) for text in usual if Path(text).is_dir()):
        return candidate
    raise StudioError(
        f"There is no {data.title} in {' or '.join(usual)}.",
        "Pass --data with the folder that holds it: the official files as torchvision puts them, Parquet files of "
        "the splits, or train/<class>/ and test/<class>/.",
    )


def train_networks(
    settings: BundleSettings, folder: Path, work: Path, made: Path, seed: int, device: torch.device
) -> Iterator[str]:
    """Teacher, codec and generator into the folder of the bundle, each where it is not there yet; a line at a time."""
    if not (made / "teacher").exists():
        with whole_folder(made / "teacher") as temp:
            for event in teacher.train(settings, folder, work, temp, seed, device):
                yield f"teacher {event}"
    if not (made / CODEC).exists():
        net = Teacher.from_folder(made / "teacher", device)
        with whole_folder(made / CODEC) as temp:
            codec_run = codec.Run(settings, folder, work, net, seed, device)
            for event in steps_left(codec_run.step, codec_run.checkpoint, settings.codec.steps):
                yield f"codec {event}"
            codec_run.save(temp)
    if not (made / "generator" / "model_index.json").exists():
        encoder = Codec.from_folder(made / CODEC, settings.data.shape, device)
        generator_run = generator.Run(settings, folder, work, encoder, seed, device)
        for event in steps_left(generator_run.step, generator_run.checkpoint, settings.generator.steps):
            yield f"generator {event}"
        generator_run.save(made / "generator")


def write_data(settings: BundleSettings, folder: Path, made: Path, net: Teacher, seed: int) -> None:
    """The teacher's difficulty of every training image, and where the licence allows it the test split and a
    balanced subset of the training images."""
    target = made / "data"
    target.mkdir(parents=True, exist_ok=True)
    device = net.mean.device
    images, labels = load(folder, "train", settings.data, device)
    logits, _ = net.predict(images, batch_size=500)
    probability = F.softmax(logits.double(), 1)[torch.arange(len(labels)), labels.cpu()]
    save_file(
        {
            "difficulty": (1 - probability).numpy().astype(np.float32),
            "labels": labels.cpu().numpy().astype(np.uint8),
        },
        target / "train_difficulty.safetensors",
    )
    if settings.data.ships_images:
        order = np.random.default_rng(seed).permutation(len(images))
        own_class = labels.cpu().numpy()[order]
        first = [
            order[own_class == c][: settings.data.train_per_class] for c in range(settings.data.n_classes)
        ]
        rows = np.sort(np.concatenate(first))
        _write_split(target / "train-subset", images.cpu().numpy()[rows], labels.cpu().numpy()[rows])
        test, test_labels = load(folder, "test", settings.data, torch.device("cpu"))
        _write_split(target / "test", test.numpy(), test_labels.numpy())
    cards.write_data_card(settings, target)


def _write_split(prefix: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Two gzipped idx files; pictures (N, H, W, ch), whose channel is left out where it is one."""
    pictures = images[..., 0] if images.shape[-1] == 1 else images
    write_idx(pictures, prefix.with_name(f"{prefix.name}-images-idx3-ubyte.gz"))
    write_idx(labels, prefix.with_name(f"{prefix.name}-labels-idx1-ubyte.gz"))


def write_index(settings: BundleSettings, made: Path) -> None:
    """bundle.toml: the bundle's facts and a SHA-256 per file."""
    files = sorted(p for p in made.rglob("*") if p.is_file() and p.name not in (INDEX, "README.md"))
    lines = [
        f"name = {json.dumps(settings.data.name)}",
        f"title = {json.dumps(settings.data.title)}",
        f"licence = {json.dumps(_licence(settings.data))}",
        f"image_shape = {list(settings.data.shape)}",
        f"mean = {_levels(settings.data.mean)}",
        f"std = {_levels(settings.data.std)}",
        f"guidance = {settings.guidance}",
        f"class_names = {json.dumps(list(settings.data.class_names))}",
        *_images_table(settings),
        "",
        "[files]",
        *(f'"{p.relative_to(made).as_posix()}" = "{sha256(p)}"' for p in files),
    ]
    (made / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _licence(data: DataSet) -> str:
    """Of the whole bundle, for the card of an export."""
    inside = "" if data.ships_images else ", none of which is in here"
    return f"{data.licence} (data{inside}); Apache-2.0 (models)"


def _levels(values: tuple[float, ...]) -> str:
    return str(values[0]) if len(values) == 1 else str(list(values))


def _images_table(settings: BundleSettings) -> list[str]:
    """Where the real images are the user's own: what is known of them before they are seen."""
    if settings.data.ships_images:
        return []
    facts = {
        "source": settings.data.title,
        "torchvision": settings.data.torchvision,
        "licence": settings.data.licence,
        "size": settings.data.download_bytes,
        "train_per_class": settings.data.train_per_class,
        "folder_names": list(settings.data.folder_names),
    }
    return ["", "[images]", *(f"{key} = {json.dumps(value)}" for key, value in facts.items() if value)]


def write_demo(settings: BundleSettings, made: Path) -> None:
    """A scored pool at the preset's settings, so that the app opens on something to touch."""
    from psr_studio.app.studio import (
        Studio,  # the only upward import: the demo is made by the very stages it shows
    )

    folder = made / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    with Studio(folder, settings.data.name, bundle=str(made)) as studio:
        for _ in studio.generate():
            pass
        for _ in studio.score():
            pass
    for path in folder.iterdir():
        if path.name not in ("pool", "scores"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _device_words(device: torch.device) -> str:
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    where = f"{platform.machine()} CPU{threads}" if device.type == "cpu" else in_words(device)
    return f"{where}, torch {torch.__version__.split('+')[0]}"
