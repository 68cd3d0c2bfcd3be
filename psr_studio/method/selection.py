"""Which candidates get the slots: the greedy selection of PSR (eq. 7 and 8), plain and fast.

`greedy_reference` is the selection as the paper writes it; `greedy_select` and `greedy_select_all` pick the same
candidates a hundred times faster. What no slider changes is kept apart from what one does: distances between
candidates are computed once (`distances`, `lazy_distances`), and every selection only reads them.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from psr_studio.method import lazy_distances
from psr_studio.method.arrays import Array, finite, like, to_float64, to_numpy
from psr_studio.method.distances import ClassDistances, pairwise_sq_distances
from psr_studio.method.kernels import greedy as kernels
from psr_studio.method.lazy_distances import LazyBlock, LazyDistances
from psr_studio.method.picks import (
    PoolSelection,
    Selection,
    as_mask,
    check_ipc,
    check_marks,
    check_pin_count,
    check_shortage_rule,
)
from psr_studio.method.signals import min_max
from psr_studio.method.threads import over_classes

# Scalings of the diversity term. "pool" is the paper's; "remaining" (min-max over candidates not yet chosen)
# and "frozen" (divided by the widest distance after the first pick: it fades as coverage grows) are ours.
SCALINGS = {"pool": kernels.POOL, "remaining": kernels.REMAINING, "frozen": kernels.FROZEN}
LARGEST_WEIGHT = 1e100

# PSR section 4.1: (largest K, (alpha, beta, gamma)). The paper names K <= 10, K = 20 and K >= 50; design
# decision: the balanced row serves all of 10 < K < 50.
IPC_PRESETS: tuple[tuple[float, tuple[float, float, float]], ...] = (
    (10, (3.0, 1.0, 0.5)),
    (49, (1.0, 1.0, 1.0)),
    (float("inf"), (0.5, 1.0, 3.0)),
)


# Up to 10 images per class those that did best of five on Fashion-MNIST, judged by a short student on real images that
# were held out (docs/selectors.md); larger budgets were not measured, and have the paper's.
HELD_OUT_PRESETS = ((10, (1.0, 0.0, 3.0)), *IPC_PRESETS[1:])
SCHEDULES = {"paper": IPC_PRESETS, "held-out": HELD_OUT_PRESETS}
SCHEDULE_WORDS = {
    "paper": "By budget as the paper has them.",
    "held-out": "By budget: up to 10 those that did best on held-out images, above that the paper's.",
}


def ipc_preset(ipc: int, schedule: str = "paper") -> tuple[float, float, float]:
    """Return (alpha, beta, gamma) for a budget of `ipc` images per class (PSR section 4.1); `SCHEDULES` has others.

    Raises:
        ValueError: a budget below 1.
    """
    if ipc < 1:
        raise ValueError(f"ipc is {ipc}, but at least 1 image per class is needed.")
    return next(weights for largest, weights in SCHEDULES[schedule] if ipc <= largest)


def diversity(distances: Array, chosen: Any) -> Array:
    """s_div: squared distance of each candidate to the nearest chosen one (PSR eq. 7).

    Args:
        distances: (N, N) squared distances.
        chosen: positions of the chosen candidates, at least one.

    Returns:
        (N,), 0 at the chosen ones.
    """
    return like(to_numpy(distances)[:, to_numpy(chosen)].min(axis=1), distances)  # eq. 7


def greedy_reference(
    reliability: Any,
    entropy: Any,
    distances: Any,
    ipc: int,
    alpha: float,
    beta: float,
    gamma: float,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    normalize: bool = True,
    on_shortage: str = "fill",
    *,
    scaling: str = "pool",
    groups: Any = None,
    quotas: Any = None,
) -> Selection:
    """Choose K candidates of one class as PSR section 3.2 is written; to be read beside it, and slow.

    `greedy_select` picks the same, faster, and lists the decisions on points that the paper leaves open; here "ours"
    marks them. Arguments and result are as there; `distances` is an array.
    """
    s_rel, s_ent = to_float64(reliability), to_float64(entropy)  # eq. 1 and 6
    n = len(s_rel)
    consistent = as_mask(eligible, n)  # arg max q = c; the others are discarded
    pins, closed = check_marks(n, pinned, vetoed)  # ours, as are groups and quotas
    group_of = np.zeros(n, np.int64) if groups is None else np.asarray(groups)
    left = np.array([n]) if quotas is None else np.array(quotas)
    # Optionally min-max normalised over the pool; ours: over its consistent candidates, vetoed ones included.
    rel = min_max(s_rel, over=consistent) if normalize else s_rel
    ent = min_max(s_ent, over=consistent) if normalize else s_ent
    chosen: list[int] = []  # S_c
    terms, filled, width = np.zeros((ipc, 3)), np.zeros(ipc, bool), 0.0
    for step in range(ipc):
        s_div = to_float64(diversity(distances, chosen)) if chosen else np.zeros(n)  # eq. 7
        if scaling != "frozen" or step == 1:
            width = s_div[consistent].max(initial=0.0)
        div = s_div / width if width > 0 else np.zeros(n)  # min-max: the minimum is 0, at the chosen ones
        if scaling == "remaining":  # ours
            div = min_max(s_div, over=consistent & ~np.isin(np.arange(n), chosen))
        if not normalize:
            div = s_div
        score = alpha * rel - beta * ent + gamma * div  # eq. 8
        is_open = ~closed & (left[group_of] > 0)
        candidates, fillers = consistent & is_open, ~consistent & is_open
        if step < len(pins):
            pick = int(pins[step])
        elif candidates.any():  # the most reliable first; ours: a tie goes to the lowest index
            pick = int(np.where(candidates, score if step else s_rel, -np.inf).argmax())
        elif on_shortage == "fill" and fillers.any():  # departure: they fill a class that would be short
            pick, filled[step] = int(np.where(fillers, s_rel, -np.inf).argmax()), True
        else:
            break
        terms[step] = alpha * rel[pick], -beta * ent[pick], gamma * div[pick]
        left[group_of[pick]] -= step >= len(pins)
        closed[pick] = True
        chosen.append(pick)
    k = len(chosen)
    shortfall = ipc - k + int(filled.sum())
    return Selection(np.array(chosen, np.int64), terms[:k].sum(axis=1), terms[:k], filled[:k], shortfall)


def greedy_select(
    reliability: Any,
    entropy: Any,
    embeddings: Any,
    ipc: int,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    normalize: bool = True,
    on_shortage: str = "fill",
    *,
    distances: Any = None,
    scaling: str = "pool",
    groups: Any = None,
    quotas: Any = None,
) -> Selection:
    """Choose K candidates of one class by the score alpha * rel - beta * ent + gamma * div (PSR eq. 8).

    The picks of `greedy_reference`. Points the paper leaves open, decided:
    - Each term is min-max normalised over all eligible candidates of the class, vetoed and chosen ones
      included, so a veto moves nobody else's score. Diversity is normalised at each step; a constant term
      contributes 0.
    - The first pick is the highest raw reliability, whatever the weights; its diversity term is 0.
    - Ties go to the lowest index. With the same weights a smaller K gives a prefix.
    - Pinned candidates come first, in the order pinned, count against K, eligible or not, and the greedy step
      starts from them. Vetoed ones are never chosen.
    - An ineligible candidate (pinned or filling) is scored on the scale of the eligible ones: its terms may
      leave the usual range.

    Args:
        reliability: (N,) s_rel. entropy: (N,) s_ent. Both finite.
        embeddings: (N, D) teacher features; not read, and may be None, when `distances` is given.
        ipc: images per class, K, at most N.
        alpha, beta, gamma: weights, from 0 to 1e100; None takes the one of `ipc_preset(ipc)`.
        eligible: (N,) bool, True where the teacher agrees with the class; None means all.
        pinned, vetoed: positions (or bool masks) of marked candidates.
        normalize: min-max normalise the terms; False uses them raw.
        on_shortage: "fill" continues with ineligible candidates by descending reliability and marks them,
            "short" leaves the class short; `Selection.shortfall` counts the missing eligible ones either way.
            With too few candidates left after vetoes, the class stays short under both.
        distances: (N, N) float32 from `pairwise_sq_distances`, at least 0, to spare their computation; or a
            `LazyBlock`.
        scaling: how diversity is normalised: "pool" (as the paper), "remaining" or "frozen".
        groups, quotas: (N,) the group of each candidate and (G,) how many each group may give beside the
            pins; a full group is closed as by vetoes. None means no limits.

    Raises:
        ValueError: K below 1 or over the pool, NaN signals, arrays of different length, marks outside the
            pool, a candidate both pinned and vetoed, more pins than K, a weight out of range, an unknown word,
            groups outside the quotas.
    """
    n = len(to_numpy(reliability))
    if distances is None:
        distances = pairwise_sq_distances(embeddings)
    if tuple(distances.shape) != (n, n):
        raise ValueError(f"Distances are given for {distances.shape[0]} candidates, but there are {n}.")
    return greedy_select_all(
        reliability, entropy, alone(distances), ipc, alpha, beta, gamma, eligible, pinned, vetoed, normalize,
        on_shortage, scaling=scaling, groups=groups, quotas=None if quotas is None else [quotas],
    ).of_class(0)  # fmt: skip


def alone(distances: Any) -> ClassDistances:
    """The distances (N, N) of one class, or its `LazyBlock`, as those of a pool that has this class only."""
    if isinstance(distances, LazyBlock):
        return distances.alone()
    n = len(distances)
    flat = np.ascontiguousarray(to_numpy(distances), dtype=np.float32).ravel()
    return ClassDistances(np.arange(n), np.array([0, n]), flat, np.array([0, n * n]))


def greedy_select_all(
    reliability: Any,
    entropy: Any,
    distances: ClassDistances,
    ipc: int | Sequence[int] | np.ndarray,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    eligible: Any = None,
    pinned: Any = (),
    vetoed: Any = (),
    normalize: bool = True,
    on_shortage: str = "fill",
    *,
    scaling: str = "pool",
    groups: Any = None,
    quotas: Any = None,
) -> PoolSelection:
    """Run `greedy_select` on every class of a pool in one call; equal to one call per class, and much faster.

    Args:
        distances: from `class_distances(embeddings, labels)`; it also says which candidate is of which class.
        ipc: images per class, K, or one budget for each class (C,), each at most the size of its class.
            Weights that are None come from the preset of the mean budget, the same for all classes.
        quotas: (C, G), of the groups of each class.

    All other arguments are those of `greedy_select`, over the N candidates of the pool, marks as positions in
    the pool.

    Raises:
        ValueError: as `greedy_select`; an error about one class names it when there are several.
    """
    order, starts = distances.order, distances.starts
    n, n_classes = len(order), len(starts) - 1
    weights = _check_weights(max(1, round(float(np.mean(ipc)))), alpha, beta, gamma)
    rule = kernels.Rule(
        *weights,
        normalize=bool(normalize),
        scaling=_check_scaling(scaling) if normalize else kernels.RAW,
        fill=check_shortage_rule(on_shortage),
    )
    pins, is_vetoed = check_marks(n, pinned, vetoed)
    budgets, local_pins, pin_starts = _check_classes(distances, ipc, pins)
    limits = _check_limits(groups, quotas, n, n_classes)
    in_order = bool((order[1:] > order[:-1]).all())  # the pool is grouped by class already: nothing to gather
    grouped = slice(None) if in_order else order
    pool = kernels.Candidates(
        reliability=_signal(reliability, n, "reliability")[grouped],
        entropy=_signal(entropy, n, "entropy")[grouped],
        eligible=as_mask(eligible, n)[grouped],
        vetoed=is_vetoed[grouped],
        starts=starts,
        pins=local_pins,
        pin_starts=pin_starts,
        distances=distances.flat,
        distance_starts=distances.flat_starts,
        groups=limits[0][grouped] if len(limits[0]) else limits[0],
        quotas=limits[1],
    )
    slots = np.concatenate([[0], np.cumsum(budgets)])
    picks, terms = np.zeros(slots[-1], np.int64), np.zeros((slots[-1], 3))
    filled, counts = np.zeros(slots[-1], bool), np.zeros(n_classes, np.int64)
    out = (slots, picks, terms, filled, counts)
    if isinstance(distances, LazyDistances):
        lazy_distances.greedy_classes(distances, pool, rule, *out)
    else:
        over_classes(partial(kernels.greedy_classes, pool, rule, *out), budgets * np.diff(starts))
    picks += np.repeat(starts[:-1], budgets)
    if not np.array_equal(counts, budgets):
        taken = np.arange(slots[-1]) < np.repeat(slots[:-1] + counts, budgets)
        picks, terms, filled = picks[taken], terms[taken], filled[taken]
    ends = np.concatenate([[0], np.cumsum(counts)])
    n_filled = np.diff(np.concatenate([[0], np.cumsum(filled)])[ends])
    return PoolSelection(
        indices=picks if in_order else order[picks],
        scores=terms[:, 0] + terms[:, 1] + terms[:, 2],
        terms=terms,
        filled=filled,
        starts=ends,
        shortfall=budgets - counts + n_filled,
    )


def warm_up() -> None:
    """Compile the greedy selection, or load it from the cache, so that the first slider move is fast too."""
    greedy_select([0.5, 0.5], [0.0, 0.0], [[0.0], [1.0]], ipc=2)


def _signal(values: Any, n_candidates: int, name: str) -> np.ndarray:
    """Return one signal as float64 (N,), or say what is wrong with it."""
    signal = to_float64(values)
    if signal.shape != (n_candidates,):
        raise ValueError(f"The {name} has shape {signal.shape}, but there are {n_candidates} candidates.")
    return finite(signal, name)


def _check_weights(
    ipc: int, alpha: float | None, beta: float | None, gamma: float | None
) -> tuple[float, float, float]:
    """Return alpha, beta, gamma, each None replaced from the preset of this budget."""
    given = zip(("alpha", "beta", "gamma"), (alpha, beta, gamma), ipc_preset(ipc), strict=True)
    weights = {name: float(preset if value is None else value) for name, value, preset in given}
    for name, weight in weights.items():
        if not 0 <= weight <= LARGEST_WEIGHT:
            span = f"0 and {LARGEST_WEIGHT:g}"
            raise ValueError(f"The weight {name} is {weight}, but it must lie between {span}.")
    return weights["alpha"], weights["beta"], weights["gamma"]


def _check_scaling(scaling: str) -> int:
    """Return the code of a scaling for the kernel."""
    if scaling not in SCALINGS:
        raise ValueError(f'The scaling is "{scaling}", but it must be one of: {", ".join(SCALINGS)}.')
    return SCALINGS[scaling]


def _check_limits(groups: Any, quotas: Any, n: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return groups (N,) and quotas (C, G) as int64, both empty when there are no limits."""
    if groups is None and quotas is None:
        return np.zeros(0, np.int64), np.zeros((n_classes, 0), np.int64)
    if groups is None or quotas is None:
        raise ValueError("Groups and quotas go together: give both or none.")
    of, most = np.asarray(groups, np.int64), np.asarray(quotas, np.int64)
    if of.shape != (n,) or most.ndim != 2 or len(most) != n_classes:
        raise ValueError(
            f"Groups have shape {of.shape} and quotas {most.shape}, but ({n},) and ({n_classes}, G) are needed."
        )
    if not 0 <= of.min() <= of.max() < most.shape[1] or (most < 0).any():
        raise ValueError(f"Groups must lie in 0..{most.shape[1] - 1}, and quotas must be at least 0.")
    return of, most


