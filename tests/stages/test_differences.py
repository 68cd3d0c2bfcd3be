"""The interval of paired differences is Student's, and the words follow from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from psr_studio.stages.evaluate.comparing import Difference, paired_difference


def test_the_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.7, 0.02, 7), rng.normal(0.68, 0.02, 7)
    found = paired_difference(list(first), list(second))
    theirs = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert found.mean == pytest.approx(float(np.mean(first - second))) and found.n == 7


def test_swapping_the_two_mirrors_it():
    a, b = [0.7, 0.75, 0.8], [0.69, 0.7, 0.78]
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))
    assert back.needed == there.needed


@pytest.mark.parametrize(
    ("first", "verdict"), [([0.80, 0.81, 0.82], "better"), ([0.60, 0.61, 0.62], "worse")]
)
def test_a_clear_difference_is_said(first, verdict):
    assert paired_difference(first, [0.70, 0.71, 0.715]).verdict == verdict


def test_what_cannot_be_told_says_how_many_seeds_would_tell():
    """Differences of 0.01, 0.02 and -0.01 have spread s: n is the least with t(n - 1) s / sqrt(n) < 2/300."""
    found = paired_difference([0.71, 0.72, 0.69], [0.70, 0.70, 0.70])
    spread, mean = np.std([0.01, 0.02, -0.01], ddof=1), 0.02 / 3
    n = next(k for k in range(3, 1000) if stats.t.ppf(0.975, k - 1) * spread / math.sqrt(k) < mean)
    assert found.needed == n and found.verdict == f"cannot tell with n = 3; about {n - 3} more seeds would"
    assert Difference(3, 0.01, -0.001, 0.02, 4).verdict == "cannot tell with n = 3; about 1 more seed would"


def test_fewer_than_three_pairs_tell_nothing():
    """The deviation of two pairs is one number, near 0 by chance: 0.2 apart and alike is no certainty."""
    for first, second in (([0.7], [0.6]), ([0.8, 0.81], [0.6, 0.61]), ([0.8, 0.82], [0.6, 0.61])):
        found = paired_difference(first, second)
        assert found.verdict == f"cannot tell with n = {len(first)}; 3 at least would begin to"
        assert (found.low, found.high, found.needed) == (-math.inf, math.inf, None)


def test_a_spread_below_one_test_image_is_no_spread():
    """On T = 100 images accuracies are hundredths: differences of 5, 5 and 6 images have s = 0.58 of one, below 1/T.

    On T = 10,000 the same s is 58 images, and half the interval is 4.303 s / sqrt(3) = 0.0143, the mean 0.0533.
    Differences of 4, 5 and 6 have s = 1/T just, which counts.
    """
    first, second = [0.75, 0.75, 0.76], [0.70, 0.70, 0.70]
    coarse, fine = (paired_difference(first, second, n) for n in (100, 10_000))
    assert not coarse.estimated and coarse.mean == fine.mean
    assert coarse.verdict == (
        "cannot tell with n = 3; the differences vary by less than a test image, too little to judge by"
    )
    assert fine.verdict == "better" and (fine.high - fine.low) / 2 == pytest.approx(0.0143, abs=1e-4)
    assert paired_difference([0.74, 0.75, 0.76], second, 100).estimated


@pytest.mark.parametrize("n", [3, 5, 40])
def test_equal_differences_are_no_certainty(n):
    """Also where rounding leaves a deviation of 1e-17, and where the size of the test split is not known."""
    first = [0.1 + 0.07 * k for k in range(n)]
    found = paired_difference([x + 0.1 for x in first], first)
    assert not found.estimated and found.verdict.startswith(f"cannot tell with n = {n}; the differences vary")


def test_no_difference_tells_nothing():
    same = paired_difference([0.7, 0.6, 0.65], [0.6, 0.7, 0.65])
    assert same.needed is None and same.verdict == "cannot tell with n = 3; over 1,000 seeds would not"
    with pytest.raises(ValueError, match="2 and 1 values"):
        paired_difference([0.1, 0.2], [0.1])
