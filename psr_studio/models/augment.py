"""Differentiable Siamese augmentation as the DC line of work evaluates with it (Zhao & Bilen 2021).

One operation is drawn per batch, its parameters per image. All draws come from one CPU generator, and are sent to a
GPU without waiting for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from psr_studio.core.devices import sent

Augmentation = Callable[[Tensor, torch.Generator], Tensor]

SCALE_RATIO, ROTATE_DEGREES, CROP_SHARE, CUTOUT_SHARE = 1.2, 15.0, 0.125, 0.5
BRIGHTNESS, SATURATION, CONTRAST = 1.0, 2.0, 0.5


def _uniform(n: int, low: float, high: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return sent(torch.rand(n, generator=generator) * (high - low) + low, like.device).to(like)


def _whole(high: int, shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Whole numbers from 0 to high - 1."""
    return sent(torch.randint(0, high, shape, generator=generator), like.device)


def _part(side: int, share: float) -> int:
    """A share of a side in whole pixels, halves rounded up as DC does, where Python rounds to the even number."""
    return int(side * share + 0.5)


def _affine(images: Tensor, matrices: Tensor) -> Tensor:
    grid = F.affine_grid(matrices, list(images.shape), align_corners=True)
    return F.grid_sample(images, grid, align_corners=True)


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = _uniform(len(images), 0, 1, generator, images) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def flipped(images: Tensor, generator: torch.Generator, mirrored: bool) -> Tensor:
    """`flip`, or the images as they are where a mirrored one is of no class or of another."""
    return flip(images, generator) if mirrored else images


def scale(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each axis zoomed by a factor in [1/1.2, 1.2]."""
    n = len(images)
    matrices = images.new_zeros(n, 2, 3)
    matrices[:, 0, 0] = _uniform(n, 1 / SCALE_RATIO, SCALE_RATIO, generator, images)
    matrices[:, 1, 1] = _uniform(n, 1 / SCALE_RATIO, SCALE_RATIO, generator, images)
    return _affine(images, matrices)


def rotate(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turned by up to 15 degrees either way."""
    angle = _uniform(len(images), -1, 1, generator, images) * math.radians(ROTATE_DEGREES)
    matrices = images.new_zeros(len(images), 2, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = angle.cos()
    matrices[:, 0, 1], matrices[:, 1, 0] = -angle.sin(), angle.sin()
    return _affine(images, matrices)


def crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Moved by up to an eighth of the side in x and y; the border becomes 0."""
    n, _, height, width = images.shape
    reach_y, reach_x = _part(height, CROP_SHARE), _part(width, CROP_SHARE)
    dy = _whole(2 * reach_y + 1, (n,), generator, images)
    dx = _whole(2 * reach_x + 1, (n,), generator, images)
    return windows(F.pad(images, (reach_x, reach_x, reach_y, reach_y)), dy, dx, height, width)


def windows(images: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """A window (N, ch, height, width) of each image, its corner at whole numbers `top` and `left` (N,)."""
    n, channels, device = *images.shape[:2], images.device
    rows = (top[:, None] + torch.arange(height, device=device))[:, None, :, None]
    cols = (left[:, None] + torch.arange(width, device=device))[:, None, None, :]
    batch = torch.arange(n, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[None, :, None, None]
    return images[batch, channel, rows, cols]


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """A square of half the side, an odd half rounded up, set to 0 at a random place, cut off at the border."""
    n, _, height, width = images.shape
    side_y, side_x = _part(height, CUTOUT_SHARE), _part(width, CUTOUT_SHARE)
    # a square of an even side may begin in one place more, so that both borders are met equally often
    top = _whole(height + 1 - side_y % 2, (n, 1, 1), generator, images) - side_y // 2
    left = _whole(width + 1 - side_x % 2, (n, 1, 1), generator, images) - side_x // 2
    y = torch.arange(height, device=images.device)[None, :, None]
    x = torch.arange(width, device=images.device)[None, None, :]
    inside = (y >= top) & (y < top + side_y) & (x >= left) & (x < left + side_x)
    return images.masked_fill(inside[:, None], 0.0)


def color(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, saturation and contrast, in that order."""
    n = len(images)
    bright = images + (_uniform(n, -0.5, 0.5, generator, images) * BRIGHTNESS)[:, None, None, None]
    grey = bright.mean(1, keepdim=True)
    saturated = (bright - grey) * (_uniform(n, 0, 1, generator, images) * SATURATION)[
        :, None, None, None
    ] + grey
    mean = saturated.mean((1, 2, 3), keepdim=True)
    return (saturated - mean) * (_uniform(n, 0, 1, generator, images) + CONTRAST)[:, None, None, None] + mean


OPERATIONS: tuple[Augmentation, ...] = (
    color,
    crop,
    cutout,
    flip,
    scale,
    rotate,
)
MOVES = (crop, scale, rotate)


def dsa(images: Tensor, generator: torch.Generator, mirrored: bool = True) -> Tensor:
    """One of the six operations, of five without `mirrored`, drawn for the whole batch (N, ch, H, W)."""
    operations = [operation for operation in OPERATIONS if mirrored or operation is not flip]
    choice = int(torch.randint(len(operations), (1,), generator=generator))
    return operations[choice](images, generator)


def idc(images: Tensor, generator: torch.Generator, mirrored: bool = True) -> Tensor:
    """Flip and all three colour operations, then a crop, a zoom or a turn drawn for the batch: IDC's beside CutMix."""
    choice = int(torch.randint(len(MOVES), (1,), generator=generator))
    return MOVES[choice](color(flipped(images, generator, mirrored), generator), generator)
