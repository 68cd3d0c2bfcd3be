"""Rows on demand: the picks of the cached blocks, whatever is kept and however the pool is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from psr_studio.method import lazy_distances as _lazy_distances
from psr_studio.method.coresets import herding, k_center
from psr_studio.method.distances import ClassDistances
from psr_studio.method.lazy_distances import LazyDistances, class_distances
from psr_studio.method.selection import SCALINGS, greedy_select, greedy_select_all

SIZES = (70, 40, 131)  # one below, one above a multiple of what the compiled loop is padded to


@pytest.fixture
def pool():
    """Three classes in pool order, with near-equal and equal candidates among them."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(3), SIZES)
    embeddings = rng.normal(size=(len(labels), 16)).astype(np.float32)
    embeddings[3], embeddings[80] = embeddings[7], embeddings[81] + 1e-6
    signals = rng.random((2, len(labels)))
    return embeddings, labels, signals, rng.random(len(labels)) > 0.2


def both(embeddings, labels):
    blocks = class_distances(embeddings, labels)
    lazy = class_distances(embeddings, labels, most_bytes=1000)
    assert type(blocks) is ClassDistances and type(lazy) is LazyDistances and not lazy.flat.size
    return blocks, lazy


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_picks_of_a_pool_are_those_of_the_blocks(pool, scaling):
    embeddings, labels, (reliability, entropy), eligible = pool
    marks = {"pinned": [75, 2, 200], "vetoed": [4, 90, 91], "scaling": scaling}
    for ipc, weights in itertools.product((1, 7, 38), ((3, 1, 0.5), (0.5, 1, 3), (0, 0, 1))):
        found = [
            greedy_select_all(reliability, entropy, cache, ipc, *weights, eligible=eligible, **marks)
            for cache in both(embeddings, labels)
        ]
        for name in ("indices", "filled", "starts", "shortfall"):
            np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))
        np.testing.assert_allclose(found[0].terms, found[1].terms, rtol=1e-6, atol=1e-7)


def test_uneven_budgets_are_kept(pool):
    embeddings, labels, (reliability, entropy), eligible = pool
    found = [
        greedy_select_all(reliability, entropy, cache, [5, 1, 20], eligible=eligible).indices
        for cache in both(embeddings, labels)
    ]
    np.testing.assert_array_equal(*found)


def test_groups_give_no_more_than_their_quotas(pool):
    """Alike for blocks and rows; a limit that nobody reaches changes nothing."""
    embeddings, labels, (reliability, entropy), eligible = pool
    groups, rules = np.arange(len(labels)) % 4, {"eligible": eligible, "pinned": [2, 75]}
    quotas = np.array([[9, 0, 3, 7], [40, 40, 40, 40], [1, 2, 3, 4]])
    found, free = [], []
    for cache in both(embeddings, labels):
        found.append(greedy_select_all(
            reliability, entropy, cache, [20, 38, 10], **rules, groups=groups, quotas=quotas
        ))  # fmt: skip
        free.append(greedy_select_all(reliability, entropy, cache, [20, 38, 10], **rules))
    np.testing.assert_array_equal(found[0].indices, found[1].indices)
    for class_id in range(3):
        picks = np.setdiff1d(found[0].of_class(class_id).indices, rules["pinned"])
        assert (np.bincount(groups[picks], minlength=4) <= quotas[class_id]).all()
    np.testing.assert_array_equal(found[0].of_class(1).indices, free[0].of_class(1).indices)
    assert len(found[0].of_class(2).indices) == 10 and found[0].shortfall[1] == free[0].shortfall[1]
    assert not np.array_equal(found[0].of_class(0).indices, free[0].of_class(0).indices)


def test_one_class_of_rows_is_selected_without_its_block(pool, monkeypatch):
    embeddings, labels, (reliability, entropy), eligible = pool
    blocks, lazy = both(embeddings, labels)
    own = labels == 2
    wanted = greedy_select(
        reliability[own], entropy[own], None, 20, eligible=eligible[own], distances=blocks.block(2)
    )
    monkeypatch.setattr(_lazy_distances.LazyBlock, "__array__", None)
    found = greedy_select(
        reliability[own], entropy[own], None, 20, eligible=eligible[own], distances=lazy.block(2)
    )
    np.testing.assert_array_equal(found.indices, wanted.indices)


