"""Laws of the metrics: closed forms, bounds, and fractions instead of percent."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.metrics import (
    accuracy,
    ars,
    coverage,
    encoding_error,
    expected_calibration_error,
    hlr,
    ior,
    lrs,
    mean_pairwise_distance,
    vendi_score,
)

RNG = np.random.default_rng(0)


def test_accuracy_is_a_fraction_of_logits_or_classes():
    logits = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [3.0, 0.0]])
    assert accuracy(logits, [0, 1, 0, 1]) == 0.75  # the tie goes to class 0
    assert accuracy(torch.tensor([0, 1, 0, 0]), torch.tensor([0, 1, 0, 1])) == 0.75
    with pytest.raises(ValueError, match="There are 2 predictions, but 3 labels"):
        accuracy([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="The logits of 1 of 1 candidates"):
        accuracy(np.array([[np.nan, 0.0]]), [0])


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    """Confidence 0.8 in every one of 10 answers, 5 right: |0.5 - 0.8| = 0.3. With 8 right: 0."""
    logits = np.tile([np.log(0.8), np.log(0.2)], (10, 1))
    assert expected_calibration_error(logits, [0] * 5 + [1] * 5) == pytest.approx(0.3)
    assert expected_calibration_error(logits, [0] * 8 + [1] * 2) == pytest.approx(0.0, abs=1e-12)


def test_calibration_error_weighs_bins_and_does_not_let_them_cancel():
    """Half at 0.6, all right (+0.4); half at 0.9, 4 of 10 right (-0.5): (0.4 + 0.5) / 2, not 0.05."""
    logits = np.log(np.array([[0.6, 0.4]] * 10 + [[0.9, 0.1]] * 10))
    labels = [0] * 10 + [0] * 4 + [1] * 6
    assert expected_calibration_error(logits, labels) == pytest.approx(0.45)


def test_sampling_labels_from_the_model_is_calibrated_and_sharpening_is_not():
    logits = RNG.normal(0, 2, (20000, 5))
    q = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (q.cumsum(axis=1) < RNG.random((20000, 1))).sum(axis=1)
    assert expected_calibration_error(logits, labels) < 0.015
    assert expected_calibration_error(logits, labels, temperature=0.3) > 0.1


def test_mean_pairwise_distance_of_a_triangle():
    """Sides 3, 4 and 5: 12 / 3 = 4. Scaling the points scales it."""
    corners = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_pairwise_distance(corners) == pytest.approx(4.0)
    assert mean_pairwise_distance(torch.from_numpy(2.5 * corners)) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="There are 1 items"):
        mean_pairwise_distance(corners[:1])


def test_vendi_score_counts_orthogonal_rows_and_takes_rows_of_one_direction_for_one():
    """n for n orthogonal rows of any length, 1 for equal ones; with more rows than dimensions as well."""
    orthogonal = np.diag([1.0, 2.0, 5.0])
    assert vendi_score(orthogonal) == pytest.approx(3)
    assert vendi_score(np.tile([[1.0, 2.0, 3.0]], (7, 1)) * np.arange(1, 8)[:, None]) == pytest.approx(1)
    assert vendi_score(torch.from_numpy(np.repeat(orthogonal, 4, axis=0))) == pytest.approx(3)


def test_vendi_score_of_two_rows_at_an_angle_by_hand():
    """Cosine c: eigenvalues (1 + c) / 2 and (1 - c) / 2; for c = 0.6 exp of the entropy of 0.8 and 0.2."""
    expected = np.exp(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2)))
    assert vendi_score([[1.0, 0.0], [0.6, 0.8]]) == pytest.approx(expected)
    with pytest.raises(ValueError, match="There are 1 rows of zeros"):
        vendi_score([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="There are 0 items"):
        vendi_score(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="not finite"):
        vendi_score([[np.nan, 1.0]])


def test_encoding_error_is_zero_for_the_whole_pool_and_falls_with_every_pick():
    distances = pairwise_sq_distances(RNG.normal(size=(30, 3)))
    errors = [encoding_error(distances, np.arange(k)) for k in range(1, 31)]
    assert errors[-1] == 0.0 and all(a >= b for a, b in zip(errors, errors[1:], strict=False))
    assert encoding_error(pairwise_sq_distances(np.array([[0.0], [3.0]])), [0]) == 4.5  # (0 + 9) / 2


def test_coverage_is_one_for_the_reference_itself_zero_far_away_and_never_falls():
    reference = RNG.normal(size=(100, 4))
    assert coverage(reference, reference) == 1.0
    assert coverage(reference, reference + 100.0) == 0.0
    shares = [coverage(reference, reference[:k]) for k in (1, 5, 20, 60)]
    assert shares == sorted(shares) and shares[0] >= 0.01 and shares[-1] > shares[0]
    line = np.arange(6.0)[:, None]  # nearest neighbours at 1: an item at 0.5 reaches 0 and 1 alone
    assert coverage(line, [[0.5]], n_neighbours=1) == pytest.approx(2 / 6)
    assert coverage(line, [[0.5]], n_neighbours=3) == pytest.approx(3 / 6)  # third at 3, 2, 2, 2, 2, 3
    with pytest.raises(ValueError, match="The reference has 5 points, but 5 neighbours"):
        coverage(reference[:5], reference)


def test_robust_scores_go_from_zero_at_the_worst_to_one_at_the_best():
    """alpha = -1 gives 0, alpha = 1 gives 1, alpha = 0 gives (1 - e^-1) / (e - e^-1)."""
    assert lrs(hlr=1.0, ior=-1.0) == 0.0 and lrs(hlr=-1.0, ior=1.0) == pytest.approx(1.0)
    assert ars(-1.0, -1.0) == 0.0 and ars(1.0, 1.0) == pytest.approx(1.0)
    middle = (1 - math.exp(-1)) / (math.e - math.exp(-1))
    assert lrs(0.0, 0.0) == ars(0.0, 0.0) == pytest.approx(middle)
    for _ in range(200):
        a, b, w = RNG.uniform(-1, 1), RNG.uniform(-1, 1), RNG.random()
        assert 0 <= lrs(a, b, w) <= 1 and 0 <= ars(a, b, w) <= 1


def test_robust_scores_rise_with_the_gain_and_fall_with_the_loss():
    assert lrs(0.2, 0.1) > lrs(0.3, 0.1) and lrs(0.2, 0.2) > lrs(0.2, 0.1)
    assert ars(0.2, 0.1) > ars(0.1, 0.1) and ars(0.1, 0.2) > ars(0.1, 0.1)
    assert lrs(0.4, 0.1, weight=1.0) == lrs(0.9, 0.1, weight=1.0)  # weight 1 looks at the gain alone
    assert ars(0.4, 0.1, weight=0.0) == ars(0.9, 0.1, weight=0.0)
    assert (hlr(0.9, 0.6), ior(0.7, 0.6)) == pytest.approx((0.3, 0.1))


def test_percent_is_refused_with_the_fraction_to_write():
    for call in (lambda: hlr(86.4, 0.4), lambda: ior(0.5, 29.4)):
        with pytest.raises(ValueError, match="is no fraction; an accuracy of 76.3 % is 0.763"):
            call()
    with pytest.raises(ValueError, match="12.0 is no difference of fractions"):
        lrs(12.0, 0.1)
