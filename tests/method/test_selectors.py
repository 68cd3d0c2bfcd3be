"""The registry: every selector through one face, and the laws they all keep."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from psr_studio.method.bins import bin_of, spread_counts
from psr_studio.method.coresets import log_determinant
from psr_studio.method.distances import class_distances, pairwise_sq_distances
from psr_studio.method.selection import greedy_select
from psr_studio.method.selectors import registry
from psr_studio.method.selectors.parameters import facts_of
from psr_studio.method.selectors.registry import SELECTORS, warm_up
from psr_studio.method.selectors.selector import AskAll, ClassPool, Pool
from psr_studio.method.signals import difficulty, is_consistent, predictive_entropy, reliability
from psr_studio.method.subgroups import best_subgroups, centroid

N = 40
NAMES = list(SELECTORS)


def a_pool(n=N, seed=0, original=200):
    """A class of n candidates with logits that disagree with the class now and then."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, 5)) * 2, np.zeros(n, int)
    logits[:, 0] += 2
    points = rng.normal(size=(n, 6)).astype(np.float32)
    return ClassPool(
        reliability(logits, labels), predictive_entropy(logits), difficulty(logits, labels), points,
        is_consistent(logits, labels), lambda: pairwise_sq_distances(points),
        rng.beta(0.5, 2, original) if original else None, real_centroid=lambda: centroid(points[:8]),
    )  # fmt: skip


POOL = a_pool()


def test_the_registry_is_the_folder():
    """A file that is no part of the machinery is a selector of its name, and there is no other."""
    machinery = {"__init__", "parameters", "registry", "rules", "selector", "weights"}
    files = {path.stem for path in Path(registry.__file__).parent.glob("*.py")} - machinery
    assert {name.replace("-", "_") for name in SELECTORS} == files
    for selector in SELECTORS.values():
        assert selector.title and selector.help.endswith(".") and selector.source
        assert (selector.one_class is None) != (selector.all_classes is None)
        assert all(facts.help.endswith(".") for facts in facts_of(selector.parameters).values())
        defaults = dict(selector.parameters())
        assert dict(selector.parameters.model_validate(defaults)) == defaults, "inside its own range"


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_met_by_different_candidates_and_repeat_with_the_seed(name):
    for ipc in (1, 7, 30, N):
        found = SELECTORS[name].choose(POOL, ipc, seed=3)
        assert len(set(found.indices.tolist())) == len(found.indices) == ipc
        assert found.scores.shape == found.filled.shape == (ipc,) and found.terms.shape == (ipc, 3)
        assert np.array_equal(found.indices, SELECTORS[name].choose(POOL, ipc, seed=3).indices)


@pytest.mark.parametrize("name", ["random", "dgs", "ccs"])
def test_another_seed_draws_others(name):
    draws = [SELECTORS[name].choose(POOL, 8, seed=seed).indices.tolist() for seed in range(3)]
    assert draws[0] != draws[1] != draws[2]


@pytest.mark.parametrize("name", NAMES)
def test_pins_come_first_in_their_order_and_vetoes_never(name):
    found = SELECTORS[name].choose(POOL, 10, pinned=[31, 4], vetoed=[0, 1, 2, 3])
    assert found.indices[:2].tolist() == [31, 4] and len(found.indices) == 10
    assert not {0, 1, 2, 3} & set(found.indices.tolist())
    rest = SELECTORS[name].choose(POOL, 12, vetoed=np.arange(N) >= 10)
    assert sorted(rest.indices.tolist()) == list(range(10)) and rest.shortfall >= 2


def test_every_target_of_dgs_gives_its_counts_and_a_drawn_one_what_was_drawn():
    pool = a_pool(400)
    for target in ("scale", "hill", "ground", "slope", "cliff", "drawn"):
        for within in ("random", "psr"):
            found = SELECTORS["dgs"].choose(pool, 20, {"target": target, "within_bin": within})
            assert len(found.indices) == 20
    easy = SELECTORS["dgs"].choose(pool, 20, {"target": "drawn", "drawn": [1.0] + [0.0] * 9}).indices
    hard = SELECTORS["dgs"].choose(pool, 20, {"target": "drawn", "drawn": [0.0] * 9 + [2.0]}).indices
    assert pool.difficulty[easy].max() < pool.difficulty[hard].min()


