"""Lowest entropy: those the teacher is most sure of (PSR eq. 6 alone)."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.baselines import lowest_entropy

    return lowest_entropy(pool.entropy, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


SELECTOR = Selector(
    "lowest-entropy", 60, "Lowest entropy",
    "Takes those the teacher is most sure of.",
    source="PSR eq. 6 alone", taken=lambda chosen: chosen.ranked("low entropy", chosen.pool.entropy),
    left=lambda chosen: chosen.beside("entropy", chosen.pool.entropy), one_class=_choose,
)  # fmt: skip
