"""What the three trainings share: where they compute, and the data set at rest."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor

from psr_studio.devices import pick_dtype
from psr_studio.models.levels import at_rest
from psr_studio.originals import Kind, read_split
from psr_studio.training.settings import DataSet


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """bfloat16 where the device multiplies it in hardware, never float16."""
    fast = pick_dtype(device) is torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def kind_of(chosen: DataSet) -> Kind:
    """What its files are looked at as."""
    return Kind(chosen.title, chosen.shape, chosen.class_names, chosen.folder_names, chosen.torchvision)


def load(folder: Path, split: str, chosen: DataSet, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, H, W, ch) and labels int64 (N,) of a split, on the device."""
    images, labels = read_split(folder, split, kind_of(chosen))
    return at_rest(images, device), torch.from_numpy(labels).to(device)
