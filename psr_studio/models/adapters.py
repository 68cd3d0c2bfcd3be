"""What a generator must offer so that pools are sampled and latents refined with it, and what it is opened from.

Shape letters: N candidates, C classes, c x h x w the latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from psr_studio.method.guidance import Guide
from psr_studio.models.generator import Sampling


class PoolGenerator(Protocol):
    """A frozen latent diffusion model, conditioned on the task's classes 0 to C - 1."""

    latent_shape: tuple[int, int, int]
    alphas_cumprod: Tensor

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def n_train_steps(self) -> int:
        """T: timesteps run from 0 to T - 1."""

    def sample(
        self, class_ids: Sequence[int], seeds: Sequence[int], sampling: Sampling, guide: Guide | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (steps done, latents (N, c, h, w) float32) after each step; row i is drawn from seed i alone."""

    def denoise(self, z_t: Tensor, t: Tensor, class_ids: Tensor) -> Tensor:
        """The noise in ``z_t`` (N, c, h, w) at timesteps (N,), for classes (N,); float32, differentiable in ``z_t``."""


@dataclass(frozen=True)
class Opening:
    """What a generator is opened from.

    Attributes:
        folder: its weights. device, dtype: where and in what it computes.
        class_names: the task's classes, in label order.
        class_rows: rows of a larger class table that are the task's classes; None for all, in order.
        options: the [generator] table of the bundle, such as ``prompt``.
    """

    folder: Path
    device: torch.device
    dtype: torch.dtype
    class_names: tuple[str, ...]
    class_rows: tuple[int, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
