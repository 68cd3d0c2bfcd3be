"""Random: drawn without replacement, the usual baseline."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.baselines import random_select

    return random_select(len(pool), ask.ipc, ask.seed, pinned=ask.pinned, vetoed=ask.vetoed)


SELECTOR = Selector(
    "random", 30, "Random",
    "Draws without replacement.",
    source="the usual baseline", taken=lambda chosen: "drawn at random",
    left=lambda chosen: "this selector does not look at scores", one_class=_choose, draws=True,
)  # fmt: skip
