"""PSR: the greedy selection by reliability, entropy and diversity (PSR eq. 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from psr_studio.method.selectors.parameters import setting
from psr_studio.method.selectors.selector import AskAll, Chosen, Pool, Selection, Selector
from psr_studio.method.selectors.weights import SCALING, SLIDER, WEIGHTS, Weighted

# Eq. 8 compares scores, so only the ratios of the weights count: two shares say all of it, and a search holds the
# sum where the presets for few and for many images per class hold it.
WEIGHTS_SUM = 4.5
DECIMALS = 2  # of a weight, so that a slider shows exactly what was tried
DIVERSITY, ENTROPY = "share of diversity", "share of entropy in the rest"


class PSR(Weighted):
    """The greedy step, weight by weight."""

    searched: ClassVar[Mapping[str, tuple]] = dict.fromkeys(WEIGHTS, (0.0, SLIDER))
    normalize: bool = setting(True, "Scale each term to [0, 1] over the pool of the class.", control=False)
    scaling: str = SCALING
    on_shortage: str = setting(
        "fill",
        "When too few candidates are eligible: fill with the others, or leave the class short.",
        choices=("fill", "short"), label="When a class runs short", control=False
    )  # fmt: skip

    @classmethod
    def space(cls) -> dict[str, tuple]:
        """Two shares, each from 0 to 1."""
        return {DIVERSITY: (0.0, 1.0), ENTROPY: (0.0, 1.0)}

    def coordinates(self, ipc: int) -> dict[str, Any]:
        """The shares of the weights at a budget."""
        alpha, beta, gamma = self.at(ipc)
        total, rest = alpha + beta + gamma, alpha + beta
        return {DIVERSITY: gamma / total if total else 1.0, ENTROPY: beta / rest if rest else 0.0}

    @classmethod
    def values_at(cls, coordinates: Mapping[str, Any]) -> dict[str, Any]:
        """The weights of some shares; none where no share is searched."""
        if DIVERSITY not in coordinates:
            return {}
        gamma = WEIGHTS_SUM * coordinates[DIVERSITY]
        beta = (WEIGHTS_SUM - gamma) * coordinates[ENTROPY]
        weights = (WEIGHTS_SUM - gamma - beta, beta, gamma)
        return dict(zip(WEIGHTS, (round(value, DECIMALS) for value in weights), strict=True))


def _choose(pool: Pool, params: PSR, ask: AskAll) -> list[Selection]:
    from psr_studio.method.selection import greedy_select_all

    depths = [max(int(k), 1) for k in ask.budgets]
    picked = greedy_select_all(
        pool.reliability, pool.entropy, pool.distances(), depths, params.alpha, params.beta, params.gamma,
        pool.eligible, ask.pinned, ask.vetoed, params.normalize, params.on_shortage, scaling=params.scaling,
    )  # fmt: skip
    return [picked.of_class(c).first(int(k)) for c, k in enumerate(ask.budgets)]


def _taken(chosen: Chosen) -> str:
    if chosen.rank == 0:
        return f"the most reliable one of its class ({chosen.pool.reliability[chosen.at]:.3f})"
    rel, ent, div = chosen.terms[chosen.rank]
    score = chosen.scores[chosen.rank]
    total = f"{rel:.2f} by reliability - {abs(ent):.2f} by entropy + {div:.2f} by diversity"
    scaled = "scaled within the class and weighted" if chosen.params.normalize else "weighted"
    return f"its score {score:.2f} was the highest of those left at that point: {total}, each {scaled}"


def _left(chosen: Chosen) -> str:
    """Scored beside the picks as they are now, on the scale of the last step."""
    from psr_studio.method.signals import min_max

    pool, params, at = chosen.pool, chosen.params, chosen.at
    rel, ent = (min_max(values, over=pool.eligible)[at] for values in (pool.reliability, pool.entropy))
    away = pool.distances()[:, chosen.picks].min(axis=1) if len(chosen.picks) else 0 * pool.reliability
    widest = away[pool.eligible].max(initial=0.0)
    score = params.alpha * rel - params.beta * ent + params.gamma * (away[at] / widest if widest > 0 else 0.0)
    last = f"; the last pick had {chosen.scores[-1]:.2f}" if len(chosen.scores) else ""
    return f"its score beside the present picks is {score:.2f}{last}"


SELECTOR = Selector(
    "psr", 10, "PSR greedy",
    "Adds one candidate at a time: sure, confident and far from those already chosen.",
    source="PSR eq. 8", taken=_taken, left=_left, all_classes=_choose, parameters=PSR,
    eligible_first=True,
)  # fmt: skip
