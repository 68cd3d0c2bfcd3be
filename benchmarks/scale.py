"""What ImageNet-1K costs on many GPUs: bytes and CPU times measured here, GPU rates taken from the arguments.

    python benchmarks/scale.py FOLDER [--generate 19.4] [--refine 8.8] [--score 2000] [--start 30] [--gpus 1 8 64]

FOLDER holds photographs, which stand for generated pictures of 256 px. The rates are per GPU and second; those of
a machine come from `psr-studio bench --preset imagewoof-dit` there. Formulas and results: docs/scale.md.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from encode import photographs
from timing import conditions, write_results

from psr_studio.recipe.load import load_recipe
from psr_studio.stages.batches import plan_groups
from psr_studio.storage.png import encode_png
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import PoolPart, RefinedPart, ScorePart, Workspace

CLASSES, EMBEDDING, LATENT = 1000, 1024, (4, 32, 32)  # of ImageNet-1K, ConvNeXt-B, the autoencoder at 256 px
PARTS, ROUNDS = 8, 9
IPCS = (10, 50, 100)


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of the quickest of a few calls."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def storage(folder: Path, part_size: int) -> dict[str, float]:
    """Bytes per candidate of each stage, CPU milliseconds per picture and per part, from parts written here."""
    found = photographs(folder)
    pictures = np.stack(found[:: max(1, len(found) // part_size)][:part_size])
    n, rng = len(pictures), np.random.default_rng(0)
    latents = rng.normal(size=(n, *LATENT)).astype(np.float32)
    with tempfile.TemporaryDirectory() as temp, Workspace.open(Path(temp) / "ws") as ws:
        names = [f"class {i}" for i in range(CLASSES)]

        def write(part: int) -> Path:
            ids = np.array([candidate_id(0, part * n + i) for i in range(n)])
            columns = PoolPart(ids, ids, pictures, latents)
            return ws.write_pool_part(0, part, columns=columns, inputs_hash="h", class_names=names)

        def score(part: int) -> Path:
            ids = np.array([candidate_id(0, part * n + i) for i in range(n)])
            logits = rng.normal(size=(n, CLASSES)).astype(np.float32)
            embeddings = rng.normal(size=(n, EMBEDDING)).astype(np.float32)
            columns = ScorePart(ids, logits, embeddings)
            return ws.write_scores_part("teacher", 0, part, columns=columns, inputs_hash="h")

        pool = [write(part) for part in range(PARTS)]
        scores = [score(part) for part in range(PARTS)]
        refined = ws.write_refined(
            "a",
            0,
            columns=RefinedPart(np.arange(n), latents, pictures, np.zeros((n, 100), np.float32)),
            inputs_hash="h",
        )
        return {
            "pool_bytes": pool[0].stat().st_size / n,
            "score_bytes": scores[0].stat().st_size / n,
            "refined_bytes": refined.stat().st_size / n,
            "write_ms": 1e3 * cpu(lambda: write(PARTS)) / n,
            "encode_ms": 1e3 * cpu(lambda: [encode_png(x) for x in pictures]) / n,
            "decode_ms": 1e3
            * cpu(lambda: Workspace(ws.root, ws.ledger, None).pool().images_at(range(n)))
            / n,
            "look_ms_per_part": 1e3 * cpu(lambda: [ws.has_part(0, i, "h") for i in range(PARTS)]) / PARTS,
            "open_ms_per_part": 1e3 * cpu(lambda: Workspace(ws.root, ws.ledger, None).pool()) / (PARTS + 1),
            "load_scores_ms_per_part": 1e3 * cpu(lambda: ws.scores("teacher", require_all=False)) / PARTS,
        }


def seconds(sizes: list[int], batch: int, rate: float, gpus: int, start: float) -> float:
    """A stage: workers start, then pull groups until none is left; the last round is as long as any other."""
    groups = plan_groups(sizes, batch)
    largest = max(sum(sizes[unit] for unit in group) for group in groups)
    return start + math.ceil(len(groups) / gpus) * largest / rate


def table(measured: dict[str, float], args: argparse.Namespace) -> list[dict[str, float]]:
    """Hours and bytes by images per class and GPUs, with the preset's own parts and batches."""
    recipe = load_recipe("imagenet1k-dit")
    rows = []
    for ipc in IPCS:
        size = 2 * ipc
        parts = [recipe.pool.part_size] * (CLASSES * math.ceil(size / recipe.pool.part_size))
        look = len(parts) * (measured["look_ms_per_part"] + measured["open_ms_per_part"]) / 1e3
        score_rate = 1 / (1 / args.score + measured["decode_ms"] / 1e3)
        for gpus in args.gpus:
            start = args.start + 2 * look  # driver, then workers
            pool = seconds(parts, recipe.pool.batch_size, args.generate, gpus, start)
            score = seconds(parts, recipe.score.batch_size, score_rate, gpus, start)
            refine = seconds([ipc] * CLASSES, recipe.refine.batch_size, args.refine, gpus, start)
            n, k = size * CLASSES, ipc * CLASSES
            rows.append(
                {
                    "ipc": ipc,
                    "gpus": gpus,
                    "pool_hours": pool / 3600,
                    "score_hours": score / 3600,
                    "refine_hours": refine / 3600,
                    "hours": (pool + score + refine) / 3600,
                    "starting_percent": 100 * 3 * start / (pool + score + refine),
                    "pool_gb": n * measured["pool_bytes"] / 1e9,
                    "score_gb": n * measured["score_bytes"] / 1e9,
                    "refined_gb": k * measured["refined_bytes"] / 1e9,
                    "megabytes_per_s": n * measured["pool_bytes"] / 1e6 / (pool - start),
                }
            )
    return rows


def main() -> None:
    """Print what was measured and the table, and keep both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--generate", type=float, default=19.4)
    parser.add_argument("--refine", type=float, default=8.8)
    parser.add_argument("--score", type=float, default=2000.0)
    parser.add_argument("--start", type=float, default=30.0)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    args = parser.parse_args()
    measured = storage(args.folder, load_recipe("imagenet1k-dit").pool.part_size)
    rows = table(measured, args)
    print({key: round(value, 3) for key, value in measured.items()})
    for row in rows:
        print({key: round(value, 3) for key, value in row.items()})
    given = {name: getattr(args, name) for name in ("generate", "refine", "score", "start")}
    write_results("scale", {"conditions": conditions(), "given": given, "measured": measured, "table": rows})


if __name__ == "__main__":
    main()
