"""What the teacher says about each candidate: reliability, entropy, difficulty, agreement.

Every function takes teacher logits (N, C) *restricted to the C classes of the task* (design decision: a
teacher with more outputs is restricted before the softmax), finite, any float type, NumPy or torch. Inside,
all is float64; the answer has the kind and float type of what came in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psr_studio.method.arrays import Array, finite, like, like_float, to_float64, to_numpy


def reliability(logits: Array, labels: Any, temperature: float = 1.5) -> Array:
    """s_rel: the probability of the target class under the softened teacher (PSR eq. 1).

    Args:
        logits: (N, C) teacher logits of the C task classes.
        labels: (N,) target class of each candidate, in 0..C-1.
        temperature: tau of the softmax, above 0.

    Returns:
        (N,) in [0, 1].

    Raises:
        ValueError: NaN or infinite logits, labels outside the classes, a temperature that is not above 0.
    """
    exponentials, total, _ = _softmax_parts(logits, temperature)
    targets = check_labels(labels, exponentials.shape)
    return like_float(exponentials[np.arange(len(targets)), targets] / total, logits)  # eq. 1


def predictive_entropy(logits: Array, temperature: float = 1.5) -> Array:
    """s_ent: entropy of the softened teacher, divided by log C (PSR eq. 6).

    Uniform logits give exactly 1, a certain teacher exactly 0; with a single class it is 0.

    Args:
        logits: (N, C) teacher logits of the C task classes.
        temperature: tau of the softmax, above 0.

    Returns:
        (N,) in [0, 1].

    Raises:
        ValueError: NaN or infinite logits, a temperature that is not above 0.
    """
    exponentials, total, shifted = _softmax_parts(logits, temperature)
    if exponentials.shape[1] == 1:
        return like_float(np.zeros(len(total)), logits)
    # Eq. 6, with log q = shifted - log(total): -sum q log q = log(total) - sum q * shifted. This form is
    # exact at both ends; a class whose probability underflows to 0 adds 0, the limit of q log q.
    spread = (exponentials * np.where(exponentials > 0, shifted, 0.0)).sum(axis=1) / total
    entropy = (np.log(total) - spread) / np.log(exponentials.shape[1])
    return like_float(np.clip(entropy, 0.0, 1.0), logits)


def difficulty(logits: Array, labels: Any) -> Array:
    """d: one minus the probability of the true class, without temperature (DGS eq. 6).

    Args:
        logits: (N, C) teacher logits of the C task classes, or of every output.
        labels: (N,) true class of each image, in 0..C-1.

    Returns:
        (N,) in [0, 1].

    Raises:
        ValueError: NaN or infinite logits, labels outside the classes.
    """
    exponentials, total, _ = _softmax_parts(logits, temperature=1.0)
    targets = check_labels(labels, exponentials.shape)
    # Eq. 6 as the sum of the other probabilities: 1 - p would lose the small difficulties of sure
    # predictions.
    exponentials[np.arange(len(targets)), targets] = 0.0
    return like_float(exponentials.sum(axis=1) / total, logits)


def difficulty_over_all(logits: Array, beyond: Array | None, labels: Any) -> Array:
    """The same over every output of a teacher, as the authors of DGS compute it.

    Args:
        logits: (N, C) teacher logits of classes.
        beyond: (N, 2) `beyond_task` of its other outputs, None where it has no others.
        labels: (N,) true class of each image, in 0..C-1.

    Returns:
        (N,) in [0, 1].

    Raises:
        ValueError: as `difficulty`.
    """
    if beyond is None:
        return difficulty(logits, labels)
    columns = np.column_stack([to_float64(logits), to_float64(beyond)[:, 0]])
    return like_float(difficulty(columns, labels), logits)


def beyond_task(outputs: Array, rows: Any) -> Array:
    """What softening over every output of a teacher needs beside the logits of the task's classes.

    Args:
        outputs: (N, O) all logits of the teacher.
        rows: (C,) the outputs that are the task's classes, fewer than all.

    Returns:
        (N, 2): one logit that weighs in a softmax what all outputs outside the task weigh together, and the entropy
        over all outputs at temperature 1 (`predictive_entropy`).

    Raises:
        ValueError: NaN or infinite logits, no output outside the task.
    """
    values = check_logits(outputs)
    outside = np.delete(values, to_numpy(rows), axis=1)
    if not outside.shape[1]:
        raise ValueError(f"All {values.shape[1]} outputs are the task's, but one outside it is needed.")
    highest = outside.max(axis=1)
    logit = highest + np.log(np.exp(outside - highest[:, None]).sum(axis=1))
    return like_float(np.column_stack([logit, predictive_entropy(values, temperature=1.0)]), outputs)


def joined(difficulty: Array, uncertainty: Array, share: float) -> Array:
    """Difficulty joined with uncertainty: (1 - share) * d + share * u. Ours: DGS names it as future work.

    Args:
        difficulty: (N,) in [0, 1]. uncertainty: (N,) normalised entropies at the same temperature, in [0, 1].
        share: of the uncertainty, in [0, 1]; 0 gives the difficulty as it is.

    Returns:
        (N,) in [0, 1].
    """
    return difficulty if share == 0 else (1 - share) * difficulty + share * uncertainty


def is_consistent(logits: Array, labels: Any) -> Array:
    """Eligible or not: is the arg-max the target class (PSR section 3.2)? A tie goes to the lowest class.

    Args:
        logits: (N, C) teacher logits of the C task classes.
        labels: (N,) target class of each candidate, in 0..C-1.

    Returns:
        (N,) bool.

    Raises:
        ValueError: NaN or infinite logits, labels outside the classes.
    """
    values = check_logits(logits)
    return like(values.argmax(axis=1) == check_labels(labels, values.shape), logits)


def min_max(x: Array, over: Any = None) -> Array:
    """Scale to [0, 1] by minimum and maximum; a constant becomes 0 (PSR section 3.2, "min-max normalized").

    Args:
        x: finite values of any shape.
        over: bool mask of the values that set the scale, of the shape of `x`; None means all. Values outside
            the mask are scaled by it too, so they may leave [0, 1].

    Returns:
        Values of the shape of `x`.

    Raises:
        ValueError: NaN or infinite values.
    """
    values = to_float64(x)
    if not np.isfinite(values).all():
        broken = np.count_nonzero(~np.isfinite(values))
        raise ValueError(f"{broken} of {values.size} values are NaN or infinite.")
    scale = values if over is None else values[to_numpy(over).astype(bool)]
    low, high = (scale.min(), scale.max()) if scale.size else (0.0, 0.0)
    return like_float((values - low) / (high - low) if high > low else np.zeros_like(values), x)


def check_logits(logits: Any) -> np.ndarray:
    """Return the logits as float64 (N, C), or say which rows are not finite.

    Raises:
        ValueError: another number of axes, no class, NaN or infinite values.
    """
    values = to_float64(logits)
    if values.ndim != 2 or values.shape[1] < 1:
        raise ValueError(f"Logits have shape {values.shape}, but (N, C) with at least one class is needed.")
    return finite(values, "logits")


def check_labels(labels: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels as int64 (N,) for logits of shape (N, C), or say what is wrong with them.

    Raises:
        ValueError: another length, fractions, classes outside 0..C-1.
    """
    values = to_numpy(labels)
    if values.shape != shape[:1]:
        raise ValueError(f"Labels have shape {values.shape}, but the logits hold {shape[0]} candidates.")
    if values.dtype.kind not in "iu" and not np.array_equal(values, values.astype(np.int64)):
        raise ValueError("Labels are not whole numbers, but each must be the index of a class.")
    values = values.astype(np.int64)
    outside = np.flatnonzero((values < 0) | (values >= shape[1]))
    if len(outside):
        raise ValueError(f"Label {values[outside[0]]} is outside the {shape[1]} classes 0 to {shape[1] - 1}.")
    return values


def _softmax_parts(logits: Any, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return exp(s) (N, C), its row sums (N,) and s = (l - max l) / tau, so that q = exp(s) / sum."""
    if not temperature > 0 or not np.isfinite(temperature):
        raise ValueError(f"The temperature is {temperature}, but it must be a finite number above 0.")
    values = check_logits(logits)
    with np.errstate(over="ignore"):  # near the float64 limit a difference may reach -inf; its exp is 0
        shifted = (values - values.max(axis=1, keepdims=True)) / temperature
    exponentials = np.exp(shifted)
    return exponentials, exponentials.sum(axis=1), shifted
