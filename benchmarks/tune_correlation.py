"""How well the proxies of tuning rank settings: Spearman's rho with the full evaluation, IPC 10, embedded bundle.

    OMP_NUM_THREADS=1 python benchmarks/tune_correlation.py --seed 1 --part 0/2   # and 1/2 at the same time
    OMP_NUM_THREADS=1 python benchmarks/tune_correlation.py --seed 2 --part 0/2   # and 1/2
    OMP_NUM_THREADS=1 python benchmarks/tune_correlation.py --report --ship

The first ones train one student per setting in full (protocol kd, no refinement, the preset's epochs, test split);
the report judges the same sets by both proxies (held-out images, their student begins from seed 0), correlates over
the settings and writes benchmarks/results/tune-correlation.json; --ship also writes what the page says. All are
resumable. Settings were fixed before anything was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import bootstrap, spearmanr
from table import follow

from psr_studio import Studio
from psr_studio.core.resources import resource_dir
from psr_studio.stages.tune.correlation import FILE, identity
from psr_studio.stages.tune.proxies import open_proxy

PRESET, IPC = "fashion-mnist", 10
FEWEST = 12  # settings; a seed with fewer is not reported
Measured = dict[str, dict[str, Any]]  # by setting: "top1" and "cpu_seconds"


def weights(alpha: float, beta: float, gamma: float) -> dict[str, Any]:
    """Settings of psr."""
    return {"selector": "psr", "alpha": alpha, "beta": beta, "gamma": gamma}


SETTINGS: dict[str, dict[str, Any]] = {
    "psr 3 1 0.5 (paper)": weights(3.0, 1.0, 0.5),
    "psr 1 1 1": weights(1.0, 1.0, 1.0),
    "psr 0.5 1 3": weights(0.5, 1.0, 3.0),
    "psr 0 0 1 (diversity)": weights(0.0, 0.0, 1.0),
    "psr 1 0 3": weights(1.0, 0.0, 3.0),
    "dgs scale": {"selector": "dgs", "target": "scale"},
    "dgs cliff": {"selector": "dgs", "target": "cliff"},
    "random": {"selector": "random"},
    "generate-and-use": {"selector": "generate-and-use"},
    "top-confidence": {"selector": "top-confidence"},
    "lowest-entropy": {"selector": "lowest-entropy"},
    "k-center": {"selector": "k-center"},
    "k-medoids": {"selector": "k-medoids"},
    "herding": {"selector": "herding"},
    "cao2 least sure": {"selector": "cao2", "order": "least sure"},
}
FREE = {"alpha": None, "beta": None, "gamma": None, "target": "scale", "order": "by budget"}


def main() -> None:
    """Trains the students of one seed, or reports on those that are trained."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, default=Path("runs/tune"))
    parser.add_argument("--seed", type=int, help="train one student per setting from this seed; not 0")
    parser.add_argument("--part", default="0/1", help="take every n-th setting from the i-th on: i/n")
    parser.add_argument("--report", action="store_true", help="judge by the proxies and correlate")
    parser.add_argument("--ship", action="store_true", help="also write the file that the page reads")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    if args.seed is not None:
        assert args.seed > 0, "seed 0 is the proxy's own: a shared start would flatter it"
        first, step = map(int, args.part.split("/"))
        train(args.workspace / f"seed-{args.seed}-{first}", args.seed, list(SETTINGS)[first::step])
    if args.report:
        result = report(args.workspace)
        out = args.results / "tune-correlation.json"
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(text(result))
        if args.ship:
            shipped = {key: result[key] for key in ("bundle", "identity", "ipc", "conditions", "proxies")}
            (resource_dir("assets") / FILE).write_text(json.dumps([shipped], indent=2) + "\n")


def train(workspace: Path, seed: int, names: list[str]) -> None:
    """One full evaluation per setting that has none; the accuracies go to full.json in the workspace."""
    path = workspace / "full.json"
    with Studio(workspace, PRESET, demo=True, replace_recipe=True, ipc=IPC) as studio:
        done = json.loads(path.read_text()) if path.is_file() else {}
        for name in [name for name in names if name not in done]:
            began = time.process_time()
            follow(studio.select(**{**FREE, **SETTINGS[name]}))
            follow(studio.evaluate(arms=["selected"], controls=False, n_seeds=1, seed=seed, n_checks=1))
            (row,) = studio.table()
            done[name] = {"top1": row.last_mean, "cpu_seconds": round(time.process_time() - began, 1)}
            path.write_text(json.dumps(done, indent=2))


