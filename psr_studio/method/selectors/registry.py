"""Every selector by name: its rule in a sentence, where it comes from, and its parameters with their ranges.

The one face of ten selectors: the recipe, the command line, the page and the tests read this table, so that a
selector added here is offered everywhere. It is light: NumPy, torch and the compiled kernels are imported by
the first choice, not by this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from psr_studio.method.picks import Selection

INF = float("inf")


@dataclass(frozen=True)
class Parameter:
    """One value that a selector reads.

    Attributes:
        name: as in the recipe. default: None where the budget decides.
        help: one sentence, in the words on the screen.
        kind: "float", "int", "choice" of `choices`, or "bars": ten numbers from `low` to `high`.
        low, high: the range, both included; None where there is no bound.
    """

    name: str
    default: Any
    help: str
    kind: Literal["float", "int", "choice", "bars"] = "float"
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> Any:
        """Return the value, or say what is wrong with it.

        Raises:
            ValueError: outside the choices or the range, or not as many bars as there are bins.
        """
        if value is None and self.default is None:
            return None
        if self.kind == "choice":
            if value not in self.choices:
                choices = ", ".join(self.choices)
                raise ValueError(f'"{self.name}" is "{value}", but it must be one of: {choices}.')
            return value
        numbers = list(value) if self.kind == "bars" else [value]
        if self.kind == "bars" and len(numbers) != 10:
            raise ValueError(f'"{self.name}" has {len(numbers)} bars, but there are 10 bins.')
        low, high = -INF if self.low is None else self.low, INF if self.high is None else self.high
        outside = [number for number in numbers if not low <= number <= high]
        if outside:
            raise ValueError(f'"{self.name}" is {outside[0]}, but it must lie between {low:g} and {high:g}.')
        return value


@dataclass(frozen=True, eq=False)
class ClassPool:
    """What a selector may read about the n candidates of one class.

    Attributes:
        reliability, entropy, difficulty: (n,) signals of the candidates; difficulty is raw, in [0, 1].
        embeddings: (n, D) float32 teacher features.
        eligible: (n,) bool, the teacher agrees with the class.
        distances: gives the (n, n) float32 squared distances of `pairwise_sq_distances`; called only by
            selectors that read them, so it may compute and keep them.
        original_difficulty: (m,) raw difficulties of the real training images of the class, None without.
    """

    reliability: np.ndarray
    entropy: np.ndarray
    difficulty: np.ndarray
    embeddings: np.ndarray
    eligible: np.ndarray
    distances: Callable[[], np.ndarray]
    original_difficulty: np.ndarray | None = None


@dataclass(frozen=True)
class Selector:
    """A rule that chooses K candidates of a class.

    Attributes:
        name: as in the recipe. title: as on the screen. help: the rule in a sentence.
        source: the equation or paper it comes from.
        parameters: those with a control. rules: those without one, read when given.
        on_real: makes sense on real training images too, which a control uses.
        needs_original: reads `ClassPool.original_difficulty` with its default parameters.
    """

    name: str
    title: str
    help: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    rules: tuple[Parameter, ...] = ()
    on_real: bool = True
    needs_original: bool = False

    def choose(
        self,
        pool: ClassPool,
        ipc: int,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
        pinned: Any = (),
        vetoed: Any = (),
    ) -> Selection:
        """Choose K candidates of one class; positions count inside the class.

        Pins come first, in their order, and count against K; vetoed candidates are never chosen. The same
        arguments give the same picks; `seed` matters to rules that draw.

        Args:
            params: values by parameter name; the default is taken for one that is absent.

        Raises:
            ValueError: an unknown parameter or a value outside its range; marks or a budget that do not fit.
        """
        from psr_studio.method.selectors.choosers import CHOOSERS

        return CHOOSERS[self.name](pool, ipc, self.resolve(params or {}), seed, pinned, vetoed)

    def resolve(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value for every parameter, those given checked, the others at their default.

        Raises:
            ValueError: a name that this selector does not read, or a value outside its range.
        """
        mine = {parameter.name: parameter for parameter in (*self.parameters, *self.rules)}
        for name in params:
            if name not in mine:
                names = ", ".join(mine) or "none"
                raise ValueError(f'"{self.name}" has no parameter "{name}". Its parameters: {names}.')
        return {name: p.check(params.get(name, p.default)) for name, p in mine.items()}

    def reads(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the settings that this selector reads, to be passed to `choose`."""
        mine = {parameter.name for parameter in (*self.parameters, *self.rules)}
        return {name: value for name, value in settings.items() if name in mine}


WEIGHTS = (
    Parameter("alpha", None, "Weight of reliability; from the budget when empty.", "float", 0.0, 10.0),
    Parameter("beta", None, "Weight of entropy, subtracted; from the budget when empty.", "float", 0.0, 10.0),
    Parameter("gamma", None, "Weight of diversity; from the budget when empty.", "float", 0.0, 10.0),
)
SCALING = Parameter(
    "scaling",
    "pool",
    "How diversity is scaled at each step: over the whole pool as in the paper, over the candidates not yet "
    "chosen, or frozen after the first pick, so that it fades as the class is covered.",
    "choice",
    choices=("pool", "remaining", "frozen"),
)
NORMALIZE = Parameter("normalize", True, "Min-max normalise the terms over the class.", "int", low=0, high=1)
ON_SHORTAGE = Parameter(
    "on_shortage",
    "fill",
    "When too few candidates are eligible: fill with the others, or leave the class short.",
    "choice",
    choices=("fill", "short"),
)
# Shares per bin from easy to hard; a page starts its drawing from an even one.
DRAWN = Parameter(
    "drawn", (1.0,) * 10, 'Ten bars from easy to hard, read by the target "drawn".', "bars", 0.0, None
)

_ALL = (
    Selector(
        "psr",
        "PSR greedy",
        "Adds one candidate at a time: sure, confident and far from those already chosen.",
        "PSR eq. 8",
        (*WEIGHTS, SCALING),
        (NORMALIZE, ON_SHORTAGE),
    ),
    Selector(
        "dgs",
        "Difficulty-guided",
        "Gives every difficulty bin the share that the target asks for.",
        "DGS Algorithm 1",
        (
            Parameter(
                "target",
                "scale",
                "Wanted shares of easy and hard images: those of the real images, a named shape, or drawn.",
                "choice",
                choices=("scale", "hill", "ground", "slope", "cliff", "drawn"),
            ),
            DRAWN,
            Parameter(
                "within_bin",
                "random",
                "How a bin picks: at random as in the paper, or by the PSR score.",
                "choice",
                choices=("random", "psr"),
            ),
            Parameter(
                "lam", 0.5, "How near the smoothing stays to the original distribution.", "float", 0.0, 1.0
            ),
            *WEIGHTS,
            SCALING,
        ),
        needs_original=True,
    ),
    Selector("random", "Random", "Draws without replacement.", "the usual baseline"),
    Selector(
        "generate-and-use",
        "Generate and use",
        "Takes the first of the pool, as a pipeline without curation does.",
        "PSR section 1",
        on_real=False,
    ),
    Selector("top-confidence", "Top confidence", "Takes the most reliable.", "PSR eq. 1 alone"),
    Selector("lowest-entropy", "Lowest entropy", "Takes those the teacher is most sure of.", "PSR eq. 6 alone"),
    Selector(
        "k-center",
        "k-center",
        "Adds the candidate farthest from all chosen ones, so that every candidate is near a chosen one.",
        "core-set, Sener & Savarese 2018",
    ),
    Selector(
        "k-medoids",
        "k-medoids",
        "Looks for the candidates with the least summed squared distance of all others to the nearest.",
        "PSR eq. 2",
    ),
    Selector(
        "herding",
        "Herding",
        "Keeps the mean of the chosen nearest to the mean of the class.",
        "Welling 2009, Rebuffi et al. 2017",
    ),
    Selector(
        "cao2",
        "CaO2",
        "Keeps candidates that the teacher classifies rightly, by its confidence.",
        "CaO2, Wang et al. 2025",
        (
            Parameter(
                "order",
                "by budget",
                "Surest first, as for small budgets, or least sure first, as suggested for 50 per class; "
                "by budget changes over at 50.",
                "choice",
                choices=("by budget", "surest", "least sure"),
            ),
        ),
    ),
)  # fmt: skip
SELECTORS: dict[str, Selector] = {selector.name: selector for selector in _ALL}


def warm_up() -> None:
    """Compile what every selector needs, or load it from the cache, so that the first choice is fast too."""
    import numpy as np

    from psr_studio.method.distances import pairwise_sq_distances

    signal, points = np.full(4, 0.5), np.eye(4, dtype=np.float32)
    distances = pairwise_sq_distances(points)
    pool = ClassPool(signal, signal, signal, points, signal > 0, lambda: distances, signal)
    for selector in SELECTORS.values():
        selector.choose(pool, 2)
