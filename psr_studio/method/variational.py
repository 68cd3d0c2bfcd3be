"""The variational bound that trains a learned variance (Nichol & Dhariwal 2021, eq. 4 and 15), as in DiT's own code.

Shape letters: N latents (c, h, w); alpha-bars are (N, 1, 1, 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

HALF_BIN = 1 / 255  # of the last step's likelihood, which takes latents for 8-bit pictures as DiT's code does
SMALLEST = 1e-12


def variational_bound(
    clean: Tensor, z_t: Tensor, predicted: Tensor, share: Tensor, alpha_bar: Tensor, before: Tensor
) -> Tensor:
    """The bound of each latent in bits per element, (N,).

    The mean is not trained by it: only `share` gets a gradient.

    Args:
        clean: z_0. predicted: z_hat, the clean latents that the network implies.
        share: (N, c, h, w) what the network says of the variance, -1 for the least and 1 for the greatest.
        alpha_bar: of t. before: of t - 1, and 1 at t = 0.
    """
    beta = 1 - alpha_bar / before
    least = torch.where(before < 1, (1 - before) / (1 - alpha_bar) * beta, beta)
    mean, guess = (_posterior_mean(z, z_t, alpha_bar, before) for z in (clean, predicted.detach()))
    log_variance = _between(share, least.log(), beta.log())
    divergence = _gaussian_kl(mean, least.log(), guess, log_variance)
    likelihood = -_log_likelihood(clean, guess, 0.5 * log_variance)
    bits = torch.where(before < 1, divergence, likelihood) / math.log(2)
    return bits.flatten(1).mean(dim=1)


def _posterior_mean(clean: Tensor, z_t: Tensor, alpha_bar: Tensor, before: Tensor) -> Tensor:
    """Mean of q(z_{t-1} | z_t, z_0) (Ho et al. 2020, eq. 7)."""
    alpha = alpha_bar / before
    of_clean = before.sqrt() * (1 - alpha) / (1 - alpha_bar)
    return of_clean * clean + alpha.sqrt() * (1 - before) / (1 - alpha_bar) * z_t


def _between(share: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The logarithm of a learned variance (Nichol & Dhariwal 2021, eq. 15)."""
    return low + (share + 1) / 2 * (high - low)


def _gaussian_kl(mean: Tensor, log_variance: Tensor, guess: Tensor, log_guess: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(guess, its variance)), element by element."""
    ratio = torch.exp(log_variance - log_guess) + (mean - guess) ** 2 * torch.exp(-log_guess)
    return 0.5 * (ratio - 1 + log_guess - log_variance)


def _log_likelihood(clean: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Logarithm of the mass of a bin around each element; those beyond [-1, 1] have all that lies outside."""
    low, high = (
        torch.special.ndtr((clean - mean + side) * torch.exp(-log_scale)) for side in (-HALF_BIN, HALF_BIN)
    )
    low = torch.where(clean < -0.999, 0.0, low)
    high = torch.where(clean > 0.999, 1.0, high)
    return (high - low).clamp(min=SMALLEST).log()
