"""The loop of Algorithm 1, lines 16 to 23, over many latents at once; each stays its own problem.

Shape letters: n latents, (c, h, w) one latent, C classes, L steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from psr_studio.core.devices import candidate_generator, candidate_seed, reproducible, sent, stacked_noise
from psr_studio.method.refinement import (
    adaptive_weight,
    denoising_loss,
    kl_is_active,
    label_loss,
    largest_error_loss,
    q_sample,
    refinement_loss,
    respaced_timesteps,
)
from psr_studio.models.memory import MicroBatches
from psr_studio.models.teacher import Teacher
from psr_studio.recipe.schema import CAO2_STEPS, CODE, RefineRecipe
from psr_studio.stages.refine.matching import Matching, matched

if TYPE_CHECKING:
    from psr_studio.models.codec import Codec
    from psr_studio.models.generator import Generator

LABEL_ROWS = 32  # latents at once through decoder and teacher, which keep six times what the denoiser keeps


@dataclass(frozen=True)
class Networks:
    """Frozen, in eval mode, with what each of the two passes computes at once.

    Attributes:
        reduced: codec and teacher multiply in bfloat16, as the generator of a GPU does.
        matching: the real images, under the objective that matches them.
    """

    generator: Generator
    codec: Codec
    teacher: Teacher
    reduced: bool = False
    matching: Matching | None = None
    denoising: MicroBatches = field(default_factory=lambda: MicroBatches("refining"))
    labels: MicroBatches = field(default_factory=lambda: MicroBatches("the label term of", LABEL_ROWS))

    def take_notice(self) -> str:
        """What there is to say about memory, once."""
        passes = [self.denoising, self.labels, self.codec.memory]
        passes += [self.matching.memory] if self.matching else []
        return " ".join(filter(None, (memory.take_notice() for memory in passes)))


@dataclass(frozen=True)
class Selected:
    """The selected candidates, as they were generated and scored.

    Attributes:
        latents: (n, c, h, w) float32, z_init.
        classes: (n,) int64, as the generator counts them.
        task: (T,) int64, the classes that the soft labels are over.
        soft_labels: (n, T) float32, q_ref at the temperature.
        confidence: (n,) float32, p_i.
        noise_seeds: the seed of each candidate, that its noise was drawn from.
    """

    latents: Tensor
    classes: Tensor
    task: Tensor
    soft_labels: Tensor
    confidence: Tensor
    noise_seeds: Sequence[int]

    def take(self, rows: slice) -> Selected:
        """Some of them."""
        return replace(
            self,
            latents=self.latents[rows],
            classes=self.classes[rows],
            soft_labels=self.soft_labels[rows],
            confidence=self.confidence[rows],
            noise_seeds=self.noise_seeds[rows],
        )


def refine_batch(
    nets: Networks, selected: Selected, settings: RefineRecipe, temperature: float
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Refine some latents together; yields (step, latents, losses (n,)) after each of the L steps.

    Under "psr" and "cao2" the losses of the latents are summed, so the gradient of each is that of its own loss and the
    result does not depend on the batch but for rounding. The two terms of eq. 9 add, and so do their gradients: each
    has a pass of its own, in micro-batches that suit its memory. Timestep and noise of each latent come from its own
    generator, drawn on the CPU, in the order of the steps. Under "match" each class must be whole.
    """
    device = nets.generator.device
    latents = selected.latents.to(device).clone().requires_grad_(True)
    optimizer = _optimizer(settings, latents)
    if settings.objective == "match":
        assert nets.matching is not None, "it was opened for this objective"
        pull = matched(nets.codec, nets.matching, selected.classes, settings.seed)
    else:
        pull = _denoised(nets, selected, settings, temperature)
    for step in range(1, settings.n_steps + 1):
        with reproducible(device):
            losses, gradient = pull(step, latents.detach())
        latents.grad = gradient
        optimizer.step()
        yield step, latents.detach(), losses


