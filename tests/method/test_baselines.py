"""Laws of the baseline selectors: marks, prefixes, and what each of them promises about its choice."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from psr_studio.method.baselines import cao2, generate_and_use, lowest_entropy, random_select, top_confidence
from psr_studio.method.coresets import herding, k_center, k_medoids
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.metrics import encoding_error

RNG = np.random.default_rng(0)
SIGNAL, POINTS = RNG.random(24), RNG.normal(size=(24, 4))
BASELINES = {
    "random": lambda ipc, **marks: random_select(24, ipc, seed=3, **marks),
    "generate-and-use": lambda ipc, **marks: generate_and_use(24, ipc, **marks),
    "top-confidence": lambda ipc, **marks: top_confidence(SIGNAL, ipc, **marks),
    "lowest-entropy": lambda ipc, **marks: lowest_entropy(torch.from_numpy(SIGNAL), ipc, **marks),
    "k-center": lambda ipc, **marks: k_center(torch.from_numpy(POINTS), ipc, **marks),
    "k-medoids": lambda ipc, **marks: k_medoids(POINTS, ipc, **marks),
    "herding": lambda ipc, **marks: herding(POINTS, ipc, **marks),
    "herding, cached": lambda ipc, **marks: herding(
        POINTS, ipc, **marks, distances=pairwise_sq_distances(POINTS)
    ),
    "cao2": lambda ipc, **marks: cao2(SIGNAL, ipc, **marks),
}


@pytest.mark.parametrize("name", BASELINES)
def test_pins_come_first_vetoes_never_and_every_slot_is_a_different_candidate(name):
    for ipc in (3, 8, 20):
        selection = BASELINES[name](ipc, pinned=[11, 2], vetoed=[0, 5, 23])
        assert selection.indices[:2].tolist() == [11, 2]
        assert len(set(selection.indices.tolist())) == len(selection.indices) == ipc
        assert not {0, 5, 23} & set(selection.indices.tolist())
        assert selection.terms.shape == (ipc, 3) and not selection.filled.any() and selection.shortfall == 0


@pytest.mark.parametrize("name", BASELINES)
def test_a_short_class_is_filled_and_marked_or_left_short(name):
    eligible = np.arange(24) % 4 == 0
    fill = BASELINES[name](10, eligible=eligible, pinned=[1])
    assert eligible[fill.indices[1:7]].all() and not eligible[fill.indices[7:]].any()
    assert fill.filled.tolist() == [False] * 7 + [True] * 3 and fill.shortfall == 3
    short = BASELINES[name](10, eligible=eligible, pinned=[1], on_shortage="short")
    assert np.array_equal(short.indices, fill.indices[:7]) and short.shortfall == 3
    nothing = BASELINES[name](2, eligible=np.zeros(24, bool))
    assert nothing.filled.all() and nothing.shortfall == 2


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "k-medoids"])
def test_a_smaller_budget_is_a_prefix(name):
    full = BASELINES[name](24, pinned=[4]).indices
    for ipc in (1, 5, 13):
        assert np.array_equal(BASELINES[name](ipc, pinned=[4]).indices, full[:ipc])


@pytest.mark.parametrize("name", BASELINES)
def test_wrong_requests_are_refused(name):
    for arguments, text in [
        ({"ipc": 25}, "ipc is 25, but the class has 24 candidates"),
        ({"ipc": 1, "pinned": [1, 2]}, "2 candidates are pinned, but ipc is 1"),
        ({"ipc": 2, "pinned": [1], "vetoed": [1]}, "also vetoed: 1"),
        ({"ipc": 2, "on_shortage": "x"}, "must be one of: fill, short"),
    ]:
        with pytest.raises(ValueError, match=text):
            BASELINES[name](**arguments)


def test_generate_and_use_takes_the_first_and_the_rankings_take_the_best():
    assert generate_and_use(24, 5).indices.tolist() == [0, 1, 2, 3, 4]
    top, low = top_confidence(SIGNAL, 6), lowest_entropy(SIGNAL, 6)
    assert SIGNAL[top.indices].tolist() == sorted(SIGNAL)[:-7:-1] == top.scores.tolist()
    assert SIGNAL[low.indices].tolist() == sorted(SIGNAL)[:6]
    assert top_confidence([0.5, 0.5, 0.5], 2).indices.tolist() == [0, 1]
    with pytest.raises(ValueError, match="The reliability of 1 of 2 candidates"):
        top_confidence([0.5, np.nan], 1)


def test_random_is_even_over_seeds_and_repeats_with_one():
    """Each of 10 candidates is among the 3 with chance 0.3; over 2000 seeds its share has sigma 0.01."""
    share = np.bincount(np.concatenate([random_select(10, 3, seed=s).indices for s in range(2000)])) / 2000
    assert np.abs(share - 0.3).max() < 0.05
    assert np.array_equal(random_select(10, 3, seed=5).indices, random_select(10, 3, seed=5).indices)


def test_k_center_covers_within_twice_the_optimum():
    """Gonzalez' bound, against all subsets: the covering radius is at most twice the smallest possible."""
    for seed in range(40):
        points = np.random.default_rng(seed).normal(size=(9, 2))
        distances = np.sqrt(pairwise_sq_distances(points))
        for k in (2, 3, 4):
            best = min(distances[:, list(s)].min(axis=1).max() for s in combinations(range(9), k))
            radius = distances[:, k_center(points, k).indices].min(axis=1).max()
            assert best <= radius <= 2 * best * (1 + 1e-6)


