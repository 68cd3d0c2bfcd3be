"""Both fast greedy loops against the plain one of PSR eq. 7 and 8, and the laws that all of them keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from psr_studio.method import threads as _threads
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.lazy_distances import LazyDistances, class_distances
from psr_studio.method.selection import (
    SCALINGS,
    SCHEDULE_WORDS,
    SCHEDULES,
    diversity,
    greedy_reference,
    greedy_select,
    greedy_select_all,
    ipc_preset,
    warm_up,
)
from psr_studio.method.signals import predictive_entropy, reliability

# Few values of each, so that equal scores, equal candidates and constant terms are common; 130 candidates are
# more than the loops go through at once.
SIZES = st.one_of(st.integers(1, 24), st.integers(126, 130))
WEIGHTS = st.sampled_from([0.0, 0.37, 0.5, 1.0, 3.0])


@st.composite
def pools(draw, sizes=SIZES):
    """(reliability, entropy, features) of one class, coarse or fine."""
    n, rng = draw(sizes), np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        return rng.random(n), rng.random(n), rng.normal(size=(n, 6))
    return rng.integers(0, 5, n) / 4, rng.integers(0, 4, n) / 3, rng.integers(0, 3, (n, 2)).astype(float)


@st.composite
def requests(draw, n):
    """What one may ask of `greedy_select` about n candidates."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ipc, order = draw(st.integers(1, n)), rng.permutation(n).tolist()
    n_pins = draw(st.integers(0, min(ipc, 3)))
    n_vetoed = draw(st.integers(0, (n - n_pins) // 2))
    request = {
        "ipc": ipc,
        "alpha": draw(WEIGHTS),
        "beta": draw(WEIGHTS),
        "gamma": draw(WEIGHTS),
        "eligible": rng.random(n) < draw(st.sampled_from([0.0, 0.4, 0.9, 1.0])),
        "pinned": order[:n_pins],
        "vetoed": order[n_pins : n_pins + n_vetoed],
        "normalize": draw(st.booleans()),
        "on_shortage": draw(st.sampled_from(["fill", "short"])),
        "scaling": draw(st.sampled_from(list(SCALINGS))),
    }
    if draw(st.booleans()):
        quotas = draw(st.lists(st.integers(0, n), min_size=1, max_size=4))
        request |= {"groups": rng.integers(0, len(quotas), n), "quotas": quotas}
    return request


def assert_equal(found, wanted):
    assert found.indices.tolist() == wanted.indices.tolist()
    assert found.filled.tolist() == wanted.filled.tolist() and found.shortfall == wanted.shortfall
    np.testing.assert_allclose(found.terms, wanted.terms, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-12, atol=1e-12)


def distances_of(features, kept):
    """The distances of one class, all computed beforehand or row by row."""
    cache = class_distances(features, np.zeros(len(features), int), most_bytes=1 << 28 if kept else 0)
    assert isinstance(cache, LazyDistances) is not kept
    return cache.block(0)


@pytest.mark.parametrize("kept", [True, False], ids=["blocks", "rows on demand"])
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_the_fast_loops_pick_as_equation_8_is_written(kept, data):
    """Same picks, terms, fillers and shortfall, whatever is tied, pinned, vetoed, ineligible, scaled or limited."""
    rel, ent, features = data.draw(pools())
    request = data.draw(requests(len(rel)))
    distances = distances_of(features, kept)
    wanted = greedy_reference(rel, ent, np.asarray(distances), **request)
    assert_equal(greedy_select(rel, ent, None, distances=distances, **request), wanted)


@pytest.mark.parametrize("kept", [True, False], ids=["blocks", "rows on demand"])
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_near_ties_are_decided_as_plain_float64_decides_them(kept, data):
    """Scores apart by rounding errors only, tiny and huge values and weights: nothing is lost to a shortcut."""
    rel, ent, features = data.draw(pools(st.integers(2, 140)))
    request = data.draw(requests(len(rel)))
    scale, offset = data.draw(st.sampled_from([(1.0, 0.0), (1e-12, 0.5), (1e-9, 1e9), (1e-300, 0.0)]))
    width = data.draw(st.sampled_from([1.0, 1e-6, 1e6, 1e-18]))
    for name in ("alpha", "beta", "gamma"):
        request[name] *= data.draw(st.sampled_from([1.0, 1e-12, 1e35, 1e-320, 1e99]))
    features = width * (features + 1e-7 * np.random.default_rng(0).random(features.shape))
    distances = distances_of(features, kept)
    wanted = greedy_reference(offset + scale * rel, offset + scale * ent, np.asarray(distances), **request)
    found = greedy_select(offset + scale * rel, offset + scale * ent, None, distances=distances, **request)
    assert found.indices.tolist() == wanted.indices.tolist()


@pytest.mark.parametrize("kept", [True, False], ids=["blocks", "rows on demand"])
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    n=st.integers(3, 140),
    seed=st.integers(0, 2**32),
    weight=st.floats(1e-3, 1e3) | st.sampled_from([1e-310, 1e-320, 1e99]),
)
def test_scores_that_differ_by_rounding_alone_are_told_apart(kept, n, seed, weight):
    """With rel = 1 - d / max d of the first pick and equal weights, eq. 8 is a constant but for its last bits."""
    distances = distances_of(np.random.default_rng(seed).normal(size=(n, 3)), kept)
    to_first = np.asarray(distances)[0].astype(np.float64)
    rel, ent = 1 - to_first / to_first.max(), np.zeros(n)
    request = {"ipc": 2, "alpha": weight, "beta": 0.0, "gamma": weight}
    wanted = greedy_reference(rel, ent, np.asarray(distances), **request)
    assert wanted.scores[1] == pytest.approx(weight)
    assert_equal(greedy_select(rel, ent, None, distances=distances, **request), wanted)


def test_the_loops_agree_on_a_class_of_real_size():
    """300 candidates, K = 120: near ties among float32 distances must not split them."""
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 3, (300, 10)) + np.eye(10)[0] * 6
    rel, ent = reliability(logits, np.zeros(300, int)), predictive_entropy(logits)
    features, request = rng.normal(size=(300, 16)), {"eligible": logits.argmax(1) == 0, "vetoed": [5]}
    for kept in (True, False):
        distances = distances_of(features, kept)
        wanted = greedy_reference(rel, ent, np.asarray(distances), 120, 1, 1, 1, **request)
        assert_equal(greedy_select(rel, ent, None, 120, 1, 1, 1, distances=distances, **request), wanted)