@pytest.mark.parametrize("selector", [k_center, herding])
@pytest.mark.parametrize("marks", [{}, {"pinned": [9, 4], "vetoed": [0, 70]}])
def test_core_sets_read_the_rows_of_their_picks_only(pool, monkeypatch, selector, marks):
    embeddings, labels, _, eligible = pool
    blocks, lazy = both(embeddings, labels)
    own = labels == 2
    rules = {"ipc": 30, "eligible": eligible[own], **marks}
    wanted = selector(embeddings[own], distances=blocks.block(2), **rules)
    monkeypatch.setattr(_lazy_distances.LazyBlock, "__array__", None)
    found = selector(embeddings[own], distances=lazy.block(2), **rules)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    assert len(lazy.cache) <= 30


@pytest.mark.parametrize(
    ("groups", "quotas", "wrong"),
    [([0, 1], [1], "in 0..0"), ([0, 0, 0], [1], "shape"), ([0, 0], [-1], "at least 0")],
)
def test_wrong_groups_are_refused(groups, quotas, wrong):
    with pytest.raises(ValueError, match=wrong):
        greedy_select([1, 2], [0, 0], [[0.0], [1.0]], 1, groups=groups, quotas=quotas)


def test_a_block_reads_like_an_array(pool):
    embeddings, labels, _, _ = pool
    blocks, lazy = both(embeddings, labels)
    for class_id, size in enumerate(SIZES):
        whole, rows = blocks.block(class_id), lazy.block(class_id)
        some = np.array([5, 0, 33])
        assert rows.shape == (size, size) and len(rows) == size
        for key in (4, (slice(None), some), (7, some), np.ix_(some, some), some):
            np.testing.assert_allclose(rows[key], whole[key], rtol=2e-7)
        np.testing.assert_allclose(np.asarray(rows), whole, rtol=2e-7)
        np.testing.assert_array_equal(np.diag(np.asarray(rows)), 0)


@pytest.mark.parametrize("block", [7, 64, 1024])
def test_the_nearest_other_is_found_however_the_pairs_are_cut(pool, monkeypatch, block):
    monkeypatch.setattr(_lazy_distances, "BLOCK", block)
    embeddings, labels, _, _ = pool
    blocks, lazy = both(embeddings, labels)
    for class_id in range(len(SIZES)):
        wanted = np.partition(blocks.block(class_id), 1, axis=1)[:, 1]
        np.testing.assert_allclose(lazy.block(class_id).nearest_others(), wanted, rtol=1e-6, atol=1e-9)


def test_equal_candidates_are_at_distance_zero(pool):
    embeddings, labels, _, _ = pool
    assert both(embeddings, labels)[1].block(0)[3, np.array([7])] == 0


def test_rows_beyond_the_limit_are_forgotten_and_come_back_equal():
    kept = _lazy_distances.RowCache(limit=3 * 40)
    rows = {i: np.full(10, i, np.float32) for i in range(5)}
    for i, row in rows.items():
        kept.put(i, row)
    assert [kept.get(i) is not None for i in range(5)] == [False, False, True, True, True]
    kept.get(2)
    kept.put(0, rows[0])
    assert kept.get(3) is None and kept.get(2) is not None, "the one read last stays"
    embeddings = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    block = class_distances(embeddings, np.zeros(30, int), most_bytes=0).block(0)
    first = block.row(3).copy()
    np.testing.assert_array_equal(_lazy_distances.LazyBlock(embeddings, np.arange(30), kept).row(3), first)


def test_features_that_are_not_finite_are_named():
    embeddings = np.ones((5, 2), np.float32)
    embeddings[3] = np.nan
    with pytest.raises(ValueError, match="1 of 5 candidates are NaN or infinite: 3"):
        class_distances(embeddings, np.zeros(5, int), most_bytes=0)