def one_bin_at_a_time(pool, found, weights):
    """The joined rule step by step: among candidates of bins with slots left, the highest score of eq. 8."""
    known = pool.smoothed(0.5)
    bins = bin_of(known.pool)
    left, _ = spread_counts(known.counts(len(found.indices)), np.bincount(bins, minlength=10))
    picks: list[int] = []
    while left.sum():
        closed = np.flatnonzero((left == 0)[bins])
        picks = greedy_select(
            pool.reliability, pool.entropy, None, len(picks) + 1, *weights, pool.eligible, picks,
            np.setdiff1d(closed, picks), distances=pool.distances(),
        ).indices.tolist()  # fmt: skip
        left[bins[picks[-1]]] -= 1
    return picks


def test_psr_within_bins_is_the_greedy_selection_with_full_bins_closed():
    for seed in range(3):
        pool = a_pool(120, seed)
        found = SELECTORS["dgs"].choose(pool, 20, {"within_bin": "psr", "gamma": 3.0})
        assert sorted(found.indices) == sorted(one_bin_at_a_time(pool, found, (1.0, 1.0, 3.0)))
        random = SELECTORS["dgs"].choose(pool, 20)
        assert found.substitutions == random.substitutions  # the bins give the same


def test_every_word_that_a_parameter_may_be_is_one_its_rule_knows():
    """The file of a selector and the function it calls each have the words: they may not drift apart."""
    for selector in SELECTORS.values():
        for name, facts in facts_of(selector.parameters).items():
            for word in facts.choices:
                joined = {"within_bin": "psr"} if selector.name == "dgs" else {}  # so that all is read
                assert len(selector.choose(POOL, 5, {**joined, name: word}).indices) == 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("within_bin", ["random", "psr"])
def test_all_classes_at_once_are_each_class_alone(name, within_bin):
    """Pins and vetoes count over the pool; a class without budget gives nothing, one that is all vetoed too."""
    if (within_bin == "psr" and name != "dgs") or name == "s3":  # s3 weighs the classes against each other
        return
    selector, pools = SELECTORS[name], [a_pool(n, seed) for seed, n in enumerate((60, 90, 70, 65))]
    params = selector.parameters.model_validate({"within_bin": within_bin} if name == "dgs" else {}).resolved(
        10
    )
    starts = np.cumsum([0, *map(len, pools)])
    distances = class_distances(
        np.concatenate([pool.embeddings for pool in pools]), np.repeat(np.arange(4), np.diff(starts))
    )
    whole = Pool(
        *(np.concatenate([getattr(p, key) for p in pools]) for key in ("reliability", "entropy", "eligible")),
        starts, lambda: distances, pools.__getitem__,
    )  # fmt: skip
    budgets, pins, vetoes = (
        np.array([10, 20, 0, 7]),
        np.array([100, 63, 5]),
        np.array([4, 61, *range(220, 285)]),
    )
    found = selector.choose_all(whole, params, AskAll(budgets, lambda c: 3 + c, pins, vetoes))
    for c, (pool, one) in enumerate(zip(pools, found, strict=True)):
        assert len(one.indices) == (0 if c == 3 else budgets[c]) and one.shortfall >= (7 if c == 3 else 0)
        if len(one.indices):
            inside = [m[(m >= starts[c]) & (m < starts[c + 1])] - starts[c] for m in (pins, vetoes)]
            single = selector.choose(pool, int(budgets[c]), params, 3 + c, *inside)
            assert (one.indices - starts[c]).tolist() == single.indices.tolist()
            assert one.shortfall == single.shortfall and one.filled.tolist() == single.filled.tolist()


def test_cao2_keeps_the_right_ones_surest_first_and_turns_round_at_fifty():
    pool = a_pool(300)
    ranks = {k: pool.difficulty[SELECTORS["cao2"].choose(pool, k).indices] for k in (49, 50)}
    assert (np.diff(ranks[49]) >= 0).all() and (np.diff(ranks[50]) <= 0).all()
    assert pool.eligible[SELECTORS["cao2"].choose(pool, 50).indices].all()
    full = SELECTORS["cao2"].choose(pool, 300, {"order": "least sure"})
    assert (np.diff(pool.difficulty[full.indices[full.filled]]) >= 0).all()  # the wrong ones: surest first


