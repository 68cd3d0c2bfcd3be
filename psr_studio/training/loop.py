"""What the three trainings share: where they compute, the data set at rest, and steps that a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor

from psr_studio.bundles.data_sets import DataSet
from psr_studio.bundles.originals import read_split
from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.devices import pick_dtype, sent
from psr_studio.models.levels import at_rest, from_uint8

REPORT = 100  # steps


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """bfloat16 where the device multiplies it in hardware, never float16."""
    fast = pick_dtype(device) is torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def load(folder: Path, split: str, data: DataSet, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, H, W, ch) and labels int64 (N,) of a split, on the device; images on the host without room."""
    images, labels = read_split(folder, split, data)
    return at_rest(images, device), torch.from_numpy(labels).to(device)


def batch_of(images: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Some of the images at rest, wherever they lie: float32 (n, ch, H, W) in [-1, 1] on the device."""
    return from_uint8(sent(images[rows.to(images.device)], device))


def trapezoid(step: int, n_steps: int, peak: float, warmup: int, decay_share: float) -> float:
    """Learning rate: warm-up, then constant, then a linear fall to zero over the last share of the steps."""
    return peak * min(1.0, (step + 1) / warmup, (n_steps - step) / (decay_share * n_steps))


def steps_left(
    step: Callable[[int], Tensor], checkpoint: Checkpoint, n_steps: int
) -> Iterator[dict[str, float]]:
    """Do the steps that a checkpoint has not reached; yields their mean loss every ``REPORT`` steps and at the end."""
    losses: list[Tensor] = []  # left on the device: a look at each would have it wait
    for index in range(checkpoint.step, n_steps):
        losses.append(step(index))
        checkpoint.reached(index + 1, final=index + 1 == n_steps)
        if (index + 1) % REPORT == 0 or index + 1 == n_steps:
            mean = torch.stack(losses).mean().item()
            yield {"step": index + 1, "loss": mean, "seconds": checkpoint.seconds}
            losses = []