def _denoised(
    nets: Networks, selected: Selected, settings: RefineRecipe, temperature: float
) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    """What gives the losses (n,) of eq. 9, or CaO2's, and their gradient (n, c, h, w) of the latents in a step."""
    device = nets.generator.device
    alphas = nets.generator.alphas_cumprod.to(device)
    generators = [
        candidate_generator(candidate_seed(settings.seed, seed, 0)) for seed in selected.noise_seeds
    ]
    classes, labels = selected.classes.to(device), selected.soft_labels.to(device)
    label_pass = partial(_label_pass, nets, temperature, selected.task.to(device))
    weights = adaptive_weight(selected.confidence, settings.lam, settings.w_min, settings.w_max).to(
        device
    )  # eq. 10
    shape, cao2 = tuple(selected.latents.shape[1:]), settings.objective == "cao2"
    loss = partial(largest_error_loss, largest=settings.cao2.largest) if cao2 else denoising_loss
    fixed = stacked_noise(generators, shape, device) if cao2 else None  # ours; CaO2 has a bank of 1024 noises
    if cao2 and settings.cao2.variant == CODE:
        # The noise of a step of 50; the network is told its number, and no class.
        alphas = alphas[respaced_timesteps(len(alphas), CAO2_STEPS).to(device)]
        classes = torch.full_like(classes, nets.generator.null_class)

    def pull(step: int, z: Tensor) -> tuple[Tensor, Tensor]:
        # In this order, that of Algorithm 1: the timestep, then its noise, each row from its own generator.
        t = sent(
            torch.tensor([draw_timestep(g, len(alphas), settings) for g in generators]),
            device,
        )
        noise = stacked_noise(generators, shape, device) if fixed is None else fixed
        given = z, noise, alphas[t], t, classes
        losses, gradient = nets.denoising.map(partial(_denoising_pass, nets, loss), *given)
        if kl_is_active(step, settings.n_steps, settings.label_steps):
            label, towards = nets.labels.map(label_pass, z, labels, weights)
            losses, gradient = refinement_loss(losses, weights, label), gradient + towards  # eq. 9
        return losses, gradient

    return pull


def _denoising_pass(
    nets: Networks, loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, noise: Tensor, kept: Tensor, t: Tensor,
    classes: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """L_LDM (n,) of some latents, or another loss of their noise, and its gradient (n, c, h, w)."""
    with torch.enable_grad():
        z = z.requires_grad_(True)
        losses = loss(noise, nets.generator.denoise(q_sample(z, noise, kept), t, classes))
        return losses.detach(), torch.autograd.grad(losses.sum(), z)[0]


def _label_pass(
    nets: Networks, temperature: float, task: Tensor, z: Tensor, labels: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """L_KL (n,) of some latents and the gradient (n, c, h, w) of w_i L_KL, through decoder and teacher.

    Departure: the teacher sees the decoded picture clamped to [-1, 1], as it is kept and as the seed's was.
    """
    with torch.enable_grad():
        z = z.requires_grad_(True)
        with torch.autocast(z.device.type, torch.bfloat16, enabled=nets.reduced):
            logits, _ = nets.teacher(nets.codec.decode(z).clamp(-1, 1))
        losses = label_loss(logits[:, task].float(), labels, temperature)
        return losses.detach(), torch.autograd.grad((weights * losses).sum(), z)[0]


def _optimizer(settings: RefineRecipe, latents: Tensor) -> torch.optim.Optimizer:
    """Plain gradient descent as in Algorithm 1, or Adam, which treats each element alone as well."""
    if settings.objective != "psr" or settings.optimizer == "adam":
        return torch.optim.Adam([latents], lr=settings.step_size[1])
    return torch.optim.SGD([latents], lr=settings.lr)


def draw_timestep(generator: torch.Generator, n_timesteps: int, settings: RefineRecipe) -> int:
    """A uniform one; of CaO2's few."""
    low, above = (
        (settings.cao2.t_from, settings.cao2.t_to + 1) if settings.objective == "cao2" else (0, n_timesteps)
    )
    above = min(above, n_timesteps)
    return int(torch.randint(min(low, above - 1), above, (1,), generator=generator))
