"""The greedy selection against a brute-force oracle written from PSR eq. 7 and 8, and the laws it keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psr_studio.method import threads as _threads
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.lazy_distances import class_distances
from psr_studio.method.selection import diversity, greedy_select, greedy_select_all, ipc_preset, warm_up
from psr_studio.method.signals import predictive_entropy, reliability


def brute_force(
    rel, ent, distances, ipc, weights, eligible, pinned, vetoed, normalize, on_shortage, scaling="pool"
):
    """Score every candidate from scratch at every step in plain floats; return picks, terms, filled."""
    n, (alpha, beta, gamma) = len(rel), weights
    scale = [i for i in range(n) if eligible[i]]

    def normalized(values, over, low=None):
        if not normalize:
            return list(values)
        if not over:
            return [0.0] * n
        low = min(values[i] for i in over) if low is None else low
        width = max(values[i] for i in over) - low
        return [(v - low) / width if width else 0.0 for v in values]

    rel_n, ent_n = normalized(rel, scale), normalized(ent, scale)
    chosen, terms, filled, first_widest = [], [], [], None
    while len(chosen) < ipc:
        div_n = [0.0] * n
        if chosen:
            div = [min(float(distances[i][j]) for j in chosen) for i in range(n)]
            if first_widest is None:
                first_widest = max((div[i] for i in scale), default=0.0)
            if not normalize:
                div_n = div
            elif scaling == "pool":
                div_n = normalized(div, scale, low=0.0)
            elif scaling == "frozen":
                div_n = [d / first_widest if first_widest else 0.0 for d in div]
            else:
                div_n = normalized(div, [i for i in scale if i not in chosen])
        scores = [alpha * rel_n[i] - beta * ent_n[i] + gamma * div_n[i] for i in range(n)]
        right = [i for i in scale if i not in chosen and i not in vetoed]
        wrong = [i for i in range(n) if not eligible[i] and i not in chosen and i not in vetoed]
        fills = False
        if len(chosen) < len(pinned):
            pick = pinned[len(chosen)]
        elif right:
            key = rel if not chosen else scores
            pick = max(right, key=lambda i: (key[i], -i))
        elif wrong and on_shortage == "fill":
            pick, fills = max(wrong, key=lambda i: (rel[i], -i)), True
        else:
            break
        terms.append((alpha * rel_n[pick], -beta * ent_n[pick], gamma * div_n[pick]))
        filled.append(fills)
        chosen.append(pick)
    return chosen, terms, filled


def random_case(seed):
    """Draw a pool; two in three have coarse values, so that ties and equal embeddings abound."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 26))
    if seed % 3:
        rel, ent = rng.integers(0, 5, n) / 4, rng.integers(0, 4, n) / 3
        embeddings = rng.integers(0, 3, (n, 3)).astype(float)
    else:
        rel, ent, embeddings = rng.random(n), rng.random(n), rng.normal(size=(n, 6))
    ipc = int(rng.integers(1, n + 1))
    order = rng.permutation(n)
    n_pins = int(rng.integers(0, min(ipc, 3) + 1))
    case = {
        "eligible": rng.random(n) < rng.choice([0.0, 0.4, 0.9, 1.0], p=[0.05, 0.25, 0.35, 0.35]),
        "pinned": order[:n_pins].tolist(),
        "vetoed": order[n_pins : n_pins + int(rng.integers(0, n - n_pins + 1)) // 2].tolist(),
        "normalize": bool(rng.random() < 0.7),
        "on_shortage": str(rng.choice(["fill", "short"])),
    }
    weights = [float(w) for w in rng.choice([0.0, 0.5, 1.0, 3.0, 0.37], 3)]
    return rel, ent, embeddings, ipc, weights, case


@pytest.mark.parametrize("scaling", ["pool", "remaining", "frozen"])
def test_picks_scores_terms_and_shortfall_equal_the_brute_force_oracle(scaling):
    """500 pools with ties, pins, vetoes, ineligible candidates, zero weights; float64 on both sides."""
    for seed in range(500 if scaling == "pool" else 150):
        rel, ent, embeddings, ipc, weights, case = random_case(seed)
        distances = pairwise_sq_distances(embeddings)
        picks, terms, filled = brute_force(rel, ent, distances, ipc, weights, scaling=scaling, **case)
        selection = greedy_select(rel, ent, embeddings, ipc, *weights, scaling=scaling, **case)
        assert selection.indices.tolist() == picks, seed
        np.testing.assert_allclose(selection.terms, np.reshape(terms, (-1, 3)), atol=1e-12)
        np.testing.assert_allclose(selection.scores, selection.terms.sum(axis=1), atol=1e-12)
        assert selection.filled.tolist() == filled, seed
        assert selection.shortfall == ipc - (len(picks) - sum(filled)), seed


def test_the_oracle_agrees_on_a_pool_of_real_size():
    """300 candidates, K = 120: near ties among float32 distances must not split the two."""
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 3, (300, 10)) + np.eye(10)[0] * 6
    rel, ent = reliability(logits, np.zeros(300, int)), predictive_entropy(logits)
    embeddings = rng.normal(size=(300, 16))
    rules = {"eligible": logits.argmax(1) == 0, "pinned": [], "vetoed": [5], "normalize": True}
    picks, _, _ = brute_force(
        rel, ent, pairwise_sq_distances(embeddings), 120, (1, 1, 1), on_shortage="fill", **rules
    )
    assert greedy_select(rel, ent, embeddings, 120, 1, 1, 1, **rules).indices.tolist() == picks


@pytest.mark.parametrize("scaling", ["pool", "remaining", "frozen"])
@pytest.mark.parametrize(
    ("scale", "offset", "width", "weights"),
    [
        (1e-12, 0.5, 1.0, (1, 1, 1)),  # signals apart by less than float32 can tell
        (1e-9, 1e9, 1.0, (1, 0, 1)),  # and by less than float64 can, beside large ones
        (1.0, 0.0, 1e-6, (0, 0, 3)),  # distances near zero
        (1.0, 0.0, 1e6, (1e-12, 0, 1)),
        (1.0, 0.0, 1.0, (1e35, 1, 1e35)),  # weights beyond float32's squares
        (1.0, 0.0, 1.0, (0, 0, 0)),
    ],
)
def test_near_ties_are_decided_as_plain_float64_decides_them(scaling, scale, offset, width, weights):
    """The search looks at float32 scores first: nothing that they cannot tell apart may be lost by it."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 80))
        rel, ent = offset + scale * rng.integers(0, 9, n), offset + scale * rng.random(n)
        embeddings = width * (rng.integers(0, 3, (n, 2)) + 1e-7 * rng.random((n, 2)))
        rules = {"eligible": rng.random(n) < 0.9, "pinned": [], "vetoed": [], "on_shortage": "fill"}
        for normalize in (True, False):
            picks, _, _ = brute_force(
                rel, ent, pairwise_sq_distances(embeddings), n, weights, scaling=scaling,
                normalize=normalize, **rules,
            )  # fmt: skip
            found = greedy_select(
                rel, ent, embeddings, n, *weights, scaling=scaling, normalize=normalize, **rules
            )
            assert found.indices.tolist() == picks, (seed, normalize)


def test_a_smaller_budget_with_the_same_weights_is_a_prefix():
    for seed in range(60):
        rel, ent, embeddings, _, weights, case = random_case(seed)
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
