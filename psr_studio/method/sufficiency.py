"""Is the pool of a class large enough for its budget? Ours: the PSR paper leaves the pool size to future work.

The idea: choose again from smaller pools of the same class. Where half of the candidates give nearly as good a
set, the pool is exhausted and twice as many would not help; where the whole pool still gives a better set than
half of it, more would pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from psr_studio.method.allocation import pick_gains
from psr_studio.method.arrays import to_float64
from psr_studio.method.distances import ClassDistances
from psr_studio.method.picks import check_ipc
from psr_studio.method.selection import greedy_select_all, ipc_preset
from psr_studio.method.selectors.selector import ClassPool

Verdict = Literal["enough", "more would pay", "too small"]
# A pool is enough when twice as many candidates would raise the gain of the set by at most this share.
TOLERANCE = 0.02
# Smaller pools are drawn this often, and their gains averaged.
N_DRAWS = 12
# Larger pools are judged from this many candidates, or from four times the budget if that is more.
N_JUDGED = 2048
MOST_DOUBLINGS = 3


@dataclass(frozen=True, eq=False)
class Sufficiency:
    """What more candidates would bring to one class.

    Attributes:
        verdict: "too small" when the eligible candidates do not outnumber the budget, so that there is nothing
            to choose; "more would pay" when twice as many would raise the gain by more than `TOLERANCE`.
        gain_kept: share of the gain expected of twice as many candidates that this pool reaches, in [0, 1].
        curve: (K,) what each pick from this pool adds, in pick order, as `allocation.pick_gains`; shorter
            where fewer are eligible.
        suggested: candidates of the class (M) from which on doubling is expected to bring at most
            `TOLERANCE`, up to eight times as many; the present number where they are enough.
    """

    verdict: Verdict
    gain_kept: float
    curve: np.ndarray
    suggested: int


def sufficiency(
    pool: ClassPool,
    ipc: int,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    scaling: str = "pool",
) -> Sufficiency:
    """Judge the pool of a class by the gain that the greedy selection reaches from parts of it.

    The gain of a set is the sum of alpha * rel - beta * ent + gamma * d over its picks: raw terms, and d the
    plain distance to the nearest other pick in units of the root mean squared distance inside the class. So
    sets from different pools compare, and one far outlier does not decide, as it does with squares.

    The gain is averaged over random nested parts of the eligible candidates, of sizes n * r and n * r^2 with
    r = 1/2, or larger where K would not fit. Each step from one size to the next raises the gain; the steps
    are taken to keep shrinking by the same ratio, as a gain that levels off does, and are summed up to 2n.
    Of a very large pool a random part stands for the whole, and the steps are summed from its size on.

    Args:
        pool: the candidates of one class.
        ipc: images per class, K. alpha, beta, gamma: weights; None takes those of `ipc_preset(ipc)`.
        scaling: as in `greedy_select`.

    Raises:
        ValueError: as `greedy_select` about K and the weights.
    """
    eligible, m = np.flatnonzero(pool.eligible), len(pool.eligible)
    ipc = check_ipc(ipc, m)
    named = zip((alpha, beta, gamma), ipc_preset(ipc), strict=True)
    given = [preset if weight is None else float(weight) for weight, preset in named]
    weights, n = (given[0], given[1], given[2]), len(eligible)
    rng = np.random.default_rng(0)
    if n > max(N_JUDGED, 4 * ipc):
        eligible = np.sort(rng.permutation(eligible)[: max(N_JUDGED, 4 * ipc)])
    view = GreedyView(pool, eligible, weights, scaling)
    if n <= ipc:
        return _too_small(view, n, m, ipc)
    ratio = max(0.5, float(np.sqrt(ipc / view.n)))
    draws = [rng.permutation(view.n) for _ in range(N_DRAWS)]
    sizes = [max(ipc, round(view.n * ratio**power)) for power in (1, 2)]
    parts = [np.arange(view.n), *(np.sort(draw[:size]) for size in sizes for draw in draws)]
    picks = view.select(parts, ipc)
    gains = [view.gain(part) for part in picks]
    smaller, smallest = np.reshape(gains[1:], (2, N_DRAWS)).mean(axis=1).tolist()
    doubling = np.log(2) / -np.log(ratio)  # steps from n to 2n
    ahead = np.log(n / view.n) / -np.log(ratio)  # steps from the part that was judged to n
    reached = _forecast(gains[0], smaller, smallest, ahead + doubling * np.arange(MOST_DOUBLINGS + 2))
    return _judge(view.curve(picks[0]), reached, m)


def _too_small(view: GreedyView, n: int, m: int, ipc: int) -> Sufficiency:
    """The verdict when n eligible candidates of m do not outnumber K: two eligible ones for each slot are wanted."""
    wanted = -(-2 * ipc * m // n) if n else m << MOST_DOUBLINGS
    curve = view.curve(view.select([np.arange(n)], n)[0]) if n else np.zeros(0)
    return Sufficiency("too small", n / (2 * ipc), curve, max(m + 1, min(wanted, m << MOST_DOUBLINGS)))


def _forecast(whole: float, smaller: float, smallest: float, steps: np.ndarray) -> np.ndarray:
    """Return the gain after so many more steps, each shrinking as the last two did."""
    last, before = max(whole - smaller, 0.0), max(smaller - smallest, 0.0)
    shrink = min(last / before, 0.95) if before > 0 else 0.0  # a gain that climbs for ever is not believed
    return whole + last * shrink * (1 - shrink**steps) / (1 - shrink)


def _judge(curve: np.ndarray, reached: np.ndarray, m: int) -> Sufficiency:
    """Return the verdict from the gains reached by this pool and by two, four, ... times as many candidates."""
    rises = np.diff(reached) / np.maximum(np.abs(reached[:-1]), 1e-300)
    enough = np.flatnonzero(rises <= TOLERANCE)
    doublings = int(enough[0]) if len(enough) else MOST_DOUBLINGS
    verdict: Verdict = "more would pay" if doublings else "enough"
    return Sufficiency(verdict, float(1 / (1 + rises[0])), curve, m << min(doublings, MOST_DOUBLINGS))


class GreedyView:
    """Some candidates of a class, counted from 0: choosing from parts of them, and the gain of a choice."""

    def __init__(
        self, pool: ClassPool, members: np.ndarray, weights: tuple[float, float, float], scaling: str
    ) -> None:
        self.n, self.weights, self.scaling = len(members), weights, scaling
        self.reliability = to_float64(pool.reliability)[members]
        self.entropy = to_float64(pool.entropy)[members]
        self.block = pool.distances()[np.ix_(members, members)]
        self.unit = float(self.block.sum(dtype=np.float64)) / max(self.n * (self.n - 1), 1)

    def select(self, parts: list[np.ndarray], ipc: int) -> list[np.ndarray]:
        """Return the greedy picks from each part, all parts in one call."""
        rows, sizes = np.concatenate(parts), np.array([len(part) for part in parts])
        starts, flat_starts = (np.concatenate([[0], np.cumsum(counts)]) for counts in (sizes, sizes**2))
        flat = np.concatenate([self.block[np.ix_(part, part)].ravel() for part in parts])
        cache = ClassDistances(np.arange(len(rows)), starts, flat.astype(np.float32, copy=False), flat_starts)
        found = greedy_select_all(
            self.reliability[rows], self.entropy[rows], cache, ipc, *self.weights, scaling=self.scaling
        )
        return [rows[found.of_class(i).indices] for i in range(len(parts))]

    def gain(self, picks: np.ndarray) -> float:
        """Return the gain of a set: see `sufficiency`."""
        alpha, beta, gamma = self.weights
        quality = float((alpha * self.reliability[picks] - beta * self.entropy[picks]).sum())
        if len(picks) < 2 or not self.unit > 0:
            return quality
        among = self.block[np.ix_(picks, picks)].astype(np.float64)
        np.fill_diagonal(among, np.inf)
        return quality + gamma * float(np.sqrt(among.min(axis=1) / self.unit).sum())

    def curve(self, picks: np.ndarray) -> np.ndarray:
        """Return what each pick adds (K,), in pick order."""
        rel, ent = self.reliability[picks], self.entropy[picks]
        return pick_gains(rel, ent, self.block, picks, self.weights, self.unit)
