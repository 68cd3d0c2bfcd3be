"""Laws of difficulty-guided sampling: smoothing, thresholds, rounding, and who steps in for an empty bin."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from psr_studio.method.bins import bin_of, histogram
from psr_studio.method.difficulty import (
    TARGET_COUNTS,
    TARGETS,
    difficulty_select,
    smoothed,
    target_counts,
    target_histogram,
)
from psr_studio.method.smoothing import (
    THRESHOLD_GRID,
    choose_ranks,
    choose_thresholds,
    smooth,
    smooth_by_ranks,
)

RNG = np.random.default_rng(0)
POOL = RNG.beta(0.3, 3.0, 300)  # mostly easy, as generated images are


def test_smoothing_is_the_logarithm_between_minimum_and_maximum():
    """ln(d / 0.0001) / ln(1 / 0.0001): 0.01 lies half-way between 0.0001 and 1."""
    assert smooth(np.array([1e-4, 1e-2, 1.0])) == pytest.approx([0.0, 0.5, 1.0])


def test_smoothing_moves_each_end_to_its_quantile():
    """Eleven values k/10, shares 0.1 and 0.2: the ends are 0.1 and 0.8; 0.4 goes to ln 4 / ln 8 = 2/3."""
    values = np.arange(11) / 10
    ends = smooth(values, 0.1, 0.2)
    assert ends[:2].tolist() == [0.0, 0.0] and ends[8:].tolist() == [1.0, 1.0, 1.0]
    assert ends[4] == pytest.approx(2 / 3)


def test_smoothing_stays_in_bounds_reaches_both_ends_and_keeps_the_order():
    order = np.argsort(POOL)
    for bottom in (0.0, 0.1, 0.48):
        for top in (0.0, 0.25, 0.48):
            smoothed = smooth(POOL, bottom, top)
            assert smoothed.min() == 0.0 and smoothed.max() == 1.0
            assert np.all(np.diff(smoothed[order]) >= 0)
    assert smooth(np.array([0.0, 1e-9, 1e-6, 1.0])) == pytest.approx([0, 0, 0, 1])  # the floor is 1e-6
    assert smooth(np.full(4, 0.3), 0.1, 0.1).tolist() == [0.0] * 4


def test_smoothing_answers_in_the_kind_that_came_in():
    answer = smooth(torch.from_numpy(POOL).float(), 0.1, 0.1)
    assert answer.dtype == torch.float32 and answer.shape == (300,)
    np.testing.assert_allclose(answer.numpy(), smooth(POOL, 0.1, 0.1), atol=1e-5)


def divergence(p, q):
    p, q = (np.asarray(h, float) + 1e-3 for h in (p, q))
    return np.sum(p / p.sum() * np.log((p / p.sum()) / (q / q.sum())))


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 1.0])
def test_no_other_thresholds_of_the_grid_cost_less(lam):
    """Equation 9 written out again over every third grid point, with NumPy's own histogram."""
    original = np.histogram(POOL, 10, (0, 1))[0] / len(POOL)

    def cost(bottom, top):
        smoothed = np.histogram(smooth(POOL, bottom, top), 10, (0, 1))[0] / len(POOL)
        return lam * divergence(smoothed, original) + (1 - lam) * divergence(smoothed, np.full(10, 0.1))

    bottom, top = choose_thresholds(POOL, lam)
    assert bottom in THRESHOLD_GRID and top in THRESHOLD_GRID
    chosen = cost(bottom, top)
    every_third = THRESHOLD_GRID[::3]
    assert all(chosen <= cost(b, t) + 1e-9 for b in every_third for t in every_third if b + t < 0.99)
    assert chosen < cost(0.0, 0.0)


