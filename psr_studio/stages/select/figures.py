"""What the curation lab shows of a selection: distributions, sufficiency, duplicates, and two sets compared.

Everything reads a `ScoredPool` and a selection from it. N candidates, C classes; positions count over the
pool order, and every answer is plain JSON but for the (N,) arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.method.bins import N_BINS, bin_of
from psr_studio.method.difficulty import Smoothed
from psr_studio.method.lazy_distances import LazyBlock
from psr_studio.method.metrics import vendi_score
from psr_studio.method.selectors import dgs
from psr_studio.stages.select.result import LiveResult
from psr_studio.storage.records import SelectionRecord

if TYPE_CHECKING:
    from psr_studio.recipe.schema import Recipe, SelectRecipe
    from psr_studio.stages.evaluate.stage import Row
    from psr_studio.stages.select.scored import ScoredPool
    from psr_studio.storage.workspace import Workspace

# A candidate nearer to another than this share of what is usual in its class is called a near-duplicate. Ours: a
# third of the usual distance hardly comes about by chance; the bundled pool holds no such pair.
NEAR_DUPLICATE = 0.35
SIGNALS = ("reliability", "entropy", "difficulty", "diversity")
KINDS = ("original", "pool", "picked")
EDGES = tuple(round(k / N_BINS, 1) for k in range(N_BINS + 1))


def distributions(result: LiveResult, class_id: int | None = None) -> dict[str, Any]:
    """Ten bars of difficulty, as DGS Fig. 2 and 7 show them; sums over the classes when `class_id` is None.

    Returns:
        "edges" (11); "raw" and "smoothed", each with counts (10) of "original" (None when the bundle has
        none), "pool" and "picked"; "means" of the same; "target" (10) what DGS aims at, None of other selectors;
        "thresholds" of "pool" and "original" [bottom, top] (of all classes: their mean); "substituted", see
        `LiveResult`; "n" of each kind; "vendi" of the picks, see `vendi`.
    """
    scored, rules = result.scored, result.rules.of(dgs.DGS)
    classes = [c for c in scored.present if class_id in (None, c)]
    by_difficulty = result.selector == dgs.SELECTOR.name
    share = rules.uncertainty if by_difficulty else 0.0
    ranks = [rules.ranks_of(int(result.budgets[c])) if by_difficulty else 0 for c in classes]
    found = {c: scored.smoothed(c, rules.lam, share, n) for c, n in zip(classes, ranks, strict=True)}
    has_original = bool(found) and all(s.original is not None for s in found.values())
    values = _values_of(found, result, has_original, share)
    raw, smooth = ({k: v and _bars(v) for k, v in row.items()} for row in values)
    means = [{k: float(np.concatenate(v).mean()) for k, v in row.items() if v} for row in values]
    aims = by_difficulty and (has_original or not rules.needs_original)
    targets = (
        [s.counts(int(n), rules.target, rules.drawn) for c, s in found.items() if (n := result.budgets[c])]
        if aims
        else []
    )
    return {
        "edges": list(EDGES),
        "raw": raw,
        "smoothed": smooth,
        "means": {"raw": means[0], "smoothed": means[1]},
        "target": np.sum(targets, axis=0).tolist() if targets else None,
        "thresholds": {
            "pool": _mean([s.pool_thresholds for s in found.values()]),
            "original": _mean([s.original_thresholds for s in found.values()]) if has_original else None,
        },
        "substituted": [row for row in result.substituted if row["class_id"] in classes],
        "n": {kind: None if raw[kind] is None else int(sum(raw[kind])) for kind in KINDS},
        "vendi": vendi(scored, np.concatenate([result.picks[c] for c in classes])) if classes else None,
    }


def _values_of(
    found: Mapping[int, Smoothed], result: LiveResult, has_original: bool, share: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Difficulties class by class, joined with a share of uncertainty, before and after smoothing."""
    scored = result.scored
    values = {c: scored.measure(share)[scored.members(c)] for c in found}
    picks = {c: result.picks[c] - scored.members(c).start for c in found}
    raw = {
        "original": [scored.original_measure(c, share) for c in found] if has_original else None,
        "pool": list(values.values()),
        "picked": [values[c][picks[c]] for c in found],
    }
    smooth = {
        "original": [s.original for s in found.values()] if has_original else None,
        "pool": [s.pool for s in found.values()],
        "picked": [s.pool[picks[c]] for c, s in found.items()],
    }
    return raw, smooth


