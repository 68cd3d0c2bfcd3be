"""The losses a student is trained with (PSR section 3.4), and CutMix of images with their soft labels."""

from __future__ import annotations

from typing import Any

import torch

from psr_studio.method.arrays import Array, from_tensor, to_tensor
from psr_studio.method.refinement import label_loss


def kd_loss(student_logits: Array, soft_labels: Array, temperature: float = 1.5) -> Any:
    """L_KD: tau^2 * KL(q_ref || q_S), mean over the batch (PSR eq. 11).

    Args:
        student_logits: (N, C). soft_labels: (N, C) q_ref at the same temperature; rows sum to 1.
        temperature: tau, above 0.

    Returns:
        A scalar of at least 0 but for rounding, 0 where the student agrees with the labels.

    Raises:
        ValueError: two shapes, a temperature that is not above 0.
    """
    return temperature**2 * label_loss(student_logits, soft_labels, temperature).mean()  # eq. 11


def hard_label_loss(student_logits: Array, labels: Any) -> Any:
    """Cross-entropy against class indices, mean over the batch (PSR section 4.3.3, the hard-label protocol).

    Args:
        student_logits: (N, C). labels: (N,) classes in 0..C-1.

    Returns:
        A scalar of at least 0.
    """
    logits = to_tensor(student_logits)
    targets = to_tensor(labels).to(logits.device, torch.int64)
    return from_tensor(torch.nn.functional.cross_entropy(logits, targets), student_logits)


def soft_cross_entropy(student_logits: Array, soft_labels: Array, temperature: float = 1.0) -> Any:
    """Cross-entropy against label distributions, -sum q log q_S, mean over the batch.

    It differs from `kd_loss` by the entropy of the labels and the factor tau^2, so at tau = 1 gradients are
    the same.

    Args:
        student_logits: (N, C). soft_labels: (N, C), rows sum to 1. temperature: tau, above 0.

    Returns:
        A scalar of at least 0.
    """
    log_predicted = torch.log_softmax(to_tensor(student_logits) / temperature, dim=1)
    return from_tensor(-(to_tensor(soft_labels) * log_predicted).sum(dim=1).mean(), student_logits)


def cutmix(
    images: torch.Tensor, soft_labels: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a box of each image's partner over it; mix labels by the area really pasted (Yun et al. 2019).

    Box and partners are drawn once per batch, on the CPU, so that every device mixes alike.

    Args:
        images: (N, channels, H, W). soft_labels: (N, C); one-hot rows for hard labels.
        generator: on the CPU.

    Returns:
        New images and new labels; label rows still sum to 1.
    """
    height, width = images.shape[-2:]
    side = float(torch.rand((), generator=generator).sqrt())  # the share of the box is Beta(1, 1): uniform
    row, column = (int(torch.randint(n, (1,), generator=generator)) for n in (height, width))
    half_height, half_width = int(side * height) // 2, int(side * width) // 2
    rows = slice(max(row - half_height, 0), min(row + half_height, height))
    columns = slice(max(column - half_width, 0), min(column + half_width, width))
    partners = torch.randperm(len(images), generator=generator).to(images.device)
    mixed = images.clone()
    mixed[..., rows, columns] = images[partners][..., rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, (1 - pasted) * soft_labels + pasted * soft_labels[partners]
