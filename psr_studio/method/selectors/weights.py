"""The weights of PSR eq. 8, which two selectors have, each its own."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

from psr_studio.method.selectors.parameters import Parameters, setting

WEIGHTS = ("alpha", "beta", "gamma")
TYPED, SLIDER = 100.0, 5.0  # the largest weight in a file or a command, and on a slider

SCALING = setting(
    "pool",
    "How diversity is scaled at each step: over the whole pool as in the paper, over the candidates not yet "
    "chosen, or frozen after the first pick, so that it fades as the class is covered.",
    choices=("pool", "remaining", "frozen"),
)


class Weights(NamedTuple):
    """Weights of reliability, entropy (subtracted) and diversity."""

    alpha: float
    beta: float
    gamma: float


def _weight(label: str, what: str) -> Any:
    help = f"Weight of {what}; from the budget when empty."
    return setting(None, help, low=0.0, high=TYPED, slider=SLIDER, label=label)


class Weighted(Parameters):
    """A table that holds weights; what is None comes from the preset of the budget."""

    alpha: float | None = _weight("alpha", "reliability")
    beta: float | None = _weight("beta", "entropy, subtracted")
    gamma: float | None = _weight("gamma", "diversity")
    weights: str = setting(
        "paper", "Which weights the budget gives: the paper's, or those that did best on held-out real images.",
        choices=("paper", "held-out"), control=False,
    )  # fmt: skip

    def at(self, ipc: int) -> Weights:
        """The weights at a budget of `ipc` images per class."""
        from psr_studio.method.selection import ipc_preset

        given = (self.alpha, self.beta, self.gamma)
        preset = ipc_preset(ipc, self.weights)
        return Weights(*(p if value is None else value for value, p in zip(given, preset, strict=True)))

    def read(self) -> dict[str, Any]:
        """As there, but for where weights come from: they are said themselves."""
        return {name: value for name, value in super().read().items() if name != "weights"}

    def resolved(self, ipc: int) -> Self:
        """The same with weights that are left to a budget of `ipc` images per class filled in."""
        return self.model_copy(update=self.at(ipc)._asdict())

    def left_to_preset(self, ipc: int) -> Self:
        """The same, with weights that are just those of the preset left to it."""
        nothing = dict.fromkeys(WEIGHTS)
        preset = self.model_copy(update=nothing)
        same = zip(self.at(ipc), preset.at(ipc), strict=True)
        return preset if all(math.isclose(mine, theirs, abs_tol=1e-9) for mine, theirs in same) else self
