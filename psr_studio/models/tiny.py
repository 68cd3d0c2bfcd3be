"""The networks of `tiny-dit`: those of DiT-XL/2, its autoencoder and a 1000-way teacher, small and random."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, DiTTransformer2DModel
from torch import nn

from psr_studio.models.teacher import Teacher, TeacherConfig, create_backbone

SIZE, LATENT_CHANNELS = 64, 4
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
N_OUTPUTS = 1000  # of the teacher
PIXEL_SPREAD = 0.5  # of decoded random latents, so that pictures are neither flat nor black and white
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


def build_teacher(class_rows: tuple[int, ...], teacher_id: str = "tiny", seed: int = 2) -> Teacher:
    """A ConvNeXt of 1000 classes with timm's resize, cut and normalisation, restricted to the task's rows."""
    config = TeacherConfig(
        architecture="convnext_atto",
        input_size=56,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        n_classes=N_OUTPUTS,
        class_indices=class_rows,
        crop_pct=0.875,
        interpolation="bicubic",
        kwargs={"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Teacher(overwrite_zeros(create_backbone(config)), config, teacher_id)


def overwrite_zeros(module: nn.Module) -> Any:
    """Fill parameters that start at zero with small noise: a gate of zero would hide the block behind it."""
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    return module
