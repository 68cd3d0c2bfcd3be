"""What a selector is: a rule over the candidates of one class or of all, its parameters, and its sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psr_studio.method.result import Selection
from psr_studio.method.selectors.parameters import Parameters

if TYPE_CHECKING:
    import numpy as np

    from psr_studio.method.difficulty import Smoothed
    from psr_studio.method.distances import ClassDistances


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
        smoothing: gives `smoothed` of a lam, a share of uncertainty and `ranks_of`, where it is kept; None computes
            it, and with a share from the entropies here, without original images.
        real_centroid: gives the (D,) mean direction of the teacher's features of real training images of the class
            (`subgroups.centroid`), None where none are known; called only by selectors that read it.
    """

    reliability: np.ndarray
    entropy: np.ndarray
    difficulty: np.ndarray
    embeddings: np.ndarray
    eligible: np.ndarray
    distances: Callable[[], np.ndarray]
    original_difficulty: np.ndarray | None = None
    smoothing: Callable[[float, float, int], Smoothed] | None = None
    real_centroid: Callable[[], np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.eligible)

    def smoothed(self, lam: float, share: float = 0.0, ranks_of: int = 0) -> Smoothed:
        """Difficulties, joined with a share of uncertainty, after the smoothing of DGS (`difficulty.smoothed`)."""
        from psr_studio.method.difficulty import smoothed
        from psr_studio.method.signals import joined

        if self.smoothing:
            return self.smoothing(lam, share, ranks_of)
        values = joined(self.difficulty, self.entropy, share)
        return smoothed(values, None if share else self.original_difficulty, lam, ranks_of)

    def alone(self) -> Pool:
        """A pool that has this class only."""
        import numpy as np

        from psr_studio.method.selection import alone

        starts = np.array([0, len(self)])
        signals = self.reliability, self.entropy, self.eligible, starts
        return Pool(*signals, lambda: alone(self.distances()), lambda _: self)


@dataclass(frozen=True, eq=False)
class Pool:
    """N candidates of C classes, grouped by class: class c holds `starts[c]` to `starts[c + 1]`.

    Attributes:
        reliability, entropy: (N,). eligible: (N,) bool. starts: (C + 1,) int64.
        distances: gives the distances inside every class.
        of_class: gives one class.
    """

    reliability: np.ndarray
    entropy: np.ndarray
    eligible: np.ndarray
    starts: np.ndarray
    distances: Callable[[], ClassDistances]
    of_class: Callable[[int], ClassPool]


@dataclass(frozen=True, eq=False)
class Ask:
    """What is asked of one class: K, the seed, and the marks, as positions in it or bool masks."""

    ipc: int
    seed: int = 0
    pinned: Any = ()
    vetoed: Any = ()


@dataclass(frozen=True, eq=False)
class AskAll:
    """What is asked of all classes: budgets (C,), 0 for none; the seed of a class; marks as positions in the pool."""

    budgets: np.ndarray
    seed: Callable[[int], int]
    pinned: Any = ()
    vetoed: Any = ()


@dataclass(frozen=True, eq=False)
class Chosen:
    """One candidate of a class after a selection, as a sentence about it reads it; positions count in the class.

    Attributes:
        pool, params: what was chosen from, and how; weights are resolved.
        picks: (k,) in pick order, with their scores (k,) and weighted terms (k, 3).
        at: the candidate. rank: its place among the picks from 0, -1 when it is none. filled: as in `Selection`.
    """

    pool: ClassPool
    params: Any
    picks: np.ndarray
    scores: np.ndarray
    terms: np.ndarray
    at: int
    rank: int = -1
    filled: bool = False

    def distance(self, others: np.ndarray) -> float:
        """Distance to the nearest of some candidates."""
        return float(self.pool.distances()[self.at, others].min()) ** 0.5

    def ranked(self, word: str, values: np.ndarray) -> str:
        """The place of a pick by a value, in words."""
        return f"number {self.rank + 1} by {word} ({values[self.at]:.3f})"

    def beside(self, word: str, values: np.ndarray) -> str:
        """A value of the candidate beside that of the last pick, in words."""
        last = f"; the last pick has {values[self.picks[-1]]:.3f}" if len(self.picks) else ""
        return f"its {word} is {values[self.at]:.3f}{last}"

    def covered(self) -> str:
        """The coverage radius in words: how far the worst served candidate is from its nearest pick."""
        if not len(self.picks):
            return "its class has no pick"
        radius = float(self.pool.distances()[:, self.picks].min(axis=1).max()) ** 0.5
        away = self.distance(self.picks)
        return f"a pick lies {away:.2f} away; no candidate of the class is farther from one than {radius:.2f}"