def random_case(seed):
    """A pool and a request, drawn without hypothesis: (rel, ent, features, weights, other arguments)."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 26))
    order, n_pins = rng.permutation(n), int(rng.integers(0, min(n, 3) + 1))
    rules = {
        "eligible": rng.random(n) < 0.8,
        "pinned": order[:n_pins].tolist(),
        "vetoed": order[n_pins : n_pins + 3].tolist(),
    }
    signals = rng.integers(0, 5, n) / 4, rng.integers(0, 4, n) / 3
    return *signals, rng.integers(0, 3, (n, 3)).astype(float), rng.choice([0.0, 0.5, 1.0, 3.0], 3), rules


def test_a_smaller_budget_with_the_same_weights_is_a_prefix():
    for seed in range(60):
        rel, ent, embeddings, weights, case = random_case(seed)
        n, n_pins = len(rel), len(case["pinned"])
        full = greedy_select(rel, ent, embeddings, n, *weights, **case)
        for ipc in range(max(1, n_pins), n + 1):
            part = greedy_select(rel, ent, embeddings, ipc, *weights, **case)
            k = len(part.indices)
            assert np.array_equal(part.indices, full.indices[:k]) and np.array_equal(
                part.scores, full.scores[:k]
            )


def test_a_veto_moves_nobody_elses_score():
    """Vetoing an unchosen candidate changes nothing; vetoing a pick leaves the picks before it alone."""
    rng = np.random.default_rng(3)
    rel, ent, embeddings = rng.random(40), rng.random(40), rng.normal(size=(40, 5))
    free = greedy_select(rel, ent, embeddings, 10, 1, 1, 1)
    for candidate in range(40):
        vetoed = greedy_select(rel, ent, embeddings, 10, 1, 1, 1, vetoed=[candidate])
        assert candidate not in vetoed.indices
        place = free.indices.tolist().index(candidate) if candidate in free.indices else 10
        for field in ("indices", "scores", "terms"):
            assert np.array_equal(getattr(vetoed, field)[:place], getattr(free, field)[:place])


def test_the_first_pick_is_the_most_reliable_whatever_the_weights():
    rng = np.random.default_rng(4)
    rel, ent, embeddings = rng.random(30), rng.random(30), rng.normal(size=(30, 5))
    for weights in [(0, 0, 1), (0, 5, 0), (3, 1, 0.5)]:
        selection = greedy_select(rel, ent, embeddings, 3, *weights)
        assert selection.indices[0] == rel.argmax() and selection.terms[0, 2] == 0.0
    assert greedy_select(rel, ent, embeddings, 3, 0, 0, 1, pinned=[8]).indices[0] == 8 != rel.argmax()


def test_with_diversity_alone_the_picks_are_the_farthest_points():
    """On a line at 0, 1, 2, 10 with the first pick at 0: the farthest is 10; then 1 and 2 are at 1 and 4."""
    selection = greedy_select([1, 0.1, 0.1, 0.1], [0] * 4, [[0.0], [1.0], [2.0], [10.0]], 4, 0, 0, 2)
    assert selection.indices.tolist() == [0, 3, 2, 1]
    assert selection.terms[:, 2].tolist() == [0.0, 2.0, 2.0, 2.0]  # each is the farthest left: gamma * 1


def test_pins_count_against_the_budget_in_their_order_even_when_ineligible():
    rng = np.random.default_rng(5)
    rel, ent, embeddings = rng.random(20), rng.random(20), rng.normal(size=(20, 4))
    eligible = np.arange(20) != 7
    selection = greedy_select(rel, ent, embeddings, 4, eligible=eligible, pinned=[9, 7, 2])
    assert selection.indices[:3].tolist() == [9, 7, 2] and len(selection.indices) == 4
    assert not selection.filled.any() and selection.shortfall == 0


def test_a_short_class_is_filled_by_reliability_and_reported_or_left_short():
    rel = np.array([0.9, 0.2, 0.4, 0.8, 0.3])
    eligible = np.array([True, False, False, True, False])
    fill = greedy_select(rel, np.zeros(5), np.eye(5), 4, eligible=eligible)
    assert fill.indices.tolist() == [0, 3, 2, 4] and fill.filled.tolist() == [False, False, True, True]
    short = greedy_select(rel, np.zeros(5), np.eye(5), 4, eligible=eligible, on_shortage="short")
    assert short.indices.tolist() == [0, 3] and short.shortfall == fill.shortfall == 2
    none = greedy_select(rel, np.zeros(5), np.eye(5), 2, eligible=np.zeros(5, bool))
    assert none.indices.tolist() == [0, 3] and none.filled.all() and none.shortfall == 2
    vetoed_out = greedy_select(rel, np.zeros(5), np.eye(5), 4, vetoed=[0, 1, 2])
    assert len(vetoed_out.indices) == 2 and vetoed_out.shortfall == 2


def test_a_constant_term_and_equal_embeddings_contribute_nothing():
    selection = greedy_select([0.5] * 4, [0.2] * 4, np.full((4, 3), 0.1), 4, 1, 1, 1)
    assert selection.indices.tolist() == [0, 1, 2, 3] and not selection.terms.any()


def test_torch_and_numpy_inputs_and_a_cached_distance_give_the_same_selection():
    rng = np.random.default_rng(6)
    rel, ent, embeddings = rng.random(50), rng.random(50), rng.normal(size=(50, 8))
    arrays = [torch.from_numpy(a) for a in (rel, ent, embeddings)]
    mask = rng.random(50) < 0.5
    expected = greedy_select(rel, ent, embeddings, 30, 1, 1, 1, eligible=mask, pinned=[3], vetoed=[4, 5])
    as_torch = greedy_select(
        *arrays,
        30,
        1,
        1,
        1,
        eligible=torch.from_numpy(mask),
        pinned=torch.tensor([3]),
        vetoed=torch.tensor([4, 5]),
    )
    cached = greedy_select(
        rel, ent, None, 30, 1, 1, 1, eligible=mask, pinned=[3], vetoed=np.isin(np.arange(50), [4, 5]),
        distances=pairwise_sq_distances(arrays[2]),
    )  # fmt: skip
    for other in (as_torch, cached):
        assert np.array_equal(other.indices, expected.indices) and np.array_equal(
            other.scores, expected.scores
        )
    assert expected.indices.dtype == np.int64 and torch.equal(
        arrays[0][as_torch.indices], arrays[0][expected.indices]
    )


def test_missing_weights_come_from_the_preset_of_the_budget():
    rng = np.random.default_rng(8)
    rel, ent, embeddings = rng.random(60), rng.random(60), rng.normal(size=(60, 8))
    for ipc in (10, 11, 49, 50):
        by_default = greedy_select(rel, ent, embeddings, ipc)
        assert np.array_equal(
            by_default.scores, greedy_select(rel, ent, embeddings, ipc, *ipc_preset(ipc)).scores
        )
    presets = {
        1: (3, 1, 0.5),
        10: (3, 1, 0.5),
        11: (1, 1, 1),
        49: (1, 1, 1),
        50: (0.5, 1, 3),
        1000: (0.5, 1, 3),
    }
    assert {ipc: ipc_preset(ipc) for ipc in presets} == presets


def test_a_whole_pool_in_one_call_equals_one_call_per_class():
    rng = np.random.default_rng(9)
    labels = rng.permutation(np.repeat([0, 1, 2], [30, 12, 21]))
    rel, ent, embeddings = rng.random(63), rng.random(63), rng.normal(size=(63, 4))
    eligible, pinned, vetoed = rng.random(63) < 0.4, [20, 3, 41, 40], [7, 8, 9]
    cache = class_distances(embeddings, labels)
    whole = greedy_select_all(rel, ent, cache, 11, 1, 1, 1, eligible, pinned, vetoed)
    for c in range(3):
        members = np.flatnonzero(labels == c)
        local = {int(m): i for i, m in enumerate(members)}
        alone = greedy_select(
            rel[members], ent[members], embeddings[members], 11, 1, 1, 1, eligible[members],
            [local[p] for p in pinned if p in local], [local[v] for v in vetoed if v in local],
        )  # fmt: skip
        part = whole.of_class(c)
        assert np.array_equal(part.indices, members[alone.indices]) and part.shortfall == alone.shortfall
        assert np.array_equal(part.terms, alone.terms) and np.array_equal(part.filled, alone.filled)
        assert np.array_equal(part.scores, alone.scores)
        assert np.array_equal(cache.block(c), pairwise_sq_distances(embeddings[members]))


def test_budgets_may_differ_by_class_and_are_then_those_of_one_call_each():
    rng = np.random.default_rng(9)
    labels = np.repeat([0, 1, 2], [30, 12, 21])
    rel, ent, cache = rng.random(63), rng.random(63), class_distances(rng.normal(size=(63, 4)), labels)
    eligible = rng.random(63) < 0.5
    budgets = [25, 1, 21]
    found = greedy_select_all(rel, ent, cache, budgets, 1, 1, 1, eligible, pinned=[2])
    assert np.diff(found.starts).tolist() == budgets
    for c, budget in enumerate(budgets):
        alone = greedy_select_all(rel, ent, cache, np.minimum(budget, [30, 12, 21]), 1, 1, 1, eligible, [2])
        assert np.array_equal(alone.of_class(c).indices, found.of_class(c).indices)
        assert np.array_equal(alone.of_class(c).terms, found.of_class(c).terms)
        assert alone.of_class(c).shortfall == found.of_class(c).shortfall
    mean = greedy_select_all(rel, ent, cache, budgets)  # 47 / 3: the preset of 16
    assert np.array_equal(mean.scores, greedy_select_all(rel, ent, cache, budgets, *ipc_preset(16)).scores)
    for wrong, text in [([1, 2], "2 budgets are given, but there are 3"), ([1, 13, 1], "Class 1: ipc is 13")]:
        with pytest.raises(ValueError, match=text):
            greedy_select_all(rel, ent, cache, wrong)


def test_threads_change_nothing(monkeypatch):
    """One class of each of four sizes at least is worth a thread here; every number is the same."""
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat(np.arange(5), [300, 900, 400, 700, 100]))
    rel, ent, points = rng.random(2400), rng.random(2400), rng.normal(size=(2400, 3))
    cache, eligible = class_distances(points, labels), rng.random(2400) < 0.9
    found = []
    for n in (1, 2, 4):
        monkeypatch.setattr(_threads, "n_threads", lambda n=n: n)
        found.append(greedy_select_all(rel, ent, cache, [300, 800, 400, 500, 100], 1, 1, 1, eligible))
    for other in found[1:]:
        for name in ("indices", "scores", "terms", "filled", "starts", "shortfall"):
            assert np.array_equal(getattr(other, name), getattr(found[0], name))


def test_work_is_split_into_ranges_that_cover_every_class_once(monkeypatch):
    monkeypatch.setattr(_threads, "n_threads", lambda: 3)
    for costs in ([10**6], [10**6] * 7, [1, 1, 10**7, 1], [], [10**7, 1, 1]):
        seen: list[int] = []
        _threads.over_classes(lambda first, last, seen=seen: seen.extend(range(first, last)), costs)
        assert sorted(seen) == list(range(len(costs)))


def test_distances_are_exact_symmetric_and_zero_between_equal_rows():
    """Within half a unit in the last place of float32, also where all points lie far from the origin."""
    rng = np.random.default_rng(10)
    for offset in (0.0, 1e4):
        points = rng.normal(size=(40, 32)) + offset
        points[7] = points[3]
        exact = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        distances = pairwise_sq_distances(points)
        assert distances.dtype == np.float32 and np.array_equal(distances, distances.T)
        np.testing.assert_allclose(distances, exact, rtol=1e-6)
        assert not distances.diagonal().any() and distances[3, 7] == 0
    tensor = pairwise_sq_distances(torch.from_numpy(points).float())
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32 and tensor.shape == (40, 40)


def test_diversity_is_the_squared_distance_to_the_nearest_chosen():
    distances = pairwise_sq_distances(np.array([[0.0], [1.0], [5.0]]))
    assert diversity(distances, [0, 2]).tolist() == [0.0, 1.0, 0.0]


def test_warm_up_is_idempotent():
    assert warm_up() is None and warm_up() is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ipc": 6}, "ipc is 6, but the class has 5 candidates"),
        ({"ipc": 0}, "ipc is 0, but at least 1"),
        ({"pinned": [1, 2], "vetoed": [2]}, "1 of 2 pinned candidates are also vetoed: 2"),
        ({"pinned": [0, 1, 2]}, "3 candidates are pinned, but ipc is 2"),
        ({"pinned": [5]}, "Candidate 5 is pinned, but the last candidate is 4"),
        ({"vetoed": [-1]}, "Candidate -1 is vetoed"),
        (
            {"reliability": [0.1, np.nan, 0.2, 0.3, 0.4]},
            "The reliability of 1 of 5 candidates are NaN or infinite: 1",
        ),
        ({"entropy": [0.1, 0.2]}, r"The entropy has shape \(2,\), but there are 5 candidates"),
        ({"embeddings": np.full((5, 2), np.inf)}, "The embeddings of 5 of 5 candidates"),
        ({"embeddings": np.zeros((4, 2))}, "Distances are given for 4 candidates, but there are 5"),
        ({"gamma": -1.0}, "The weight gamma is -1.0"),
        ({"eligible": [True]}, r"The mask of eligible has shape \(1,\), but there are 5"),
        ({"on_shortage": "stop"}, 'on_shortage is "stop", but it must be one of: fill, short'),
        ({"scaling": "none"}, 'The scaling is "none", but it must be one of: pool, remaining, frozen'),
    ],
)
def test_each_wrong_request_is_named_with_its_numbers(changes, text):
    request = {"reliability": np.ones(5), "entropy": np.ones(5), "embeddings": np.eye(5), "ipc": 2}
    with pytest.raises(ValueError, match=text):
        greedy_select(**{**request, **changes})


def test_an_error_about_one_class_of_a_pool_names_the_class():
    cache = class_distances(np.eye(5), [0, 0, 0, 1, 1])
    with pytest.raises(ValueError, match="Class 1: ipc is 3, but the class has 2 candidates"):
        greedy_select_all(np.ones(5), np.ones(5), cache, 3)
    with pytest.raises(ValueError, match="Class 0: 2 candidates are pinned, but ipc is 1"):
        greedy_select_all(np.ones(5), np.ones(5), cache, 1, pinned=[0, 1])


def test_weights_that_did_best_on_held_out_images_differ_up_to_ten_only():
    for ipc in (1, 10):
        assert ipc_preset(ipc, "held-out") == (1.0, 0.0, 3.0) != ipc_preset(ipc)
    for ipc in (11, 20, 50, 1000):
        assert ipc_preset(ipc, "held-out") == ipc_preset(ipc, "paper") == ipc_preset(ipc)
    assert set(SCHEDULES) == set(SCHEDULE_WORDS)
