"""Trains the bundle's codec: a small AutoencoderKL whose pictures the teacher still recognises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from psr_studio.models.teacher import Teacher
from psr_studio.training import data

PADDING = 2  # 28 -> 32
BATCH, PEAK_LR, WARMUP, DECAY_SHARE = 128, 2e-3, 300, 0.5
# Weights of the loss beside the mean squared error: posterior KL per latent element, absolute error,
# the teacher's soft label on the reconstruction against its label on the original, and its features.
KL_WEIGHT, L1_WEIGHT, LABEL_WEIGHT, FEATURE_WEIGHT = 1e-3, 0.3, 0.1, 0.1


def build() -> AutoencoderKL:
    """The untrained codec: 1 x 32 x 32 pictures, 4 x 8 x 8 latents, 0.7 M parameters."""
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        latent_channels=4,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=8,
        sample_size=32,
    )


def learning_rate(step: int, n_steps: int) -> float:
    """Warm-up, then constant, then a linear fall to zero over the last share of the steps."""
    return PEAK_LR * min(1.0, (step + 1) / WARMUP, (n_steps - step) / (DECAY_SHARE * n_steps))


def _losses(
    teacher: Teacher, batch: Tensor, rebuilt: Tensor, kl: Tensor, logits: Tensor, features: Tensor
) -> Tensor:
    """Total loss; ``logits`` and ``features`` are the teacher's on the original pictures."""
    inner = rebuilt[..., PADDING:-PADDING, PADDING:-PADDING]
    with torch.autocast("cpu", torch.bfloat16):
        logits_rebuilt, features_rebuilt = teacher(inner)
    label = F.kl_div(F.log_softmax(logits_rebuilt.float(), 1), F.softmax(logits, 1), reduction="batchmean")
    feature = (features_rebuilt.float() - features).square().mean() / features.square().mean()
    pixels = F.mse_loss(rebuilt, batch) + L1_WEIGHT * F.l1_loss(rebuilt, batch)
    return pixels + KL_WEIGHT * kl.mean() + LABEL_WEIGHT * label + FEATURE_WEIGHT * feature


def train(
    folder: Path, work: Path, teacher: Teacher, out: Path, n_steps: int = 3000, seed: int = 0
) -> Iterator[dict[str, float]]:
    """Trains and writes a diffusers AutoencoderKL folder (bfloat16) whose latents have unit variance.

    Yields one dict per 100 steps; a checkpoint per 500 steps in ``work`` makes the command resumable.
    """
    images, _ = data.load_split(folder, "train")
    unpadded = data.to_model(images)
    logits, features = teacher.predict(unpadded, batch_size=500)  # of the originals: once, not once a step
    x = F.pad(unpadded, (PADDING,) * 4, value=-1.0)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    vae = build().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK_LR, betas=(0.9, 0.95), weight_decay=1e-4)
    checkpoint = work / "codec.pt"
    start, seconds_before = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        start, seconds_before = state["step"], state["seconds"]

    def rebuild(batch: Tensor) -> tuple[Tensor, Tensor]:
        posterior = vae.encode(batch).latent_dist
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar)
        return vae.decode(posterior.sample()).sample, kl

    compiled = torch.compile(rebuild)
    began, total = time.perf_counter(), 0.0
    for step in range(start, n_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, n_steps)
        index = torch.randint(len(x), (BATCH,), generator=generator)
        batch = x[index].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            rebuilt, kl = compiled(batch)
        loss = _losses(teacher, batch, rebuilt.float(), kl.float(), logits[index], features[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        seconds = seconds_before + time.perf_counter() - began
        if (step + 1) % 500 == 0:
            torch.save(
                {
                    "vae": vae.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "generator": generator.get_state(),
                    "step": step + 1,
                    "seconds": seconds,
                },
                checkpoint,
            )
        if (step + 1) % 100 == 0:
            yield {"step": step + 1, "loss": total / 100, "seconds": seconds}
            total = 0.0
    vae.eval()
    with torch.no_grad():
        means = torch.cat([vae.encode(chunk).latent_dist.mean for chunk in x[:4000].split(200)])
    vae.register_to_config(scaling_factor=round(1 / means.std().item(), 5))
    vae.to(torch.bfloat16).save_pretrained(out)


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: Tensor, batch_size: int = 250) -> tuple[Tensor, Tensor]:
    """Padded images (N, 1, 32, 32) -> posterior means and standard deviations, scaled, (N, 4, 8, 8) each."""
    scale = vae.config.scaling_factor
    means, stds = [], []
    for chunk in images.split(batch_size):
        posterior = vae.encode(chunk).latent_dist
        means.append(posterior.mean * scale)
        stds.append(posterior.std * scale)
    return torch.cat(means), torch.cat(stds)
