"""`tiny-dit`: the structure of DiT-XL/2 with its autoencoder and a 1000-way teacher, small, random, built in memory.

Every tensor has the part it has in the real thing: a class table of 1000 rows and the null class, a learned variance
(8 output channels for 4 latent ones), an autoencoder of 4 channels scaled by 0.18215 and 8 times smaller latents, a
teacher whose head is restricted to the task's ten classes. It shows nothing and measures no quality: it is there so
that every step and every tab runs on the papers' setting within seconds, without weights and without a network.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.described import load_external
from psr_studio.core.devices import candidate_seed
from psr_studio.models.codec import Codec
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.teacher import Teacher
from psr_studio.models.tiny import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    N_OUTPUTS,
    SCHEDULE,
    SIZE,
    build_autoencoder,
    build_teacher,
    build_transformer,
)

NAME, TASK = "tiny-dit", "imagewoof-dit"  # it has the class list of the other
VERSION = 1  # part of its identity: raise it when a network changes
TEST_PER_CLASS, TRAIN_PER_CLASS, FITTED_PER_CLASS, FITTED_STEPS = 6, 40, 6, 8
HEAD_GAIN = 6.0


class TinyDit(Bundle):
    """The bundle; its class list is that of ImageWoof."""

    def __init__(self) -> None:
        task: Any = load_external(TASK)
        self.class_rows: tuple[int, ...] = task.class_rows
        index: dict[str, Any] = {
            "name": NAME,
            "title": "random numbers in the structure of DiT-XL/2",
            "licence": "CC0-1.0 (random numbers)",
            "class_names": list(task.class_names),
            "image_shape": [SIZE, SIZE, 3],
            "mean": list(IMAGENET_MEAN),
            "std": list(IMAGENET_STD),
            "guidance": 4.0,
            "guided_channels": 3,
            "files": {},
        }
        super().__init__(Path(NAME), index)

    def identity(self, part: str) -> str:
        """Its version: the same code builds the same networks."""
        return f"{NAME}-{part}-{VERSION}"

    @property
    def teacher_id(self) -> str:
        """The name scores are stored under."""
        return f"teacher-{NAME}-{VERSION}"

    @property
    def n_outputs(self) -> int:
        """As in `Bundle`."""
        return N_OUTPUTS

    def generator(self, device: torch.device, dtype: torch.dtype) -> Generator:
        """The generator on ``device``, computing in ``dtype``."""

        def make() -> Generator:
            made = build_transformer()
            nn.Module.to(
                made, device=device, dtype=dtype
            )  # their own `to` warns of layers that a DiT has not
            return Generator(made, SCHEDULE, self.class_rows)

        return self._keep(("generator", f"{device} {dtype}"), make)

    def codec(self, device: torch.device) -> Codec:
        """The codec on ``device``, in float32."""
        return self._keep(
            ("codec", str(device)), lambda: Codec(build_autoencoder(), self.image_shape).placed(device)
        )

    def teacher(self, device: torch.device) -> Teacher:
        """The teacher on ``device``, in float32; its ten rows are fitted to a few candidates of each class."""
        return self._keep(("teacher", str(device)), lambda: self._teacher().to(device))

    def _teacher(self) -> Teacher:
        teacher = build_teacher(self.class_rows, f"{NAME}-{VERSION}")
        cpu = torch.device("cpu")
        labels = [c for c in range(self.n_classes) for _ in range(FITTED_PER_CLASS)]
        seeds = [candidate_seed(0, c, i) for c in range(self.n_classes) for i in range(FITTED_PER_CLASS)]
        sampling = Sampling(steps=FITTED_STEPS, guided_channels=3)
        *_, (_, latents) = self.generator(cpu, torch.float32).sample(labels, seeds, sampling)
        with torch.no_grad():
            _, features = teacher(self.codec(cpu).decode(latents).clamp(-1, 1))
            _fit_head(teacher.backbone, features, torch.tensor(labels), self.class_rows)
        return teacher

    @property
    def has_train_difficulty(self) -> bool:
        """Yes: random, too."""
        return True

    @cached_property
    def train_difficulty(self) -> tuple[np.ndarray, np.ndarray]:
        """As in `Bundle`: mostly easy, a few hard."""
        n = 60 * self.n_classes
        values = np.random.default_rng(2).beta(0.5, 2.0, n).astype(np.float32)
        return values, np.tile(np.arange(self.n_classes), 60)

    @cached_property
    def test_set(self) -> tuple[np.ndarray, np.ndarray]:
        """As in `Bundle`."""
        return self._pictures(TEST_PER_CLASS, seed=0)

    def _train_images(self) -> tuple[np.ndarray, np.ndarray]:
        return self._pictures(TRAIN_PER_CLASS, seed=1)

    def _pictures(self, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """A colour per class, under noise."""
        rng = np.random.default_rng(seed)
        colours = np.random.default_rng(9).integers(40, 216, (self.n_classes, 1, 1, 3))
        labels = np.tile(np.arange(self.n_classes), per_class)
        noise = rng.normal(0, 40, (len(labels), SIZE, SIZE, 3))
        return (colours[labels] + noise).clip(0, 255).astype(np.uint8), labels


def _fit_head(
    backbone: nn.Module, features: torch.Tensor, labels: torch.Tensor, rows: tuple[int, ...]
) -> None:
    """Least squares from features (n, D) to labels (n,), written into the task's rows of the head."""
    centred = features - features.mean(dim=0)
    targets = nn.functional.one_hot(labels, len(rows)).float() - 1 / len(rows)
    weight = torch.linalg.lstsq(centred, targets, driver="gelsd").solution.T * HEAD_GAIN
    head = backbone.get_classifier()  # type: ignore[operator]
    head.weight[list(rows)] = weight
    head.bias[list(rows)] = -(weight @ features.mean(dim=0))
