"""The agreement matrix and the order that fits it best, against brute force and an independent solver."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from psr_studio.method.class_order import agreement_matrix
from psr_studio.stages.reorder.offer import best_order


def test_rows_are_shares_of_the_pictures_of_a_class():
    """Two of three pictures of class 0 are taken for class 1; class 2 has none."""
    logits = np.array([[0, 1, 0], [0, 1, 0], [2, 1, 0], [0, 5, 0]], float)
    found = agreement_matrix(logits, np.array([0, 0, 0, 1]))
    assert np.allclose(found, [[1 / 3, 2 / 3, 0], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_no_permutation_fits_better(n):
    for seed in range(20):
        agreement = np.random.default_rng(seed).random((n, n))
        found = best_order(agreement)
        assert sorted(found) == list(range(n))
        best = max(sum(agreement[i, p[i]] for i in range(n)) for p in permutations(range(n)))
        assert agreement[np.arange(n), found].sum() == pytest.approx(best, abs=1e-6)


def test_it_is_as_good_as_another_solver_for_many_classes():
    for seed in range(3):
        agreement = np.random.default_rng(seed).dirichlet(np.full(60, 0.1), 60)
        rows, columns = linear_sum_assignment(agreement, maximize=True)
        ours = agreement[np.arange(60), best_order(agreement)].sum()
        assert ours == pytest.approx(agreement[rows, columns].sum(), abs=1e-6)


def test_where_all_is_equal_a_class_stays():
    assert list(best_order(np.full((4, 4), 0.25))) == [0, 1, 2, 3]
