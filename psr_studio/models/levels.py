"""Images at rest, uint8, <-> what the networks take, float32 in [-1, 1] or normalised.

A file of its own, so that what only reads pictures need not import diffusers, which takes seconds.
Shape letters: N candidates, H x W x ch the image at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from psr_studio.core.devices import sent
from psr_studio.models.memory import has_room

COPIED = 64  # images copied at once to where they stay


def from_uint8(images: np.ndarray | Tensor) -> Tensor:
    """uint8 (N, H, W, ch) -> float32 (N, ch, H, W) in [-1, 1], where they are: the same numbers on every device."""
    levels = images if isinstance(images, Tensor) else torch.tensor(images)  # a copy: it may be read-only
    half = torch.full((), 127.5, device=levels.device)  # CUDA would multiply by a number's rounded inverse
    return levels.permute(0, 3, 1, 2).float().div_(half).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Images (N, ch, H, W), clamped to [-1, 1] -> uint8 (N, H, W, ch) on their device, to the nearest level."""
    levels = ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous()


def at_rest(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (N, H, W, ch), such as a view into a file, on the device, or on the host where it has no room for them."""
    place = device if has_room(images.nbytes, device) else torch.device("cpu")
    kept = torch.empty(images.shape, dtype=torch.uint8, device=place)
    for start in range(0, len(images), COPIED):  # the host never holds a second copy of them all
        rows = slice(start, start + COPIED)
        kept[rows] = torch.from_numpy(np.array(images[rows]))  # torch warns of views into read-only files
    return kept


@dataclass(frozen=True)
class NormalisedImages:
    """Images that are normalised as they are taken: all of them at once would be four times as large.

    Attributes:
        levels: uint8 (N, H, W, ch), on the device or on the host.
        mean, std: of the pixels in [0, 1], () or (ch, 1, 1), on the device.
    """

    levels: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, levels: Tensor, normalisation: tuple[Any, Any], device: torch.device) -> Self:
        """With numbers or arrays for mean and std, to be taken to the device."""
        mean, std = (torch.as_tensor(value).to(device) for value in normalisation)
        return cls(levels, mean, std)

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def device(self) -> torch.device:
        """Where they are kept, and rows are looked up."""
        return self.levels.device

    def first(self, n: int) -> Self:
        """The first n of them."""
        return type(self)(self.levels[:n], self.mean, self.std)

    def at(self, rows: Tensor) -> Self:
        """Some of them, by their rows (n,) int64 where they are kept."""
        return type(self)(self.levels[rows], self.mean, self.std)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Some rows as a student sees them: float32 (n, ch, H, W), on the device."""
        pixels = from_uint8(sent(self.levels[rows], self.mean.device)).add_(1).div_(2)
        return pixels.sub_(self.mean).div_(self.std)
