"""Generate and use: the first of the pool, as a pipeline without curation does (PSR section 1)."""

from __future__ import annotations

from psr_studio.method.selectors.parameters import Parameters
from psr_studio.method.selectors.selector import Ask, ClassPool, Selection, Selector


def _choose(pool: ClassPool, params: Parameters, ask: Ask) -> Selection:
    from psr_studio.method.baselines import generate_and_use

    return generate_and_use(len(pool), ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


SELECTOR = Selector(
    "generate-and-use", 40, "Generate and use",
    "Takes the first of the pool, as a pipeline without curation does.",
    source="PSR section 1", taken=lambda chosen: "among the first of the pool",
    left=lambda chosen: "this selector does not look at scores", one_class=_choose, on_real=False,
)  # fmt: skip