def test_what_is_read_depends_on_the_settings_and_values_are_checked():
    dgs = SELECTORS["dgs"].parameters
    assert set(dgs().read()) == {"variant", "target", "within_bin", "lam", "uncertainty"}
    assert set(dgs(within_bin="psr", target="drawn").read()) == set(dgs.model_fields) - {"weights"}
    for name, params, text in [
        ("random", {"alpha": 1.0}, "alpha\n.*not permitted"),
        ("psr", {"scaling": "poll"}, "must be one of: pool, remaining, frozen"),
        ("psr", {"alpha": True}, "should be a valid number"),
        ("dgs", {"drawn": [1.0]}, "must have 10 values"),
        ("dgs", {"lam": 2.0}, "must be from 0.0 to 1.0"),
        ("dgs", {"target": "drawn", "drawn": [0.0] * 10}, "must have a value above 0"),
    ]:
        with pytest.raises(ValueError, match=text):
            SELECTORS[name].choose(POOL, 5, params)


@pytest.mark.parametrize(
    "name",
    [
        "psr",
        "random",
        "generate-and-use",
        "top-confidence",
        "lowest-entropy",
        "k-center",
        "herding",
        "cao2",
        "facility-location",
        "log-determinant",
        "moderate",
    ],  # fmt: skip
)
def test_a_smaller_budget_is_a_prefix_where_one_candidate_is_added_at_a_time(name):
    """With the same weights; k-medoids swaps, DGS counts anew, and a pin stays first."""
    params = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0} if name == "psr" else {}
    full = SELECTORS[name].choose(POOL, N, params, pinned=[9]).indices
    for ipc in (1, 6, 25):
        assert np.array_equal(SELECTORS[name].choose(POOL, ipc, params, pinned=[9]).indices, full[:ipc])


def test_the_bins_of_dgs_give_exactly_their_counts_when_they_suffice():
    pool = a_pool(600)
    for target in ("scale", "hill", "ground", "slope"):
        known = pool.smoothed(0.5)
        smoothed, counts = known.pool, known.counts(30, target)
        found = SELECTORS["dgs"].choose(pool, 30, {"target": target})
        assert (np.bincount(bin_of(smoothed), minlength=10) >= counts).all()
        assert np.array_equal(np.bincount(bin_of(smoothed[found.indices]), minlength=10), counts)
        assert found.substitutions == () and found.shortfall == 0


def test_facility_location_takes_what_lowers_the_summed_distance_most():
    """Its sum of likeness written out: the largest squared distance less that to the nearest pick."""
    sq = POOL.distances().astype(np.float64)
    picks: list[int] = []
    for _ in range(12):
        worth = [(sq.max() - sq[[*picks, j]].min(axis=0)).sum() for j in range(N)]
        picks.append(int(np.argmax([-1 if j in picks else w for j, w in enumerate(worth)])))
    assert SELECTORS["facility-location"].choose(POOL, 12).indices.tolist() == picks


@pytest.mark.parametrize("quality", [0.0, 2.0])
def test_log_determinant_takes_what_raises_the_determinant_most(quality):
    """Determinants written out over L = q S q, with a copy of a pick, which adds nothing and comes last."""
    points = np.concatenate([POOL.embeddings, POOL.embeddings[:1]])
    trust = np.append(POOL.reliability, POOL.reliability[0]).astype(np.float64)
    sq = pairwise_sq_distances(points)
    likeness = np.exp(-sq.astype(np.float64) / (0.7 * sq.sum(dtype=np.float64) / (N * (N + 1))))
    kernel = np.outer(trust**quality, trust**quality) * likeness
    picks: list[int] = [3]
    for _ in range(9):
        worth = [
            -np.inf if j in picks else np.linalg.det(kernel[np.ix_([*picks, j], [*picks, j])])
            for j in range(N)
        ]
        picks.append(int(np.argmax(worth)))
    found = log_determinant(None, 10, distances=sq, reliability=trust, width=0.7, quality=quality, pinned=[3])
    assert found.indices.tolist() == picks
    every = log_determinant(None, N + 1, distances=sq, width=0.7).indices
    assert set(every[[0, -1]].tolist()) == {0, N}


def test_moderate_takes_the_middle_of_the_distances_to_the_centre():
    away = np.linalg.norm(POOL.embeddings - POOL.embeddings.mean(axis=0), axis=1)
    middle = np.sort(np.argsort(np.abs(away - np.median(away)))[:9])
    assert np.array_equal(np.sort(SELECTORS["moderate"].choose(POOL, 9).indices), middle)


