"""What a generator must offer so that pools are sampled and latents refined with it, and how one is opened by name.

Two kinds are built in: "dit" (`models/generator.py`) and "stable-diffusion" (`models/text_to_image.py`, the worked
example). An installed package adds its own under the entry point group `psr_studio.generators`; a bundle file names
only the kind, so opening somebody's bundle runs no code that is not installed here.

Shape letters: N candidates, C classes, c x h x w the latent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from psr_studio.core.errors import ModelError, did_you_mean
from psr_studio.models.generator import Generator, Guide, Sampling

ENTRY_POINTS = "psr_studio.generators"


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
        self, class_ids: Sequence[int], seeds: Sequence[int], how: Sampling, guide: Guide | None = None
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


Open = Callable[[Opening], PoolGenerator]


def open_generator(kind: str, opening: Opening) -> PoolGenerator:
    """The generator of a kind, built in or installed.

    Raises:
        ModelError: no such kind, or a missing, truncated or ill-shaped file, by name.
    """
    if kind in BUILT_IN:
        return BUILT_IN[kind](opening)
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind in installed:
        return installed[kind].load()(opening)
    known = [*BUILT_IN, *installed]
    raise ModelError(
        f'There is no kind of generator "{kind}". Kinds: {", ".join(known)}.',
        f'{did_you_mean(kind, known)}Correct "kind" in the [generator] table of the bundle, or install the '
        "package that offers it.",
    )


def _dit(opening: Opening) -> Generator:
    return Generator.from_folder(opening.folder, opening.device, opening.dtype, opening.class_rows)


def _stable_diffusion(opening: Opening) -> PoolGenerator:
    from psr_studio.models.text_to_image import TextToImage  # needs transformers, which nothing else does

    return TextToImage.from_folder(opening)


BUILT_IN: dict[str, Open] = {"dit": _dit, "stable-diffusion": _stable_diffusion}
