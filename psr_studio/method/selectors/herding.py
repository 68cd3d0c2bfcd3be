"""Herding: the mean of the picks stays nearest to the mean of the class."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.coresets import herding

    return herding(pool.embeddings, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed, distances=pool.distances())


SELECTOR = Selector(
    "herding", 90, "Herding",
    "Keeps the mean of the chosen nearest to the mean of the class.",
    source="Welling 2009, Rebuffi et al. 2017",
    taken=lambda chosen: (
        f"with it the mean of the first {chosen.rank + 1} picks lies nearest to the mean of the class"
    ),
    left=lambda chosen: "others kept the mean of the picks nearer to that of the class", one_class=_choose,
)  # fmt: skip
