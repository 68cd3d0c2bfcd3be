"""What steers a sampler: classifier-free guidance, mode guidance (MGD3) and difficulty centres (DAG).

MGD3: arXiv 2505.18963. DAG: DGS section 3.4. Shape letters: N latents, (c, h, w) one latent, K centres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from psr_studio.method.arrays import to_float64
from psr_studio.method.bins import N_BINS, bin_of, spread_counts
from psr_studio.method.refinement import per_item


def classifier_free_guidance(
    eps_cond: torch.Tensor, eps_uncond: torch.Tensor, scale: float, channels: int | None = None
) -> torch.Tensor:
    """Push the noise prediction away from the unconditional one: uncond + scale * (cond - uncond).

    Args:
        eps_cond, eps_uncond: (N, c, h, w) predictions with the class and with the null class.
        scale: 1 leaves the conditional prediction as it is.
        channels: guide only the first so many channels and keep the conditional prediction in the rest; None
            guides all. DiT's own sampler, and Minimax after it, guides 3 of 4.

    Returns:
        (N, c, h, w).
    """
    guided = eps_uncond + scale * (eps_cond - eps_uncond)
    if channels is None:
        return guided
    return torch.cat([guided[:, :channels], eps_cond[:, channels:]], dim=1)


def guidance_is_active(step_index: int, stop: int = 25) -> bool:
    """Say whether a step is guided: its respaced index, counting down, is above t_stop (DGS section 3.4).

    With 50 steps (49 down to 0) and stop 25 these are the first 24.
    """
    return step_index > stop


@dataclass(frozen=True, eq=False)
class Moment:
    """What a guide may read in the middle of a step, before the next latent is formed.

    Attributes:
        index: of the step, counted down as the papers count: 49 to 0 with 50 steps.
        latents: (N, c, h, w) z_t. clean: (N, c, h, w) x0_hat, classifier-free guidance included.
        sigma: standard deviation of the ancestral step, a number, or (N, c, h, w) where the network predicts it;
            a sampler that adds no noise is handed that of the ancestral step between the same timesteps.
        alpha_bar: of this step. adds_noise: the sampler is ancestral.
        classes: (N,). targets: (N, c, h, w), each row's own.
    """

    index: int
    latents: torch.Tensor
    clean: torch.Tensor
    sigma: torch.Tensor | float
    alpha_bar: float
    adds_noise: bool
    classes: torch.Tensor
    targets: torch.Tensor


class Pull(NamedTuple):
    """What a guide adds in a step, each (N, c, h, w) or None for nothing.

    Attributes:
        mean: to the mean of the next latent. noise: to the predicted noise; the clean latent follows.
        latents: to z_t; the clean latent stays, and the next latent is formed from z_t as it is then.
    """

    mean: torch.Tensor | None = None
    noise: torch.Tensor | None = None
    latents: torch.Tensor | None = None


class Rule(Protocol):
    """A guidance with its settings."""

    def __call__(self, moment: Moment) -> Pull:
        """What it adds in this step."""


@dataclass(frozen=True, eq=False)
class Guide:
    """A guidance for N rows that are sampled together: classes (N,) and each row's own target (N, c, h, w)."""

    rule: Rule
    classes: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> Guide:
        """The same on a device."""
        return replace(self, classes=self.classes.to(device), targets=self.targets.to(device))


def mode_pull(
    predicted_clean: torch.Tensor, mode: torch.Tensor, sigma: Any, strength: float = 0.1
) -> torch.Tensor:
    """What is added to the mean of an ancestral step: lambda * sigma_t * (m - x0_hat) (MGD3).

    Args:
        predicted_clean: (N, c, h, w) x0_hat of this step.
        mode: (N, c, h, w) or (c, h, w), the centre each latent is to represent.
        sigma: (N,), a number or as the latents, the standard deviation of the step. strength: lambda.

    Returns:
        (N, c, h, w).
    """
    return strength * _per_item(sigma, predicted_clean) * (mode - predicted_clean)


