"""MGD3: each candidate is steered to a mode of the real images of its class (arXiv 2505.18963)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psr_studio.method.guidances.guidance import Guidance, Pulling, place_modes
from psr_studio.method.selectors.parameters import setting
from psr_studio.method.selectors.rules import PerImage

if TYPE_CHECKING:
    from psr_studio.method.guidance import Rule


class MGD3(Pulling):
    """The modes."""

    modes: int = setting(
        10, "Modes per class, as many as images per class, as MGD3 has it; candidates take them in turn.", "modes",
        1, 100_000, rule=PerImage,
    )  # fmt: skip


def _rule(params: MGD3, steps: int) -> Rule:
    from psr_studio.method.guidance import guided_by_modes

    return partial(guided_by_modes, strength=params.strength, stop=params.until(steps))


GUIDANCE = Guidance(
    "mgd3", 10, "Modes (MGD3)",
    "cluster centres of the real images of the class in turn, for variety.",
    source="arXiv 2505.18963", parameters=MGD3, place=place_modes, rule=_rule, count="modes",
)  # fmt: skip
