"""What students make of each class: accuracies by class and the confusion matrix, over all students of a row."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from psr_studio.core.errors import SelectionError
from psr_studio.core.words import text_table
from psr_studio.stages.evaluate.stage import Row, spread


@dataclass(frozen=True)
class ClassResult:
    """One class of the test split over n students; shares in [0, 1]."""

    class_id: int
    n_images: int  # test images of the class
    mean: float  # accuracy
    std: float  # of the sample (n - 1); NaN for one student
    confused_with: int | None  # the class it is taken for most often, None where it never is
    confused: float  # the share that is


@dataclass(frozen=True)
class ByClass:
    """A row by class: `matrix` (C, C) are the shares of each class (rows) predicted as each (columns)."""

    classes: tuple[int, ...]
    matrix: np.ndarray
    results: tuple[ClassResult, ...]


def by_class(row: Row) -> ByClass:
    """The row by class, classes ascending.

    Raises:
        SelectionError: its students were trained before that was noted.
    """
    if not row.confusions:
        raise SelectionError(
            f"The students of {row.name} were trained before results by class were kept.",
            "Train with another seed to have them; the accuracies stay as they are.",
        )
    classes = sorted(
        {c for cells in row.confusions for true, predicted, _ in cells for c in (true, predicted)}
    )
    counts = np.stack([_counts(cells, classes) for cells in row.confusions])
    n_images = counts.sum(axis=2)
    shares = counts / np.maximum(n_images, 1)[:, :, None]
    matrix = shares.mean(axis=0)
    results = (
        _result(k, classes, int(n_images[0, k]), shares[:, k, k].tolist(), matrix[k])
        for k in range(len(classes))
        if n_images[0, k]
    )
    return ByClass(tuple(classes), matrix, tuple(results))


def _counts(cells: Sequence[tuple[int, int, int]], classes: Sequence[int]) -> np.ndarray:
    """One student's (C, C) counts."""
    found = np.zeros((len(classes), len(classes)), np.int64)
    place = {class_id: k for k, class_id in enumerate(classes)}
    for true, predicted, n in cells:
        found[place[true], place[predicted]] = n
    return found


def _result(
    k: int, classes: Sequence[int], n_images: int, accuracies: list[float], shares: np.ndarray
) -> ClassResult:
    others = shares.copy()
    others[k] = 0
    worst = int(others.argmax())
    return ClassResult(
        classes[k],
        n_images,
        statistics.fmean(accuracies),
        statistics.stdev(accuracies) if len(accuracies) > 1 else math.nan,
        classes[worst] if others[worst] > 0 else None,
        float(others[worst]),
    )


def format_by_class(row: Row, class_names: Sequence[str]) -> str:
    """The row by class as text, the worst class first, shares in percent.

    Raises:
        SelectionError: nothing is known by class.
    """
    found = sorted(by_class(row).results, key=lambda result: result.mean)
    return text_table(
        ("class", "images", "last %", "most often taken for", "%"),
        ((class_names[r.class_id], *cells_of(r, class_names)) for r in found),
    )


def cells_of(result: ClassResult, class_names: Sequence[str]) -> tuple[str, str, str, str]:
    """Test images, accuracy, the class it is taken for most often and how often, in words."""
    taken = "-" if result.confused_with is None else class_names[result.confused_with]
    share = "-" if result.confused_with is None else f"{100 * result.confused:.1f}"
    return str(result.n_images), spread(result.mean, result.std), taken, share