def test_the_search_equals_trying_every_pair():
    """Eq. 9 written out: smooth, count, compare; on a tie the smaller sum, then the smaller bottom share."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        size, lam = int(rng.integers(1, 150)), (0.5, 0.0, 1.0, 0.2)[seed % 4]
        values = (rng.random(size), rng.beta(0.3, 3, size), np.round(rng.random(size), 1))[seed % 3]
        best: tuple[float, float, float] = (np.inf, 0.0, 0.0)
        pairs = [(b, t) for b in THRESHOLD_GRID for t in THRESHOLD_GRID if round(b + t, 2) < 1]
        for b, t in sorted(pairs, key=lambda pair: (round(sum(pair), 2), pair[0])):
            counts = histogram(smooth(values, b, t))
            cost = lam * divergence(counts, histogram(values))
            cost += (1 - lam) * divergence(counts, np.full(10, 0.1))
            if cost < best[0] - 1e-12:
                best = (cost, b, t)
        assert choose_thresholds(values, lam) == best[1:], seed


def test_smoothing_takes_the_quantiles_that_numpy_takes():
    for size in (1, 2, 7, 60):
        values = np.random.default_rng(size).random(size)
        low, high = np.log(np.maximum(np.quantile(values, [0.1, 1 - 0.3]), 1e-6))
        ramp = (np.clip(np.log(values), low, high) - low) / (high - low) if high > low else values * 0
        assert np.array_equal(smooth(values, 0.1, 0.3), ramp)


def test_a_larger_lam_stays_nearer_the_original():
    def deviation(lam):
        return divergence(histogram(smooth(POOL, *choose_thresholds(POOL, lam))), histogram(POOL))

    # Of two minimisers of lam * A + (1 - lam) * B, that of the larger lam has the smaller A.
    deviations = [deviation(lam) for lam in (0.0, 0.1, 0.3, 0.5, 1.0)]
    assert deviations == sorted(deviations, reverse=True) and deviations[0] > deviations[-1]


def test_a_tie_takes_the_smallest_shares():
    assert choose_thresholds(np.full(50, 0.2)) == (0.0, 0.0)


def test_bins_are_a_tenth_wide_and_one_belongs_to_the_last():
    assert bin_of([0.0, 0.09, 0.1, 0.3, 0.7, 0.999, 1.0]).tolist() == [0, 0, 1, 3, 7, 9, 9]
    assert histogram([0.05, 0.05, 0.95, 1.0]).tolist() == [0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]
    assert histogram(POOL).sum() == pytest.approx(1.0)


def test_target_counts_sum_to_the_budget_and_stay_within_one_of_their_quota():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shares, ipc = rng.random(10) ** 4, int(rng.integers(1, 200))
        counts = target_counts(shares, ipc)
        assert counts.sum() == ipc and counts.dtype == np.int64
        assert np.all(np.abs(counts - shares / shares.sum() * ipc) < 1)


def test_target_counts_equal_largest_remainder_in_exact_fractions():
    """Rounding errors of float64 must not decide between equal remainders: the easier bin does."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        shares, ipc = rng.integers(0, 8, 10) + np.eye(10, dtype=int)[0], int(rng.integers(1, 100))
        quotas = [Fraction(int(share) * ipc, int(shares.sum())) for share in shares]
        counts = [int(quota) for quota in quotas]
        for k in sorted(range(10), key=lambda k: (counts[k] - quotas[k], k))[: ipc - sum(counts)]:
            counts[k] += 1
        assert target_counts(shares / shares.sum(), ipc).tolist() == counts, seed


def test_target_counts_are_exact_where_quotas_are_whole_and_give_ties_to_the_easy():
    assert target_counts(np.array([7, 2, 1, 0, 0, 0, 0, 0, 0, 0]) / 10, 10).tolist() == [7, 2, 1] + [0] * 7
    assert target_counts(np.full(10, 0.1), 10).tolist() == [1] * 10
    assert target_counts(np.full(10, 0.1), 13).tolist() == [2, 2, 2] + [1] * 7
    assert target_counts([0.5, 0.3, 0.2] + [0] * 7, 4).tolist() == [2, 1, 1] + [0] * 7  # quotas 2, 1.2, 0.8
    tensor = target_counts(torch.tensor([0.5, 0.3, 0.2]), 4)
    assert isinstance(tensor, torch.Tensor) and tensor.tolist() == [2, 1, 1]


@pytest.mark.parametrize("name", list(TARGET_COUNTS))
def test_named_targets_take_the_printed_counts_and_other_budgets_those_of_the_nearest(name):
    rows = TARGET_COUNTS[name]
    assert set(rows) == {10, 20, 50} and all(len(row) == 10 and sum(row) == k for k, row in rows.items())
    for k, row in rows.items():
        assert smoothed(POOL).counts(k, name).tolist() == list(row)
    for k, nearest in ((3, 10), (15, 10), (16, 20), (36, 50), (100, 50)):
        assert np.array_equal(smoothed(POOL).counts(k, name), target_counts(np.array(rows[nearest]), k))


