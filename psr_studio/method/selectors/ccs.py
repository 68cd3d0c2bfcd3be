"""CCS: the hardest are cut off, the others give alike from every stratum of difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector


class CCS(Parameters):
    """What is cut off, and how finely the rest is divided."""

    searched: ClassVar[Mapping[str, tuple]] = {"cutoff": (0.0, 0.9), "strata": (2, 100)}
    cutoff: float = setting(
        0.3, "Share of the hardest candidates of a class that is left out.", "", 0.0, 0.95
    )  # fmt: skip
    strata: int = setting(
        50, "How many equal ranges of difficulty the others are divided into.", "", 1, 1000, slider=100
    )  # fmt: skip


def _choose(pool: ClassPool, params: CCS, ask: Ask) -> Selection:
    from psr_studio.method.baselines import coverage_centric

    return coverage_centric(
        pool.difficulty, ask.ipc, cutoff=params.cutoff, strata=params.strata, seed=ask.seed,
        pinned=ask.pinned, vetoed=ask.vetoed,
    )  # fmt: skip


def _left(chosen: Chosen) -> str:
    harder = float((chosen.pool.difficulty < chosen.pool.difficulty[chosen.at]).mean())
    cut = f"the hardest {chosen.params.cutoff:.0%} are left out"
    return f"{harder:.0%} of its class are easier; {cut}, and of its stratum others were drawn"


SELECTOR = Selector(
    "ccs", 140, "Coverage-centric",
    "Leaves out the hardest and draws alike from every stratum of difficulty.",
    source="CCS, Zheng et al. 2023",
    taken=lambda chosen: f"drawn from the stratum of its difficulty ({chosen.pool.difficulty[chosen.at]:.3f})",
    left=_left, one_class=_choose, parameters=CCS, draws=True, reads_difficulty=True,
    shortage=("Too few candidates below the cut", "with the easiest of those cut off"),
)  # fmt: skip
