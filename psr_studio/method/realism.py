"""Crops of real images by how real the teacher finds them (RDED, arXiv 2312.03526).

Shape letters: N images or crops, C classes, H x W x ch a picture at rest, P crops of an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from psr_studio.method.arrays import to_float64

SMALLEST = 0.08  # of the area of an image that a crop covers, as random resized crops have it


def crop_windows(rng: np.random.Generator, n_crops: int, height: int, width: int) -> np.ndarray:
    """Square windows int64 (n_crops, 3): top, left and side, of a random share of the area at a random place."""
    share = rng.uniform(SMALLEST, 1.0, n_crops)
    side = np.clip(np.rint(np.sqrt(share * height * width)), 1, min(height, width)).astype(np.int64)
    top = rng.integers(0, height - side + 1)
    left = rng.integers(0, width - side + 1)
    return np.stack([top, left, side], axis=1)


def cut(image: np.ndarray, windows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Windows (N, 3) of an image uint8 (H, W, ch), resized to uint8 (N, height, width, ch)."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    found = [
        F.interpolate(
            pixels[None, :, top : top + side, left : left + side], (height, width), mode="bilinear",
            antialias=True,
        )
        for top, left, side in windows.tolist()
    ]  # fmt: skip
    return torch.cat(found).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def padded(crops: np.ndarray, height: int, width: int, fill: Any) -> np.ndarray:
    """Crops uint8 (N, h, w, ch) in the middle of pictures uint8 (N, height, width, ch) of one colour (ch,)."""
    n, h, w, channels = crops.shape
    out = np.empty((n, height, width, channels), np.uint8)
    out[:] = fill
    top, left = (height - h) // 2, (width - w) // 2
    out[:, top : top + h, left : left + w] = crops
    return out


def realism_loss(logits: Any, places: Any) -> np.ndarray:
    """Cross-entropy float64 (N,) of logits (N, C) at the own class (N,) of each: the lower, the more real."""
    values = to_float64(logits)
    top = values.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(values - top).sum(axis=1)) + top[:, 0]
    return log_sum - values[np.arange(len(values)), places]


def most_realistic(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of losses (N, P) the images (N,) by their best crop, the most real first, and that crop (N,) of each.

    A tie goes to the earlier crop, and to the earlier image.
    """
    best = losses.argmin(axis=1)
    order = np.argsort(losses[np.arange(len(losses)), best], kind="stable")
    return order, best[order]


def tiled(crops: np.ndarray, factor: int) -> np.ndarray:
    """Pictures (N, factor h, factor w, ch) of factor * factor crops each, of crops (N factor factor, h, w, ch).

    In their order, row by row.
    """
    _, h, w, channels = crops.shape
    grid = crops.reshape(-1, factor, factor, h, w, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(-1, factor * h, factor * w, channels)