@pytest.mark.parametrize("ipc", [1, 2, 10, 24])
def test_rank_counts_are_those_of_the_lowest_divergence_the_other_way_round(ipc):
    """The search of the authors' code in plain steps: all pairs, ten bins, an empty bin makes it infinite."""
    for seed in range(4):
        values = np.random.default_rng(seed).beta(0.3, 2.0, 60)
        stored = np.round(values, 4)
        original, best, lowest = histogram(stored), (0, 0), np.inf
        for bottom in range(max(1, ipc // 2)):
            for top in range(max(1, ipc // 2)):
                found = histogram(smooth_by_ranks(values, bottom, top))
                with np.errstate(divide="ignore", invalid="ignore"):
                    from_original = np.where(original > 0, original * np.log2(original / found), 0).sum()
                    cost = 0.5 * from_original + 0.5 * (0.1 * np.log2(0.1 / found)).sum()
                if cost < lowest - 1e-12:
                    best, lowest = (bottom, top), cost
        assert choose_ranks(values, ipc) == best
        known = smoothed(values, POOL, ranks_of=ipc)
        assert np.array_equal(known.original, smooth_by_ranks(POOL, *best)), "found on the pool, used on both"


def test_the_ends_are_moved_to_values_by_rank_and_nothing_falls_below_the_floor():
    found = smooth_by_ranks([0.0, 0.1, 0.4, 0.2, 0.9, 0.00004], 1, 1)
    assert found[[0, 5]].tolist() == [1e-4, 1e-4] and found[[2, 4]].tolist() == [1, 1]
    assert found[1] == pytest.approx(np.log(0.1 / 1e-4) / np.log(0.4 / 1e-4))


def test_named_targets_go_from_the_smallest_to_the_largest_share_of_easy_images():
    shapes = [target_histogram(name) for name in ("hill", "ground", "slope", "cliff")]
    assert all(shape.sum() == pytest.approx(1) and shape.shape == (10,) for shape in shapes)
    easy = [shape[:3].sum() for shape in shapes]
    assert easy == sorted(easy) and len(set(easy)) == 4
    assert np.array_equal(target_histogram("scale", POOL), histogram(POOL)) and TARGETS[0] == "scale"


def test_a_plan_for_its_own_pool_takes_every_candidate_without_substitutes():
    """With the pool as the original and K = N, each bin is asked for exactly what it holds."""
    found = smoothed(POOL, POOL)
    selection = difficulty_select(found.pool, found.counts(len(POOL)))
    assert sorted(selection.indices) == list(range(300)) and selection.shortfall == 0
    assert np.array_equal(found.pool, smooth(POOL, *choose_thresholds(POOL)))
    assert smoothed(POOL).counts(10, "ground").tolist() == [1] * 10 and not found.counts(0).any()


def test_smoothing_brings_an_easy_pool_and_its_harder_original_together():
    """The purpose of smoothing (DGS section 3.3): fewer substitutions than on raw difficulties."""
    original = np.random.default_rng(1).beta(0.4, 1.2, 600)
    found = smoothed(POOL, original)
    raw_counts = target_counts(histogram(original), 60)
    assert (
        difficulty_select(found.pool, found.counts(60)).shortfall
        < difficulty_select(POOL, raw_counts).shortfall
    )


def test_each_bin_gives_its_count_when_it_can():
    values = RNG.random(200)
    counts = target_counts(target_histogram("slope"), 30)
    selection = difficulty_select(values, counts, seed=4)
    assert np.array_equal(np.bincount(bin_of(values[selection.indices]), minlength=10), counts)
    assert len(set(selection.indices.tolist())) == 30
    assert not selection.filled.any() and selection.shortfall == 0 and selection.substitutions == ()


def test_the_seed_decides_the_picks_and_every_candidate_of_a_bin_has_its_chance():
    values, counts = np.full(8, 0.05), [2] + [0] * 9
    runs = [tuple(difficulty_select(values, counts, seed=s).indices) for s in range(300)]
    assert runs[0] == tuple(difficulty_select(values, counts, seed=0).indices)
    assert set(np.concatenate(runs)) == set(range(8)) and len(set(runs)) > 30


def test_an_empty_bin_is_filled_from_the_nearest_and_the_easier_on_a_tie():
    values = np.array([0.25, 0.25, 0.65, 0.65, 0.95])  # bins 2, 2, 6, 6, 9
    counts = np.zeros(10, int)
    counts[4] = 3  # bin 4 is empty; 2 and 6 are equally near
    selection = difficulty_select(values, counts)
    assert selection.substitutions == ((4, 2, 2), (4, 6, 1))
    assert sorted(bin_of(values[selection.indices])) == [2, 2, 6]
    assert selection.filled.all() and selection.shortfall == 3


def test_a_short_bin_takes_nothing_that_another_bin_needs_itself():
    values = np.array([0.05, 0.15, 0.35])  # bins 0, 1, 3
    counts = [2, 1] + [0] * 8
    selection = difficulty_select(values, counts)
    assert selection.indices[:2].tolist() == [0, 1] and selection.substitutions == ((0, 3, 1),)
    assert selection.filled.tolist() == [False, False, True]


def test_random_pools_always_give_the_whole_budget_without_repetition():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = rng.beta(0.3, 3, int(rng.integers(1, 40)))
        counts = target_counts(rng.random(10), int(rng.integers(1, len(values) + 1)))
        selection = difficulty_select(values, counts, seed)
        assert len(set(selection.indices.tolist())) == counts.sum()
        moved = sum(n for _, _, n in selection.substitutions)
        missing = np.maximum(counts - np.bincount(bin_of(values), minlength=10), 0).sum()
        assert moved == missing == selection.shortfall == selection.filled.sum()


def test_psr_inside_a_bin_takes_the_highest_scores_and_ties_by_index():
    values = np.array([0.05] * 5 + [0.95] * 3)
    scores = np.array([0.1, 0.9, 0.5, 0.9, 0.2, 1.0, 2.0, 2.0])
    selection = difficulty_select(values, [3] + [0] * 8 + [1], within_bin="psr", scores=scores)
    assert selection.indices.tolist() == [1, 3, 2, 6] and selection.scores.tolist() == [0.9, 0.9, 0.5, 2.0]


def test_pins_use_up_a_slot_of_their_bin_and_vetoes_are_never_taken():
    values = np.array([0.05, 0.05, 0.05, 0.55, 0.55, 0.95])
    selection = difficulty_select(values, [2, 0, 0, 0, 0, 1, 0, 0, 0, 0], pinned=[2, 5], vetoed=[0, 3])
    assert selection.indices.tolist() == [
        2,
        5,
        1,
    ]  # pin 5 (bin 9) uses the slot of bin 5, the nearest with one


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: smooth([0.5, 1.2]), r"1 of 2 difficulties are outside \[0, 1\], at 1"),
        (lambda: smooth([0.5, np.nan]), "1 of 2 difficulties are outside"),
        (lambda: smooth([]), r"Difficulties have shape \(0,\)"),
        (lambda: smooth([0.5], 0.6, 0.4), "The shares are 0.6 and 0.4"),
        (lambda: choose_thresholds([0.5], lam=2), "lam is 2"),
        (lambda: target_counts(np.zeros(10), 5), "at least one above 0"),
        (lambda: target_counts(np.ones(10), 0), "ipc is 0"),
        (lambda: target_histogram("hil"), 'The target is "hil", but it must be one of: scale, hill'),
        (lambda: target_histogram("scale"), "needs the difficulties of the original"),
        (lambda: difficulty_select([0.5] * 3, [4] + [0] * 9), "ipc is 4, but the class has 3 candidates"),
        (lambda: difficulty_select([0.5] * 3, [1, 2]), "Counts must be 10 whole numbers"),
        (lambda: difficulty_select([0.5] * 3, [3] + [0] * 9, vetoed=[1]), "sum to 3, but 0 .* 1 of 3 vetoed"),
        (lambda: difficulty_select([0.5] * 3, [1] + [0] * 9, within_bin="psr"), "needs scores"),
        (lambda: difficulty_select([0.5] * 3, [1] + [0] * 9, within_bin="x"), "one of: random, psr"),
        (
            lambda: difficulty_select([0.5] * 3, [1] + [0] * 9, scores=[1, 2]),
            "Scores must be 3 finite numbers",
        ),
    ],
)
def test_each_wrong_request_is_named_with_its_numbers(call, text):
    with pytest.raises(ValueError, match=text):
        call()
