"""Images at rest, uint8, <-> what the networks take, float32 in [-1, 1].

A file of its own, so that what only reads pictures need not import diffusers, which takes seconds.
Shape letters: N candidates, H x W x ch the image at rest.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def from_uint8(images: np.ndarray) -> Tensor:
    """uint8 (N, H, W, ch) -> float32 (N, ch, H, W) in [-1, 1]."""
    return torch.tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1  # a copy: the source may be read-only


def to_uint8(images: Tensor) -> Tensor:
    """Images (N, ch, H, W), clamped to [-1, 1] -> uint8 (N, H, W, ch) on their device, to the nearest level."""
    levels = ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous()
