"""D4M: each candidate begins at a prototype of its class with noise on it (arXiv 2407.15138)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psr_studio.method.guidances.guidance import Guidance, Misfit, Steering, place_modes
from psr_studio.method.selectors.parameters import setting
from psr_studio.method.selectors.rules import PerImage

if TYPE_CHECKING:
    from psr_studio.method.guidance import Rule


class D4M(Steering):
    """The prototypes, and how much noise is put on them."""

    strength: float = setting(
        0.7, "Share of the steps that are taken, from a prototype with their noise on it; 1 begins at noise alone.",
        "", 0.0, 1.0, label="Noise on the prototypes",
    )  # fmt: skip
    prototypes: int = setting(
        10, "Prototypes per class, as many as images per class, as D4M has it; candidates take them in turn.",
        "prototypes", 1, 100_000, rule=PerImage,
    )  # fmt: skip

    def skipped(self, steps: int) -> int:
        """All but the share."""
        return steps - round(steps * self.strength)

    def told(self, steps: int) -> str:
        """How many of the steps are taken."""
        return f"from prototypes by the last {steps - self.skipped(steps)} of {steps} steps"

    def idle(self, steps: int) -> Misfit | None:
        """Nothing but noise."""
        if self.skipped(steps):
            return None
        return Misfit(
            "strength",
            f'"{{key}}" is {self.strength:g}, which steers nothing: of a prototype only noise is left.',
            'Lower "{key}".',
        )

    def misfit(self, steps: int) -> Misfit | None:
        """A share without a step."""
        if self.skipped(steps) < steps:
            return None
        return Misfit(
            "strength",
            f'"{{key}}" is {self.strength:g}, which takes none of the {steps} steps of "pool.steps".',
            f'Raise "{{key}}" to {1 / steps:.2g} or more, which takes at least one.',
        )


def _rule(params: D4M, steps: int) -> Rule:
    from psr_studio.method.guidance import no_pull

    return no_pull


GUIDANCE = Guidance(
    "d4m", 30, "Prototypes (D4M)",
    "a cluster centre of the real images of the class, at which the candidate begins with noise on it.",
    source="arXiv 2407.15138", parameters=D4M, place=place_modes, rule=_rule, count="prototypes",
)  # fmt: skip
