"""Minimax fine-tuning of a diffusion model: what it adds to the loss (DGS eq. 2 to 4; Gu et al., CVPR 2024).

Shape letters: n predictions of one class, m latents in a memory, D elements of a flat latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def predicted_clean(z_t: Tensor, predicted_noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """z_hat, the clean latents that a noise prediction implies: (z_t - sqrt(1 - alpha-bar) eps) / sqrt(alpha-bar).

    Args:
        z_t, predicted_noise: (N, c, h, w). alpha_bar: (N, 1, 1, 1).
    """
    return (z_t - (1 - alpha_bar).sqrt() * predicted_noise) / alpha_bar.sqrt()


def diffusion_loss(predicted_noise: Tensor, noise: Tensor) -> Tensor:
    """The mean squared noise error (DGS eq. 2, which is printed with "arg max": an error is lowered)."""
    return F.mse_loss(predicted_noise, noise)


def representativeness_loss(predicted: Tensor, real: Tensor) -> Tensor:
    """1 - the least cosine between predictions (n, D) and real latents (m, D) of a class (DGS eq. 3).

    The paper maximises that cosine; 1 minus it is lowered, as the authors of Minimax have it.
    """
    return 1 - _cosines(predicted, real).min()


def diversity_loss(predicted: Tensor, generated: Tensor) -> Tensor:
    """The greatest cosine between predictions (n, D) and earlier predictions (m, D) of a class (DGS eq. 4)."""
    return _cosines(predicted, generated).max()


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    """(n, m) cosines of rows (n, D) and (m, D)."""
    return F.normalize(left, dim=1) @ F.normalize(right, dim=1).T


def remember(memory: Tensor | None, new: Tensor, size: int) -> Tensor:
    """A memory after rows (n, D) came in: the newest `size` rows, the oldest first; first in, first out."""
    kept = new.detach() if memory is None else torch.cat([memory, new.detach()])
    return kept[-size:]


def minimax_losses(
    predicted: Tensor,
    labels: Sequence[int],
    real: Mapping[int, Tensor],
    generated: Mapping[int, Tensor],
) -> tuple[Tensor, Tensor]:
    """Representativeness and diversity loss of a batch, each averaged over its classes (DGS eq. 3 and 4).

    The least and the greatest cosine are taken over all predictions of a class and its whole memory, so that each
    class adds one number; a class without a memory adds none.

    Args:
        predicted: (N, D) flat clean latents. labels: (N,).
        real, generated: memories (m, D) by class.

    Returns:
        Two scalars.
    """
    classes = sorted(set(labels))
    near, far = predicted.new_zeros(()), predicted.new_zeros(())
    for class_id in classes:
        rows = predicted[[row for row, label in enumerate(labels) if label == class_id]]
        if class_id in real:
            near = near + representativeness_loss(rows, real[class_id])
        if class_id in generated:
            far = far + diversity_loss(rows, generated[class_id])
    return near / len(classes), far / len(classes)
