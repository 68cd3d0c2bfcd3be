"""Laws of guidance: what a pull does to the next latent, and centres that always number K."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from psr_studio.method.bins import bin_of
from psr_studio.method.guidance import (
    classifier_free_guidance,
    difficulty_centers,
    difficulty_pull,
    guidance_is_active,
    k_means,
    mode_pull,
    mode_pull_on_noise,
)

G = torch.Generator().manual_seed(0)
COND, UNCOND, MODE = (torch.randn(3, 4, 2, 2, generator=G, dtype=torch.float64) for _ in range(3))


def test_classifier_free_guidance_is_linear_between_and_beyond_both_predictions():
    torch.testing.assert_close(classifier_free_guidance(COND, UNCOND, 1.0), COND)
    assert torch.equal(classifier_free_guidance(COND, UNCOND, 0.0), UNCOND)
    torch.testing.assert_close(classifier_free_guidance(COND, UNCOND, 4.0), 4 * COND - 3 * UNCOND)


def test_guiding_some_channels_leaves_the_rest_conditional():
    guided = classifier_free_guidance(COND, UNCOND, 4.0, channels=3)
    assert torch.equal(guided[:, 3:], COND[:, 3:])
    assert torch.equal(guided[:, :3], classifier_free_guidance(COND, UNCOND, 4.0)[:, :3])


def test_fifty_steps_with_stop_25_guide_the_first_24():
    active = [guidance_is_active(index) for index in range(49, -1, -1)]
    assert active == [True] * 24 + [False] * 26


def test_a_mode_pulls_the_mean_by_its_share_of_the_gap():
    sigma = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    pull = mode_pull(UNCOND, MODE, sigma, strength=0.1)
    for i in range(3):
        torch.testing.assert_close(pull[i], 0.1 * sigma[i] * (MODE[i] - UNCOND[i]))
    assert torch.equal(mode_pull(UNCOND, MODE, 0.5), mode_pull(UNCOND, MODE, torch.full((3,), 0.5)))
    assert not mode_pull(MODE, MODE, 1.0).any()


def test_pulled_noise_moves_the_predicted_clean_latent_towards_the_mode():
    """x0 = (z - sqrt(1 - a) eps) / sqrt(a), so x0 moves by (1 - a) / sqrt(a) * lambda * (m - x0)."""
    z, a = torch.randn(3, 4, 2, 2, generator=G, dtype=torch.float64), 0.36
    clean = (z - (1 - a) ** 0.5 * COND) / a**0.5
    pulled = COND + mode_pull_on_noise(clean, MODE, a, strength=0.1)
    moved = (z - (1 - a) ** 0.5 * pulled) / a**0.5
    torch.testing.assert_close(moved - clean, (1 - a) / a**0.5 * 0.1 * (MODE - clean))


def test_a_difficulty_pull_shrinks_the_distance_to_the_centre():
    """z + s (c - z) leaves (1 - s) of the gap, s = lambda * sigma; s = 1 lands on the centre."""
    sigma = torch.tensor([0.5, 1.0, 10.0], dtype=torch.float64)
    moved = COND + difficulty_pull(COND, MODE, sigma, strength=0.1)
    for i, left in enumerate([0.95, 0.9, 0.0]):
        torch.testing.assert_close(moved[i] - MODE[i], left * (COND[i] - MODE[i]), atol=1e-12, rtol=1e-9)


def test_k_means_finds_separate_groups_and_their_means():
    groups = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = groups.repeat_interleave(20, dim=0) + 0.1 * torch.randn(60, 2, generator=G)
    expected = points.reshape(3, 20, 2).mean(dim=1)
    for seed in range(5):
        centers = k_means(points, 3, seed)
        nearest = torch.cdist(expected, centers).min(dim=1).values
        assert nearest.max() < 1e-5 and centers.dtype == torch.float32


def test_every_k_means_centre_is_the_mean_of_the_points_nearest_to_it():
    points = torch.randn(80, 3, 2, generator=G, dtype=torch.float64)
    centers = k_means(points, 7, seed=1)
    owner = torch.cdist(points.flatten(1), centers.flatten(1)).argmin(dim=1)
    means = torch.stack([points[owner == k].mean(dim=0) for k in range(7)])
    torch.testing.assert_close(means, centers)
    assert torch.equal(k_means(points, 7, seed=1), centers)


def test_as_many_centres_as_points_are_the_points_even_with_copies():
    points = torch.tensor([[1.0], [1.0], [1.0], [4.0]])
    assert sorted(k_means(points, 4).flatten().tolist()) == [1.0, 1.0, 1.0, 4.0]
    with pytest.raises(ValueError, match="5 centres are asked for, but there are 4 points"):
        k_means(points, 5)


def test_each_bin_gets_its_centres_made_of_its_own_images():
    """The latent carries its bin number, so a centre made inside bin k has exactly the mean k."""
    difficulty = np.random.default_rng(0).random(300)
    bins = torch.from_numpy(bin_of(difficulty)).double()
    latents = bins[:, None, None, None].expand(300, 1, 2, 2) + torch.zeros(300, 1, 2, 2)
    counts = np.array([4, 3, 1, 0, 0, 0, 0, 0, 1, 1])
    found = difficulty_centers(latents, difficulty, counts)
    assert found.centers.shape == (10, 1, 2, 2)
    assert found.bins.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 8, 9] and found.substitutions == ()
    torch.testing.assert_close(found.centers.mean(dim=(1, 2, 3)), found.bins.double())


def test_a_bin_with_too_few_images_passes_its_centres_on_and_the_sum_stays():
    difficulty = np.array([0.05] * 6 + [0.55] + [0.95] * 2)
    latents = torch.randn(9, 4, generator=G)
    found = difficulty_centers(latents, difficulty, [2, 0, 0, 0, 0, 3, 0, 0, 0, 0])
    assert len(found.centers) == 5 and found.substitutions == ((5, 9, 2),)
    assert found.bins.tolist() == [0, 0, 5, 9, 9]
    with pytest.raises(ValueError, match="10 are wanted, but only 9 are there"):
        difficulty_centers(latents, difficulty, [10] + [0] * 9)
    with pytest.raises(ValueError, match="There are 9 latents, but 8 difficulties"):
        difficulty_centers(latents, difficulty[:8], [1] + [0] * 9)
