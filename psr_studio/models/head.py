"""A calibrated linear head on frozen features: multinomial logistic regression, cross-fitted.

Shape letters: N pictures, D features, C classes. Features are float32 on the CPU, labels int64.

Every number that is told about a head is told of pictures it did not see: the rows of each fold get their logits from
a head that was fitted to the other folds, with the penalty and the temperature that suit those others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from psr_studio.core.stopping import stop_if_asked

FOLDS = 5
PENALTIES = (1.0, 0.1, 0.01, 0.001)  # of half the squared weights on scaled features
MAX_STEPS = 100  # of L-BFGS; it ends before where the gradient is small
HISTORY = 10  # steps that L-BFGS remembers; more cost more than they save here
SMALLEST_SPREAD = 1e-6  # a feature that never changes says nothing


@dataclass(frozen=True)
class Head:
    """Logits of features (N, D) are features @ weight.T + bias: weight (C, D), bias (C,)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, C)."""
        return F.linear(features, self.weight, self.bias)

    def cooled(self, temperature: float) -> Head:
        """The head whose logits are those of this one divided by a temperature."""
        return Head(self.weight / temperature, self.bias / temperature)


@dataclass(frozen=True)
class CrossFit:
    """Logits (N, C), each of a head that did not see its row, calibrated; and what suits all rows together."""

    logits: Tensor
    penalty: float
    temperature: float


def fit_head(features: Tensor, labels: Tensor, n_classes: int, penalty: float) -> Head:
    """The head of the least mean cross-entropy plus `penalty` / 2 times its squared weights, by L-BFGS.

    The penalty counts weights on features of mean 0 and, over all of them together, variance 1; a bias is free.
    """
    mean = features.mean(dim=0)
    spread = features.std(dim=0, correction=0).square().mean().sqrt().clamp_min(SMALLEST_SPREAD)
    rows = (features - mean) / spread
    weight = torch.zeros(n_classes, rows.shape[1], requires_grad=True)
    bias = torch.zeros(n_classes, requires_grad=True)
    steps = torch.optim.LBFGS(
        [weight, bias], max_iter=MAX_STEPS, history_size=HISTORY, tolerance_grad=1e-5, tolerance_change=1e-7,
        line_search_fn="strong_wolfe"
    )  # fmt: skip

    def loss() -> Tensor:
        steps.zero_grad()
        value = F.cross_entropy(F.linear(rows, weight, bias), labels) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        steps.step(loss)
    found = weight.detach() / spread
    return Head(found, bias.detach() - found @ mean)


def folds_of(labels: np.ndarray, n_folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """The fold of each row, 0 to n_folds - 1: every class is dealt out evenly, in an order drawn by the seed."""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        folds[rows] = (np.arange(len(rows)) + label) % n_folds
    return folds


def cross_fit(features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> CrossFit:
    """Choose penalty and temperature by the cross-entropy on rows that a head did not see.

    Penalty and temperature of a fold's own logits come from the rows of the other folds, so that its accuracy and its
    calibration are those of new pictures.
    """
    folds = torch.from_numpy(folds_of(labels.numpy(), seed=seed))
    unseen = torch.empty(len(PENALTIES), len(labels), n_classes)
    for fold in range(FOLDS):
        others, held_out = folds != fold, folds == fold
        for i, penalty in enumerate(PENALTIES):
            stop_if_asked()
            unseen[i, held_out] = fit_head(features[others], labels[others], n_classes, penalty)(
                features[held_out]
            )
    logits = torch.empty_like(unseen[0])
    for fold in range(FOLDS):
        others, held_out = folds != fold, folds == fold
        best, temperature = _best(unseen[:, others], labels[others])
        logits[held_out] = unseen[best, held_out] / temperature
    best, temperature = _best(unseen, labels)
    return CrossFit(logits, PENALTIES[best], temperature)


def _best(logits: Tensor, labels: Tensor) -> tuple[int, float]:
    """Of logits (penalties, N, C) the place of the best, and its temperature."""
    temperatures = [fit_temperature(each, labels) for each in logits]
    losses = [
        F.cross_entropy(each / temperature, labels).item()
        for each, temperature in zip(logits, temperatures, strict=True)
    ]
    best = int(np.argmin(losses))
    return best, temperatures[best]


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that minimises the held-out cross-entropy (Guo et al. 2017), by golden-section search."""
    low, high = math.log(0.25), math.log(4.0)
    loss = lambda log_t: F.cross_entropy(logits / math.exp(log_t), labels).item()  # noqa: E731
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)
