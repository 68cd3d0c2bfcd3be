"""S3: of each class the subgroup whose mean lies near that of its real images and far from the other classes'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import AskAll, Pool, Selection, Selector

if TYPE_CHECKING:
    import numpy as np


class S3(Parameters):
    """How many subgroups there are, and what counts about them."""

    searched: ClassVar[Mapping[str, tuple]] = {"near_real": (0.0, 2.0), "apart": (0.0, 2.0)}
    groups: int = setting(
        5, "Into how many subgroups of K the pool of a class is dealt, as far as it goes.", "", 1, 1000, slider=20
    )  # fmt: skip
    near_real: float = setting(
        0.4, "How much it counts that a subgroup is near the real images of its class.", "", 0.0, 100.0,
        slider=2.0, label="Near the real images",
    )  # fmt: skip
    apart: float = setting(
        0.9, "How much it counts that a subgroup is far from those of the other classes.", "", 0.0, 100.0,
        slider=2.0, label="Far from other classes",
    )  # fmt: skip


def _choose(pool: Pool, params: S3, ask: AskAll) -> list[Selection]:
    """Pins are in every subgroup of their class, vetoed candidates in none; the others are dealt in their order."""
    import numpy as np

    from psr_studio.method.picks import check_ipc, check_marks, nothing, pick_in_order
    from psr_studio.method.subgroups import best_subgroups, centroid

    pins, vetoed = check_marks(len(pool.eligible), ask.pinned, ask.vetoed)
    present = [c for c in range(len(ask.budgets)) if ask.budgets[c]]
    dealt, centroids, real = {}, [], []
    for c in present:
        start, stop = pool.starts[c], pool.starts[c + 1]
        check_ipc(int(ask.budgets[c]), stop - start)
        own = pins[(pins >= start) & (pins < stop)] - start
        dealt[c] = own, _deal(stop - start, int(ask.budgets[c]), params.groups, own, vetoed[start:stop])
        of_class = pool.of_class(c)
        if not of_class.real_centroid:
            raise ValueError("Subgroups are compared with real images, but none of the class are known.")
        centroids.append(np.stack([centroid(of_class.embeddings[group]) for group in dealt[c][1]]))
        real.append(of_class.real_centroid())
    best = best_subgroups(centroids, np.stack(real), params.near_real, params.apart) if present else []
    found = [nothing()] * len(ask.budgets)
    for c, group in zip(present, best, strict=True):
        start, stop = pool.starts[c], pool.starts[c + 1]
        own, groups = dealt[c]
        order = np.concatenate([groups[group], np.setdiff1d(np.arange(stop - start), groups[group])])
        one = pick_in_order(order, int(ask.budgets[c]), pinned=own, vetoed=vetoed[start:stop])
        found[c] = replace(one, indices=one.indices + start)
    return found


def _deal(n: int, ipc: int, most: int, pins: np.ndarray, vetoed: np.ndarray) -> list[np.ndarray]:
    """Subgroups of K positions of a class: the pins and as many of the others, in their order; at least one."""
    import numpy as np

    others = np.setdiff1d(np.flatnonzero(~vetoed), pins)
    each = max(ipc - len(pins), 1)
    count = max(1, min(most, len(others) // each))
    return [np.concatenate([pins, others[g * each : (g + 1) * each]]).astype(int) for g in range(count)]


SELECTOR = Selector(
    "s3", 150, "Subgroups",
    "Takes the subgroup whose mean is near the real images of its class and far from the other classes.",
    source="S3 of IMS3, Wang et al. 2026",
    taken=lambda chosen: "in the subgroup that is nearest to the real images of its class and apart from other classes",
    left=lambda chosen: "another subgroup is nearer to the real images of its class or farther from other classes",
    all_classes=_choose, parameters=S3, on_real=False,
)  # fmt: skip
