"""Trains the bundle's generator: a class-conditional DiT on the codec's latents, with label dropout and EMA."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, DiTTransformer2DModel
from torch import Tensor

from psr_studio.training import codec, data

BATCH, PEAK_LR, WARMUP, DECAY_SHARE = 256, 1e-3, 200, 0.3
LABEL_DROPOUT, EMA_DECAY = 0.1, 0.999
# Linear betas as DiT; the variance of an ancestral step is the posterior's, since none is learned.
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "variance_type": "fixed_small",
    "prediction_type": "epsilon",
    "clip_sample": False,
    "timestep_spacing": "linspace",
}


def build() -> DiTTransformer2DModel:
    """The untrained generator, 8.0 M parameters: 16 tokens of 2x2 latent pixels, width 256, 5 blocks.

    The label table has 1,000 rows because diffusers' DiTPipeline writes its null class as 1000; only ten
    rows and the null row are ever used.
    """
    return DiTTransformer2DModel(
        num_attention_heads=4,
        attention_head_dim=64,
        in_channels=4,
        out_channels=4,
        num_layers=5,
        sample_size=8,
        patch_size=2,
        num_embeds_ada_norm=1000,
        norm_num_groups=4,
    )


def zero_initialise(net: DiTTransformer2DModel) -> None:
    """adaLN-zero: every block starts as the identity and the output at zero (Peebles & Xie 2023)."""
    for block in net.transformer_blocks:
        torch.nn.init.zeros_(block.norm1.linear.weight)
        torch.nn.init.zeros_(block.norm1.linear.bias)
        block.norm1.emb.class_embedder.embedding_table.weight.data.normal_(std=0.02)[10:1000] = 0
    torch.nn.init.zeros_(net.proj_out_1.weight)
    torch.nn.init.zeros_(net.proj_out_1.bias)
    torch.nn.init.zeros_(net.proj_out_2.weight)
    torch.nn.init.zeros_(net.proj_out_2.bias)


def learning_rate(step: int, n_steps: int) -> float:
    """Warm-up, then constant, then a linear fall to zero over the last share of the steps."""
    fall = (n_steps - step) / (DECAY_SHARE * n_steps)
    return PEAK_LR * min(1.0, (step + 1) / WARMUP, fall)


def draw_timesteps(n: int, generator: torch.Generator) -> Tensor:
    """Mostly logit-normal around t = 330, where classes part, with a tenth uniform so that no t is forgotten."""
    focused = torch.sigmoid(torch.randn(n, generator=generator) - 0.7)
    uniform = torch.rand(n, generator=generator)
    share = torch.rand(n, generator=generator) < 0.1
    return (torch.where(share, uniform, focused) * 1000).long().clamp(max=999)


def latents_of(folder: Path, work: Path, vae: AutoencoderKL) -> tuple[Tensor, Tensor]:
    """All 60,000 training latents and their labels, encoded once and kept in ``work``."""
    cached = work / "latents.pt"
    images, labels = data.load_split(folder, "train")
    if cached.exists():
        return torch.load(cached, weights_only=True), torch.from_numpy(labels)
    padded = F.pad(data.to_model(images), (codec.PADDING,) * 4, value=-1.0)
    latents, _ = codec.encode_all(vae.float(), padded)
    torch.save(latents, cached)
    return latents, torch.from_numpy(labels)


def train(
    folder: Path,
    work: Path,
    vae: AutoencoderKL,
    out: Path,
    n_steps: int = 6000,
    seed: int = 0,
    compile_net: bool = False,
) -> Iterator[dict[str, float]]:
    """Trains, and writes ``out/transformer``, ``out/scheduler`` and ``out/model_index.json``.

    Yields one dict per 100 steps; a checkpoint per 500 steps in ``work`` makes the command resumable.
    """
    latents, labels = latents_of(folder, work, vae)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = (
        build().eval()
    )  # eval: diffusers would drop the label in each block on its own; we drop it once, below
    zero_initialise(net)
    ema = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_LR, betas=(0.9, 0.99), weight_decay=0.01)
    alphas_cumprod = DDPMScheduler.from_config(SCHEDULER).alphas_cumprod
    checkpoint, start, seconds_before = work / "generator.pt", 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        start, seconds_before = state["step"], state["seconds"]
    forward = torch.compile(net) if compile_net else net
    began, total = time.perf_counter(), 0.0
    for step in range(start, n_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, n_steps)
        index = torch.randint(len(latents), (BATCH,), generator=generator)
        z_0, y = latents[index], labels[index]
        y = torch.where(torch.rand(BATCH, generator=generator) < LABEL_DROPOUT, 1000, y)
        t = draw_timesteps(BATCH, generator)
        noise = torch.randn(z_0.shape, generator=generator)
        kept = alphas_cumprod[t].view(-1, 1, 1, 1)
        z_t = kept.sqrt() * z_0 + (1 - kept).sqrt() * noise
        with torch.autocast("cpu", torch.bfloat16):
            predicted = forward(z_t, timestep=t, class_labels=y).sample
        loss = F.mse_loss(predicted.float(), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
        total += loss.item()
        seconds = seconds_before + time.perf_counter() - began
        if (step + 1) % 500 == 0:
            torch.save(
                {
                    "net": net.state_dict(),
                    "ema": ema.state_dict(),
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
    save(ema, out)


def save(ema: DiTTransformer2DModel, out: Path) -> None:
    """The DiTPipeline folder without its codec: bfloat16 EMA weights, scheduler, index and label names."""
    copy.deepcopy(ema).to(torch.bfloat16).save_pretrained(out / "transformer")
    DDPMScheduler.from_config(SCHEDULER).save_pretrained(out / "scheduler")
    index = {
        "_class_name": "DiTPipeline",
        "_diffusers_version": "0.35.0",
        "id2label": {str(i): name for i, name in enumerate(data.CLASS_NAMES)},
        "scheduler": ["diffusers", "DDPMScheduler"],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
