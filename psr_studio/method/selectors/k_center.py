"""k-center: each pick is the candidate farthest from all before it."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.coresets import k_center

    return k_center(None, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed, distances=pool.distances())


def _taken(chosen: Chosen) -> str:
    if chosen.rank == 0:
        return "the most central one of its class"
    away = chosen.distance(chosen.picks[: chosen.rank])
    return f"the farthest from the {chosen.rank} taken before it (distance {away:.2f})"


SELECTOR = Selector(
    "k-center", 70, "k-center",
    "Adds the candidate farthest from all chosen ones, so that every candidate is near a chosen one.",
    source="core-set, Sener & Savarese 2018", taken=_taken, left=Chosen.covered, one_class=_choose,
)  # fmt: skip