def mode_pull_on_noise(
    predicted_clean: torch.Tensor, mode: torch.Tensor, alpha_bar: Any, strength: float = 0.1
) -> torch.Tensor:
    """What is added to the noise of a step without fresh noise: -sqrt(1 - alpha-bar) * lambda * (m - x0_hat) (MGD3).

    Args:
        alpha_bar: (N,) or a number, of this step.

    Other arguments and the result are as in `mode_pull`.
    """
    return -((1 - _per_item(alpha_bar, predicted_clean)) ** 0.5) * strength * (mode - predicted_clean)


def difficulty_pull(
    latents: torch.Tensor, centers: torch.Tensor, sigma: Any, strength: float = 0.1
) -> torch.Tensor:
    """What is added to z_t on the way to a difficulty centre: lambda * (z_c - z_t) * sigma_t (DGS eq. 10).

    The pull starts at z_t itself, where MGD3 uses the predicted clean latent: this is as eq. 10 is printed.

    Args:
        latents: (N, c, h, w) z_t. centers: (N, c, h, w) or (c, h, w), z_c.
        sigma: (N,), a number or as the latents, the standard deviation of the step. strength: lambda_gui; the
            paper gives no value, so it is that of MGD3.

    Returns:
        (N, c, h, w).
    """
    return strength * (centers - latents) * _per_item(sigma, latents)  # eq. 10


def _per_item(values: Any, items: torch.Tensor) -> Any:
    """As `per_item`; a number stays one, so that no device is asked to take it."""
    return values if isinstance(values, (int, float)) else per_item(values, items)


def no_pull(moment: Moment) -> Pull:
    """Nothing: of a guidance that sets only where candidates begin (D4M)."""
    return Pull()


def guided_by_modes(moment: Moment, strength: float = 0.1, stop: int = 25) -> Pull:
    """MGD3: its DDPM form where the sampler adds noise, its DDIM form elsewhere."""
    if strength == 0 or not guidance_is_active(moment.index, stop):
        return Pull()
    if moment.adds_noise:
        return Pull(mean=mode_pull(moment.clean, moment.targets, moment.sigma, strength))
    return Pull(noise=mode_pull_on_noise(moment.clean, moment.targets, moment.alpha_bar, strength))


def guided_by_difficulty(moment: Moment, strength: float = 0.1, stop: int = 25) -> Pull:
    """DAG as eq. 10 is printed: z_t is moved, and the step is taken from there; the clean latent is that of z_t."""
    if strength == 0 or not guidance_is_active(moment.index, stop):
        return Pull()
    return Pull(latents=difficulty_pull(moment.latents, moment.targets, moment.sigma, strength))


@dataclass(frozen=True, eq=False)
class DifficultyCenters:
    """Where to steer the K images of a class.

    Attributes:
        centers: (K, ...) in latent space, easy bins first.
        bins: (K,) int64, the difficulty bin each centre comes from.
        substitutions: (wanted bin, bin that gave, how many), where a bin has fewer images than centres.
    """

    centers: torch.Tensor
    bins: torch.Tensor
    substitutions: tuple[tuple[int, int, int], ...]


def difficulty_centers(
    latents: torch.Tensor, difficulty: Any, counts: Any, seed: int = 0, max_rounds: int = 100,
    between: Callable[[], None] | None = None,
) -> DifficultyCenters:  # fmt: skip
    """Cluster the real images of each bin into as many centres as it has slots (DGS Algorithm 2, lines 3-6).

    The number of centres always equals K: a bin with fewer images than slots passes the rest on, as in
    `difficulty_select`, to the nearest bin with images left, the easier one on a tie.

    Args:
        latents: (N, ...) latents of the real images of one class.
        difficulty: (N,) their (smoothed) difficulties, in [0, 1].
        counts: (10,) from `target_counts`; their sum is K.
        seed: of the k-means start.
        max_rounds: stop k-means after this many rounds.
        between: see `k_means`.

    Raises:
        ValueError: fewer images than centres, arrays of different length, difficulties outside [0, 1].
    """
    bins = torch.from_numpy(bin_of(difficulty))
    if len(bins) != len(latents):
        raise ValueError(f"There are {len(latents)} latents, but {len(bins)} difficulties.")
    available = torch.bincount(bins, minlength=N_BINS).numpy()
    taken, substitutions = spread_counts(to_float64(counts).astype(int), available)
    parts = [
        k_means(latents[(bins == k).to(latents.device)], int(taken[k]), seed, max_rounds, between)
        for k in range(N_BINS)
        if taken[k]
    ]
    of_bin = torch.repeat_interleave(torch.arange(N_BINS), torch.from_numpy(taken))
    return DifficultyCenters(torch.cat(parts), of_bin, substitutions)


