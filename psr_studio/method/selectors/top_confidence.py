"""Top confidence: the most reliable (PSR eq. 1 alone)."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.baselines import top_confidence

    return top_confidence(pool.reliability, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


SELECTOR = Selector(
    "top-confidence", 50, "Top confidence",
    "Takes the most reliable.",
    source="PSR eq. 1 alone", taken=lambda chosen: chosen.ranked("reliability", chosen.pool.reliability),
    left=lambda chosen: chosen.beside("reliability", chosen.pool.reliability), one_class=_choose,
)  # fmt: skip
