"""The codec: images <-> latents. Owns the latent scale and the padding.

Shape letters: N candidates, H x W x ch the image at rest, c x h x w the latent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from psr_studio.models.levels import from_uint8, to_uint8
from psr_studio.models.memory import MicroBatches
from psr_studio.models.weights import open_pretrained

PIXELS_AT_ONCE = 2**20  # decoded together: 16 pictures of 256 px, whose activations fill a cache or 1 GiB


class Codec(nn.Module):
    """A frozen AutoencoderKL over images of ``image_shape``, padded to the size it was trained on.

    Args:
        vae: diffusers AutoencoderKL; ``config.scaling_factor`` brings its latents to unit variance.
        image_shape: (H, W, ch) of the images at rest; the border is padded with -1 up to the VAE's size.
    """

    def __init__(self, vae: AutoencoderKL, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.vae = vae.eval()
        self.requires_grad_(False)  # before any graph is built, see Teacher
        self.image_shape = image_shape
        height, width, _ = image_shape
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.size = max(-(-height // factor), -(-width // factor)) * factor
        if isinstance(vae.config.sample_size, int) and vae.config.sample_size >= max(height, width):
            self.size = vae.config.sample_size
        self.latent_shape = (vae.config.latent_channels, self.size // factor, self.size // factor)
        self.memory = MicroBatches("decoding", max(1, PIXELS_AT_ONCE // self.size**2))
        self.encoding = MicroBatches("encoding", items="pictures")

    @classmethod
    def from_folder(
        cls, folder: Path, image_shape: tuple[int, int, int], device: torch.device | str = "cpu"
    ) -> Codec:
        """Opens a diffusers AutoencoderKL folder, in float32.

        Raises:
            ModelError: a missing, truncated or ill-shaped file, by name.
        """
        return cls(open_pretrained(AutoencoderKL, folder), image_shape).placed(device)

    def placed(self, device: torch.device | str) -> Self:
        """This codec, moved; channels last on a GPU, where convolutions are faster so (not on a CPU)."""
        self.to(device)
        if next(self.parameters()).is_cuda:
            self.vae.to(memory_format=torch.channels_last)
        return self

    @property
    def scale(self) -> float:
        """Latents at rest = VAE latents x scale."""
        return float(self.vae.config.scaling_factor)

    def _padding(self) -> tuple[int, int, int, int]:
        height, width, _ = self.image_shape
        left, top = (self.size - width) // 2, (self.size - height) // 2
        return left, self.size - width - left, top, self.size - height - top

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, ch, H, W) in [-1, 1] -> latents (N, c, h, w): the posterior mean, scaled.

        Differentiable; where no gradient is asked for, in pieces that fit into memory.
        """
        if torch.is_grad_enabled():
            return self._encode(images)
        (latents,) = self.encoding.map(lambda part: (self._encode(part),), images)
        return latents

    def _encode(self, images: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(images, self._padding(), value=-1.0)
        return self.vae.encode(padded).latent_dist.mean * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, c, h, w) -> images (N, ch, H, W), nominally in [-1, 1], not clamped. Differentiable."""
        left, right, top, bottom = self._padding()
        full = self.vae.decode(latents / self.scale).sample
        return full[..., top : full.shape[-2] - bottom, left : full.shape[-1] - right]

    @torch.no_grad()
    def encode_uint8(self, images: np.ndarray) -> np.ndarray:
        """Images at rest, uint8 (N, H, W, ch), at least one -> latents float32 (N, c, h, w), in float32 everywhere."""
        device = next(self.parameters()).device
        return self.encode(from_uint8(torch.tensor(images).to(device))).cpu().numpy()

    @torch.no_grad()
    def decode_uint8(self, latents: Tensor) -> np.ndarray:
        """Latents (N, c, h, w) on any device -> images at rest, uint8 (N, H, W, ch); bfloat16 on a GPU."""
        if not len(latents):
            return np.zeros((0, *self.image_shape), np.uint8)
        device = next(self.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            (levels,) = self.memory.map(
                lambda part: (to_uint8(self.decode(part)),), latents.to(device, non_blocking=True)
            )
        return levels.cpu().numpy()
