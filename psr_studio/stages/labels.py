"""Soft labels: the teacher's softmax at a temperature, over all classes or over those of the task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def soften(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Soft labels q = softmax(l / tau): logits (n, C) to float32 (n, C), rows sum to 1."""
    shifted = (logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature
    exponentials = np.exp(shifted)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def soften_task(logits: np.ndarray, temperature: float, classes: Sequence[int] | np.ndarray) -> np.ndarray:
    """`soften` over a part of the classes, (n, C) float32; 0 for the others."""
    found = np.zeros(logits.shape, np.float32)
    found[:, classes] = soften(logits[:, classes], temperature)
    return found
