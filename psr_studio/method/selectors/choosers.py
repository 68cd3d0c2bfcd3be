"""How each selector of the registry is called: the candidates of one class in, a `Selection` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from psr_studio.method import baselines, coresets
from psr_studio.method.difficulty import difficulty_select, sampling_plan
from psr_studio.method.picks import Selection, check_marks
from psr_studio.method.selection import greedy_select, ipc_preset
from psr_studio.method.selectors.registry import ClassPool

Chooser = Callable[[ClassPool, int, Mapping[str, Any], int, Any, Any], Selection]


def _psr(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return greedy_select(
        pool.reliability, pool.entropy, None, ipc, eligible=pool.eligible, pinned=pinned, vetoed=vetoed,
        distances=pool.distances(), **params,
    )  # fmt: skip


def _dgs(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    """DGS; vetoes that leave fewer than K shrink the plan, and what is missing counts as shortfall."""
    _, is_vetoed = check_marks(len(pool.reliability), pinned, vetoed)
    left = min(ipc, len(is_vetoed) - int(is_vetoed.sum()))
    smoothed, counts = sampling_plan(
        pool.difficulty, pool.original_difficulty, left, params["target"], params["lam"], params["drawn"]
    )
    by_psr = partial(_greedy_within_bins, pool, ipc, params, pinned, vetoed)
    scores = by_psr if params["within_bin"] == "psr" else None
    found = difficulty_select(
        smoothed, counts, seed, pinned, vetoed, within_bin=params["within_bin"], scores=scores
    )
    return replace(found, shortfall=found.shortfall + ipc - left)


def _greedy_within_bins(
    pool: ClassPool,
    ipc: int,
    params: Mapping[str, Any],
    pinned: Any,
    vetoed: Any,
    bins: np.ndarray,
    quotas: np.ndarray,
) -> np.ndarray:
    """Return (n,) scores that fall from 1 along the greedy order (PSR eq. 8), where a full bin is closed.

    Weights left to the budget are those of K.
    """
    named = zip(("alpha", "beta", "gamma"), ipc_preset(ipc), strict=True)
    alpha, beta, gamma = (preset if params[name] is None else params[name] for name, preset in named)
    pins, _ = check_marks(len(bins), pinned, vetoed)
    picks = greedy_select(
        pool.reliability, pool.entropy, None, len(pins) + int(quotas.sum()), alpha, beta, gamma,
        pool.eligible, pins, vetoed, distances=pool.distances(), scaling=params["scaling"],
        groups=bins, quotas=quotas,
    ).indices  # fmt: skip
    scores = np.zeros(len(bins))
    scores[picks] = 1 - np.arange(len(picks)) / len(bins)
    return scores


def _random(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return baselines.random_select(len(pool.reliability), ipc, seed, pinned=pinned, vetoed=vetoed)


def _generate_and_use(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return baselines.generate_and_use(len(pool.reliability), ipc, pinned=pinned, vetoed=vetoed)


def _top_confidence(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return baselines.top_confidence(pool.reliability, ipc, pinned=pinned, vetoed=vetoed)


def _lowest_entropy(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return baselines.lowest_entropy(pool.entropy, ipc, pinned=pinned, vetoed=vetoed)


def _k_center(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return coresets.k_center(None, ipc, pinned=pinned, vetoed=vetoed, distances=pool.distances())


def _k_medoids(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return coresets.k_medoids(None, ipc, pinned=pinned, vetoed=vetoed, distances=pool.distances())


def _herding(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return coresets.herding(pool.embeddings, ipc, pinned=pinned, vetoed=vetoed, distances=pool.distances())


def _cao2(
    pool: ClassPool, ipc: int, params: Mapping[str, Any], seed: int, pinned: Any, vetoed: Any
) -> Selection:
    return baselines.cao2(pool.difficulty, ipc, pool.eligible, pinned, vetoed, order=params["order"])


CHOOSERS: dict[str, Chooser] = {
    "psr": _psr,
    "dgs": _dgs,
    "random": _random,
    "generate-and-use": _generate_and_use,
    "top-confidence": _top_confidence,
    "lowest-entropy": _lowest_entropy,
    "k-center": _k_center,
    "k-medoids": _k_medoids,
    "herding": _herding,
    "cao2": _cao2,
}
