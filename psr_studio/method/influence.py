"""How much a training picture helped, from gradients of a trained student."""

from __future__ import annotations

import torch
from torch import Tensor


def gradient_agreement(gradient: Tensor, reference: Tensor) -> float:
    """Cosine of a picture's loss gradient with the mean gradient of the images that a student is to be good at.

    TracIn (Pruthi et al. 2020, arXiv 2002.08484) adds up, over checkpoints, learning rate times the product of both
    gradients: what a step on the picture takes off the loss of the others. Here it is one checkpoint, the last
    epoch, and the product is divided by both lengths, as in LESS (Xia et al. 2024, arXiv 2402.04333), so that a
    picture does not count for more because it is not fitted yet.

    Args:
        gradient, reference: (P,), of the same weights in the same order.

    Returns:
        In [-1, 1]: above 0 a small step on the picture lowers the loss of the images, below 0 it raises it; 0 where
        either gradient is 0.
    """
    a, b = gradient.cpu().double(), reference.cpu().double()  # not every device has float64
    lengths = torch.linalg.vector_norm(a) * torch.linalg.vector_norm(b)
    return float((a @ b / lengths).clamp(-1, 1)) if lengths > 0 else 0.0
