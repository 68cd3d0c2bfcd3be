"""Agreement of gradients: a cosine, and so what a small step on one loss does to another."""

from __future__ import annotations

import pytest
import torch

from psr_studio.method.influence import gradient_agreement

GRADIENT = torch.tensor([3.0, 4.0, 0.0])


def test_agreement_is_one_with_itself_minus_one_turned_round_and_zero_at_right_angles():
    assert gradient_agreement(GRADIENT, 5 * GRADIENT) == pytest.approx(1)
    assert gradient_agreement(GRADIENT, -0.1 * GRADIENT) == pytest.approx(-1)
    assert gradient_agreement(GRADIENT, torch.tensor([0.0, 0.0, 2.0])) == 0
    assert gradient_agreement(GRADIENT, torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(0.6)


def test_a_picture_that_is_fitted_agrees_with_nothing():
    assert gradient_agreement(torch.zeros(3), GRADIENT) == 0 == gradient_agreement(GRADIENT, torch.zeros(3))