def test_k_center_starts_at_the_most_central_and_goes_on_with_the_farthest():
    points = np.array([[0.0], [4.0], [5.0], [6.0], [11.0]])
    assert k_center(points, 3).indices.tolist() == [2, 4, 0]  # |5 - 11| = 6 beats |5 - 0| = 5
    assert k_center(points, 2, pinned=[0]).indices.tolist() == [0, 4]


def test_k_medoids_is_a_local_optimum_and_swaps_only_improve():
    """No single exchange of a chosen against another candidate lowers the encoding error (PSR eq. 2)."""
    for seed in range(12):
        points = np.random.default_rng(seed).normal(size=(14, 2))
        distances = pairwise_sq_distances(points)
        chosen = k_medoids(points, 4, pinned=[seed], distances=distances).indices
        error = encoding_error(distances, chosen)
        assert (
            error
            <= encoding_error(distances, k_medoids(points, 4, pinned=[seed], max_swaps=0).indices) + 1e-9
        )
        for place in range(1, 4):
            for other in set(range(14)) - set(chosen.tolist()):
                swapped = chosen.copy()
                swapped[place] = other
                assert encoding_error(distances, swapped) >= error - 1e-6


def test_k_medoids_leaves_a_bad_greedy_start():
    """Two pairs and a point between: building takes the middle first, swapping finds one of each pair."""
    points = np.array([[0.0], [1.0], [5.0], [9.0], [10.0]])
    built, swapped = k_medoids(points, 2, max_swaps=0), k_medoids(points, 2)
    assert 2 in built.indices and 2 not in swapped.indices
    best = min(encoding_error(pairwise_sq_distances(points), s) for s in combinations(range(5), 2))
    assert encoding_error(pairwise_sq_distances(points), swapped.indices) == pytest.approx(best)


def test_herding_brings_the_mean_near_the_class_mean():
    """The mean error falls about as 1/K (random: 1/sqrt K), and is 0 when all are taken."""
    points = np.random.default_rng(2).normal(size=(200, 8)) + 1.0
    order = herding(points, 200).indices
    error = [np.linalg.norm(points[order[:k]].mean(axis=0) - points.mean(axis=0)) for k in range(1, 201)]
    assert error[0] > error[3] > error[15] > error[63] > error[199]
    assert error[199] == pytest.approx(0, abs=1e-12)
    for k in (1, 2, 17):
        means = (points[order[: k - 1]].sum(axis=0) + points) / k
        distance = np.linalg.norm(means - points.mean(axis=0), axis=1)
        distance[order[: k - 1]] = np.inf
        assert order[k - 1] == distance.argmin()
    random_order = np.random.default_rng(0).permutation(200)[:64]
    random_error = np.linalg.norm(points[random_order].mean(axis=0) - points.mean(axis=0))
    assert error[63] < random_error / 4


