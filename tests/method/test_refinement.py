"""Laws of the refinement losses: finite differences, independence of the batch, the weight schedule."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psr_studio.method.refinement import (
    adaptive_weight,
    denoising_loss,
    kl_is_active,
    label_loss,
    q_sample,
    refinement_loss,
)


class Toy:
    """A small smooth denoiser, decoder and teacher in float64: real functions, real gradients."""

    def __init__(self, n: int = 3, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        self.mix = torch.randn(8, 8, generator=g, dtype=torch.float64) / 3
        self.head = torch.randn(8, 5, generator=g, dtype=torch.float64)
        self.latents = torch.randn(n, 2, 2, 2, generator=g, dtype=torch.float64)
        self.noise = torch.randn(n, 2, 2, 2, generator=g, dtype=torch.float64)
        self.alphas_cumprod = torch.rand(n, generator=g, dtype=torch.float64)
        self.soft_labels = torch.softmax(torch.randn(n, 5, generator=g, dtype=torch.float64), dim=1)

    def loss(self, latents: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        """Equation 9 for each latent of `rows`, shape (N,)."""
        noisy = q_sample(latents, self.noise[rows], self.alphas_cumprod[rows])
        predicted = torch.tanh(noisy.flatten(1) @ self.mix).reshape(noisy.shape)
        logits = torch.sin(latents.flatten(1)) @ self.head
        label = label_loss(logits, self.soft_labels[rows])
        weights = adaptive_weight(self.soft_labels[rows].max(dim=1).values)
        return refinement_loss(denoising_loss(self.noise[rows], predicted), weights, label)


def test_the_gradient_equals_central_differences():
    """With step h = 1e-5 in float64 the error is about h^2 + 1e-16 / h, well under 1e-7."""
    toy = Toy()
    latents = toy.latents.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(toy.loss(latents).sum(), latents)
    for index in np.ndindex(*latents.shape):
        step = torch.zeros_like(toy.latents)
        step[index] = 1e-5
        slope = (toy.loss(toy.latents + step).sum() - toy.loss(toy.latents - step).sum()) / 2e-5
        assert gradient[index].item() == pytest.approx(slope.item(), abs=1e-7)


def test_each_latent_is_its_own_problem():
    """Loss and gradient of a latent are the same alone and in a batch, and no other latent enters them."""
    toy = Toy(n=4)
    together = toy.latents.clone().requires_grad_()
    losses = toy.loss(together)
    (gradient,) = torch.autograd.grad(losses.sum(), together)
    assert losses.shape == (4,)
    for i in range(4):
        alone = toy.latents[i : i + 1].clone().requires_grad_()
        loss = toy.loss(alone, slice(i, i + 1))
        torch.testing.assert_close(loss, losses[i : i + 1].detach())
        torch.testing.assert_close(torch.autograd.grad(loss.sum(), alone)[0], gradient[i : i + 1])


def test_plain_descent_on_the_sum_lowers_every_loss():
    toy = Toy(n=5)
    latents, start = toy.latents.clone(), toy.loss(toy.latents)
    for _ in range(100):
        latents.requires_grad_()
        (gradient,) = torch.autograd.grad(toy.loss(latents).sum(), latents)
        latents = latents.detach() - 0.01 * gradient  # Algorithm 1, line 21, eta = 0.01
    assert torch.all(toy.loss(latents) < start)


def test_the_denoising_loss_is_a_sum_over_elements_not_a_mean():
    """An error of 2 in each of 4 * 3 * 3 elements: 36 * 4 = 144; a mean would say 4."""
    assert denoising_loss(torch.zeros(2, 4, 3, 3), torch.full((2, 4, 3, 3), 2.0)).tolist() == [144.0, 144.0]


def test_forward_diffusion_mixes_by_the_schedule_and_keeps_variance():
    rng = np.random.default_rng(0)
    latents, noise = rng.normal(size=(3, 4, 8, 8)), rng.normal(size=(3, 4, 8, 8))
    assert np.array_equal(q_sample(latents, noise, np.ones(3)), latents)
    assert np.array_equal(q_sample(latents, noise, 0.0), noise)
    mixed = q_sample(latents, noise, np.array([0.25, 0.5, 0.64]))
    np.testing.assert_allclose(mixed[2], 0.8 * latents[2] + 0.6 * noise[2])
    assert mixed.std() == pytest.approx(1.0, abs=0.1)  # independent unit parts: a^2 + (1 - a^2) = 1
    assert isinstance(q_sample(torch.zeros(1, 2), torch.ones(1, 2), 0.5), torch.Tensor)


def test_the_label_loss_is_zero_where_both_agree_and_positive_elsewhere():
    toy = Toy(n=20)
    same = 1.5 * toy.soft_labels.log()  # softmax(1.5 log q / 1.5) = q
    assert label_loss(same, toy.soft_labels).abs().max() < 1e-12
    other = label_loss(same.roll(1, dims=0), toy.soft_labels)
    assert other.shape == (20,) and other.min() > 1e-3


def test_the_label_loss_is_the_divergence_in_the_right_direction():
    """q = (1, 0): KL(q || p) = -ln p_1, finite although q holds a zero; KL(p || q) would be infinite."""
    logits = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    expected = -torch.log_softmax(logits / 2.0, dim=1)[0, 0]
    assert label_loss(logits, torch.tensor([[1.0, 0.0]]), temperature=2.0).item() == pytest.approx(
        expected.item()
    )
    as_numpy = label_loss(logits.numpy(), np.array([[1.0, 0.0]]), temperature=2.0)
    assert isinstance(as_numpy, np.ndarray) and as_numpy[0] == pytest.approx(expected.item())


def test_without_a_label_term_the_loss_is_the_denoising_loss():
    denoising, label = torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])
    assert refinement_loss(denoising) is denoising
    assert refinement_loss(denoising, torch.tensor([0.5, 0.1]), label).tolist() == [6.0, 4.0]


def test_the_weight_falls_from_lam_w_max_to_lam_w_min():
    """Defaults: 0.5 * 2.0 = 1 at confidence 0, 0.5 * 0.1 = 0.05 at 1, half-way between at 0.5."""
    assert [adaptive_weight(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.525, 0.05])
    confidence = np.linspace(0, 1, 11)
    assert np.all(np.diff(adaptive_weight(confidence)) < 0)
    assert torch.equal(adaptive_weight(torch.ones(2), lam=2.0, w_min=0.25), torch.full((2,), 0.5))


def test_the_label_term_is_active_in_exactly_the_last_steps():
    assert [step for step in range(1, 101) if kl_is_active(step)] == [97, 98, 99, 100]
    for kl_steps, expected in [(0, 0), (1, 1), (10, 10), (25, 10)]:
        assert sum(kl_is_active(step, 10, kl_steps) for step in range(1, 11)) == expected


@pytest.mark.parametrize("step", [0, 101])
def test_steps_outside_the_run_are_refused(step):
    with pytest.raises(ValueError, match=f"The step is {step}, but steps run from 1 to 100"):
        kl_is_active(step)


def test_two_shapes_and_a_temperature_of_zero_are_refused():
    with pytest.raises(ValueError, match=r"Noise has shape \(1, 4\), but the prediction \(1, 8\)"):
        denoising_loss(torch.zeros(1, 4), torch.zeros(1, 8))
    with pytest.raises(ValueError, match=r"Logits have shape \(2, 10\), but soft labels \(2, 1000\)"):
        label_loss(torch.zeros(2, 10), torch.zeros(2, 1000))
    with pytest.raises(ValueError, match="The temperature is 0"):
        label_loss(torch.zeros(2, 10), torch.zeros(2, 10), temperature=0)


def test_plain_lists_are_taken_as_the_other_functions_take_them():
    assert adaptive_weight([0.0, 1.0]) == pytest.approx(adaptive_weight(np.array([0.0, 1.0])))
    assert adaptive_weight(0.5) == pytest.approx(adaptive_weight([0.5])[0])
    logits, labels = [[2, 0, 1], [0, 1, 0]], [[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]
    assert np.allclose(label_loss(logits, labels), label_loss(np.array(logits, float), np.array(labels)))
    assert denoising_loss([[1.0, 2.0]], [[0.0, 0.0]]).tolist() == [5.0]
