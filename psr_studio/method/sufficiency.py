"""Is the pool of a class large enough for its budget? Ours: the PSR paper leaves the pool size to future work.

The idea: choose again from smaller pools of the same class. Where half of the candidates give nearly as good a
set, the pool is exhausted and twice as many would not help; where the whole pool still gives a better set than
half of it, more would pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from psr_studio.method._arrays import to_float64, to_numpy
from psr_studio.method._picks import check_ipc
from psr_studio.method.allocation import pick_gains
from psr_studio.method.registry import ClassPool
from psr_studio.method.selection import ClassDistances, greedy_select_all, ipc_preset

Verdict = Literal["enough", "more would pay", "too small"]
# A pool is enough when twice as many candidates would raise the gain of the set by at most this share.
TOLERANCE = 0.02
# Smaller pools are drawn this often, and their gains averaged.
N_DRAWS = 12
MOST_DOUBLINGS = 3


@dataclass(frozen=True, eq=False)
class Sufficiency:
    """What more candidates would bring to one class.

    Attributes:
        verdict: "too small" when the right candidates do not outnumber the budget, so that there is nothing
            to choose; "more would pay" when twice as many would raise the gain by more than `TOLERANCE`.
        gain_kept: share of the gain expected of twice as many candidates that this pool reaches, in [0, 1].
        curve: (K,) what each pick from this pool adds, in pick order, as `allocation.pick_gains`; shorter
            where fewer are right.
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

    The gain is averaged over random nested parts of the right candidates, of sizes n * r and n * r^2 with
    r = 1/2, or larger where K would not fit. Each step from one size to the next raises the gain; the steps
    are taken to keep shrinking by the same ratio, as a gain that levels off does, and are summed up to 2n.

    Args:
        pool: the candidates of one class.
        ipc: images per class, K. alpha, beta, gamma: weights; None takes those of `ipc_preset(ipc)`.
        scaling: as in `greedy_select`.

    Raises:
        ValueError: as `greedy_select` about K and the weights.
    """
    right, m = np.flatnonzero(pool.eligible), len(pool.eligible)
    ipc = check_ipc(ipc, m)
    named = zip((alpha, beta, gamma), ipc_preset(ipc), strict=True)
    given = [preset if weight is None else float(weight) for weight, preset in named]
    view = _View(pool, right, (given[0], given[1], given[2]), scaling)
    if len(right) <= ipc:
        share = len(right) / m
        wanted = int(np.ceil(2 * ipc / share)) if share else m << MOST_DOUBLINGS
        suggested = max(m + 1, min(wanted, m << MOST_DOUBLINGS))
        curve = view.curve(view.select([right], len(right))[0]) if len(right) else np.zeros(0)
        return Sufficiency("too small", len(right) / (2 * ipc), curve, suggested)
    ratio = max(0.5, float(np.sqrt(ipc / len(right))))
    rng = np.random.default_rng(0)
    draws = [rng.permutation(right) for _ in range(N_DRAWS)]
    sizes = [max(ipc, round(len(right) * ratio**power)) for power in (1, 2)]
    picks = view.select([right, *(np.sort(draw[:size]) for size in sizes for draw in draws)], ipc)
    gains = [view.gain(chosen) for chosen in picks]
    smaller, smallest = np.reshape(gains[1:], (2, N_DRAWS)).mean(axis=1).tolist()
    return _judge(view.curve(picks[0]), gains[0], smaller, smallest, ratio, m)


def _judge(curve: np.ndarray, whole: float, half: float, quarter: float, ratio: float, m: int) -> Sufficiency:
    """Extrapolate the gains of three pool sizes, each `ratio` times the next, to pools of twice the size."""
    last, before = max(whole - half, 0.0), max(half - quarter, 0.0)
    shrink = min(last / before, 0.95) if before > 0 else 0.0  # a gain that climbs for ever is not believed
    steps = np.log(2) / -np.log(ratio)  # from n to 2n
    doubling = _geometric(last * shrink, shrink, steps)
    scale = max(abs(whole), 1e-300)
    kept = scale / (scale + doubling)
    suggested, brings, reached = m, doubling, scale
    for _ in range(MOST_DOUBLINGS):
        if brings <= TOLERANCE * reached:
            break
        suggested, reached, brings = 2 * suggested, reached + brings, brings * shrink**steps
    verdict: Verdict = "enough" if suggested == m else "more would pay"
    return Sufficiency(verdict, float(kept), curve, suggested)


def _geometric(first: float, ratio: float, n: float) -> float:
    """Return first + first * ratio + ... over n terms; n may be a fraction."""
    return first * (1 - ratio**n) / (1 - ratio)


class _View:
    """One class as seen here: choosing from parts of it, and the gain of what was chosen."""

    def __init__(
        self, pool: ClassPool, right: np.ndarray, weights: tuple[float, float, float], scaling: str
    ) -> None:
        self.weights, self.scaling = weights, scaling
        self.reliability, self.entropy = to_float64(pool.reliability), to_float64(pool.entropy)
        self.block = to_numpy(pool.distances())
        among = self.block[np.ix_(right, right)].sum(dtype=np.float64)
        self.unit = float(among) / max(len(right) * (len(right) - 1), 1)

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
