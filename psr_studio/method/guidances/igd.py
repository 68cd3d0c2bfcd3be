"""IGD: candidates are steered to teach a network what the real images of their class teach it (ICLR 2025).

Influence-Guided Diffusion for Dataset Distillation, https://openreview.net/forum?id=0whx8MhysK. Lines are marked
[published], as the authors or public code of IGD have them, or [our reading]. Shape letters: N latents, (c, h, w) one
latent, P weights of the surrogate, a small network at some moments of its training on the real images.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from psr_studio.method.guidances.guidance import COUNT, Guidance, Misfit, Pulling
from psr_studio.method.selectors.parameters import setting

if TYPE_CHECKING:
    import torch

    from psr_studio.method.guidance import Moment, Pull

    Gap = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # see `guided_by_influence`

STEP = (
    0.0015  # length of the influence term at k = 1, as a share of that of the noise; from public code of IGD
)
SMALLEST = 1e-12  # root mean square of a gradient that has a direction; one below it hardly pulls
LATENT_NUMBERS = 4 * 32 * 32  # of a latent of DiT at 256 px, for which gamma is published
PULLED, OF_STEPS = (45, 29), 50  # step indices from and to which is pulled [published]
MOMENTS, OF_EPOCHS = (
    (0, 5, 16, 40),
    50,
)  # the surrogate's epochs that are kept, of ConvNet-6 on ImageWoof [published]


class IGD(Pulling):
    """The surrogate, and the two terms; the numbers are those of DiT on ImageWoof."""

    strength: float = setting(
        5.0, "How hard each step is steered to the gradient of the class (k); 0 steers nothing, the deviation is off, "
        "too.", "", 0.0, 1000.0, label="Guidance strength",
    )  # fmt: skip
    start: int | None = setting(
        None, f"Number of the first step that is steered. {COUNT} 45 of 50, or the same share of others, when left "
        "out.", "steps", 0, 1000, label="Guidance start",
    )  # fmt: skip
    stop: int | None = setting(
        None, f"Steps from the start on with a number above this one are steered. {COUNT} 29 of 50, or the same share "
        "of others, when left out.", "steps", 0, 1000, label="Guidance stop",
    )  # fmt: skip
    deviation: float = setting(
        120.0, "How hard candidates of a part are driven from those before them (gamma).", "", 0.0, 100_000.0,
        label="Deviation",
    )  # fmt: skip
    depth: int | None = setting(
        None, "Depth of the ConvNet that gradients are taken of; by the size of the pictures when left out.",
        "blocks", 1, 9, label="Depth of the surrogate",
    )  # fmt: skip
    epochs: int = setting(
        50, "Passes over the real images that train it.", "epochs", 1, 10_000, label="Passes of the surrogate"
    )

    @property
    def joins_candidates(self) -> bool:
        """Whether candidates of a part are driven apart, and so are sampled together."""
        return self.strength > 0 and self.deviation > 0

    def begins(self, steps: int) -> int:
        """The start."""
        return _published_start(steps) if self.start is None else self.start

    def until(self, steps: int) -> int:
        """The stop, rounded down."""
        return PULLED[1] * steps // OF_STEPS if self.stop is None else self.stop

    def read(self, steps: int) -> dict[str, Any]:
        """All, start and stop as numbers."""
        return {**super().read(steps), "start": self.begins(steps)}

    def pulled(self, steps: int) -> range:
        """As there, from the start on."""
        pulled = super().pulled(steps)
        return range(min(self.begins(steps), pulled.start), pulled.stop, -1)

    def gradients(self, steps: int) -> int:
        """The steps that are pulled."""
        return len(self.pulled(steps))

    def misfit(self, steps: int) -> Misfit | None:
        """A start or a stop above the steps, or a stop not below the start."""
        start, stop = self.begins(steps), self.until(steps)
        if stop > steps:
            return super().misfit(steps)
        if start > steps:
            return Misfit(
                "start",
                f'"{{key}}" is {start}, more than "pool.steps", which is {steps}.',
                f'Lower "{{key}}" to {_published_start(steps)}, the published share, or raise "pool.steps".',
            )
        if start > stop:
            return None
        if self.start is None:
            return Misfit(
                "stop",
                f'"{{key}}" is {stop}, not below the start of the pull, which is {start}.',
                f'Lower "{{key}}" to {start - 1} or less: steps count down.',
            )
        return Misfit(
            "start",
            f'"{{key}}" is {start}, not above the stop of the pull, which is {stop}.',
            f'Raise "{{key}}" to {stop + 1} or more: steps count down.',
        )


def _published_start(steps: int) -> int:
    """45 of 50 steps and the same share of others, rounded up."""
    return -(-PULLED[0] * steps // OF_STEPS)


def kept_epochs(epochs: int) -> list[int]:
    """After which of so many epochs (1-based) the surrogate is kept, ascending.

    Published are places in lists of 50 for ImageWoof, found by dropping what has nearly the gradients of the one
    before; that other data sets keep these, and other lengths the same shares of the training, is our reading.
    """
    return sorted({1 + moment * epochs // OF_EPOCHS for moment in MOMENTS})


def gradient_gap(gradients: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far gradients (..., P) are from wanted ones: 1 - cosine, (...), in [0, 2] [published]."""
    import torch.nn.functional as F

    return 1 - F.cosine_similarity(gradients, wanted, dim=-1)


