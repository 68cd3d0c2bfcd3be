"""Trains a bundle's generator: a class-conditional DiT on the codec's latents, with label dropout and EMA."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, DiTTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.files import whole_file
from psr_studio.models.codec import Codec
from psr_studio.training import codec
from psr_studio.training.loop import load, mixed_precision, trapezoid
from psr_studio.training.settings import BundleSettings

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


def build(settings: BundleSettings, latent_shape: tuple[int, int, int]) -> DiTTransformer2DModel:
    """The untrained generator for latents (c, h, w). Beyond the classes, only the null row of its table is used."""
    generator, (channels, size, _) = settings.generator, latent_shape
    return DiTTransformer2DModel(
        num_attention_heads=generator.heads,
        attention_head_dim=generator.head_dim,
        in_channels=channels,
        out_channels=channels,
        num_layers=generator.layers,
        sample_size=size,
        patch_size=generator.patch,
        num_embeds_ada_norm=settings.label_rows,
        norm_num_groups=4,
    )


def zero_initialise(net: DiTTransformer2DModel, n_classes: int) -> None:
    """adaLN-zero: every block starts as the identity and the output at zero (Peebles & Xie 2023)."""
    null_row = net.config.num_embeds_ada_norm
    for block in net.transformer_blocks:
        torch.nn.init.zeros_(block.norm1.linear.weight)
        torch.nn.init.zeros_(block.norm1.linear.bias)
        block.norm1.emb.class_embedder.embedding_table.weight.data.normal_(std=0.02)[n_classes:null_row] = 0
    torch.nn.init.zeros_(net.proj_out_1.weight)
    torch.nn.init.zeros_(net.proj_out_1.bias)
    torch.nn.init.zeros_(net.proj_out_2.weight)
    torch.nn.init.zeros_(net.proj_out_2.bias)


def draw_timesteps(n: int, generator: torch.Generator) -> Tensor:
    """Mostly logit-normal around t = 330, where classes part, with a tenth uniform so that no t is forgotten."""
    focused = torch.sigmoid(torch.randn(n, generator=generator) - 0.7)
    uniform = torch.rand(n, generator=generator)
    share = torch.rand(n, generator=generator) < 0.1
    return (torch.where(share, uniform, focused) * 1000).long().clamp(max=999)


def latents_of(
    settings: BundleSettings, folder: Path, work: Path, encoder: Codec, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The training latents (N, c, h, w), those of the mirrored pictures after them, and labels; kept in ``work``."""
    kept = work / "latents.safetensors"
    if not kept.exists():
        images, labels = load(folder, "train", settings.data, device)
        views = [images, images.flip(2)] if settings.generator.mirrored else [images]
        latents = torch.cat([codec.encode_all(encoder, view, device) for view in views])
        with whole_file(kept) as temp:
            save_file(
                {"latents": latents.cpu().contiguous(), "labels": labels.repeat(len(views)).cpu()}, temp
            )
    found = load_file(kept, device=str(device))
    return found["latents"], found["labels"]


class Run:
    """A generator in training with its running average, on one device."""

    def __init__(
        self,
        settings: BundleSettings,
        folder: Path,
        work: Path,
        encoder: Codec,
        seed: int,
        device: torch.device,
    ) -> None:
        self.settings, self.null_row, self.device = settings.generator, settings.label_rows, device
        self.class_names = settings.data.class_names
        self.latents, self.labels = latents_of(settings, folder, work, encoder, device)
        torch.manual_seed(seed)
        shape = (self.latents.shape[1], self.latents.shape[2], self.latents.shape[3])
        # eval: diffusers would drop the label in each block on its own; it is dropped once, in `step`
        self.net = build(settings, shape).eval()
        zero_initialise(self.net, settings.data.n_classes)
        self.net.to(device)
        self.ema = copy.deepcopy(self.net)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=self.settings.peak_lr, betas=(0.9, 0.99), weight_decay=0.01
        )
        self.alphas_cumprod = DDPMScheduler.from_config(SCHEDULER).alphas_cumprod
        self.generator = torch.Generator().manual_seed(seed)
        parts = {"net": self.net, "ema": self.ema, "optimizer": self.optimizer, "generator": self.generator}
        self.checkpoint = Checkpoint(work / "generator.pt", parts)

    def step(self, index: int) -> Tensor:
        """One step; the loss, not yet waited for."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = trapezoid(
                index, settings.steps, settings.peak_lr, settings.warmup, settings.decay_share
            )
        rows = torch.randint(len(self.latents), (settings.batch,), generator=self.generator)
        dropped = torch.rand(settings.batch, generator=self.generator) < settings.label_dropout
        t = draw_timesteps(settings.batch, self.generator)
        noise = torch.randn((settings.batch, *self.latents.shape[1:]), generator=self.generator).to(
            self.device
        )
        kept = self.alphas_cumprod[t].view(-1, 1, 1, 1).to(self.device)
        rows, dropped, t = rows.to(self.device), dropped.to(self.device), t.to(self.device)
        y = torch.where(dropped, self.null_row, self.labels[rows])
        z_t = kept.sqrt() * self.latents[rows] + (1 - kept).sqrt() * noise
        with mixed_precision(self.device):
            predicted = self.net(z_t, timestep=t, class_labels=y).sample
        loss = F.mse_loss(predicted.float(), noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        decay = min(settings.ema_decay, (1 + index) / (10 + index))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()), 1 - decay)
        return loss.detach()

    def save(self, out: Path) -> None:
        """The DiTPipeline folder without its codec: bfloat16 EMA weights, scheduler, and last index and label names."""
        copy.deepcopy(self.ema).to("cpu", torch.bfloat16).save_pretrained(out / "transformer")
        DDPMScheduler.from_config(SCHEDULER).save_pretrained(out / "scheduler")
        index = {
            "_class_name": "DiTPipeline",
            "_diffusers_version": "0.35.0",
            "id2label": {str(i): name for i, name in enumerate(self.class_names)},
            "scheduler": ["diffusers", "DDPMScheduler"],
            "transformer": ["diffusers", "DiTTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }
        with whole_file(out / "model_index.json") as temp:
            temp.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
