"""Herding: the mean of the picks stays nearest to the mean of the class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selector

if TYPE_CHECKING:
    from psr_studio.method.picks import Selection


def _choose(pool: ClassPool, params: Any, ask: Ask) -> Selection:
    from psr_studio.method.coresets import herding

    return herding(pool.embeddings, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed, distances=pool.distances())


def _taken(chosen: Chosen) -> str:
    return f"with it the mean of the first {chosen.rank + 1} picks lies nearest to the mean of the class"


def _left(chosen: Chosen) -> str:
    return "others kept the mean of the picks nearer to that of the class"


SELECTOR = Selector(
    name="herding",
    order=90,
    title="Herding",
    help="Keeps the mean of the chosen nearest to the mean of the class.",
    source="Welling 2009, Rebuffi et al. 2017",
    taken=_taken,
    left=_left,
    one_class=_choose,
)
