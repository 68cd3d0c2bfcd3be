"""The pictures a training shows: at rest as bytes, a batch at a time in [-1, 1], moved, mirrored and erased at random.

All randomness is drawn on the CPU, so that every device sees the same pictures.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from psr_studio.models.augment import windows


def shift(images: Tensor, generator: torch.Generator, pixels: int = 2, reflect: bool = False) -> Tensor:
    """Each image moved by up to ``pixels`` in x and y; the border is mirrored, or black (-1)."""
    n, _, height, width = images.shape
    sides = (pixels,) * 4
    padded = F.pad(images, sides, mode="reflect") if reflect else F.pad(images, sides, value=-1.0)
    dx, dy = torch.randint(0, 2 * pixels + 1, (2, n), generator=generator).to(images.device)
    return windows(padded, dy, dx, height, width)


def erase(images: Tensor, generator: torch.Generator, probability: float = 0.5, side: int = 9) -> Tensor:
    """A random square of up to ``side`` pixels set to mid-grey in part of the images."""
    n, _, height, width = images.shape
    device = images.device
    hit = torch.rand(n, generator=generator) < probability
    size = torch.randint(3, side + 1, (n,), generator=generator)
    top = (torch.rand(n, generator=generator) * (height - size)).long()
    left = (torch.rand(n, generator=generator) * (width - size)).long()
    hit, size, top, left = (drawn.to(device) for drawn in (hit, size, top, left))
    y = torch.arange(height, device=device)[None, :, None]
    x = torch.arange(width, device=device)[None, None, :]
    in_rows = (y >= top[:, None, None]) & (y < (top + size)[:, None, None])
    in_cols = (x >= left[:, None, None]) & (x < (left + size)[:, None, None])
    inside = in_rows & in_cols & hit[:, None, None]
    return images.masked_fill(inside[:, None], 0.0)
