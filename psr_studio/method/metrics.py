"""Numbers about a set or a model: accuracy, calibration, spread, coverage, and the four scores of DD-Ranking.

All accuracies are fractions in [0, 1]. DD-Ranking (arXiv 2505.13300) defines its scores on fractions, while
its package 0.2.0 feeds percent; ours follow the definition.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from psr_studio.method.arrays import to_float64, to_numpy
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.signals import check_labels, check_logits


def accuracy(predictions: Any, labels: Any) -> float:
    """Share of correct predictions, a fraction.

    Args:
        predictions: (N, C) logits, where ties go to the lowest class, or (N,) classes.
        labels: (N,) true classes.

    Raises:
        ValueError: no prediction, two lengths, NaN logits.
    """
    values, truth = to_numpy(predictions), to_numpy(labels)
    if not len(values) or len(values) != len(truth):
        raise ValueError(f"There are {len(values)} predictions, but {len(truth)} labels; one each is needed.")
    classes = check_logits(predictions).argmax(axis=1) if values.ndim == 2 else values
    return float((classes == truth).mean())


def expected_calibration_error(logits: Any, labels: Any, temperature: float = 1.0, n_bins: int = 15) -> float:
    """ECE: how far confidence and accuracy lie apart, over equal bins of confidence (Guo et al. 2017).

    Args:
        logits: (N, C). labels: (N,) true classes.
        temperature: of the softmax, above 0. n_bins: bins over [0, 1]; each is open below and closed above.

    Returns:
        A fraction in [0, 1]; 0 for a model whose confidence equals its accuracy in every bin.

    Raises:
        ValueError: no prediction, NaN logits, labels outside the classes.
    """
    values = check_logits(logits)
    truth = check_labels(labels, values.shape)
    if not len(values):
        raise ValueError("There are 0 predictions, but calibration needs at least 1.")
    probabilities = np.exp((values - values.max(axis=1, keepdims=True)) / temperature)
    confidence = probabilities.max(axis=1) / probabilities.sum(axis=1)
    return calibration_error(confidence, values.argmax(axis=1) == truth, n_bins)


def calibration_error(confidence: Any, correct: Any, n_bins: int = 15) -> float:
    """The same from what a model was sure of: `confidence` (N,) in [0, 1], and whether it was `correct` (N,).

    Raises:
        ValueError: no prediction, two lengths.
    """
    sure, right = to_float64(confidence), to_float64(correct)
    if not len(sure) or len(sure) != len(right):
        raise ValueError(f"There are {len(sure)} confidences, but {len(right)} answers; one each is needed.")
    bins = np.clip(np.ceil(sure * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    # The gap of a bin times its size: |sum of (correct - confidence)| = size * |accuracy - mean confidence|.
    gaps = np.abs(np.bincount(bins, right - sure, minlength=n_bins))
    return float(gaps.sum() / len(sure))


def calibration_by_chance(logits: Any, n_bins: int = 15, n_draws: int = 100, seed: int = 0) -> float:
    """The ECE that these predictions would show on average if they were calibrated: few predictions never show 0.

    Whether a prediction is correct is drawn with its own confidence; the mean of so many draws.

    Args:
        logits: (N, C). n_bins: as in `expected_calibration_error`.
    """
    values = check_logits(logits)
    probabilities = np.exp(values - values.max(axis=1, keepdims=True))
    confidence = probabilities.max(axis=1) / probabilities.sum(axis=1)
    bins = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    rng = np.random.default_rng(seed)
    draws = rng.random((n_draws, len(values))) < confidence
    gaps = [np.abs(np.bincount(bins, correct - confidence, minlength=n_bins)).sum() for correct in draws]
    return float(np.mean(gaps) / len(values))


def mean_pairwise_distance(features: Any) -> float:
    """Mean Euclidean distance over all pairs of rows of features (N, D): the spread inside a class.

    Raises:
        ValueError: fewer than two items, NaN features.
    """
    distances = to_float64(pairwise_sq_distances(features))
    n = len(distances)
    if n < 2:
        raise ValueError(f"There are {n} items, but a pair needs 2.")
    return float(np.sqrt(distances).sum() / (n * (n - 1)))


def vendi_score(features: Any) -> float:
    """Effective number of distinct rows of features (N, D) (Vendi score, Friedman and Dieng 2023, order 1).

    exp of the entropy of the eigenvalues of K / N, where K holds the cosines of all pairs: N for orthogonal rows, 1
    for rows of one direction.

    Returns:
        In [1, min(N, D)].

    Raises:
        ValueError: no row, NaN features, a row of zeros, whose cosine is not defined.
    """
    rows = to_float64(features)
    if not len(rows):
        raise ValueError("There are 0 items, but a Vendi score needs at least 1.")
    if not np.isfinite(rows).all():
        raise ValueError("There are features that are not finite, but a Vendi score needs finite ones.")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        zeros = int((lengths == 0).sum())
        raise ValueError(f"There are {zeros} rows of zeros, but a cosine needs rows with a direction.")
    rows = rows / lengths
    # X X^T and X^T X have the same eigenvalues but for zeros, so the smaller one is taken.
    kernel = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    shares = np.linalg.eigvalsh(kernel / len(rows)).clip(min=0)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def encoding_error(distances: Any, picks: Any) -> float:
    """Mean squared distance of the candidates to the nearest chosen one: PSR eq. 2 divided by the pool size.

    Args:
        distances: (N, N) from `pairwise_sq_distances`. chosen: positions of the chosen candidates, at least
            one.
    """
    return float(to_float64(distances)[:, to_numpy(picks)].min(axis=1).mean())


def coverage(reference: Any, items: Any, n_neighbours: int = 5) -> float:
    """Share of the reference that the items reach (coverage of Naeem et al. 2020).

    A reference point is covered when some item is as near as its own `n_neighbours`-th nearest neighbour in
    the reference.

    Args:
        reference: (N, D) features, N above `n_neighbours`. items: (K, D) features.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: a reference that is too small, NaN features.
    """
    n = len(to_numpy(reference))
    if not 1 <= n_neighbours < n:
        raise ValueError(f"The reference has {n} points, but {n_neighbours} neighbours of each are needed.")
    together = np.concatenate([to_float64(reference), to_float64(items)])
    distances = pairwise_sq_distances(together)[:n]
    radius = np.sort(distances[:, :n], axis=1)[:, n_neighbours]  # position 0 is the point itself
    return float((distances[:, n:].min(axis=1) <= radius).mean())


def hlr(accuracy_full: float, accuracy_synthetic: float) -> float:
    """Hard label recovery of DD-Ranking: what the set loses to the full data, both with hard labels.

    Raises:
        ValueError: an accuracy that is no fraction.
    """
    return _fraction(accuracy_full) - _fraction(accuracy_synthetic)


def ior(accuracy_synthetic: float, accuracy_random: float) -> float:
    """Improvement over random of DD-Ranking: what the set gains over random real images, same recipe.

    Raises:
        ValueError: an accuracy that is no fraction.
    """
    return _fraction(accuracy_synthetic) - _fraction(accuracy_random)


def lrs(hlr: float, ior: float, weight: float = 0.5) -> float:
    """Label robust score of DD-Ranking: alpha = w * IOR - (1 - w) * HLR, normalised to [0, 1].

    Args:
        hlr, ior: differences of fractions, in [-1, 1]. weight: w in [0, 1].

    Raises:
        ValueError: a value out of range.
    """
    return _normalized_score(weight * _difference(ior) - (1 - _fraction(weight)) * _difference(hlr))


def ars(gain_augmented: float, gain_plain: float, weight: float = 0.5) -> float:
    """Augmentation robust score of DD-Ranking: gains with and without augmentation, normalised to [0, 1].

    beta = g * (gain with) + (1 - g) * (gain without).

    Args:
        gain_augmented, gain_plain: accuracy of the set minus that of random real images, with and without
            augmentation; in [-1, 1]. weight: g in [0, 1].

    Raises:
        ValueError: a value out of range.
    """
    return _normalized_score(
        weight * _difference(gain_augmented) + (1 - _fraction(weight)) * _difference(gain_plain)
    )


def _normalized_score(alpha: float) -> float:
    """Return (e^alpha - e^-1) / (e - e^-1), which takes [-1, 1] to [0, 1]."""
    return (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


def _fraction(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is no fraction; an accuracy of 76.3 % is 0.763.")
    return float(value)


def _difference(value: float) -> float:
    if not -1 <= value <= 1:
        raise ValueError(f"{value} is no difference of fractions; 12 points are 0.12.")
    return float(value)
