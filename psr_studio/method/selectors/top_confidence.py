"""Top confidence: the most reliable (PSR eq. 1 alone)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selector

if TYPE_CHECKING:
    from psr_studio.method.picks import Selection


def _choose(pool: ClassPool, params: Any, ask: Ask) -> Selection:
    from psr_studio.method.baselines import top_confidence

    return top_confidence(pool.reliability, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


def _taken(chosen: Chosen) -> str:
    return f"number {chosen.rank + 1} by reliability ({chosen.pool.reliability[chosen.at]:.3f})"


def _left(chosen: Chosen) -> str:
    return chosen.beside(chosen.pool.reliability, "reliability")


SELECTOR = Selector(
    name="top-confidence",
    order=50,
    title="Top confidence",
    help="Takes the most reliable.",
    source="PSR eq. 1 alone",
    taken=_taken,
    left=_left,
    one_class=_choose,
)
