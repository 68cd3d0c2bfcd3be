"""Laws of the verdict on a pool: duplicates are enough, a gain that climbs is not, too few is said."""

from __future__ import annotations

import numpy as np
import pytest

from psr_studio.method import sufficiency as module
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.selection import greedy_select
from psr_studio.method.selectors.registry import ClassPool
from psr_studio.method.sufficiency import TOLERANCE, GreedyView, sufficiency


def a_pool(points, eligible=None):
    """A class whose signals are all alike, so that only the place of a candidate counts."""
    n, signal = len(points), np.full(len(points), 0.5)
    eligible = np.ones(n, bool) if eligible is None else eligible
    return ClassPool(signal, signal, signal, points, eligible, lambda: pairwise_sq_distances(points))


def test_a_pool_that_repeats_itself_is_enough():
    """12 pictures, 20 copies of each: every part of the pool holds them all, so no part is worse."""
    points = np.random.default_rng(0).normal(size=(12, 4)).repeat(20, axis=0)
    found = sufficiency(a_pool(points[np.random.default_rng(1).permutation(240)]), 10)
    assert found.verdict == "enough" and found.gain_kept == 1.0 and found.suggested == 240


def test_a_pool_whose_gain_still_climbs_would_pay_for_more():
    points = np.random.default_rng(0).standard_t(3, size=(120, 8))
    found = sufficiency(a_pool(points), 50)
    assert found.verdict == "more would pay" and found.gain_kept < 1 - TOLERANCE
    assert found.suggested in (240, 480, 960)


def test_a_larger_pool_keeps_more_of_the_gain_and_the_forecast_is_near_the_truth():
    """On average over ten classes; the truth is the gain of the pool over that of twice as many candidates."""
    kept, true = np.zeros((10, 3)), np.zeros((10, 3))
    for seed in range(10):
        points = np.random.default_rng(seed).normal(size=(800, 8))
        for i, n in enumerate((30, 100, 400)):
            view = GreedyView(a_pool(points[: 2 * n]), np.arange(2 * n), (0.0, 0.0, 1.0), "pool")
            gains = [view.gain(view.select([np.arange(m)], 20)[0]) for m in (n, 2 * n)]
            kept[seed, i] = sufficiency(a_pool(points[:n]), 20, 0.0, 0.0, 1.0).gain_kept
            true[seed, i] = gains[0] / gains[1]
    assert (np.diff(kept.mean(axis=0)) > 0).all()
    assert np.abs(kept.mean(axis=0) - true.mean(axis=0)).max() < 0.04


def test_a_very_large_pool_is_judged_from_a_part_of_it(monkeypatch):
    """On average over eight classes the part says nearly what the whole says."""
    kept = np.zeros((8, 2))
    for seed in range(8):
        pool = a_pool(np.random.default_rng(seed).normal(size=(600, 8)))
        for i, n_judged in enumerate((600, 200)):
            monkeypatch.setattr(module, "N_JUDGED", n_judged)
            kept[seed, i] = sufficiency(pool, 20, 0.0, 0.0, 1.0).gain_kept
    assert abs(np.subtract(*kept.mean(axis=0))) < 0.02 and (kept[:, 0] != kept[:, 1]).any()


def test_fewer_right_candidates_than_slots_is_too_small_and_says_how_many_to_make():
    """A quarter is right: for two right ones per slot, eight candidates per slot are needed."""
    points = np.random.default_rng(0).normal(size=(40, 4))
    found = sufficiency(a_pool(points, np.arange(40) % 4 == 0), 10)
    assert found.verdict == "too small" and found.suggested == 80 and found.gain_kept == 0.5
    none = sufficiency(a_pool(points, np.zeros(40, bool)), 10)
    assert none.verdict == "too small" and none.gain_kept == 0.0 and none.suggested == 320
    assert len(none.curve) == 0


def test_the_curve_is_the_gain_of_each_pick_of_the_whole_pool_and_the_answer_repeats():
    points = np.random.default_rng(0).normal(size=(60, 4))
    pool = a_pool(points)
    found, again = (sufficiency(pool, 12, 0.0, 0.0, 1.0) for _ in range(2))
    block = pairwise_sq_distances(points).astype(np.float64)
    picks = greedy_select(pool.reliability, pool.entropy, points, 12, 0, 0, 1).indices
    unit = block.sum() / (60 * 59)
    assert found.curve[1] == pytest.approx(block[picks[0], picks[1]] / unit, rel=1e-6)
    assert found.curve[-1] == pytest.approx(block[picks[-1], picks[:-1]].min() / unit, rel=1e-6)
    assert np.array_equal(found.curve, again.curve) and found.gain_kept == again.gain_kept
    with pytest.raises(ValueError, match="ipc is 61, but the class has 60 candidates"):
        sufficiency(pool, 61)
