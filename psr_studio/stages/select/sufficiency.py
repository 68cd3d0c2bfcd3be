"""Whether the pool of a class is large enough for its budget, in numbers and in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.core.words import plural
from psr_studio.method.selectors import psr
from psr_studio.method.sufficiency import Sufficiency, sufficiency
from psr_studio.stages.select.class_pools import class_pool

if TYPE_CHECKING:
    from psr_studio.recipe.schema import SelectRecipe
    from psr_studio.stages.select.scored import ScoredPool


def of_class(scored: ScoredPool, class_id: int, rules: SelectRecipe) -> dict[str, Any]:
    """See `figures.sufficiency`, of which this is one row."""
    size, ipc, name = int(scored.counts[class_id]), rules.ipc, scored.class_names[class_id]
    greedy, candidates = rules.of(psr.PSR), class_pool(scored, class_id, rules.temperature)
    found = sufficiency(candidates, min(ipc, size), *greedy.at(ipc), scaling=greedy.scaling)
    return {
        "class_id": class_id,
        "name": name,
        "verdict": found.verdict,
        "sentence": _sentence(found, name, size, int(candidates.eligible.sum()), ipc),
        "gain_kept": found.gain_kept,
        "suggested": found.suggested,
    }


def _sentence(found: Sufficiency, name: str, size: int, n_eligible: int, ipc: int) -> str:
    """The verdict with the numbers that it rests on."""
    if found.verdict == "too small":
        return (
            f'"{name}": {n_eligible} of {plural(size, "candidate")} are eligible for {plural(ipc, "image")}, '
            f"so there is nothing to choose; {plural(found.suggested, 'candidate')} should do."
        )
    kept = f"this pool reaches {found.gain_kept:.0%} of the gain expected of twice as many"
    if found.verdict == "enough":
        return f'"{name}": {kept}; {plural(size, "candidate")} are enough.'
    return f'"{name}": {kept}; more would pay, up to about {plural(found.suggested, "candidate")}.'
