"""``psr-studio train-bundle``: one seeded, resumable command that makes a whole bundle."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.numpy import save_file

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.embedded import INDEX, write_idx
from psr_studio.core.errors import StudioError, did_you_mean
from psr_studio.core.files import sha256
from psr_studio.models.teacher import Teacher
from psr_studio.training import cards, codec, data, gates, generator, teacher

SUBSET_PER_CLASS = 600
DEFAULT_GUIDANCE = 1.5  # every class agrees, and the spread within a class stays near that of real images
BUILDABLE = ("fashion-mnist",)


def build_bundle(
    name: str,
    data_folder: str | Path | None,
    work: str | Path,
    out: str | Path,
    seed: int = 0,
    codec_steps: int = 3000,
    generator_steps: int = 6000,
) -> Iterator[str]:
    """Trains teacher, codec and generator, writes the data files, measures the gates, writes the cards.

    Each step is skipped where its result lies in ``work`` already, so running the command again resumes it.
    Yields one line of progress at a time.

    Raises:
        StudioError: a bundle this command cannot make, or no data files.
    """
    if name not in BUILDABLE:
        raise StudioError(
            f'There is no training recipe for a bundle "{name}".',
            f"{did_you_mean(name, BUILDABLE)}Train one of: {', '.join(BUILDABLE)}.",
        )
    folder, work, out = data.find_folder(data_folder), Path(work), Path(out)
    work.mkdir(parents=True, exist_ok=True)
    made = work / "bundle"
    yield from _networks(folder, work, made, seed, codec_steps, generator_steps)
    yield "Writing the data files"
    write_data(folder, made, Teacher.from_folder(made / "teacher"), seed)
    write_index(made)
    yield "Measuring the gates"
    measured = gates.measure(load_bundle(made), DEFAULT_GUIDANCE)
    for gate in measured:
        yield f"{'pass' if gate.passed else 'MISS'}  {gate.name}: {gate.value:.4f} (needed {gate.needed}) {gate.note}"
    (made / "gates.json").write_text(
        json.dumps([g.as_dict() for g in measured], indent=2) + "\n", encoding="utf-8"
    )
    yield "Making the demo pool"
    write_demo(made)
    cards.write(made, seconds=_seconds(work), device=_device_words(), seed=seed)
    write_index(made)
    shutil.copytree(made, out, dirs_exist_ok=True)
    yield f"The bundle is in {out}"


def _networks(
    folder: Path, work: Path, made: Path, seed: int, codec_steps: int, generator_steps: int
) -> Iterator[str]:
    if not (made / "teacher" / "config.json").exists():
        for event in teacher.train(folder, work, made / "teacher", seed):
            yield f"teacher {event}"
    net = Teacher.from_folder(made / "teacher")
    if not (made / "generator" / "vae" / "config.json").exists():
        for event in codec.train(folder, work, net, made / "generator" / "vae", codec_steps, seed):
            yield f"codec {event}"
    if not (made / "generator" / "model_index.json").exists():
        vae = AutoencoderKL.from_pretrained(made / "generator" / "vae")
        for event in generator.train(folder, work, vae, made / "generator", generator_steps, seed):
            yield f"generator {event}"


def write_data(folder: Path, made: Path, net: Teacher, seed: int) -> None:
    """Test split, a balanced train subset, and the teacher's difficulty of every training image."""
    target = made / "data"
    target.mkdir(parents=True, exist_ok=True)
    images, labels = data.load_split(folder, "test")
    write_idx(images[..., 0], target / "test-images-idx3-ubyte.gz")
    write_idx(labels, target / "test-labels-idx1-ubyte.gz")
    images, labels = data.load_split(folder, "train")
    order = np.random.default_rng(seed).permutation(len(images))
    chosen = np.sort(np.concatenate([order[labels[order] == c][:SUBSET_PER_CLASS] for c in range(10)]))
    write_idx(images[chosen][..., 0], target / "train-subset-images-idx3-ubyte.gz")
    write_idx(labels[chosen], target / "train-subset-labels-idx1-ubyte.gz")
    logits, _ = net.predict(data.to_model(images), batch_size=500)
    own = F.softmax(logits.double(), 1)[torch.arange(len(labels)), torch.from_numpy(labels)]
    save_file(
        {"difficulty": (1 - own).numpy().astype(np.float32), "labels": labels.astype(np.uint8)},
        target / "train_difficulty.safetensors",
    )
    (target / "LICENSE").write_text(cards.FASHION_MNIST_LICENCE, encoding="utf-8")


def write_index(made: Path) -> None:
    """bundle.toml: the bundle's facts and a SHA-256 per file."""
    files = sorted(p for p in made.rglob("*") if p.is_file() and p.name not in (INDEX, "README.md"))
    lines = [
        'name = "fashion-mnist"',
        'title = "Fashion-MNIST"',
        'licence = "MIT (data, Zalando SE); Apache-2.0 (models)"',
        "image_shape = [28, 28, 1]",
        f"mean = {data.MEAN}",
        f"std = {data.STD}",
        f"guidance = {DEFAULT_GUIDANCE}",
        f"class_names = {json.dumps(list(data.CLASS_NAMES))}",
        "",
        "[files]",
        *(f'"{p.relative_to(made).as_posix()}" = "{sha256(p)}"' for p in files),
    ]
    (made / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_demo(made: Path) -> None:
    """A scored pool at the preset's settings, so that the app opens on something to touch."""
    from psr_studio.app.studio import (
        Studio,  # the only upward import: the demo is made by the very stages it shows
    )

    folder = made / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    with Studio(folder, "fashion-mnist", bundle=str(made)) as studio:
        for _ in studio.generate():
            pass
        for _ in studio.score():
            pass
    for path in folder.iterdir():
        if path.name not in ("pool", "scores"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _seconds(work: Path) -> dict[str, float]:
    found = {}
    for part in ("teacher", "codec", "generator"):
        checkpoint = work / f"{part}.pt"
        if checkpoint.exists():
            found[part] = torch.load(checkpoint, weights_only=True)["seconds"]
    return found


def _device_words() -> str:
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, torch {torch.__version__.split('+')[0]}"