def influence_pull(
    uphill: torch.Tensor, noise: torch.Tensor, alpha_bar: float, strength: float = 5.0
) -> torch.Tensor:
    """What the influence term adds to the next latent: -k * rho_t * g (N, c, h, w) [published].

    rho_t is 0.0015 * sqrt(1 - alpha-bar) * rms(eps) / rms(g), so that only the direction of g counts.
    Each row is taken by itself, as the authors sample one at a time.

    Args:
        uphill: (N, c, h, w) g, the gradient of the mean gap over the surrogate's moments. noise: eps, likewise.
    """
    rho = STEP * (1 - alpha_bar) ** 0.5 * _rms(noise) / _rms(uphill).clamp_min(SMALLEST)
    return -strength * rho * uphill


def _rms(values: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 1), each row by itself."""
    return values.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()


def deviation_pull(
    latents: torch.Tensor, others: torch.Tensor, groups: torch.Tensor, strength: float = 120.0
) -> torch.Tensor:
    """What the deviation term adds to the next latent: -gamma * d cos(z_t, m) / d z_t, m the most alike in memory.

    Published is the term. Our reading: the memory of a row are the rows of its group before it, as they are predicted
    in this step, where the authors, who sample one after another, have the last 64 that are done; and gamma grows with
    the size of the latents, so that each number of them moves as far as at 256 px.

    Args:
        latents: (N, c, h, w) z_t. others: (N, c, h, w) x0_hat. groups: (N,) equal numbers for rows of a group.

    Returns:
        (N, c, h, w), 0 for the first of each group.
    """
    import torch
    import torch.nn.functional as F

    flat, memory = latents.flatten(1), F.normalize(others.flatten(1), dim=1)
    directions = F.normalize(flat, dim=1)
    cosine = directions @ memory.T
    known = (groups[:, None] == groups).tril(-1)
    most, at = cosine.masked_fill(~known, -2.0).max(dim=1)
    slope = (memory[at] - most[:, None] * directions) / flat.norm(dim=1, keepdim=True)
    gamma = strength * flat.shape[1] / LATENT_NUMBERS
    return torch.where(known.any(dim=1)[:, None], -gamma * slope, 0.0).view_as(latents)


def guided_by_influence(
    moment: Moment, gap: Gap, groups: torch.Tensor, strength: float = 5.0, start: int = 45, stop: int = 29,
    deviation: float = 120.0,
) -> Pull:  # fmt: skip
    """Both terms, added to the next latent [published for the ancestral sampler; with others, our reading].

    Args:
        gap: gives the gradient by the predicted clean latents (N, c, h, w) of the mean `gradient_gap` to the classes
            (N,). The authors go on from there through the generator to z_t; that this is left out is our reading: it
            would double the cost, and the length of the gradient does not count.
        groups: (N,) see `deviation_pull`.
    """
    from psr_studio.method.guidance import Pull

    if strength == 0 or not stop < moment.index <= start:
        return Pull()
    noise = (moment.latents - moment.alpha_bar**0.5 * moment.clean) / (1 - moment.alpha_bar) ** 0.5
    pull = influence_pull(gap(moment.clean, moment.classes), noise, moment.alpha_bar, strength)
    if deviation:
        pull = pull + deviation_pull(moment.latents, moment.clean, groups.to(pull.device), deviation)
    return Pull(mean=pull)


def _rule(params: IGD, steps: int) -> Callable[..., Any]:
    start, stop = params.begins(steps), params.until(steps)
    return partial(
        guided_by_influence, strength=params.strength, start=start, stop=stop, deviation=params.deviation
    )


GUIDANCE = Guidance(
    "igd", 40, "Influence (IGD)",
    "the mean gradient of the real images of the class, so that training on it does what training on them does.",
    source="ICLR 2025", parameters=IGD, place=None, rule=_rule,
)  # fmt: skip