def judge(workspace: Path, proxy: str, names: list[str]) -> Measured:
    """Value and CPU seconds of every setting by one proxy."""
    with Studio(workspace / "proxies", PRESET, demo=True, ipc=IPC) as studio:
        studio.set({"tune.proxy": proxy})
        measure, found = open_proxy(studio.recipe, studio.bundle), {}
        for name in names:
            chosen = studio.curation.select(**{**FREE, **SETTINGS[name]})
            began = time.process_time()
            *_, value = measure(chosen)
            found[name] = {"top1": value, "cpu_seconds": round(time.process_time() - began, 2)}
    return found


def report(workspace: Path) -> dict[str, Any]:
    """Everything measured, with its conditions."""
    seeds: dict[int, Measured] = {}
    for path in sorted(workspace.glob("seed-*/full.json")):
        seeds.setdefault(int(path.parent.name.split("-")[1]), {}).update(json.loads(path.read_text()))
    seeds = {seed: found for seed, found in seeds.items() if len(found) >= FEWEST}
    if not seeds:
        raise SystemExit(f"No seed has {FEWEST} settings yet: train more of them, then report.")
    names = [name for name in SETTINGS if all(name in found for found in seeds.values())]
    full = {seed: np.array([found[name]["top1"] for name in names]) for seed, found in seeds.items()}
    mean = np.mean(list(full.values()), axis=0)
    judged = {proxy: judge(workspace, proxy, names) for proxy in ("knn", "student")}
    with Studio(workspace / "proxies") as studio:
        recipe, bundle, m = studio.recipe, studio.bundle, int(studio.pool.counts.max())
        conditions = (
            f"{recipe.evaluate.student}, protocol {recipe.evaluate.protocol}, {recipe.evaluate.epochs} epochs, "
            f"{IPC} images per class of {m} candidates, not refined, {many(len(seeds), 'student')} per setting"
        )
        stated = {"bundle": bundle.name, "identity": identity(bundle)}
    return {
        "command": "python benchmarks/tune_correlation.py --report",
        **stated,
        "ipc": IPC,
        "conditions": conditions,
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "proxies": {proxy: correlate(values, mean) for proxy, values in judged.items()},
        "full": ceiling(full, seeds),
        "settings": {
            name: {
                "full": [round(float(accuracies[i]), 4) for accuracies in full.values()],
                **{proxy: round(values[name]["top1"], 4) for proxy, values in judged.items()},
            }
            for i, name in enumerate(names)
        },
    }


def rho(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation, in [-1, 1]; NaN when one side is constant."""
    return float(spearmanr(a, b).statistic)


def correlate(judged: Measured, full: np.ndarray) -> dict[str, Any]:
    """Rho over all settings, with its interval and the cost of a value."""
    values = np.array([found["top1"] for found in judged.values()])
    interval = bootstrap(
        (values, full), rho, paired=True, vectorized=False, n_resamples=2000, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    seconds = np.mean([found["cpu_seconds"] for found in judged.values()])
    return {
        "rho": round(rho(values, full), 3),
        "low": round(float(interval.low), 3),
        "high": round(float(interval.high), 3),
        "n": len(values),
        "cpu_seconds": round(float(seconds), 2),
    }


def many(n: int, noun: str) -> str:
    """ "1 student", "2 students"."""
    return f"{n} {noun}{'s' if n != 1 else ''}"


def ceiling(full: dict[int, np.ndarray], seeds: dict[int, Measured]) -> dict[str, Any]:
    """How well the full evaluation ranks like itself: no proxy can be expected to do better."""
    a, b = (list(full.values()) * 2)[:2]
    seconds = np.mean([found["cpu_seconds"] for found in seeds[min(seeds)].values()])
    return {
        "seeds": sorted(full),
        "rho_between_two_seeds": round(rho(a, b), 3) if len(full) > 1 else None,
        "std_of_settings": round(float(np.mean(list(full.values()), axis=0).std(ddof=1)), 4),
        "cpu_seconds": round(float(seconds), 1),
    }


def text(result: dict[str, Any]) -> str:
    """The table and the correlations for a reader, best setting first."""
    rows = sorted(result["settings"].items(), key=lambda item: -np.mean(item[1]["full"]))
    lines = ["| setting | full, last epoch % | knn % | student % |", "|---|---|---|---|"]
    for name, row in rows:
        full = " / ".join(f"{100 * value:.1f}" for value in row["full"])
        lines.append(f"| {name} | {full} | {100 * row['knn']:.1f} | {100 * row['student']:.1f} |")
    for proxy, found in result["proxies"].items():
        interval = f"{found['low']:.2f} to {found['high']:.2f}"
        lines.append(
            f"{proxy}: rho {found['rho']:.2f} ({interval}), n = {found['n']}, {found['cpu_seconds']} CPU s a value"
        )
    return "\n".join([*lines, f"full: {result['full']}", result["conditions"]])


if __name__ == "__main__":
    main()
