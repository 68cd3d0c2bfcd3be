"""Moderate coreset: candidates neither near the centre of their class nor far from it."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.baselines import moderate

    return moderate(pool.embeddings, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


def _from_center(chosen: Chosen) -> str:
    import numpy as np

    from psr_studio.method.baselines import center_distances

    away = center_distances(chosen.pool.embeddings)
    return f"{away[chosen.at]:.2f} from the centre of its class, where the median is {np.median(away):.2f}"


SELECTOR = Selector(
    "moderate", 130, "Moderate",
    "Takes those whose distance to the centre of their class is nearest to the median distance.",
    source="Moderate coreset, Xia et al. 2023",
    taken=lambda chosen: f"it lies {_from_center(chosen)}",
    left=lambda chosen: f"it lies {_from_center(chosen)}; others are nearer to the median", one_class=_choose,
)  # fmt: skip
