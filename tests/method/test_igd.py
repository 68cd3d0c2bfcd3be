"""Laws of influence guidance: its two terms by hand, and when the surrogate is kept."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from psr_studio.method.guidances.igd import deviation_pull, gradient_gap, influence_pull, kept_epochs

G = torch.Generator().manual_seed(0)
LATENTS, OTHERS = (torch.randn(5, 4, 3, 3, generator=G, dtype=torch.float64) for _ in range(2))
GROUPS = torch.tensor([0, 0, 0, 1, 1])


def test_the_gap_is_one_minus_the_cosine():
    wanted = torch.tensor([[3.0, 4.0]])
    found = torch.tensor([[6.0, 8.0], [-4.0, 3.0], [-3.0, -4.0]])
    torch.testing.assert_close(gradient_gap(found, wanted), torch.tensor([0.0, 1.0, 2.0]))


def test_of_the_influence_term_only_the_direction_of_the_gradient_counts():
    """Its length is k * 0.0015 * sqrt(1 - alpha-bar) times that of the predicted noise, against the gradient."""
    pull = influence_pull(LATENTS, OTHERS, alpha_bar=0.36, strength=5.0)
    torch.testing.assert_close(influence_pull(1e-4 * LATENTS, OTHERS, 0.36, 5.0), pull)
    lengths = [values.flatten(1).norm(dim=1) for values in (pull, OTHERS)]
    torch.testing.assert_close(lengths[0], 5 * 0.0015 * 0.8 * lengths[1])
    torch.testing.assert_close(
        F.cosine_similarity(pull.flatten(1), LATENTS.flatten(1)), -torch.ones(5).double()
    )
    for none in (0.0, 1e-25):  # no direction at all, or one lost in rounding
        pull = influence_pull(torch.full((1, 1, 2, 2), none), torch.ones(1, 1, 2, 2), 0.36)
        assert pull.abs().max() < 1e-9


def test_the_deviation_term_is_the_gradient_of_the_cosine_to_the_most_alike_before():
    pull = deviation_pull(LATENTS, OTHERS, GROUPS, strength=120.0)
    assert not pull[0].any() and not pull[3].any(), "the first of a group has none before it"
    for row, before in ((1, [0]), (2, [0, 1]), (4, [3])):
        leaf = LATENTS[row].flatten().requires_grad_()
        most = torch.stack([F.cosine_similarity(leaf, OTHERS[i].flatten(), dim=0) for i in before]).max()
        (slope,) = torch.autograd.grad(most, leaf)
        torch.testing.assert_close(pull[row].flatten(), -120 * 36 / 4096 * slope)


@pytest.mark.parametrize(
    ("epochs", "kept"), [(50, [1, 6, 17, 41]), (100, [1, 11, 33, 81]), (3, [1, 3]), (1, [1])]
)
def test_the_surrogate_is_kept_at_the_same_shares_of_its_training(epochs, kept):
    assert kept_epochs(epochs) == kept
