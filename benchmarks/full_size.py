"""The networks of the papers' setting at their real sizes, with random weights: a speed does not depend on them.

DiT-XL/2 at 256 px, the autoencoder of sd-vae-ft-mse and ConvNeXt-B. Layers that start at zero are overwritten with
noise, or every output would be equal and no comparison could fail.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, DiTTransformer2DModel

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.models.codec import Codec
from psr_studio.models.generator import Generator
from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone
from psr_studio.models.tiny import IMAGENET_MEAN, IMAGENET_STD, SCHEDULE, STRUCTURE, overwrite_zeros

PIXELS, LATENT_SIZE, N_CLASSES = 256, 32, 10


class FullSize:
    """What the benchmarks ask of a bundle. Each call makes the network anew."""

    n_classes, guidance, demo = N_CLASSES, 4.0, None

    def generator(self, device: torch.device, dtype: torch.dtype) -> Generator:
        """DiT-XL/2: 28 blocks of width 1152, 1000 classes, a learned variance."""
        with device:
            made = DiTTransformer2DModel(
                **STRUCTURE,
                num_attention_heads=16,
                attention_head_dim=72,
                num_layers=28,
                sample_size=LATENT_SIZE,
            )
            made = overwrite_zeros(made)
        torch.nn.Module.to(made, dtype=dtype)
        made_of = Generator(made, SCHEDULE)
        made_of.learns_variance = False  # DiTPipeline, the peer, drops it
        return made_of

    def codec(self, device: torch.device) -> Codec:
        """The autoencoder of Stable Diffusion 1, float32."""
        with device:
            made = AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
                latent_channels=4,
                sample_size=PIXELS,
                scaling_factor=0.18215,
            )
        return Codec(made, (PIXELS, PIXELS, 3)).placed(device)

    def teacher(self, device: torch.device) -> Teacher:
        """ConvNeXt-B, restricted to ten classes."""
        config = TeacherConfig(
            architecture="convnext_base",
            input_size=224,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            n_classes=1000,
            class_indices=tuple(range(N_CLASSES)),
            crop_pct=0.875,
            interpolation="bicubic",
        )
        with device:
            return Teacher(overwrite_zeros(create_backbone(config)), config, "full-size").to(device)


def open_bundle(full_size: bool) -> Bundle | FullSize:
    """The embedded models, or those of the papers' setting without their weights."""
    return FullSize() if full_size else load_bundle("fashion-mnist")
