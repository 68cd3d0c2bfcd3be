"""The task of a selection is the classes that it holds: labels count among them, logits are restricted to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def named_part(classes: Iterable[int], n_classes: int) -> dict[str, Any]:
    """The classes as an inputs hash names them: only where they are a part of the bundle's `n_classes`."""
    task = sorted(classes)
    return {"classes": task} if len(task) < n_classes else {}


def in_task(labels: np.ndarray, classes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Labels (n,) of classes of the task, counted among them: in 0 to len(classes) - 1. `classes` ascend."""
    return np.searchsorted(np.asarray(classes), labels)
