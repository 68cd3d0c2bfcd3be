"""What a guidance is: targets made of the real images of a class, and how candidates are brought to them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from psr_studio.method.selectors.parameters import Table, setting

if TYPE_CHECKING:
    import numpy as np
    import torch

    from psr_studio.method.guidance import Pull

NO_INTERVAL = -1  # of a target that belongs to no interval of difficulty


class Misfit(NamedTuple):
    """A setting that is to blame: its name, and two sentences on it, "{key}" for its key."""

    setting: str
    problem: str
    fix: str


COUNT = "Steps count down: of 50 the first is 49, the last 0."  # in the help of settings that name a step


class Steering(Table):
    """What a guidance reads."""

    @property
    def joins_candidates(self) -> bool:
        """Whether candidates of a part depend on each other."""
        return False

    @property
    def joins_uncertainty(self) -> bool:
        """Whether `Real.uncertainty` is read."""
        return False

    def read(self, steps: int) -> dict[str, Any]:
        """The settings that count, by name; one that came later is left out where it changes nothing."""
        return self.model_dump()

    def skipped(self, steps: int) -> int:
        """First steps of so many that are not taken: candidates begin at their targets, with the noise left then."""
        return 0

    def gradients(self, steps: int) -> int:
        """In how many of so many steps gradients are taken of each candidate, which cost more than the step."""
        return 0

    @abstractmethod
    def told(self, steps: int) -> str:
        """What is done in so many steps, in words."""

    def misfit(self, steps: int) -> Misfit | None:
        """What does not go with so many steps, None where all does."""
        return None

    @abstractmethod
    def idle(self, steps: int) -> Misfit | None:
        """Why nothing is steered in so many steps, which is allowed; None where something is."""


class Pulling(Steering):
    """What a guidance that pulls each of the first steps reads."""

    strength: float = setting(
        0.1, "How hard each step is steered (lambda); 0 steers nothing.", "", 0.0, 10.0, label="Guidance strength"
    )  # fmt: skip
    stop: int | None = setting(
        None, f"Steps with a number above this one are steered. {COUNT} Half of the steps when left out.", "steps",
        0, 1000, label="Guidance stop"
    )  # fmt: skip

    def until(self, steps: int) -> int:
        """The stop."""
        return steps // 2 if self.stop is None else self.stop

    def read(self, steps: int) -> dict[str, Any]:
        """All, the stop as a number."""
        return {**super().read(steps), "stop": self.until(steps)}

    def pulled(self, steps: int) -> range:
        """The indices of the steps that are pulled, of so many, in their order."""
        return range(steps - 1 if self.strength else 0, self.until(steps), -1)

    def told(self, steps: int) -> str:
        """Which of the steps are pulled."""
        pulled = self.pulled(steps)
        first = "the first " if pulled and pulled[0] == steps - 1 else ""
        which = f" ({pulled[0]} to {pulled[-1]})" if len(pulled) > 1 else ""
        return f"steered in {first}{len(pulled) or 'none'} of {steps} steps{which}"

    def idle(self, steps: int) -> Misfit | None:
        """No strength, or a stop not below the first step."""
        if self.pulled(steps):
            return None
        if not self.strength:
            return Misfit(
                "strength", '"{key}" is 0, which steers nothing.', 'Raise "{key}" to steer the pool.'
            )
        return Misfit(
            "stop",
            f'"{{key}}" is {self.until(steps)}, which steers nothing: steps count down, of {steps} from {steps - 1}.',
            f'Lower "{{key}}" to {steps - 2} or less.' if steps > 1 else 'Raise "pool.steps".',
        )

    def misfit(self, steps: int) -> Misfit | None:
        """A stop above the steps."""
        if self.stop is None or self.stop <= steps:
            return None
        return Misfit(
            "stop",
            f'"{{key}}" is {self.stop}, more than "pool.steps", which is {steps}.',
            f'Lower "{{key}}" to {steps // 2}, half of the steps, or raise "pool.steps".',
        )


@dataclass(frozen=True, eq=False)
class Real:
    """The m real images of one class as a guidance reads them.

    Attributes:
        latents: (m, c, h, w) float32, the codec's posterior means at the scale of latents at rest.
        difficulty: (m,) raw difficulties, in [0, 1]; None for a guidance that reads none.
        original: (p,) raw difficulties of all original images of the class that are known, or None.
        uncertainty: (m,) normalised entropies of the images, in [0, 1]; None where none are read.
    """

    latents: torch.Tensor
    difficulty: np.ndarray | None = None
    original: np.ndarray | None = None
    uncertainty: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Targets:
    """Where the candidates of one class are steered: candidate i to target i, after the last one from the first again.

    Attributes:
        latents: (k, c, h, w). intervals: (k,) int64, the interval of difficulty of each, or NO_INTERVAL.
        shares, asked: (10,) of the real images in each interval, and targets that it should have; () where there are
            no intervals.
        moved: (interval without enough images, interval that gave, how many).
        ends: the difficulties that smoothing puts at 0 and at 1, where the intervals are of smoothed ones.
    """

    latents: torch.Tensor
    intervals: np.ndarray
    shares: tuple[float, ...] = ()
    asked: tuple[int, ...] = ()
    moved: tuple[tuple[int, int, int], ...] = ()
    ends: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Guidance:
    """A way to steer a pool; a file of this folder holds one as `GUIDANCE`.

    Attributes:
        name: as in the recipe. title: as on the screen. help: in a sentence. source: where it comes from.
        parameters: its table of the recipe.
        place: the targets of one class from its `Real` images, how many (at most as many as images), the parameters,
            and what is called `between` rounds; None where the gradients that its real images give a surrogate stand
            in their place.
        rule: what is done in each of so many steps; without targets it takes the `gap` of gradients and the `groups` of
            rows too.
        count: the setting that says how many targets a class has; "" where it has one for all its candidates.
        reads_difficulty: `Real.difficulty` is read.
    """

    name: str
    order: int
    title: str
    help: str
    source: str
    parameters: type[Steering]
    place: Callable[..., Targets] | None
    rule: Callable[[Any, int], Callable[..., Pull]]
    count: str = ""
    reads_difficulty: bool = False


def place_modes(real: Real, n: int, params: Steering, between: Callable[[], None] | None = None) -> Targets:
    """Centres of k-means over raw latents, by Euclidean distance, as the code of MGD3 has it."""
    import numpy as np

    from psr_studio.method.guidance import k_means

    return Targets(k_means(real.latents, n, between=between), np.full(n, NO_INTERVAL, np.int64))