def test_ccs_cuts_off_the_hardest_and_draws_alike_from_the_strata():
    pool = a_pool(300)
    kept = np.sort(pool.difficulty)[:210]
    found = SELECTORS["ccs"].choose(pool, 60, {"cutoff": 0.3, "strata": 6})
    picked = pool.difficulty[found.indices]
    assert picked.max() <= kept[-1] and not found.filled.any()
    edges = np.linspace(kept[0], kept[-1], 7)
    there, given = (np.histogram(values, edges)[0] for values in (kept, picked))
    least = given[there > given].min()  # strata that could have given more gave as many, but for a remainder
    assert np.ptp(given[there > given]) <= 1 and (given[there == given] <= least + 1).all()
    short = SELECTORS["ccs"].choose(pool, 250, {"cutoff": 0.3})
    assert short.filled.sum() == 40 and pool.difficulty[short.indices[short.filled]].min() >= kept[-1]
    assert (np.diff(pool.difficulty[short.indices[short.filled]]) >= 0).all()


def test_subgroups_are_the_best_of_all_combinations_where_ascent_finds_them():
    """IMS3 eq. 10 by trying all: ascent is never above the best, mostly reaches it, and one weight alone is plain."""
    rng, reached = np.random.default_rng(0), 0
    for _ in range(20):
        groups = [np.stack([centroid(rng.normal(size=(5, 8)) + c) for _ in range(4)]) for c in range(3)]
        real = np.stack([centroid(rng.normal(size=(50, 8)) + c) for c in range(3)])

        def worth(chosen, groups=groups, real=real):
            picked = [g[i] for g, i in zip(groups, chosen, strict=True)]
            near = sum(-np.log(1 - p @ r + 1e-6) for p, r in zip(picked, real, strict=True))
            return 0.4 * near + 0.9 * sum(np.log(1 - a @ b + 1e-6) for a, b in combinations(picked, 2))

        best = max(worth(chosen) for chosen in product(range(4), repeat=3))
        found = worth(best_subgroups(groups, real))
        assert found <= best + 1e-9
        reached += found > best - 1e-9
        nearest = [int((g @ r).argmax()) for g, r in zip(groups, real, strict=True)]
        assert best_subgroups(groups, real, apart=0.0) == nearest
    assert reached >= 15


def test_s3_takes_one_dealt_subgroup_with_the_pins_in_each():
    found = SELECTORS["s3"].choose(POOL, 7, {"groups": 4})
    assert found.indices.tolist() in [list(range(7 * g, 7 * g + 7)) for g in range(4)]
    pinned = SELECTORS["s3"].choose(POOL, 7, {"groups": 4}, pinned=[39], vetoed=[0, 1]).indices.tolist()
    assert pinned[0] == 39 and pinned[1:] in [list(range(2 + 6 * g, 8 + 6 * g)) for g in range(4)]
    with pytest.raises(ValueError, match="compared with real images"):
        SELECTORS["s3"].choose(replace(POOL, real_centroid=None), 7)


def test_dgs_as_its_code_gives_short_bins_all_they_have_and_draws_the_rest_from_all_that_is_left():
    pool = a_pool(80)
    for ipc in (1, 10, 30):
        found = SELECTORS["dgs"].choose(pool, ipc, {"variant": "code", "target": "ground"}, seed=5)
        known = pool.smoothed(0.5, 0.0, ipc)
        bins, wanted = bin_of(known.pool), known.counts(ipc, "ground")
        own = np.minimum(wanted, np.bincount(bins, minlength=10))
        right, drawn = found.indices[~found.filled], found.indices[found.filled]
        assert np.array_equal(np.bincount(bins[right], minlength=10), own)
        assert len(drawn) == ipc - own.sum() == sum(n for *_, n in found.substitutions)
        lots = np.random.default_rng(5).permutation(80)
        left = [i for i in lots if i not in right]
        assert sorted(drawn.tolist()) == sorted(left[: len(drawn)])
    assert len(drawn), "the case above is one where bins run short"
    paper = SELECTORS["dgs"].choose(pool, 30, {"target": "ground"}, seed=5)
    assert sorted(paper.indices.tolist()) != sorted(found.indices.tolist())


def test_warm_up_is_idempotent():
    assert warm_up() is None and warm_up() is None


def test_the_table_is_read_without_importing_torch_or_the_kernels():
    code = "import sys, psr_studio.method.selectors.registry; print({'torch', 'numba', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
