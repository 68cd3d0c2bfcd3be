"""A workspace of 100,000 candidates: how long it takes to open, to draw and to select from, and in what memory.

    OMP_NUM_THREADS=2 python benchmarks/large_workspace.py --workspace /tmp/large

The workspace is synthetic: random pictures, embeddings around ten centres, logits that agree with most labels, in
files that the studio itself would write; it is made on the first run and kept. Everything after the imports is
timed in a process of its own, on the calls the page makes: open, state, points, select, and further slider moves.
Processor seconds stand beside those of the clock, for a machine that does other work too. Writes
benchmarks/results/large-workspace.json. Targets: open to first selection under 5 s, under 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.app.curation import SelectChange
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.stages.score import stage as score
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import PoolPart, ScorePart, Workspace

RESULT = Path(__file__).parent / "results" / "large-workspace.json"
BUNDLE = "fashion-mnist"
LATENT, PICTURE, EMBEDDING = (4, 8, 8), (28, 28, 1), 384
MOVES = 10
TARGET_SECONDS, TARGET_GIB = 5.0, 4.0


def main() -> None:
    """Makes the workspace where there is none, measures in a child process, writes and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workspace", type=Path, default=Path("runs/large"))
    parser.add_argument("--per-class", type=int, default=10_000)
    parser.add_argument("--part-size", type=int, default=2_000)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.workspace)))
        return
    if not (args.workspace / "pool").exists():
        began = time.perf_counter()
        make_workspace(args.workspace, args.per_class, args.part_size)
        print(f"made {args.workspace} in {time.perf_counter() - began:.0f} s", flush=True)
    command = [sys.executable, __file__, "--measure", "--workspace", str(args.workspace)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {**conditions(), **json.loads(run.stdout.splitlines()[-1])}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


def make_workspace(root: Path, per_class: int, part_size: int = 2_000, seed: int = 0) -> None:
    """Write pool and scores of a synthetic workspace on the embedded bundle; equal seeds give equal numbers."""
    bundle = load_bundle(BUNDLE)
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(bundle.n_classes, EMBEDDING)).astype(np.float32)
    with Workspace.open(root) as ws:
        for class_id in range(bundle.n_classes):
            for part, start in enumerate(range(0, per_class, part_size)):
                n = min(part_size, per_class - start)
                ids = np.array([candidate_id(class_id, start + i) for i in range(n)], np.int64)
                ws.write_pool_part(
                    class_id, part, columns=_pictures(rng, ids), inputs_hash="synthetic",
                    settings={"sampler": "none"}, class_names=bundle.class_names,
                )  # fmt: skip
        hashes = {p.path: score.part_hash(bundle, p) for p in ws.pool().parts()}
        for view in ws.pool().parts():
            columns = _scores(rng, view.candidate_ids, view.class_id, centres)
            ws.write_scores_part(
                bundle.teacher_id, view.class_id, view.part, columns=columns, inputs_hash=hashes[view.path]
            )


def _pictures(rng: np.random.Generator, ids: np.ndarray) -> PoolPart:
    """Flat pictures of one grey each, which encode fast, and random latents."""
    greys = rng.integers(0, 256, len(ids), np.uint8)
    return PoolPart(
        ids,
        rng.integers(0, 2**62, len(ids)),
        np.broadcast_to(greys[:, None, None, None], (len(ids), *PICTURE)).copy(),
        rng.normal(size=(len(ids), *LATENT)).astype(np.float32),
    )


def _scores(rng: np.random.Generator, ids: np.ndarray, class_id: int, centres: np.ndarray) -> ScorePart:
    embeddings = centres[class_id] + rng.normal(size=(len(ids), EMBEDDING)).astype(np.float32)
    logits = rng.normal(size=(len(ids), len(centres))).astype(np.float32)
    logits[:, class_id] += 4
    return ScorePart(ids, logits, embeddings)


def measure(root: Path) -> dict[str, Any]:
    """Seconds of what the page asks for, in its order, and the peak of this process's memory."""
    from psr_studio.app.studio import Studio
    from psr_studio.ui.screen import Screen

    imported = _gib()
    seconds: dict[str, float] = {}
    began, worked = time.perf_counter(), time.process_time()
    screen = Screen(Studio(root))
    workbench = screen.workbench

    def lap(name: str) -> None:
        seconds[name] = round(time.perf_counter() - began - sum(seconds.values()), 3)

    lap("open")
    state = workbench.state()
    lap("state, with its selection")
    points = workbench.points()
    lap("points")
    workbench.select(SelectChange.model_validate({"ipc": 10, "gamma": 1.0}))
    lap("select")
    first, cpu = sum(seconds.values()), time.process_time() - worked
    moves = [_move(workbench, gamma) for gamma in np.linspace(0.5, 3.0, MOVES)]
    screen.close()
    return {
        "candidates": state["n"],
        "classes": state["n_classes"],
        "images_per_class": 10,
        "seconds": seconds,
        "open_to_first_selection_seconds": round(first, 3),
        "open_to_first_selection_cpu_seconds": round(cpu, 3),
        "slider_move_median_ms": round(1000 * statistics.median(wall for wall, _ in moves), 1),
        "slider_move_slowest_ms": round(1000 * max(wall for wall, _ in moves), 1),
        "slider_move_median_cpu_ms": round(1000 * statistics.median(cpu for _, cpu in moves), 1),
        "points_bytes": len(points),
        "gib_after_imports": round(imported, 2),
        "peak_gib": round(_gib(), 2),
        "within_targets": first < TARGET_SECONDS and _gib() < TARGET_GIB,
    }


def _move(workbench: Any, gamma: float) -> tuple[float, float]:
    """Seconds of one slider move, on the clock and on the processor."""
    began, worked = time.perf_counter(), time.process_time()
    workbench.select(SelectChange.model_validate({"gamma": float(gamma)}))
    return time.perf_counter() - began, time.process_time() - worked


def _gib() -> float:
    """The largest resident memory of this process so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def conditions() -> dict[str, Any]:
    """What the numbers depend on."""
    import torch

    return {
        "command": f"python benchmarks/large_workspace.py {' '.join(sys.argv[1:])}".strip(),
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "embedding": EMBEDDING,
    }


if __name__ == "__main__":
    main()
