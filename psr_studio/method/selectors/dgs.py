"""DGS: every bin of difficulty gives the share that a target asks for (DGS Algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import AskAll, Chosen, Pool, Selection, Selector
from psr_studio.method.selectors.weights import SCALING, WEIGHTS, Weighted

if TYPE_CHECKING:
    import numpy as np

    from psr_studio.method.difficulty import Plan

SHAPES = ("hill", "ground", "slope", "cliff")
DRAWN = "drawn"  # the target that is no rule


class Bins(Parameters):
    """How many of each bin, and which."""

    variant: str = setting(
        "paper", "Smoothing and substitutes as the paper prints them, or as its authors' code runs them.",
        choices=("paper", "code"),
    )  # fmt: skip
    target: str = setting(
        "scale", "Wanted shares of easy and hard images: those of the real images, a named shape, or drawn.",
        choices=("scale", *SHAPES, DRAWN),
    )  # fmt: skip
    # Shares per bin from easy to hard; a page starts its drawing from an even one.
    drawn: tuple[float, ...] = setting(
        (1.0,) * 10, 'Ten bars from easy to hard, read by the target "drawn".', "", 0.0, 1e6, length=10,
        filled=True,
    )  # fmt: skip
    within_bin: str = setting(
        "random", "How a bin picks: at random as in the paper, or by the PSR score.",
        choices=("random", "psr"),
    )  # fmt: skip
    lam: float = setting(
        0.5, "How near the smoothing stays to the original distribution.", "", 0.0, 1.0,
        label="Keep to the original"
    )  # fmt: skip
    uncertainty: float = setting(
        0.0, "Share of the teacher's entropy in what the bins are over, beside difficulty; 0 is difficulty alone.",
        "", 0.0, 1.0, label="Share of uncertainty",
    )  # fmt: skip


class DGS(Weighted, Bins):
    """The bins, and the greedy step inside them."""

    read_when: ClassVar[Mapping[str, tuple[str, Any]]] = {
        "drawn": ("target", DRAWN),
        **dict.fromkeys((*WEIGHTS, "scaling"), ("within_bin", "psr")),
    }
    searched: ClassVar[Mapping[str, tuple]] = {"target": ("scale", *SHAPES), "within_bin": ("random", "psr")}
    scaling: str = SCALING

    def ranks_of(self, ipc: int) -> int:
        """What `Smoothed` is made with: the budget where thresholds are rank counts, 0 where they are shares."""
        return ipc if self.variant == "code" else 0

    @property
    def needs_original(self) -> bool:
        """Only the target "scale" aims at the real images."""
        return self.target == "scale"


def _choose(pool: Pool, params: DGS, ask: AskAll) -> list[Selection]:
    """Vetoes that leave a class fewer than K shrink its plan, and what is missing counts as shortfall."""
    import numpy as np

    from psr_studio.method.difficulty import by_chance, by_score, plan_bins, serve
    from psr_studio.method.picks import check_marks

    pins, vetoed = check_marks(len(pool.eligible), ask.pinned, ask.vetoed)
    plans: list[Plan] = []
    for c, (start, stop) in enumerate(zip(pool.starts[:-1], pool.starts[1:], strict=True)):
        budget, marks = int(ask.budgets[c]), vetoed[start:stop]
        found = pool.of_class(c).smoothed(params.lam, params.uncertainty, params.ranks_of(budget))
        left = min(budget, len(marks) - int(np.count_nonzero(marks)))
        inside = pins[(pins >= start) & (pins < stop)] - start
        counts = found.counts(left, params.target, params.drawn)
        lots = by_chance(len(marks), ask.seed(c)) if params.variant == "code" else None
        plans.append(plan_bins(found.pool, counts, inside, marks, lots))
    scores = _greedy(pool, params, plans, pins, vetoed) if params.within_bin == "psr" else None
    picked: list[Selection] = []
    for c, (plan, start) in enumerate(zip(plans, pool.starts, strict=False)):
        values = None if scores is None else scores[start : start + len(plan.bins)]
        queue = by_chance(len(plan.bins), ask.seed(c)) if values is None else by_score(values)
        one = serve(plan, queue, values)
        short = one.shortfall + int(ask.budgets[c]) - len(one.indices)
        picked.append(replace(one, indices=one.indices + start, shortfall=short))
    return picked


def _greedy(
    pool: Pool, params: DGS, plans: Sequence[Plan], pins: np.ndarray, vetoed: np.ndarray
) -> np.ndarray:
    """(N,) scores that fall from 1 along the greedy order (PSR eq. 8) of each class, where a full bin is closed."""
    import numpy as np

    from psr_studio.method.selection import greedy_select_all

    quotas = np.array([plan.taken for plan in plans])
    budgets = quotas.sum(axis=1) + [len(plan.pins) for plan in plans]
    picked = greedy_select_all(
        pool.reliability, pool.entropy, pool.distances(), np.maximum(budgets, 1), params.alpha, params.beta,
        params.gamma, pool.eligible, pins, vetoed, scaling=params.scaling,
        groups=np.concatenate([plan.bins for plan in plans]), quotas=quotas,
    )  # fmt: skip
    sizes, counts = np.diff(pool.starts), np.diff(picked.starts)
    places = np.arange(len(picked.indices)) - np.repeat(picked.starts[:-1], counts)
    scores = np.zeros(len(pool.eligible))
    scores[picked.indices] = 1 - places / np.repeat(sizes, counts)
    return scores


def _taken(chosen: Chosen) -> str:
    rule = "drawn" if chosen.params.within_bin == "random" else "the first by the PSR order"
    if chosen.filled:
        short = "another bin" if chosen.params.variant == "code" else "a bin nearby"
        return f"a substitute {rule} from {_bin(chosen)}, since {short} ran short"
    return f'{rule} from {_bin(chosen)}, which the target "{chosen.params.target}" asks for'


def _left(chosen: Chosen) -> str:
    bins = _bins(chosen)
    n = int((bins[chosen.picks] == bins[chosen.at]).sum())
    return f"{_bin(chosen)} gave its {n} image{'s' if n != 1 else ''}, and this was not among them"


def _bins(chosen: Chosen) -> np.ndarray:
    from psr_studio.method.bins import bin_of

    params = chosen.params
    return bin_of(
        chosen.pool.smoothed(params.lam, params.uncertainty, params.ranks_of(len(chosen.picks))).pool
    )


def _bin(chosen: Chosen) -> str:
    """The bin of smoothed difficulty in words: "the bin 0.2 to 0.3"."""
    k = int(_bins(chosen)[chosen.at])
    return f"the bin of difficulty {k / 10:.1f} to {(k + 1) / 10:.1f}"


SELECTOR = Selector(
    "dgs", 20, "Difficulty-guided",
    "Gives every difficulty bin the share that the target asks for.",
    source="DGS Algorithm 1", taken=_taken, left=_left, all_classes=_choose, parameters=DGS,
    draws=True, reads_difficulty=True, shortage=("Too few candidates in some bins", "from other bins"),
    short="too few candidates are left",
    without_original=(
        'The target "scale" aims at the difficulties of the real images, but this bundle has none.',
        'Choose another target, such as "ground".',
    ),
)  # fmt: skip
