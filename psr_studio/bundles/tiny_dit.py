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
from diffusers import AutoencoderKL, DiTTransformer2DModel
from torch import nn

from psr_studio.bundles.bundle import HELD_OUT_EVERY, Bundle, load_bundle, rank_in_class
from psr_studio.core.devices import candidate_seed
from psr_studio.models.codec import Codec
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone

NAME, TASK = "tiny-dit", "imagewoof-dit"  # it has the class list of the other
VERSION = 1  # part of its identity: raise it when a network changes
SIZE, LATENT_CHANNELS = 64, 4
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TEST_PER_CLASS, TRAIN_PER_CLASS, FITTED_PER_CLASS, FITTED_STEPS = 6, 40, 6, 8
PIXEL_SPREAD = 0.5  # of decoded random latents, so that pictures are neither flat nor black and white
HEAD_GAIN = 6.0
STRUCTURE = {  # of every DiT that was published
    "in_channels": LATENT_CHANNELS,
    "out_channels": 2 * LATENT_CHANNELS,
    "patch_size": 2,
    "num_embeds_ada_norm": 1000,
    "activation_fn": "gelu-approximate",
    "norm_type": "ada_norm_zero",
    "norm_elementwise_affine": False,
    "attention_bias": True,
}
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "clip_sample": False,
}


class TinyDit(Bundle):
    """The bundle; its class list is that of ImageWoof."""

    def __init__(self) -> None:
        task: Any = load_bundle(TASK)
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
        teacher = build_teacher(self.class_rows)
        cpu = torch.device("cpu")
        labels = [c for c in range(self.n_classes) for _ in range(FITTED_PER_CLASS)]
        seeds = [candidate_seed(0, c, i) for c in range(self.n_classes) for i in range(FITTED_PER_CLASS)]
        how = Sampling(steps=FITTED_STEPS, guided_channels=3)
        *_, (_, latents) = self.generator(cpu, torch.float32).sample(labels, seeds, how)
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

    def _real(self, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self._pictures(TRAIN_PER_CLASS, seed=1)
        own = (rank_in_class(labels) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out
        return images[own], labels[own]

    def _pictures(self, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """A colour per class, under noise."""
        rng = np.random.default_rng(seed)
        colours = np.random.default_rng(9).integers(40, 216, (self.n_classes, 1, 1, 3))
        labels = np.tile(np.arange(self.n_classes), per_class)
        noise = rng.normal(0, 40, (len(labels), SIZE, SIZE, 3))
        return (colours[labels] + noise).clip(0, 255).astype(np.uint8), labels


def build_transformer(seed: int = 0) -> DiTTransformer2DModel:
    """A DiT with everything DiT-XL/2 has, 2 blocks of width 32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = DiTTransformer2DModel(
            **STRUCTURE, num_attention_heads=2, attention_head_dim=16, num_layers=2, sample_size=SIZE // 8
        )
        return overwrite_zeros(made)


def build_autoencoder(seed: int = 1) -> AutoencoderKL:
    """An autoencoder with everything sd-vae has; its latents have about unit variance after scaling."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=1,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=4,
            sample_size=SIZE,
            scaling_factor=0.18215,
        )
        overwrite_zeros(made).eval()
        with torch.no_grad():
            decoded = made.decode(torch.randn(4, LATENT_CHANNELS, SIZE // 8, SIZE // 8) / 0.18215).sample
            for parameter in made.decoder.conv_out.parameters():
                parameter *= PIXEL_SPREAD / decoded.std()
            encoded = made.encode(torch.rand(4, 3, SIZE, SIZE) * 2 - 1).latent_dist.mean * 0.18215
            for parameter in made.quant_conv.parameters():
                parameter[:LATENT_CHANNELS] /= encoded.std()
        return made


def build_teacher(class_rows: tuple[int, ...], seed: int = 2) -> Teacher:
    """A ConvNeXt of 1000 classes with timm's resize, cut and normalisation, restricted to the task's rows."""
    config = TeacherConfig(
        architecture="convnext_atto",
        input_size=56,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        n_classes=1000,
        class_indices=class_rows,
        crop_pct=0.875,
        interpolation="bicubic",
        kwargs={"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Teacher(overwrite_zeros(create_backbone(config)), config, f"{NAME}-{VERSION}")


def overwrite_zeros(module: nn.Module) -> Any:
    """Fill parameters that start at zero with small noise: a gate of zero would hide the block behind it."""
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    return module


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
