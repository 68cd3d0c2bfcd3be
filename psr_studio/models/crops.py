"""The augmentations of the protocols at 224 px, and those of all by name: a batch at once, each image by its own draws.

All draws come from one CPU generator. Images are (N, ch, H, W); those of `minimax` are pixels in [0, 1]. Without
`mirrored` none is flipped, and nothing is drawn for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from psr_studio.core.devices import sent
from psr_studio.models.augment import Augmentation, dsa, flipped, idc

RATIO = (3 / 4, 4 / 3)  # width over height of a crop, as torchvision draws it
TRIES = 10
JITTER = 0.4
GREY = (0.299, 0.587, 0.114)
LIGHTING = 0.1
EIGENVALUES = (0.2175, 0.0188, 0.0045)  # of the colours of ImageNet, as AlexNet took them
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
LARGE = 128  # from so many pixels a side on RDED's pictures are made of 2 x 2


def minimax(pixels: Tensor, generator: torch.Generator, mirrored: bool = True) -> Tensor:
    """Random resized crop of at least half of the area, flip, colour jitter, lighting: in Minimax's order."""
    cut = flipped(resized_crop(pixels, generator, 0.5), generator, mirrored)
    return lighting(colour_jitter(cut, generator), generator)


def rded(images: Tensor, generator: torch.Generator, mirrored: bool = True) -> Tensor:
    """The parts of a picture shuffled, random resized crop of at least the area of one row of them, flip."""
    factor = 2 if min(images.shape[-2:]) >= LARGE else 1
    cut = resized_crop(shuffled_parts(images, generator, factor), generator, 1 / factor)
    return flipped(cut, generator, mirrored)


def fkd(images: Tensor, generator: torch.Generator, mirrored: bool = True) -> Tensor:
    """Random resized crop as ImageNet is trained with, from 8 % of the area on, and flip."""
    return flipped(resized_crop(images, generator, 0.08), generator, mirrored)


def resized_crop(images: Tensor, generator: torch.Generator, least: float) -> Tensor:
    """A box of a share of the area in [least, 1] and a ratio in `RATIO`, resized to the whole by bilinear weights."""
    n, _, height, width = images.shape
    boxes = sent(crop_boxes(n, height, width, generator, least), images.device).to(images.dtype)
    top, left, rows, columns = boxes.unbind(1)
    y, x = _sources(top, rows, height), _sources(left, columns, width)
    grid = torch.stack(
        torch.broadcast_tensors(x[:, None, :] * 2 / max(width - 1, 1) - 1, y[:, :, None] * 2 / max(height - 1, 1) - 1),
        dim=3,
    )  # fmt: skip
    return F.grid_sample(images, grid, align_corners=True)


def crop_boxes(n: int, height: int, width: int, generator: torch.Generator, least: float) -> Tensor:
    """Top, left, height and width of a box for each image, (n, 4) whole numbers: the first of ten draws that fits.

    Where none does, the largest box in the middle whose ratio is allowed. As torchvision's RandomResizedCrop.
    """
    share, skew, down, right = torch.rand(4, n, TRIES, generator=generator, dtype=torch.float64)
    area = (least + share * (1 - least)) * (height * width)
    ratio = torch.exp(math.log(RATIO[0]) + skew * math.log(RATIO[1] / RATIO[0]))
    columns, rows = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (columns >= 1) & (columns <= width) & (rows >= 1) & (rows <= height)
    first = fits.long().argmax(dim=1, keepdim=True)
    rows, columns, down, right = (
        values.gather(1, first).squeeze(1) for values in (rows, columns, down, right)
    )
    fitted = fits.any(dim=1)
    rows = torch.where(fitted, rows, min(height, round(width / RATIO[0])))
    columns = torch.where(fitted, columns, min(width, round(height * RATIO[1])))
    top = torch.where(fitted, (down * (height - rows + 1)).long(), (height - rows) // 2)
    left = torch.where(fitted, (right * (width - columns + 1)).long(), (width - columns) // 2)
    return torch.stack([top, left, rows, columns], dim=1)


def _sources(start: Tensor, length: Tensor, n: int) -> Tensor:
    """Where the n pixels of a resized box lie along one axis, (N, n): its border pixels reach beyond their middles."""
    places = (torch.arange(n, device=start.device, dtype=start.dtype) + 0.5) * (length[:, None] / n) - 0.5
    return start[:, None] + places.clamp(min=0).minimum(length[:, None] - 1)


def colour_jitter(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation, each by up to 0.4 either way, in an order of each image's own."""
    n = len(pixels)
    order = torch.rand(n, 3, generator=generator).argsort(dim=1)
    strengths = (torch.rand(n, 3, generator=generator) * 2 - 1) * JITTER
    order, strengths = sent(order, pixels.device), sent(strengths, pixels.device).to(pixels.dtype)
    for place in range(3):
        which = order[:, place, None, None, None]
        grey = _grey(pixels)
        towards = torch.where(which == 2, grey, grey.mean((1, 2, 3), keepdim=True) * (which == 1))
        pixels = torch.lerp(pixels, towards.expand_as(pixels), strengths[:, place, None, None, None])
    return pixels


def _grey(pixels: Tensor) -> Tensor:
    """(N, 1, H, W); a picture of one channel is grey."""
    if pixels.shape[1] != len(GREY):
        return pixels.mean(1, keepdim=True)
    weights = torch.tensor(GREY, dtype=pixels.dtype, device=pixels.device)
    return (pixels * weights[:, None, None]).sum(1, keepdim=True)


def lighting(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A shift of each image along the principal colours of ImageNet; none of pictures without three channels."""
    if pixels.shape[1] != len(GREY):
        return pixels
    drawn = torch.randn(len(pixels), 3, generator=generator) * LIGHTING
    shifts = (drawn * torch.tensor(EIGENVALUES)) @ torch.tensor(EIGENVECTORS).T
    return pixels + sent(shifts, pixels.device).to(pixels.dtype)[:, :, None, None]


def shuffled_parts(images: Tensor, generator: torch.Generator, factor: int) -> Tensor:
    """`factor` columns of each image in a new order, then as many rows; a remainder of pixels stays with the last."""
    for axis in (3, 2):
        images = _shuffled(images, generator, factor, axis)
    return images


def _shuffled(images: Tensor, generator: torch.Generator, factor: int, axis: int) -> Tensor:
    n, length = len(images), images.shape[axis]
    orders = torch.rand(n, factor, generator=generator).argsort(dim=1)
    starts = [length // factor * part for part in range(factor)] + [length]
    parts = [torch.arange(a, b) for a, b in zip(starts, starts[1:], strict=False)]
    places = torch.stack([torch.cat([parts[part] for part in order]) for order in orders.tolist()])
    shape = [n, 1, 1, 1]
    shape[axis] = length
    return images.gather(axis, sent(places, images.device).reshape(shape).expand_as(images))


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator, bool], Tensor]] = {
    "dsa": dsa, "idc": idc, "minimax": minimax, "rded": rded, "fkd": fkd,
}  # fmt: skip
ON_PIXELS = ("minimax",)


def augmentation(name: str, mean: Tensor, std: Tensor, mirrored: bool = True) -> Augmentation:
    """What augments normalised images: `mean` and `std` of the pixels in [0, 1], () or (ch, 1, 1), on their device."""
    augment = AUGMENTATIONS[name]
    if name not in ON_PIXELS:
        return lambda images, generator: augment(images, generator, mirrored)
    return lambda images, generator: (augment(images * std + mean, generator, mirrored) - mean) / std