def _check_classes(
    distances: ClassDistances, ipc: Any, pins: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check budget and pins of each class; return budgets (C,), pins counted inside their class, borders."""
    order, starts = distances.order, distances.starts
    sizes, n_classes = np.diff(starts), len(starts) - 1
    if np.ndim(ipc) and len(ipc) != n_classes:
        raise ValueError(f"{len(ipc)} budgets are given, but there are {n_classes} classes.")
    budgets = np.full(n_classes, operator.index(ipc)) if np.ndim(ipc) == 0 else np.array(ipc, np.int64)
    places = _places(order, pins)
    class_of_pin = np.searchsorted(starts, places, side="right") - 1
    n_pins = np.bincount(class_of_pin, minlength=n_classes)
    wrong = np.flatnonzero((budgets < 1) | (budgets > sizes) | (n_pins > budgets))
    if len(wrong):
        class_id = int(wrong[0])
        try:
            check_pin_count(int(n_pins[class_id]), check_ipc(int(budgets[class_id]), int(sizes[class_id])))
        except ValueError as err:
            raise ValueError(f"Class {class_id}: {err}" if n_classes > 1 else str(err)) from err
    by_class = np.argsort(class_of_pin, kind="stable")
    local_pins = places[by_class] - starts[class_of_pin[by_class]]
    return budgets, local_pins, np.concatenate([[0], np.cumsum(n_pins)])


def _places(order: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return where in `order` each position stands."""
    if not len(positions):
        return positions
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[positions]