@dataclass(frozen=True, eq=False)
class Selector:
    """A rule that chooses K candidates of a class; a file of this folder holds one as `SELECTOR`.

    Attributes:
        name: as in the recipe. title: as on the screen. help: the rule in a sentence.
        source: the equation or paper it comes from. order: place in the list.
        taken, left: why a pick was taken, or a candidate left, in words that end a sentence.
        one_class, all_classes: the rule, over one class or over all in one call; exactly one is given.
        parameters: the table of the recipe that it reads.
        draws: its picks depend on the seed. on_real: makes sense on real training images too.
        eligible_first: the others only fill up. reads_difficulty: so the rule depends on what it is softened over.
        shortage: what there is too little of, and what fills up, in words. short: why a class gets fewer, in words.
        without_original: problem and fix where the difficulties of real images are read and not known.
    """

    name: str
    order: int
    title: str
    help: str
    source: str
    taken: Callable[[Chosen], str]
    left: Callable[[Chosen], str]
    one_class: Callable[[ClassPool, Any, Ask], Selection] | None = None
    all_classes: Callable[[Pool, Any, AskAll], list[Selection]] | None = None
    parameters: type[Parameters] = Parameters
    draws: bool = False
    on_real: bool = True
    eligible_first: bool = False
    reads_difficulty: bool = False
    shortage: tuple[str, str] = ("Too few eligible candidates", "with the most reliable others")
    short: str = "too few eligible candidates"
    without_original: tuple[str, str] = (
        "The selector reads the difficulties of the real images, but this bundle has none.",
        "Choose another selector.",
    )

    @property
    def needs_original(self) -> bool:
        """Reads `ClassPool.original_difficulty` with its default parameters."""
        return self.parameters().needs_original

    def choose(
        self,
        pool: ClassPool,
        ipc: int,
        params: Parameters | Mapping[str, Any] | None = None,
        seed: int = 0,
        pinned: Any = (),
        vetoed: Any = (),
    ) -> Selection:
        """Choose K candidates of one class; positions count inside the class.

        Pins come first, in their order, and count against K; vetoed candidates are never chosen. The same
        arguments give the same picks; `seed` matters to rules that draw.

        Args:
            params: the table of the selector, or values by name; the default is taken for one that is absent.

        Raises:
            ValueError: an unknown parameter or a value outside its range; marks or a budget that do not fit.
        """
        given = self.parameters.model_validate(params or {}).resolved(ipc)
        if self.one_class:
            return self.one_class(pool, given, Ask(ipc, seed, pinned, vetoed))
        import numpy as np

        return self.choose_all(pool.alone(), given, AskAll(np.array([ipc]), lambda _: seed, pinned, vetoed))[
            0
        ]

    def choose_all(self, pool: Pool, params: Any, ask: AskAll) -> list[Selection]:
        """Choose the budget of every class; positions count over the pool.

        Args:
            params: the table of the selector, resolved.

        Raises:
            ValueError: marks or a budget that do not fit.
        """
        if self.all_classes:
            return self.all_classes(pool, params, ask)
        assert self.one_class, "a selector has one of the two rules"
        from psr_studio.method.picks import nothing

        found = []
        for c, (start, stop) in enumerate(zip(pool.starts[:-1], pool.starts[1:], strict=True)):
            if not (budget := int(ask.budgets[c])):
                found.append(nothing())
                continue
            pins, vetoes = (p[(p >= start) & (p < stop)] - start for p in (ask.pinned, ask.vetoed))
            picked = self.one_class(pool.of_class(c), params, Ask(budget, ask.seed(c), pins, vetoes))
            found.append(replace(picked, indices=picked.indices + start))
        return found
