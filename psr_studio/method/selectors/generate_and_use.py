"""Generate and use: the first of the pool, as a pipeline without curation does (PSR section 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selector

if TYPE_CHECKING:
    from psr_studio.method.picks import Selection


def _choose(pool: ClassPool, params: Any, ask: Ask) -> Selection:
    from psr_studio.method.baselines import generate_and_use

    return generate_and_use(len(pool), ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


def _taken(chosen: Chosen) -> str:
    return "among the first of the pool"


def _left(chosen: Chosen) -> str:
    return "this selector does not look at scores"


SELECTOR = Selector(
    name="generate-and-use",
    order=40,
    title="Generate and use",
    help="Takes the first of the pool, as a pipeline without curation does.",
    source="PSR section 1",
    taken=_taken,
    left=_left,
    one_class=_choose,
    on_real=False,
)
