"""Lowest entropy: those the teacher is most sure of (PSR eq. 6 alone)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selector

if TYPE_CHECKING:
    from psr_studio.method.picks import Selection


def _choose(pool: ClassPool, params: Any, ask: Ask) -> Selection:
    from psr_studio.method.baselines import lowest_entropy

    return lowest_entropy(pool.entropy, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


def _taken(chosen: Chosen) -> str:
    return f"number {chosen.rank + 1} by low entropy ({chosen.pool.entropy[chosen.at]:.3f})"


def _left(chosen: Chosen) -> str:
    return chosen.beside(chosen.pool.entropy, "entropy")


SELECTOR = Selector(
    name="lowest-entropy",
    order=60,
    title="Lowest entropy",
    help="Takes those the teacher is most sure of.",
    source="PSR eq. 6 alone",
    taken=_taken,
    left=_left,
    one_class=_choose,
)
