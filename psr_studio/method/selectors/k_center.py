"""k-center: each pick is the candidate farthest from all before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selector

if TYPE_CHECKING:
    from psr_studio.method.picks import Selection


def _choose(pool: ClassPool, params: Any, ask: Ask) -> Selection:
    from psr_studio.method.coresets import k_center

    return k_center(None, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed, distances=pool.distances())


def _taken(chosen: Chosen) -> str:
    if chosen.rank == 0:
        return "the most central one of its class"
    away = chosen.distance(chosen.picks[: chosen.rank])
    return f"the farthest from the {chosen.rank} taken before it (distance {away:.2f})"


def _left(chosen: Chosen) -> str:
    return chosen.covered()


SELECTOR = Selector(
    name="k-center",
    order=70,
    title="k-center",
    help="Adds the candidate farthest from all chosen ones, so that every candidate is near a chosen one.",
    source="core-set, Sener & Savarese 2018",
    taken=_taken,
    left=_left,
    one_class=_choose,
)
