"""Random: drawn without replacement, the usual baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selector

if TYPE_CHECKING:
    from psr_studio.method.picks import Selection


def _choose(pool: ClassPool, params: Any, ask: Ask) -> Selection:
    from psr_studio.method.baselines import random_select

    return random_select(len(pool), ask.ipc, ask.seed, pinned=ask.pinned, vetoed=ask.vetoed)


def _taken(chosen: Chosen) -> str:
    return "drawn at random"


def _left(chosen: Chosen) -> str:
    return "this selector does not look at scores"


SELECTOR = Selector(
    name="random",
    order=30,
    title="Random",
    help="Draws without replacement.",
    source="the usual baseline",
    taken=_taken,
    left=_left,
    one_class=_choose,
    draws=True,
)
