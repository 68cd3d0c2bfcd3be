"""DAG: each candidate is steered to a cluster centre of real images of one difficulty (DGS Algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from psr_studio.method.guidances.guidance import Guidance, Pulling, Real, Targets
from psr_studio.method.selectors.parameters import setting
from psr_studio.method.selectors.rules import PerImage

if TYPE_CHECKING:
    import numpy as np

    from psr_studio.method.guidance import Rule


class DAG(Pulling):
    """The intervals and their centres."""

    centers: int = setting(
        10, "Centres per class over all intervals, as many as images per class, as MGD3 has it; candidates take them "
        "in turn.", "centres", 1, 100_000, label="Centres", rule=PerImage,
    )  # fmt: skip
    counts: str = setting(
        "raw",
        "Shares of the intervals: as many as the real images have (raw, Algorithm 2), or smoothed as DGS does "
        "before it counts.", choices=("raw", "smoothed"), label="Shares of the intervals",
    )  # fmt: skip
    pull: str = setting(
        "latent",
        "What is pulled: the noisy latent as equation 10 is printed, or the predicted clean latent as in the "
        "code of MGD3.", choices=("latent", "clean"), label="What is pulled",
    )  # fmt: skip

    uncertainty: float = setting(
        0.0, "Share of the teacher's entropy in what the intervals are over, beside difficulty; 0 is difficulty alone.",
        "", 0.0, 1.0, label="Share of uncertainty",
    )  # fmt: skip

    @property
    def joins_uncertainty(self) -> bool:
        """Where it has a share."""
        return self.uncertainty > 0

    def read(self, steps: int) -> dict[str, Any]:
        """All, but for a share of nothing."""
        return {k: v for k, v in super().read(steps).items() if k != "uncertainty" or self.joins_uncertainty}


def _place(real: Real, n: int, params: DAG, between: Callable[[], None] | None = None) -> Targets:
    """Algorithm 2, lines 1 to 6; centres are put in an order of which each beginning spreads over the intervals."""
    import torch

    from psr_studio.method.difficulty import histogram, target_counts
    from psr_studio.method.guidance import difficulty_centers, evenly
    from psr_studio.method.signals import joined

    assert real.difficulty is not None
    hard = real.difficulty
    if (
        real.uncertainty is not None
    ):  # then the original images are those at hand: of the others no entropy is known
        hard = joined(hard, real.uncertainty, params.uncertainty)
    original = hard if real.original is None else real.original
    values, whole, ends = hard, original, None
    if params.counts == "smoothed":
        values, whole, ends = smoothed_alike(values, original)
    shares = histogram(whole)
    asked = target_counts(shares, n)  # line 2
    found = difficulty_centers(real.latents, values, asked, between=between)  # lines 3 to 6
    order = evenly(found.bins.numpy())
    ordered = found.centers[torch.from_numpy(order)]
    intervals = found.bins.numpy()[order]
    return Targets(
        ordered, intervals, tuple(shares.tolist()), tuple(asked.tolist()), found.substitutions, ends
    )


def smoothed_alike(
    difficulty: np.ndarray, original: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Both between the ends of the original images (DGS eq. 7 to 9), and these."""
    from psr_studio.method.smoothing import choose_thresholds, ends, smooth_between

    between = ends(original, *choose_thresholds(original))
    return smooth_between(difficulty, *between), smooth_between(original, *between), between


def _rule(params: DAG, steps: int) -> Rule:
    from psr_studio.method.guidance import guided_by_difficulty, guided_by_modes

    rule = guided_by_difficulty if params.pull == "latent" else guided_by_modes
    return partial(rule, strength=params.strength, stop=params.until(steps))


GUIDANCE = Guidance(
    "dag", 20, "Difficulty (DAG)",
    "centres of easy and of hard real images, as many of each as the data has.",
    source="DGS Algorithm 2", parameters=DAG, place=_place, rule=_rule, count="centers", reads_difficulty=True,
)  # fmt: skip