def _bars(parts: Sequence[np.ndarray]) -> list[int]:
    """How many values of all parts fall into each of the ten bins."""
    values = np.concatenate(parts)
    return np.bincount(bin_of(values), minlength=N_BINS).tolist() if len(values) else [0] * N_BINS


def _mean(pairs: Sequence[tuple[float, float] | None]) -> list[float] | None:
    return np.mean(np.array(pairs), axis=0).tolist() if pairs else None


def sufficiency(scored: ScoredPool, rules: SelectRecipe) -> list[dict[str, Any]]:
    """For each class of the task whether its pool is large enough for K images, by the greedy's gains.

    Returns:
        "class_id", "name", "verdict" ("enough", "more would pay" or "too small"), "sentence", "gain_kept" in
        [0, 1] and "suggested", the pool size to go on to.
    """
    from psr_studio.stages.select.sufficiency import of_class

    return [of_class(scored, class_id, rules) for class_id in scored.present]


def near_duplicates(scored: ScoredPool) -> np.ndarray:
    """(N,) float32: distance to the nearest other candidate of the class over the median of these distances.

    Below `NEAR_DUPLICATE` a candidate wears a badge; a class of one, or of equal pictures only, has 1s or 0s.
    """
    near = np.ones(scored.n, np.float32)
    for class_id in scored.present:
        block = scored.distances.block(class_id)
        if len(block) < 2:
            continue
        nearest = np.sqrt(_nearest_others(block))
        usual = float(np.median(nearest))
        near[scored.distances.members(class_id)] = nearest / usual if usual > 0 else nearest > 0
    return near


def _nearest_others(block: np.ndarray | LazyBlock) -> np.ndarray:
    """(m,) smallest off-diagonal value of each row of a block whose diagonal is its smallest."""
    if isinstance(block, LazyBlock):
        return block.nearest_others()
    return np.partition(block, 1, axis=1)[:, 1]


def means(scored: ScoredPool, positions: np.ndarray, temperature: float) -> dict[str, float | None]:
    """Mean reliability, entropy and difficulty of some candidates, and how far apart they lie.

    "diversity" is the mean squared distance of a pick to the nearest other pick of its class, over that between
    any two candidates of the class: it depends on nothing but the picks, so two sets can be compared by it.
    None for an empty set.
    """
    if not len(positions):
        return dict.fromkeys(SIGNALS)
    now = scored.signals(temperature)
    signals = (now.reliability, now.entropy, scored.difficulty)
    plain = {name: float(s[positions].mean()) for name, s in zip(SIGNALS, signals, strict=False)}
    apart = [_apart(scored, int(c), positions) for c in np.unique(scored.labels[positions])]
    return {**plain, "diversity": float(np.concatenate(apart).mean())}


def _apart(scored: ScoredPool, class_id: int, positions: np.ndarray) -> np.ndarray:
    """(k,) relative distance of each pick of a class to the nearest other one; 0 for a single pick."""
    members = scored.members(class_id)
    inside = np.unique(positions[(positions >= members.start) & (positions < members.stop)]) - members.start
    block = scored.distances.block(class_id)
    usual = scored.usual_distance[class_id]
    if len(inside) < 2 or usual <= 0:
        return np.zeros(len(inside))
    return _nearest_others(block[np.ix_(inside, inside)]) / usual


def vendi(scored: ScoredPool, positions: np.ndarray) -> float | None:
    """How many distinct pictures some candidates amount to, by cosines of the teacher's features.

    None where there is no candidate, or one without a direction.
    """
    features = scored.embeddings[positions]
    return vendi_score(features) if len(features) and features.any(axis=1).all() else None


def vendi_by_class(scored: ScoredPool, positions: np.ndarray) -> dict[int, float | None]:
    """The same of those of each class of the task."""
    owners = scored.labels[positions]
    return {c: vendi(scored, positions[owners == c]) for c in scored.present}


