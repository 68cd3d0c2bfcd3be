"""The README's table: Fashion-MNIST, ConvNet-3, at IPC 1, 10 and 50, with its controls.

    python benchmarks/fashion_mnist_table.py --workspace runs/table

Resumable: run it again after an interruption and it goes on. Writes benchmarks/results/fashion-mnist-table.json
and prints the table as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from psr_studio import Studio
from psr_studio.progress import Progress

# IPC -> epochs: 300 to 600 gradient steps each but for K = 50, where 80 passes are 160 steps of 256.
EPOCHS = {1: 500, 10: 300, 50: 80}
CHECKS = 3  # points of each curve; a test pass costs as much as 60 steps at K = 10
POOL_SIZE = 120  # M >= 2K at the largest K


def follow(events: Iterator[Progress]) -> None:
    """Runs a stage to its end, a line on stderr per finished unit."""
    for event in events:
        if event.part_done:
            print(f"  {event.stage} {event.done}/{event.total} {event.message}", file=sys.stderr, flush=True)


def main() -> None:
    """Parses the arguments, runs every budget, writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", default="runs/table")
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="benchmarks/results/fashion-mnist-table.json")
    args = parser.parse_args()
    began, cpu_began = time.perf_counter(), time.process_time()
    rows: list[dict[str, object]] = []
    with Studio(args.workspace, "fashion-mnist", pool_size=POOL_SIZE) as studio:
        follow(studio.generate())
        follow(studio.score())
        for ipc in args.ipc:
            follow(studio.select(ipc=ipc, name=f"psr-{ipc}"))
            follow(studio.refine())
            follow(studio.evaluate(n_seeds=args.seeds, epochs=EPOCHS.get(ipc, 300), n_checks=CHECKS))
            rows += [{**asdict(row), "epochs": EPOCHS.get(ipc, 300)} for row in studio.table()]
        result = {
            "command": "python " + " ".join(sys.argv),
            "device": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
            "wall_minutes": round((time.perf_counter() - began) / 60, 1),
            "cpu_minutes": round((time.process_time() - cpu_began) / 60, 1),
            "pool_size": POOL_SIZE,
            "guidance": studio.recipe.pool.guidance,
            "rows": rows,
        }
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(markdown(result))


def markdown(result: dict) -> str:
    """One line per arm and budget: last-epoch top-1 as the headline, best beside it."""
    lines = [
        "| IPC | images | labels | epochs | n | top-1, last epoch | best epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        what = (
            "PSR, refined"
            if row["arm"] == "refined"
            else "PSR, not refined"
            if row["arm"] == "selected"
            else row["arm"]
        )
        last = f"{100 * row['last_mean']:.1f} ± {100 * row['last_std']:.1f}"
        best = f"{100 * row['best_mean']:.1f} ± {100 * row['best_std']:.1f}"
        lines.append(
            f"| {row['ipc']} | {what} | {row['label_regime']} | {row['epochs']} | {row['n']} | {last} | {best} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
