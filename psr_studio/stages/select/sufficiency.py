"""Whether the pool of a class is large enough for its budget, in numbers and in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.method.sufficiency import Sufficiency, sufficiency

if TYPE_CHECKING:
    from psr_studio.method.selectors.weights import Weights
    from psr_studio.stages.select.live import LiveSelection


def of_class(live: LiveSelection, class_id: int, weights: Weights, ipc: int, scaling: str) -> dict[str, Any]:
    """See `lab.sufficiency`, of which this is one row."""
    size = int(live.counts[class_id])
    found = sufficiency(live.class_pool(class_id), min(ipc, size), *weights, scaling=scaling)
    name = live.class_names[class_id]
    return {
        "class_id": class_id,
        "name": name,
        "verdict": found.verdict,
        "sentence": _sentence(found, name, size, int(live.eligible[live.members(class_id)].sum()), ipc),
        "gain_kept": found.gain_kept,
        "suggested": found.suggested,
    }


def _sentence(found: Sufficiency, name: str, size: int, n_eligible: int, ipc: int) -> str:
    """The verdict with the numbers that it rests on."""
    if found.verdict == "too small":
        return (
            f'"{name}": {n_eligible} of {size} candidates are eligible for {ipc} images, '
            f"so there is nothing to choose; {found.suggested} candidates should do."
        )
    kept = f"this pool reaches {found.gain_kept:.0%} of the gain expected of twice as many"
    if found.verdict == "enough":
        return f'"{name}": {kept}; {size} candidates are enough.'
    return f'"{name}": {kept}; more would pay, up to about {found.suggested} candidates.'
