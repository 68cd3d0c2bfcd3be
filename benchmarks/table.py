"""The README's tables: ConvNet-3 on the embedded models at IPC 1, 10 and 50, with its controls.

    OMP_NUM_THREADS=1 python benchmarks/table.py --workspace runs/table
    OMP_NUM_THREADS=1 python benchmarks/table.py --preset cifar10 --compare dgs k-center herding --hard

One workspace per budget, so budgets may run side by side (`--ipc 10` here, `--ipc 50` there; one thread for each
of two processes is faster than two threads for one). Resumable: run it again and it goes on. Writes
benchmarks/results/<preset>-ipc<K>.json and prints the table of all that are there as Markdown.
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
from typing import Any

import numpy as np
import torch

from psr_studio import Studio
from psr_studio.core.progress import Progress

# IPC -> epochs: 300 to 500 gradient steps each, but for K = 50, where 60 passes are 120 steps of 256.
EPOCHS = {1: 500, 10: 300, 50: 60}
CHECKS = 3  # points of each curve; a pass over the test split costs as much as 30 epochs at K = 10
POOL_SIZES = {1: 60, 10: 60, 50: 120}  # the preset's, and M >= 2K at the largest K
PAPER = "psr - the weights of the paper"
IMAGES = {"refined": "PSR, refined", "selected": "PSR, not refined"}


def main() -> None:
    """Parses the arguments, runs every budget, writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="fashion-mnist")
    parser.add_argument("--workspace", type=Path, default=Path("runs/table"))
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of every student; those of the table when left out")
    parser.add_argument("--compare", nargs="*", default=[], help="selectors that choose from the same pool")
    parser.add_argument("--hard", action="store_true", help="train on hard labels, too, psr and its controls")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    for ipc in args.ipc:
        result = measure(args, ipc)
        out = args.results / f"{args.preset}-ipc{ipc}.json"
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    found = [json.loads(path.read_text()) for path in args.results.glob(f"{args.preset}-ipc*.json")]
    print(markdown([row for result in sorted(found, key=lambda r: r["ipc"]) for row in result["rows"]]))


def measure(args: argparse.Namespace, ipc: int) -> dict[str, Any]:
    """All stages at one budget; the rows of the table with their conditions."""
    epochs, pool_size = args.epochs or EPOCHS.get(ipc, 300), POOL_SIZES.get(ipc, 2 * ipc)
    with Studio(args.workspace / f"ipc-{ipc}", args.preset, pool_size=pool_size) as studio:
        follow(studio.generate())
        follow(studio.score())
        for name in args.compare:
            studio.set({"select.selector": name})
            follow(studio.select(ipc=ipc, name=name))
        for name, weights in ((PAPER, "paper"), ("psr", "held-out")):
            studio.set({"select.selector": "psr", "select.psr.weights": weights, "refine.objective": "psr"})
            follow(studio.select(ipc=ipc, name=name))
        follow(studio.refine())
        ours, papers = (studio.selection(name).candidate_ids for name in ("psr", PAPER))
        compare = [*([] if np.array_equal(ours, papers) else [PAPER]), *args.compare]
        rows: list[dict[str, Any]] = []
        for labels in ("teacher", "hard") if args.hard else ("teacher",):
            follow(studio.evaluate(
                n_seeds=args.seeds, epochs=epochs, n_checks=CHECKS, labels=labels,
                compare=compare if labels == "teacher" else [],
            ))  # fmt: skip
            known = {(row["arm"], row["selection"], row["label_regime"]) for row in rows}  # a control of both
            rows += [
                {**asdict(row), "epochs": epochs}
                for row in studio.table()
                if (row.arm, row.selection, row.label_regime) not in known
            ]
        for row in rows:
            del row["confusions"]  # they stay in the workspace: of each student a line per pair of classes
        guidance = studio.pool.settings["guidance"]
    return {
        "command": f"python benchmarks/table.py {' '.join(sys.argv[1:])}",
        "ipc": ipc,
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "pool_size": pool_size,
        "guidance": guidance,
        "student_minutes": round(sum(float(row["seconds"]) for row in rows) / 60, 1),
        "process_cpu_minutes": round(time.process_time() / 60, 1),
        "rows": rows,
    }


def follow(events: Iterator[Progress]) -> None:
    """Runs a stage to its end, a line on stderr per finished unit."""
    for event in events:
        if event.part_done:
            print(f"  {event.stage} {event.done}/{event.total} {event.message}", file=sys.stderr, flush=True)


def markdown(rows: list[dict[str, Any]]) -> str:
    """One line per arm and budget: last-epoch top-1 as the headline, best beside it."""
    lines = [
        "| IPC | images | labels | epochs | n | top-1, last epoch | best epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row["ipc"], name_of(row), row["label_regime"], row["epochs"], row["n"],
            spread(row["last_mean"], row["last_std"]), spread(row["best_mean"], row["best_std"]),
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def name_of(row: dict[str, Any]) -> str:
    """What was trained on: the form of the selection psr, another selection by its name, or a control."""
    if row["arm"] == "selected" and row["selection"] != "psr":
        return str(row["selection"])
    return IMAGES.get(row["arm"], row["arm"])


def spread(mean: float, std: float) -> str:
    """Mean and sample standard deviation, in percent."""
    return f"{100 * mean:.1f} ± {100 * std:.1f}"


if __name__ == "__main__":
    main()
