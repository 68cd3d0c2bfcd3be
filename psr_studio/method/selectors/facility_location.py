"""Facility location: every candidate of the class is to have one pick that is like it."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.coresets import facility_location

    return facility_location(None, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed, distances=pool.distances())


def _taken(chosen: Chosen) -> str:
    before = chosen.picks[: chosen.rank]
    if not len(before):
        return "the one that is most like all others of its class"
    sq = chosen.pool.distances()
    nearer = int((sq[:, chosen.at] < sq[:, before].min(axis=1)).sum())
    return f"it is nearer to {nearer} candidate{'s' if nearer != 1 else ''} than the {chosen.rank} taken before it"


SELECTOR = Selector(
    "facility-location", 110, "Facility location",
    "Adds the candidate that makes the class most like its nearest picks.",
    source="Mirchandani & Francis 1990; greedy: Nemhauser et al. 1978", taken=_taken, left=Chosen.covered,
    one_class=_choose,
)  # fmt: skip