def random_requests(n_requests=60):
    """Pools with duplicates and ties among them, each with a budget and marks."""
    for seed in range(n_requests):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(4, 50))
        points = rng.normal(size=(n, int(rng.integers(1, 6)))).astype(np.float32)
        points = np.round(points) if seed % 3 == 0 else points
        ipc, marked = int(rng.integers(1, n + 1)), rng.permutation(n)
        n_pins = int(rng.integers(0, min(ipc, 3) + 1))
        marks = {"pinned": marked[:n_pins], "vetoed": marked[n_pins : n_pins + int(rng.integers(0, 3))]}
        yield points, ipc, marks, rng.random(n) < 0.7 if seed % 2 else None


def test_herding_from_distances_equals_herding_from_features():
    for points, ipc, marks, eligible in random_requests():
        distances = pairwise_sq_distances(points)
        fast = herding(points, ipc, eligible=eligible, **marks, distances=distances)
        assert np.array_equal(fast.indices, herding(points, ipc, eligible=eligible, **marks).indices)


def test_k_center_equals_farthest_first_in_plain_steps():
    for points, ipc, marks, eligible in random_requests():
        distances = pairwise_sq_distances(points).astype(float)
        pins, open_ = marks["pinned"].tolist(), np.ones(len(points), bool) if eligible is None else eligible
        open_ = open_ & ~np.isin(np.arange(len(points)), [*pins, *marks["vetoed"]])
        picks = pins[:]
        while len(picks) < ipc and open_.any():
            far = distances[picks].min(axis=0) if picks else -distances[open_].sum(axis=0)
            picks.append(int(np.where(open_, far, -np.inf).argmax()))
            open_[picks[-1]] = False
        found = k_center(points, ipc, eligible=eligible, **marks, on_shortage="short")
        assert found.indices.tolist() == picks


def test_k_medoids_builds_by_the_largest_drop_of_the_error():
    for points, ipc, marks, _ in random_requests(20):
        distances = pairwise_sq_distances(points).astype(float)
        picks = marks["pinned"].tolist()
        while len(picks) < ipc:
            free = [i for i in range(len(points)) if i not in picks and i not in marks["vetoed"]]
            if not free:
                break
            errors = [encoding_error(distances, [*picks, i]) for i in free]
            picks.append(free[int(np.argmin(np.round(errors, 9)))])
        found = k_medoids(points, ipc, **marks, max_swaps=0).indices
        assert encoding_error(distances, found) == pytest.approx(
            encoding_error(distances, picks), rel=0.02, abs=1e-6
        )
        if np.unique(points, axis=0).shape == points.shape and points.shape[1] > 1:
            assert found.tolist() == picks


def test_cao2_orders_by_confidence_and_fills_with_the_surest_of_the_wrong():
    difficulty, right = np.array([0.4, 0.1, 0.3, 0.9, 0.8]), np.array([True, True, True, False, False])
    assert cao2(difficulty, 5, eligible=right).indices.tolist() == [1, 2, 0, 4, 3]
    assert cao2(difficulty, 5, eligible=right, order="least sure").indices.tolist() == [0, 2, 1, 4, 3]
    many = np.linspace(0, 0.5, 60)
    assert cao2(many, 49).indices[0] == 0 and cao2(many, 50).indices[0] == 59
    with pytest.raises(ValueError, match="must be one of: by budget, surest, least sure"):
        cao2(difficulty, 2, order="sure")
