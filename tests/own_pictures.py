"""Pictures of one's own, as a newcomer has them: a colour per class under noise, and a timm teacher that knows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from psr_studio.models.levels import from_uint8
from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone

NAMES = ("apple", "plum", "sky")
COLOURS = {"apple": (200, 40, 40), "plum": (110, 40, 160), "sky": (80, 160, 240), "tree": (40, 140, 60)}
SIDE = 32
QUICK = {
    "device": "cpu", "select.ipc": 2, "pool.part_size": 4, "evaluate.epochs": 2, "evaluate.n_checks": 1,
    "evaluate.n_seeds": 1, "evaluate.student": "convnet-2",
}  # fmt: skip


def colour(name: str, seed: int, side: int = SIDE) -> np.ndarray:
    """A picture of a class, uint8 (side, side, 3)."""
    noise = np.random.default_rng([seed, list(COLOURS).index(name)]).normal(0, 25, (side, side, 3))
    return (np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8)


def write_pictures(
    folder: Path,
    n: int = 6,
    names: Sequence[str] = NAMES,
    side: int = SIDE,
    first: int = 0,
    ending: str = "png",
) -> Path:
    """A folder per class with n pictures each."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(colour(name, first + i, side)).save(folder / name / f"{i:02d}.{ending}")
    return folder


def write_teacher(folder: Path, names: Sequence[str] = NAMES, *, says_names: bool = True) -> Path:
    """A timm folder of a small network whose head is fitted to the colours of these classes, in this order."""
    config = {
        "architecture": "convnext_atto",
        "num_classes": len(names),
        "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE], "crop_pct": 1.0, "interpolation": "bicubic",
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        },
    }  # fmt: skip
    if says_names:
        config["label_names"] = list(names)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        found = TeacherConfig.from_timm_folder(folder, None)
        teacher = Teacher(create_backbone(found).eval(), found, "fitted")
        labels = torch.arange(len(names)).repeat_interleave(20)
        seen = np.stack([colour(names[c], 100 + i) for i, c in enumerate(labels.tolist())])
        _, features = teacher(from_uint8(torch.from_numpy(seen)))
        targets = torch.nn.functional.one_hot(labels).float() - 1 / len(names)
        ridge = 1e-3 * torch.eye(features.shape[1]) * features.var()
        centred = features - features.mean(dim=0)
        weight = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ targets).T * 6
        head = teacher.backbone.get_classifier()
        head.weight.copy_(weight)
        head.bias.copy_(-(weight @ features.mean(dim=0)))
        state = {name: values.contiguous() for name, values in teacher.backbone.state_dict().items()}
        save_file(state, folder / "model.safetensors")
    return folder


def write_description(
    path: Path, teacher: Path, real: Path | None = None, names: Sequence[str] = NAMES
) -> Path:
    """A bundle of pictures: classes, a teacher and, where they are given, real images without a split."""
    lines = [
        f"class_names = {json.dumps(list(names))}", f"image_shape = [{SIDE}, {SIDE}, 3]",
        "mean = [0.5, 0.5, 0.5]", "std = [0.25, 0.25, 0.25]", "[teacher]", f'source = "{teacher}"',
    ]  # fmt: skip
    if real is not None:
        lines += ["[images]", f'source = "{real}"', "test_share = 0.25", "seed = 3", "train_per_class = 50"]
    path.write_text("\n".join(lines) + "\n")
    return path