def compare(
    ws: Workspace,
    recipe: Recipe,
    scored: ScoredPool,
    a: LiveResult | SelectionRecord,
    b: LiveResult | SelectionRecord,
    temperature: float,
) -> dict[str, Any]:
    """Two sets beside each other.

    Returns:
        "a" and "b", each with "name", "n", "means", "vendi" (of the set), "vendi_of_class" (mean over the classes)
        and "accuracy" (rows of "arm", "student", "protocol", "regime", "mean", "std", "n"); "controls", rows of the
        same keys, beside which accuracies stand; "overlap", "jaccard"; "per_class" with "class_id", "only_a",
        "only_b", "both", "vendi_a", "vendi_b"; "in_a" and "in_b", (N,) uint8.
    """
    first, second = _positions(scored, a), _positions(scored, b)
    in_a, in_b = _mask(scored, first), _mask(scored, second)
    both = int((in_a & in_b).sum())
    either = int((in_a | in_b).sum())
    distinct = vendi_by_class(scored, first), vendi_by_class(scored, second)
    sides = {
        "a": _side(ws, recipe, scored, a, first, distinct[0], temperature),
        "b": _side(ws, recipe, scored, b, second, distinct[1], temperature),
    }
    rated = any(side["accuracy"] for side in sides.values())
    return {
        **sides,
        "controls": _controls(ws) if rated else [],
        "overlap": both,
        "jaccard": both / either if either else 1.0,
        "per_class": _per_class(scored, in_a, in_b, *distinct),
        "in_a": in_a,
        "in_b": in_b,
    }


def _positions(scored: ScoredPool, side: LiveResult | SelectionRecord) -> np.ndarray:
    return side.positions if isinstance(side, LiveResult) else scored.pool.positions(side.candidate_ids)


def _mask(scored: ScoredPool, positions: np.ndarray) -> np.ndarray:
    mask = np.zeros(scored.n, np.uint8)
    mask[positions] = 1
    return mask


def _side(
    ws: Workspace, recipe: Recipe, scored: ScoredPool, side: LiveResult | SelectionRecord, positions: np.ndarray,
    distinct: Mapping[int, float | None], temperature: float,
) -> dict[str, Any]:  # fmt: skip
    from psr_studio.stages.evaluate.stage import results_of

    saved = isinstance(side, SelectionRecord)
    rows = results_of(ws, recipe, scored.bundle, side) if isinstance(side, SelectionRecord) else []
    of_classes = [value for value in distinct.values() if value is not None]
    return {
        "name": side.name if saved else "live",  # type: ignore[union-attr]
        "n": len(positions),
        "means": means(scored, positions, temperature),
        "vendi": vendi(scored, positions),
        "vendi_of_class": float(np.mean(of_classes)) if of_classes else None,
        "accuracy": _accuracies(rows),
    }


def _controls(ws: Workspace) -> list[dict[str, Any]]:
    from psr_studio.stages.evaluate.stage import history

    return _accuracies([row for row in history(ws) if not row.selection])


def _accuracies(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of rows that are named alike the last one trained."""
    return list(
        {_conditions(row): _accuracy(row) for row in sorted(rows, key=lambda row: row.trained)}.values()
    )


def _conditions(row: Row) -> tuple:
    return row.arm, row.student, row.protocol, row.label_regime, row.ipc, row.epochs


def _accuracy(row: Row) -> dict[str, Any]:
    return {
        "arm": row.arm,
        "student": row.student,
        "protocol": row.protocol,
        "regime": row.label_regime,
        "ipc": row.ipc,
        "epochs": row.epochs,
        "mean": row.last_mean,
        "std": None if row.n < 2 else row.last_std,
        "n": row.n,
    }


def _per_class(
    scored: ScoredPool, in_a: np.ndarray, in_b: np.ndarray, vendi_a: Mapping[int, float | None],
    vendi_b: Mapping[int, float | None],
) -> list[dict[str, Any]]:  # fmt: skip
    size = len(scored.class_names)
    parts = {"only_a": in_a & ~in_b, "only_b": in_b & ~in_a, "both": in_a & in_b}
    by_class = {name: np.bincount(scored.labels, part, size).astype(int) for name, part in parts.items()}
    return [
        {"class_id": c, **{name: int(found[c]) for name, found in by_class.items()},
         "vendi_a": vendi_a[c], "vendi_b": vendi_b[c]}
        for c in scored.present
    ]  # fmt: skip
