"""k-medoids: the least summed distance of all to the nearest pick (PSR eq. 2)."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.coresets import k_medoids

    return k_medoids(None, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed, distances=pool.distances())


def _taken(chosen: Chosen) -> str:
    near = chosen.pool.distances()[:, chosen.picks].argmin(axis=1)
    served = int((near == chosen.rank).sum())
    return f"a medoid: {served} candidate{'s' if served != 1 else ''} of the class lie nearest to it"


SELECTOR = Selector(
    "k-medoids", 80, "k-medoids",
    "Looks for the candidates with the least summed squared distance of all others to the nearest.",
    source="PSR eq. 2", taken=_taken, left=Chosen.covered, one_class=_choose,
)  # fmt: skip
