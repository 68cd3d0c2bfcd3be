"""Laws of the split of one budget over the classes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from psr_studio.method.allocation import allocate, comparable_gains, non_increasing, pick_gains
from psr_studio.method.distances import pairwise_sq_distances
from psr_studio.method.lazy_distances import class_distances
from psr_studio.method.selection import greedy_select_all

RNG = np.random.default_rng(0)


def test_slots_sum_to_the_budget_within_floor_and_ceiling():
    for _ in range(50):
        sizes = RNG.integers(5, 30, size=8)
        gains = [RNG.normal(size=n) for n in sizes]
        total = int(RNG.integers(16, np.minimum(sizes, 12).sum() + 1))
        slots = allocate(gains, total, floor=2, ceiling=12)
        assert slots.sum() == total and slots.min() >= 2
        assert (slots <= np.minimum(sizes, 12)).all() and slots.dtype == np.int64


def test_equal_gains_give_the_even_split_and_the_rest_goes_to_the_first():
    for value in (0.1, 0.0, -3.0):
        assert allocate([[value] * 20] * 4, 40).tolist() == [10] * 4
        assert allocate([[value] * 20] * 4, 42).tolist() == [11, 11, 10, 10]
    falling = 1 / np.arange(1, 21)
    assert allocate([falling, falling + 1e-15, falling], 30).tolist() == [10] * 3  # rounding is no reason


def test_a_split_of_gains_that_never_rise_is_the_best_of_all_splits():
    """Brute force: with non-increasing gains the greedy split has the largest sum (a matroid of nested picks)."""
    for _ in range(30):
        gains = [np.sort(RNG.random(5))[::-1] for _ in range(3)]
        total = int(RNG.integers(3, 16))
        value = sum(g[:k].sum() for g, k in zip(gains, allocate(gains, total), strict=True))
        splits = (s for s in product(range(1, 6), repeat=3) if sum(s) == total)
        assert value == pytest.approx(
            max(sum(g[:k].sum() for g, k in zip(gains, s, strict=True)) for s in splits)
        )


def test_a_class_whose_gain_falls_slower_gets_more():
    slow, fast = 0.9 ** np.arange(30), 0.5 ** np.arange(30)
    slots = allocate([fast, slow], 20)
    assert slots[1] > slots[0] and slots.sum() == 20


def test_gains_are_averaged_where_they_rise_so_a_dip_does_not_stop_a_class():
    assert non_increasing([1.0, 3.0, 2.0]).tolist() == [2.0, 2.0, 2.0]
    assert non_increasing([3.0, 2.0, 2.0, 1.0]).tolist() == [3.0, 2.0, 2.0, 1.0]
    values = RNG.random(40)
    smooth = non_increasing(values)
    assert (np.diff(smooth) <= 1e-15).all() and smooth.sum() == pytest.approx(values.sum())
    assert (np.cumsum(smooth) >= np.cumsum(values) - 1e-12).all()  # the concave curve lies above
    assert allocate([[1.0, 0.0, 5.0, 5.0], [1.0, 1.0, 1.0, 1.0]], 5).tolist() == [4, 1]


def test_floor_and_ceiling_may_differ_by_class():
    gains = [np.ones(10)] * 3
    assert allocate(gains, 15, floor=[8, 1, 1]).tolist() == [8, 4, 3]
    assert allocate(gains, 15, floor=0, ceiling=[2, 10, 10]).tolist() == [2, 7, 6]


def test_gain_of_a_pick_is_the_raw_score_with_the_distance_to_the_nearest_earlier_pick():
    points = np.array([[0.0], [3.0], [1.0]])
    gains = pick_gains(
        np.array([0.5, 0.25, 1.0]), np.array([0.0, 0.5, 0.0]), pairwise_sq_distances(points),
        np.arange(3), (2.0, 1.0, 3.0), unit=9.0,
    )  # fmt: skip
    assert gains == pytest.approx([1 + 3 * 9 / 9, 0.5 - 0.5 + 3 * 9 / 9, 2 + 3 * 1 / 9])
    assert len(pick_gains(np.zeros(0), np.zeros(0), np.zeros((3, 3)), np.zeros(0, int), (1, 1, 1), 1.0)) == 0


def test_the_wider_of_two_classes_gets_more_slots():
    """Same signals, one class ten times as wide: its picks add more diversity, whatever its own scale."""
    narrow = RNG.normal(size=(40, 3))
    points, labels = np.concatenate([narrow, 10 * narrow]), np.repeat([0, 1], 40)
    distances, signal = class_distances(points, labels), np.full(80, 0.5)
    found = greedy_select_all(signal, signal, distances, 40, 1, 1, 1)
    orders = [found.of_class(c).indices for c in range(2)]
    slots = allocate(comparable_gains(signal, signal, distances, orders, (1, 1, 1)), 40)
    assert slots[1] > 30 and slots.sum() == 40
    alike = comparable_gains(
        signal, signal, class_distances(np.tile(narrow, (2, 1)), labels), orders, (1, 1, 1)
    )
    assert allocate(alike, 40).tolist() == [20, 20]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: allocate([[1.0] * 3] * 2, 7), "7 images are to be split, but .* leave room for 2 to 6"),
        (lambda: allocate([[1.0] * 3] * 2, 1), "leave room for 2 to 6"),
        (lambda: allocate([[1.0], [1.0] * 9], 5, floor=2), "Class 0 should get 2 or more, but 1 is the most"),
        (lambda: allocate([[1.0, np.nan]], 2), "gains of 1 of 2 candidates are NaN"),
    ],
)
def test_what_cannot_be_split_is_said(call, text):
    with pytest.raises(ValueError, match=text):
        call()
