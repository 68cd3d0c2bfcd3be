"""Laws of the teacher's signals: bounds, exact extremes, agreement with torch, errors that name the row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psr_studio.method.signals import (
    difficulty,
    is_consistent,
    joined,
    min_max,
    predictive_entropy,
    reliability,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 4, (200, 10))
LABELS = RNG.integers(0, 10, 200)


def test_joined_with_no_share_of_uncertainty_difficulty_is_as_it_was():
    hard, unsure = np.array([0.1, 0.9], np.float32), np.array([0.5, 0.3], np.float32)
    assert joined(hard, unsure, 0.0) is hard
    assert joined(hard, unsure, 1.0).tolist() == unsure.tolist()
    np.testing.assert_allclose(joined(hard, unsure, 0.25), [0.2, 0.75], rtol=1e-6)


def test_reliability_is_the_softened_probability_of_the_target():
    expected = torch.softmax(torch.from_numpy(LOGITS) / 1.5, dim=1).numpy()[np.arange(200), LABELS]
    np.testing.assert_allclose(reliability(LOGITS, LABELS), expected, rtol=1e-12)


def test_reliability_over_all_classes_sums_to_one():
    total = sum(reliability(LOGITS, np.full(200, k), temperature=3.0) for k in range(10))
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_difficulty_is_one_minus_probability_without_temperature():
    probability = reliability(LOGITS, LABELS, temperature=1.0)
    np.testing.assert_allclose(difficulty(LOGITS, LABELS), 1 - probability, atol=1e-12)


def test_difficulty_keeps_its_digits_where_one_minus_p_would_be_zero():
    """Two classes, logits 60 apart: d = e^-60 / (1 + e^-60), about 1e-26, while 1 - p is 0 in float64."""
    assert difficulty(np.array([[60.0, 0.0]]), [0])[0] == pytest.approx(np.exp(-60.0), rel=1e-12)


def test_entropy_is_the_normalised_shannon_entropy():
    q = torch.softmax(torch.from_numpy(LOGITS) / 1.5, dim=1)
    expected = torch.distributions.Categorical(probs=q).entropy().numpy() / np.log(10)
    np.testing.assert_allclose(predictive_entropy(LOGITS), expected, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3, 7, 10, 1000])
def test_entropy_is_exactly_one_when_uniform_and_zero_when_certain(n_classes):
    uniform = np.full((1, n_classes), 3.7)
    certain = np.where(np.arange(n_classes) == 1, 0.0, -1e30)[None]
    assert predictive_entropy(uniform)[0] == 1.0
    assert predictive_entropy(certain)[0] == 0.0


def test_entropy_stays_in_bounds_at_any_scale():
    for scale in (1e-12, 1e-3, 1.0, 1e3, 1e300):
        entropy = predictive_entropy(LOGITS * scale)
        assert np.all((entropy >= 0) & (entropy <= 1)), scale


def test_entropy_of_a_single_class_is_zero():
    assert predictive_entropy(np.array([[4.0], [-2.0]])).tolist() == [0.0, 0.0]


def test_a_higher_temperature_raises_entropy_and_a_shift_of_logits_changes_nothing():
    entropies = [predictive_entropy(LOGITS, temperature=t) for t in (0.5, 1.0, 1.5, 4.0)]
    for lower, higher in zip(entropies, entropies[1:], strict=False):
        assert np.all(higher > lower)
    np.testing.assert_allclose(predictive_entropy(LOGITS + 64.0), predictive_entropy(LOGITS), rtol=1e-9)
    np.testing.assert_allclose(reliability(LOGITS + 64.0, LABELS), reliability(LOGITS, LABELS), rtol=1e-9)


def test_extreme_logits_give_numbers_and_not_nan():
    logits = np.array([[-1e308, 1e308, 0.0], [3e38, -3e38, 3e38], [0.0, -1e30, -1e30]])
    assert predictive_entropy(logits) == pytest.approx([0.0, np.log(2) / np.log(3), 0.0])
    assert reliability(logits, [1, 0, 0]) == pytest.approx([1.0, 0.5, 1.0])
    assert difficulty(logits, [0, 1, 0]) == pytest.approx([1.0, 1.0, 0.0])


def test_consistency_is_the_arg_max_and_ties_go_to_the_lowest_class():
    logits = np.array([[1.0, 2.0, 2.0], [1.0, 2.0, 2.0], [5.0, 5.0, 5.0]])
    assert is_consistent(logits, [1, 2, 0]).tolist() == [True, False, True]
    assert is_consistent(torch.from_numpy(logits), torch.tensor([1, 2, 0])).tolist() == [True, False, True]


def test_min_max_reaches_both_ends_keeps_order_and_maps_a_constant_to_zero():
    scaled = min_max(LOGITS[:, 0])
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    assert np.array_equal(np.argsort(scaled), np.argsort(LOGITS[:, 0]))
    assert min_max(np.full(5, 0.3)).tolist() == [0.0] * 5
    np.testing.assert_allclose(min_max(7.0 * LOGITS[:, 0] - 3.0), scaled, rtol=1e-12, atol=1e-12)


def test_min_max_over_a_mask_takes_the_scale_from_the_mask_alone():
    values = np.array([0.0, 1.0, 3.0, 5.0])
    assert min_max(values, over=[False, True, True, False]).tolist() == [-0.5, 0.0, 1.0, 2.0]
    assert min_max(values, over=np.zeros(4, bool)).tolist() == [0.0] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numpy_and_torch_give_the_same_values_in_their_own_kind_and_dtype(dtype):
    logits, labels = torch.from_numpy(LOGITS).to(dtype), torch.from_numpy(LABELS)
    calls = [
        (reliability, (logits, labels)),
        (predictive_entropy, (logits,)),
        (difficulty, (logits, labels)),
        (min_max, (logits[:, 0],)),
    ]
    for function, arguments in calls:
        from_torch = function(*arguments)
        from_numpy = function(*(a.numpy() for a in arguments))
        assert isinstance(from_torch, torch.Tensor) and from_torch.dtype == dtype
        assert isinstance(from_numpy, np.ndarray) and from_numpy.dtype == logits.numpy().dtype
        assert from_torch.shape == (200,) and np.array_equal(from_torch.numpy(), from_numpy)


def test_half_precision_logits_are_answered_in_float32():
    half = torch.from_numpy(LOGITS).to(torch.bfloat16)
    answer = predictive_entropy(half)
    assert answer.dtype == torch.float32
    assert torch.equal(answer, predictive_entropy(half.float()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_named(value):
    logits = LOGITS[:60].copy()
    logits[[3, 17], [0, 5]] = value
    text = r"The logits of 2 of 60 candidates are NaN or infinite: 3, 17\."
    for call in (
        lambda: reliability(logits, LABELS[:60]),
        lambda: predictive_entropy(torch.from_numpy(logits)),
        lambda: difficulty(logits, LABELS[:60]),
        lambda: is_consistent(logits, LABELS[:60]),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_wrong_labels_temperature_and_shapes_are_named():
    with pytest.raises(ValueError, match="Label 10 is outside the 10 classes 0 to 9"):
        reliability(LOGITS[:2], [3, 10])
    with pytest.raises(ValueError, match=r"Labels have shape \(3,\), but the logits hold 2 candidates"):
        difficulty(LOGITS[:2], [1, 2, 3])
    with pytest.raises(ValueError, match="Labels are not whole numbers"):
        is_consistent(LOGITS[:1], [0.5])
    with pytest.raises(ValueError, match="The temperature is 0, but"):
        predictive_entropy(LOGITS, temperature=0)
    with pytest.raises(ValueError, match=r"Logits have shape \(10,\)"):
        predictive_entropy(LOGITS[0])
    with pytest.raises(ValueError, match="1 of 3 values are NaN"):
        min_max([0.0, np.nan, 1.0])