def evenly(groups: Any) -> np.ndarray:
    """Return an order (N,) of members of groups (N,) of which each beginning has the shares of the whole, nearly."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    rank = np.zeros(len(group))
    for k in range(len(sizes)):
        rank[group == k] = np.arange(sizes[k])
    return np.argsort((rank + 0.5) / sizes[group], kind="stable")


def k_means(
    points: torch.Tensor, n_centers: int, seed: int = 0, max_rounds: int = 100,
    between: Callable[[], None] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return k-means centres (n_centers, ...) of points (N, ...), started by k-means++; float64 on the CPU.

    Every centre is the mean of at least one point: one that loses all its points restarts at the point
    farthest from its own centre.

    Args:
        between: called before each round; it may raise, which ends the search.

    Raises:
        ValueError: fewer points than centres, or no centre.
    """
    if not 1 <= n_centers <= len(points):
        raise ValueError(f"{n_centers} centres are asked for, but there are {len(points)} points.")
    flat = points.detach().to("cpu", torch.float64).flatten(1)
    centers = _k_means_start(flat, n_centers, torch.Generator().manual_seed(seed))
    owner = torch.full((len(flat),), -1)
    for _ in range(max_rounds):
        if between is not None:
            between()
        distances = _sq_distances(flat, centers)
        previous, owner = owner, distances.argmin(dim=1)
        _give_empty_centers_a_point(owner, distances, n_centers)
        if torch.equal(previous, owner):
            break
        sums = torch.zeros_like(centers).index_add_(0, owner, flat)
        centers = sums / torch.bincount(owner, minlength=n_centers)[:, None]
    return centers.reshape(n_centers, *points.shape[1:]).to(points.device, points.dtype)


def _k_means_start(flat: torch.Tensor, n_centers: int, generator: torch.Generator) -> torch.Tensor:
    """Draw starting points by k-means++: chances in proportion to the squared distance to those drawn."""
    drawn = [int(torch.randint(len(flat), (1,), generator=generator))]
    to_drawn = torch.full((len(flat),), torch.inf, dtype=flat.dtype)
    while len(drawn) < n_centers:
        to_drawn = torch.minimum(to_drawn, _sq_distances(flat, flat[drawn[-1:]])[:, 0])
        nearest = to_drawn.clone()
        nearest[drawn] = 0.0
        if not nearest.sum() > 0:  # only copies of drawn points are left
            nearest = torch.ones(len(flat), dtype=flat.dtype)
            nearest[drawn] = 0.0
        drawn.append(int(torch.multinomial(nearest, 1, generator=generator)))
    return flat[drawn]


def _give_empty_centers_a_point(owner: torch.Tensor, distances: torch.Tensor, n_centers: int) -> None:
    """Give each centre without points the point farthest from its own centre, of those that are not alone."""
    to_center = distances.gather(1, owner[:, None])[:, 0]
    for center in torch.nonzero(torch.bincount(owner, minlength=n_centers) == 0).flatten():
        crowded = torch.bincount(owner, minlength=n_centers)[owner] > 1
        farthest = torch.where(crowded, to_center, torch.full_like(to_center, -1.0)).argmax()
        owner[farthest], to_center[farthest] = center, 0.0


def _sq_distances(points: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Return squared distances (N, K) of float64 points (N, D) to centres (K, D), without cancellation."""
    return torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist").square()
