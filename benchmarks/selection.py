"""How fast a set is selected: our kernels against what one would write or install instead.

    python benchmarks/selection.py            (about ten minutes on two idle cores; --small: half a minute)

Ways take turns in one process, each run once before, uncounted; medians of the rounds. Candidates are random
features, signals random numbers; `distances cached` means that they were computed before the clock, as they
are before a slider moves. The greedy of each way is called once more right before it counts, as while a slider is
dragged; "ours_first" is ours without that. Indices are compared in the same run. Writes
benchmarks/results/selection.json.

Peers: the incremental greedy in NumPy (the nearest distance kept, one row read a step), with the same cached
distances, and with one matrix-vector product a step for the distances to the new pick; `fpsample` for k-center (skipped
when it is not installed: pip install fpsample); the plain loop of iCaRL for herding.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import alternate, conditions, medians, write_results

from psr_studio.method.coresets import k_center
from psr_studio.method.distances import ClassDistances
from psr_studio.method.lazy_distances import class_distances
from psr_studio.method.selection import greedy_select_all
from psr_studio.method.selectors.registry import SELECTORS, ClassPool
from psr_studio.method.smoothing import _search
from psr_studio.method.threads import n_threads

SMALL = "--small" in sys.argv
ROUNDS = 3 if SMALL else 7
SHAPES = [(1000, 100, 50, 1024), (10, 2000, 1000, 1024)] if not SMALL else [(50, 100, 50, 64)]
WEIGHTS = (0.5, 1.0, 3.0)


class Case:
    """A random pool of classes of one size, with its distances."""

    def __init__(self, n_classes: int, m: int, ipc: int, d: int) -> None:
        rng = np.random.default_rng(0)
        n = n_classes * m
        self.n_classes, self.m, self.ipc, self.d = n_classes, m, ipc, d
        self.features = rng.standard_normal((n, d), dtype=np.float32)
        self.reliability, self.entropy, self.difficulty = rng.random(n), rng.random(n), rng.beta(0.5, 2, n)
        self.original = rng.beta(0.5, 3, (n_classes, m))
        self.eligible = rng.random(n) < 0.95
        began = time.perf_counter()
        self.distances: ClassDistances = class_distances(
            self.features, np.repeat(np.arange(n_classes), m), n_classes
        )
        self.distance_seconds = time.perf_counter() - began

    def of_class(self, c: int) -> ClassPool:
        """One class as the selectors see it."""
        own = slice(c * self.m, (c + 1) * self.m)
        return ClassPool(
            self.reliability[own], self.entropy[own], self.difficulty[own], self.features[own],
            self.eligible[own], lambda: self.distances.block(c), self.original[c],
        )  # fmt: skip

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.n_classes} classes x {self.m}, K = {self.ipc}, {self.d}-d"


def numpy_greedy(case: Case, cached: bool) -> np.ndarray:
    """Eq. 8 class by class: the distance to the nearest pick is kept and lowered with each new one."""
    found = np.empty((case.n_classes, case.ipc), np.int64)
    for c in range(case.n_classes):
        pool, block = case.of_class(c), case.distances.block(c)
        features = pool.embeddings
        norms = np.einsum("ij,ij->i", features, features)
        right = pool.eligible
        rel, ent = (_scaled(values, right) for values in (pool.reliability, pool.entropy))
        static = np.where(right, WEIGHTS[0] * rel - WEIGHTS[1] * ent, -np.inf)
        nearest, pick = np.full(case.m, np.inf), int(np.where(right, pool.reliability, -1).argmax())
        for step in range(case.ipc):
            if step:
                width = nearest[right].max()
                pick = int((static + WEIGHTS[2] * (nearest / width)).argmax())
            found[c, step], static[pick] = pick, -np.inf
            row = block[pick] if cached else norms + norms[pick] - 2 * (features @ features[pick])
            np.minimum(nearest, row, out=nearest)
    return found


def _scaled(values: np.ndarray, over: np.ndarray) -> np.ndarray:
    low, high = values[over].min(), values[over].max()
    return (values - low) / (high - low)


def our_greedy(case: Case) -> np.ndarray:
    """The same by one call."""
    found = greedy_select_all(
        case.reliability, case.entropy, case.distances, case.ipc, *WEIGHTS, case.eligible
    )
    return found.indices.reshape(case.n_classes, case.ipc) - case.m * np.arange(case.n_classes)[:, None]


def greedy_row(case: Case) -> dict[str, Any]:
    """Our greedy against both NumPy ones, by the clock and by CPU seconds, which other programs disturb less."""
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: our_greedy(case),
        "numpy_cached": lambda: numpy_greedy(case, cached=True),
        "numpy_incremental": lambda: numpy_greedy(case, cached=False),
    }
    row: dict[str, Any] = {"case": case.name}
    first = alternate(ways, ROUNDS)["ours"]  # of a drag: nothing of ours is in the processor's caches
    row["ours_first_ms"] = statistics.median(t.wall for t in first) * 1e3
    for name, times in alternate(ways, ROUNDS, twice=True).items():
        row[f"{name}_ms"] = statistics.median(t.wall for t in times) * 1e3
        row[f"{name}_fastest_ms"] = min(t.wall for t in times) * 1e3
        row[f"{name}_cpu_ms"] = statistics.median(t.cpu for t in times) * 1e3
    for peer in ("numpy_cached", "numpy_incremental"):
        row[f"ratio_to_{peer}"] = row[f"{peer}_ms"] / row["ours_ms"]
        row[f"cpu_ratio_to_{peer}"] = row[f"{peer}_cpu_ms"] / row["ours_cpu_ms"]
    picks = our_greedy(case)
    row["distances_ms"] = case.distance_seconds * 1e3
    row["ratio_first_time"] = row["numpy_incremental_ms"] / (row["ours_ms"] + row["distances_ms"])
    row["indices_equal"] = bool(np.array_equal(picks, numpy_greedy(case, cached=True)))
    row["share_equal_to_numpy_incremental"] = float((picks == numpy_greedy(case, cached=False)).mean())
    return row


def selector_rows(case: Case) -> list[dict[str, Any]]:
    """Every selector through the registry, class by class, distances cached."""
    pools = [case.of_class(c) for c in range(case.n_classes)]
    ways: dict[str, Callable[[], Any]] = {
        name: lambda s=selector: [s.choose(pool, case.ipc) for pool in pools]  # type: ignore[misc]
        for name, selector in SELECTORS.items()
    }

    def dgs_anew() -> Any:
        _search.cache_clear()
        return ways["dgs"]()

    ways["dgs, first time"] = dgs_anew
    joined = {"within_bin": "psr"}
    ways["dgs, PSR within bins"] = lambda: [SELECTORS["dgs"].choose(p, case.ipc, joined) for p in pools]
    return [
        {"selector": name, "case": case.name, "ms": seconds.wall * 1e3}
        for name, seconds in medians(ways, max(3, ROUNDS // 3)).items()
    ]


def k_center_row(case: Case) -> dict[str, Any]:
    """k-center against fpsample, both from the same first pick."""
    try:
        import fpsample
    except ImportError:
        reason = "fpsample is not installed (pip install fpsample), so k-center has no peer in this run."
        print(reason)
        return {"skipped": reason}
    blocks = [case.distances.block(c) for c in range(case.n_classes)]
    parts = np.split(case.features, case.n_classes)
    first = [int(k_center(None, 1, distances=block).indices[0]) for block in blocks]
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "ours, distances cached": lambda: [
            k_center(None, case.ipc, distances=block).indices for block in blocks
        ],
        "ours, with distances": lambda: [k_center(part, case.ipc).indices for part in parts],
        "fpsample": lambda: [
            fpsample.fps_sampling(part, case.ipc, start_idx=i) for part, i in zip(parts, first, strict=True)
        ],
    }
    return _against(case, ways, "fpsample")


def herding_row(case: Case) -> dict[str, Any]:
    """Herding against a plain loop; both through all classes."""
    pools = [case.of_class(c) for c in range(case.n_classes)]
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "ours, distances cached": lambda: [SELECTORS["herding"].choose(p, case.ipc).indices for p in pools],
        "NumPy loop": lambda: [plain_herding(pool.embeddings, case.ipc) for pool in pools],
    }
    return _against(case, ways, "NumPy loop")


def plain_herding(features: np.ndarray, ipc: int) -> np.ndarray:
    """Rebuffi et al. 2017, Algorithm 4, in float64."""
    values = features.astype(np.float64)
    mean, total = values.mean(axis=0), np.zeros(values.shape[1])
    picks: list[int] = []
    for size in range(1, ipc + 1):
        error = np.linalg.norm(mean - (total + values) / size, axis=1)
        error[picks] = np.inf
        picks.append(int(error.argmin()))
        total += values[picks[-1]]
    return np.array(picks)


def _against(case: Case, ways: dict[str, Callable[[], list[np.ndarray]]], peer: str) -> dict[str, Any]:
    answers: dict[str, Any] = {}

    def keep(name: str) -> None:
        answers[name] = ways[name]()

    turns = medians({name: lambda n=name: keep(n) for name in ways}, 3)  # type: ignore[misc]
    seconds = {name: median.wall for name, median in turns.items()}
    ours = "ours, distances cached"
    same = np.concatenate(answers[ours]) == np.concatenate([np.asarray(a, np.int64) for a in answers[peer]])
    return {
        "case": case.name,
        **{f"{name}_ms": value * 1e3 for name, value in seconds.items()},
        "ratio": seconds[peer] / seconds[ours],
        "indices_equal": bool(same.all()),
        "share_equal": float(same.mean()),
    }


def main() -> None:
    """Run everything and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    about = {**conditions(), "selection_threads": n_threads()}
    if about["load_before"][0] > 0.5:
        about["note"] = (
            "The machine was busy with other programs: trust ratios and CPU seconds, not the clock."
        )
    results: dict[str, Any] = {"conditions": about, "greedy": []}
    for shape in SHAPES:
        case = Case(*shape)
        results["greedy"].append(greedy_row(case))
        print(results["greedy"][-1], flush=True)
        if shape is SHAPES[0]:
            results["selectors"] = selector_rows(case)
            results["k_center"], results["herding"] = k_center_row(case), herding_row(case)
            for row in (*results["selectors"], results["k_center"], results["herding"]):
                print(row, flush=True)
        del case
    if not SMALL:
        write_results("selection", results)


if __name__ == "__main__":
    main()
