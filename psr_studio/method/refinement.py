"""Latent refinement under the teacher's soft labels (PSR section 3.3). Every loss is per latent, (N,).

Each latent is its own problem: losses are summed, never averaged, over a batch before the gradient is taken,
so plain gradient descent does not depend on the batch size. Shape letters: N latents, (c, h, w) one latent, C
classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from psr_studio.method.arrays import Array, from_tensor, to_tensor


def adaptive_weight(confidence: Any, lam: float = 0.5, w_min: float = 0.1, w_max: float = 2.0) -> Any:
    """w_i: the weight of the label term, larger for a less confident seed (PSR eq. 10).

    Args:
        confidence: p_i, reliability of the *seed*, in [0, 1]; a number, a sequence, an array or a tensor.
        lam: lambda. w_min, w_max: the weight at confidence 1 and at 0, both before lambda.

    Returns:
        Weights in lam * [w_min, w_max], in the kind of `confidence`; an array for a sequence.
    """
    if not isinstance(confidence, torch.Tensor | np.ndarray | float | int):
        confidence = np.asarray(confidence, dtype=np.float64)
    return lam * (w_min + (1 - confidence) * (w_max - w_min))  # eq. 10


def kl_is_active(step: int, n_steps: int = 100, kl_steps: int = 4) -> bool:
    """Say whether the label term counts in this step: in the last R of L (PSR Algorithm 1, line 20).

    Args:
        step: l, counted from 1. n_steps: L. kl_steps: R; 0 never, L or more always.

    Raises:
        ValueError: a step outside 1 to L.
    """
    if not 1 <= step <= n_steps:
        raise ValueError(f"The step is {step}, but steps run from 1 to {n_steps}.")
    return step > n_steps - kl_steps


def q_sample(latents: Array, noise: Array, alphas_cumprod: Any) -> Array:
    """z_t: a latent after t steps of the forward diffusion (PSR section 2.3, below eq. 3).

    Args:
        latents: (N, c, h, w) z_0. noise: (N, c, h, w) standard normal.
        alphas_cumprod: (N,) or a number, the schedule's alpha-bar at the t of each latent, in [0, 1].

    Returns:
        (N, c, h, w) sqrt(alpha-bar) z_0 + sqrt(1 - alpha-bar) noise.
    """
    clean = to_tensor(latents)
    kept = per_item(alphas_cumprod, clean)
    return from_tensor(kept.sqrt() * clean + (1 - kept).sqrt() * to_tensor(noise), latents)


def denoising_loss(noise: Array, predicted_noise: Array) -> Array:
    """L_LDM of each latent: squared norm of the noise error (PSR eq. 3).

    A *sum* over the latent's elements, as eq. 3 writes it; most code for diffusion training takes the mean
    instead, which would change the balance against the label term by the number of elements.

    Args:
        noise: (N, c, h, w) the noise that was mixed in. predicted_noise: (N, c, h, w) what the denoiser says.

    Returns:
        (N,) at least 0.

    Raises:
        ValueError: two shapes.
    """
    mixed_in, predicted = to_tensor(noise), to_tensor(predicted_noise)
    if mixed_in.shape != predicted.shape:
        shapes = tuple(mixed_in.shape), tuple(predicted.shape)
        raise ValueError(f"Noise has shape {shapes[0]}, but the prediction {shapes[1]}.")
    error = mixed_in - predicted
    return from_tensor(error.square().flatten(1).sum(dim=1), predicted_noise)  # eq. 3


def respaced_timesteps(n_train_steps: int, n_steps: int) -> torch.Tensor:
    """The timesteps (n_steps,) of evenly spread steps from the first to the last, as DiT's code respaces them."""
    return torch.linspace(0, n_train_steps - 1, n_steps, dtype=torch.float64).round().long()


def largest_error_loss(noise: Array, predicted_noise: Array, largest: float = 10.0) -> Array:
    """CaO2's objective of each latent: mean squared noise error + largest * its largest absolute element.

    Source: hatchetProject/CaO2, sample_woof.py.

    Args:
        noise, predicted_noise: (N, c, h, w), as in `denoising_loss`. largest: weight of the second term.

    Returns:
        (N,) at least 0.
    """
    error = (to_tensor(noise) - to_tensor(predicted_noise)).flatten(1)
    loss = error.square().mean(dim=1) + largest * error.abs().max(dim=1).values
    return from_tensor(loss, predicted_noise)


def label_loss(logits: Array, soft_labels: Array, temperature: float = 1.5) -> Array:
    """L_KL of each latent: KL(q_ref || q(x)) at temperature tau, without the tau^2 of eq. 11 (PSR eq. 9).

    Args:
        logits: (N, C) teacher logits of the decoded latents, over the C task classes.
        soft_labels: (N, C) q_ref, cached from the *seeds*; rows sum to 1.
        temperature: tau of the softmax, above 0; that of the soft labels.

    Returns:
        (N,) at least 0 but for rounding, 0 where both agree.

    Raises:
        ValueError: two shapes, a temperature that is not above 0.
    """
    scores, target = to_tensor(logits), to_tensor(soft_labels)
    if scores.shape != target.shape:
        raise ValueError(f"Logits have shape {tuple(scores.shape)}, but soft labels {tuple(target.shape)}.")
    if not temperature > 0:
        raise ValueError(f"The temperature is {temperature}, but it must be above 0.")
    log_predicted = torch.log_softmax(scores / temperature, dim=1)
    return from_tensor((torch.xlogy(target, target) - target * log_predicted).sum(dim=1), logits)


def refinement_loss(denoising: Array, weights: Any = 0.0, label: Array | None = None) -> Array:
    """L_lat of each latent: L_LDM + w_i * L_KL (PSR eq. 9).

    Args:
        denoising: (N,) from `denoising_loss`.
        weights: (N,) or a number, from `adaptive_weight`.
        label: (N,) from `label_loss`; None in the steps where `kl_is_active` is False.

    Returns:
        (N,). Sum it, do not average it, before taking the gradient.
    """
    return denoising if label is None else denoising + weights * label  # eq. 9


def per_item(values: Any, items: torch.Tensor) -> torch.Tensor:
    """Shape a number or one value per item (N,) so that it multiplies `items` (N, ...)."""
    tensor = torch.as_tensor(values, dtype=items.dtype, device=items.device)
    return tensor.reshape(tensor.shape + (1,) * (items.ndim - 1)) if tensor.ndim == 1 else tensor
