"""Laws of Minimax fine-tuning: both losses by hand, memories first in first out, the bound of a learned variance."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from psr_studio.method.minimax import (
    diffusion_loss,
    diversity_loss,
    minimax_losses,
    predicted_clean,
    remember,
    representativeness_loss,
)
from psr_studio.method.variational import variational_bound

EAST, NORTH, BOTH = (torch.tensor([pair]) for pair in ((2.0, 0.0), (0.0, 5.0), (3.0, 3.0)))
HALF = 1 / math.sqrt(2)  # cosine of 45 degrees


def test_both_losses_of_a_class_by_hand():
    """Cosines of two predictions (east, both) with a memory (east, north): 1, 0, HALF, HALF; lengths do not count."""
    predicted, memory = torch.cat([EAST, BOTH]), torch.cat([EAST, NORTH])
    assert representativeness_loss(predicted, memory) == 1.0  # 1 - 0: east is the least like north
    assert diversity_loss(predicted, memory) == 1.0  # east is just like east
    assert representativeness_loss(BOTH, memory).item() == pytest.approx(1 - HALF)
    assert diversity_loss(BOTH, memory).item() == pytest.approx(HALF)


def test_each_class_adds_one_number_and_one_without_a_memory_none():
    """Classes 0 (east) and 2 (both, both): real memories of both classes, a generated one of class 2 alone."""
    predicted, labels = torch.cat([BOTH, EAST, BOTH]), [2, 0, 2]
    real, generated = {0: NORTH, 2: torch.cat([EAST, NORTH])}, {2: EAST, 7: EAST}
    near, far = minimax_losses(predicted, labels, real, generated)
    assert near.item() == pytest.approx((1 + (1 - HALF)) / 2)
    assert far.item() == pytest.approx(HALF / 2)
    assert [value.item() for value in minimax_losses(predicted, labels, {}, {})] == [0, 0]


def test_lowering_the_losses_turns_a_prediction_to_the_real_and_from_the_generated():
    predicted = BOTH.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(representativeness_loss(predicted, EAST), predicted)
    assert -gradient[0, 0] > 0 > -gradient[0, 1]
    (gradient,) = torch.autograd.grad(diversity_loss(predicted, EAST), predicted)
    assert -gradient[0, 0] < 0 < -gradient[0, 1]


def test_a_memory_keeps_the_newest_in_the_order_in_which_they_came():
    memory = None
    for value in range(5):
        memory = remember(memory, torch.tensor([[float(value)]], requires_grad=True), 3)
    assert memory.flatten().tolist() == [2, 3, 4] and not memory.requires_grad
    assert remember(memory, torch.tensor([[5.0], [6.0]]), 3).flatten().tolist() == [4, 5, 6]
    assert remember(memory, torch.arange(9.0)[:, None], 3).flatten().tolist() == [6, 7, 8]


def test_the_true_noise_implies_the_clean_latents():
    g = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 3, 1, 2, 2, generator=g, dtype=torch.float64)
    alpha_bar = torch.tensor([0.9, 0.5, 0.01], dtype=torch.float64).view(-1, 1, 1, 1)
    z_t = alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise
    torch.testing.assert_close(predicted_clean(z_t, noise, alpha_bar), clean)
    assert diffusion_loss(noise, noise) == 0 and diffusion_loss(noise + 2, noise) == 4


def test_the_bound_is_the_divergence_of_two_gaussians_and_trains_the_variance_alone():
    """Against torch's own KL, with the posterior written out for alpha-bars 0.6 and 0.8."""
    g = torch.Generator().manual_seed(0)
    clean, z_t, guess, share = torch.randn(4, 2, 1, 2, 2, generator=g, dtype=torch.float64)
    now, before = (torch.full((2, 1, 1, 1), value, dtype=torch.float64) for value in (0.6, 0.8))
    alpha, beta = 0.75, 0.25
    least = 0.2 / 0.4 * beta

    def mean(z):
        return math.sqrt(0.8) * beta / 0.4 * z + math.sqrt(alpha) * 0.2 / 0.4 * z_t

    deviation = torch.exp(0.5 * (math.log(least) + (share + 1) / 2 * math.log(beta / least)))
    expected = kl_divergence(Normal(mean(clean), math.sqrt(least)), Normal(mean(guess), deviation))
    guess.requires_grad_()
    share.requires_grad_()
    found = variational_bound(clean, z_t, guess, share, now, before)
    torch.testing.assert_close(found.detach(), expected.flatten(1).mean(dim=1) / math.log(2))
    found.sum().backward()
    assert guess.grad is None and share.grad.abs().min() > 0
    true = variational_bound(clean, z_t, clean, torch.full_like(share, -1.0), now, before)
    assert true.abs().max() < 1e-12


def test_the_last_step_is_judged_by_the_mass_of_a_bin():
    """At t = 0, deviation 0.01: a right guess costs less than a wrong one, and beyond 1 the tail counts too."""
    now, before = torch.full((1, 1, 1, 1), 0.9999), torch.ones(1, 1, 1, 1)
    z, share = torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, 1, 1, 1)
    right = variational_bound(z, z, z, share, now, before).item()
    wrong = variational_bound(z, z, z + 0.1, share, now, before).item()
    assert 0 < right < wrong
    beyond = variational_bound(6 * z, 6 * z, 6 * z, share, now, before).item()
    tail = 0.5 * (1 + math.erf(1 / 255 / 0.01 / math.sqrt(2)))  # all above the lower end of the bin
    assert beyond == pytest.approx(-math.log2(tail), abs=1e-3) and beyond < right
