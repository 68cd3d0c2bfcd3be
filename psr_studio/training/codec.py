"""Trains a bundle's codec: a small AutoencoderKL whose pictures the teacher still recognises."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.devices import sent
from psr_studio.models.codec import Codec
from psr_studio.models.levels import from_uint8
from psr_studio.models.teacher import Teacher
from psr_studio.training.loop import batch_of, load, mixed_precision, trapezoid
from psr_studio.training.settings import BundleSettings, CodecSettings

SCALED_ON = 4000  # training images


def build(settings: CodecSettings, channels: int) -> AutoencoderKL:
    """The untrained codec: pictures (N, channels, size, size), latents (N, latent_channels, h, w)."""
    n_levels = len(settings.widths)
    return AutoencoderKL(
        in_channels=channels,
        out_channels=channels,
        latent_channels=settings.latent_channels,
        block_out_channels=settings.widths,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * n_levels,
        up_block_types=("UpDecoderBlock2D",) * n_levels,
        norm_num_groups=8,
        sample_size=settings.size,
    )


class Run:
    """A codec in training beside the teacher whose eyes it is trained for."""

    def __init__(
        self,
        settings: BundleSettings,
        folder: Path,
        work: Path,
        teacher: Teacher,
        seed: int,
        device: torch.device,
    ) -> None:
        self.settings, self.device, self.teacher = settings.codec, device, teacher
        self.images, _ = load(folder, "train", settings.data, device)
        # of the originals: once, not once a step
        self.logits, self.features = (x.to(device) for x in teacher.predict(self.images, batch_size=500))
        torch.manual_seed(seed)
        self.vae = build(settings.codec, settings.data.channels).to(device).train()
        self.optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=self.settings.peak_lr, betas=(0.9, 0.95), weight_decay=1e-4
        )
        self.generator = torch.Generator().manual_seed(seed)
        parts = {"vae": self.vae, "optimizer": self.optimizer, "generator": self.generator}
        self.checkpoint = Checkpoint(work / "codec.pt", parts)
        self.padding = ((self.settings.size - settings.data.side) // 2,) * 4

    def step(self, index: int) -> Tensor:
        """One step; the loss, not yet waited for."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = trapezoid(
                index, settings.steps, settings.peak_lr, settings.warmup, settings.decay_share
            )
        rows = torch.randint(len(self.images), (settings.batch,), generator=self.generator).to(self.device)
        batch = F.pad(batch_of(self.images, rows, self.device), self.padding, value=-1.0)
        with mixed_precision(self.device):
            posterior = self.vae.encode(batch).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=self.generator).to(self.device)
            rebuilt = self.vae.decode(posterior.mean + posterior.std * noise).sample
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).float()
        loss = self._loss(batch, rebuilt.float(), rows) + settings.kl * kl.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        return loss.detach()

    def _loss(self, batch: Tensor, rebuilt: Tensor, rows: Tensor) -> Tensor:
        settings, (left, right, top, bottom) = self.settings, self.padding
        inner = rebuilt[..., top : rebuilt.shape[-2] - bottom, left : rebuilt.shape[-1] - right]
        with mixed_precision(self.device):
            logits, features = self.teacher(inner)
        asked = F.softmax(self.logits[rows], 1)
        label = F.kl_div(F.log_softmax(logits.float(), 1), asked, reduction="batchmean")
        wanted = self.features[rows]
        feature = (features.float() - wanted).square().mean() / wanted.square().mean()
        pixels = F.mse_loss(rebuilt, batch) + settings.absolute * F.l1_loss(rebuilt, batch)
        return pixels + settings.label * label + settings.feature * feature

    @torch.no_grad()
    def save(self, out: Path) -> None:
        """A diffusers folder (bfloat16) whose latents have unit variance."""
        self.vae.eval()
        padded = F.pad(
            batch_of(self.images, _spread(len(self.images)), self.device), self.padding, value=-1.0
        )
        means = torch.cat([self.vae.encode(chunk).latent_dist.mean for chunk in padded.split(200)])
        self.vae.register_to_config(scaling_factor=round(1 / means.std().item(), 5))
        self.vae.to("cpu", torch.bfloat16).save_pretrained(out)


def _spread(n: int) -> Tensor:
    """Rows spread evenly over n: a source may be sorted by class."""
    return torch.linspace(0, n - 1, min(n, SCALED_ON)).long()


@torch.no_grad()
def encode_all(codec: Codec, images: Tensor, device: torch.device, batch_size: int = 250) -> Tensor:
    """Images at rest, uint8 (N, H, W, ch) -> scaled posterior means (N, c, h, w) on the codec's device."""
    return torch.cat([codec.encode(from_uint8(sent(part, device))) for part in images.split(batch_size)])
