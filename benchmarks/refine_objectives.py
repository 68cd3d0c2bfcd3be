"""What each objective of Refine is worth to a student: `psr`, `match` with its labels kept and taken anew, and none.

    OMP_NUM_THREADS=1 python benchmarks/refine_objectives.py --workspace runs/objectives

Fashion-MNIST with the preset's pool (60 candidates per class, 100 where 50 are chosen), weights and students; `psr` and
`match` take 100 steps, `match` at 0.02. The same picks for every way, saved under a name for each; students are tested
after the last epoch only. Resumable: run it again and it goes on. After every way and budget it writes
benchmarks/results/refine-objectives.json; last it prints the table and the differences seed by seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from table import follow, spread
from timing import conditions, write_results

from psr_studio import Studio
from psr_studio.stages.evaluate.comparing import Comparison, against
from psr_studio.stages.evaluate.stage import Row

RESULTS = "refine-objectives"
MATCH = {"refine.objective": "match", "refine.n_steps": 100, "refine.match.lr": 0.02}
WAYS: dict[str, dict[str, Any]] = {
    "psr": {"refine.objective": "psr", "refine.n_steps": 100},
    "match, labels kept": {**MATCH, "refine.match.labels": "kept"},
    "match, labels anew": {**MATCH, "refine.match.labels": "anew"},
}
NONE = "not refined"
EPOCHS = {1: 300, 10: 100, 50: 40}  # the preset's 300 where they are quick: ten images are ten times fewer


def main() -> None:
    """Parses the arguments, runs every way at every budget, writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of every student; fewer than the preset's when left out")
    args = parser.parse_args()
    begun = conditions()
    found: dict[int, list[Row]] = {ipc: [] for ipc in args.ipc}
    begins = not (args.workspace / "recipe.toml").exists()  # else it goes on with what is there
    with Studio(args.workspace, "fashion-mnist" if begins else None) as studio:
        for way in args.ways:
            for ipc in args.ipc:
                follow(studio.generate(pool_size=max(60, 2 * ipc)))  # the preset's 60; twice the budget at 50
                follow(studio.score())
                found[ipc] += measure(studio, way, ipc, args, controls=way == args.ways[0])
                write(begun, found)
    print(markdown([row for rows in found.values() for row in rows]))
    for ipc, rows in found.items():
        print(f"\nAt {ipc} images per class:\n")
        print("\n".join(" | ".join(c.cells) for c in differences(rows)))


def measure(studio: Studio, way: str, ipc: int, args: argparse.Namespace, controls: bool) -> list[Row]:
    """The picks refined in one way; with the controls also the picks as they are."""
    name = f"{way.replace(',', ' -')} - {ipc}"
    studio.set({**WAYS[way], "select.name": name})
    follow(studio.select(ipc=ipc))
    follow(studio.refine())
    arms = ["refined", "selected"] if controls else ["refined"]
    epochs = args.epochs or EPOCHS.get(ipc, 300)
    follow(studio.evaluate(arms=arms, controls=controls, n_seeds=args.seeds, n_checks=1, epochs=epochs))
    called = {"refined": way, "selected": NONE}
    return [replace(row, arm=called.get(row.arm, row.arm), selection="") for row in studio.table()]


def write(begun: dict[str, Any], found: dict[int, list[Row]]) -> None:
    """Keep what there is so far."""
    rows = [plain(row) for rows in found.values() for row in rows]
    compared = {ipc: [c.cells for c in differences(rows)] for ipc, rows in found.items()}
    minutes = round(time.process_time() / 60, 1)
    write_results(RESULTS, {**begun, "process_cpu_minutes": minutes, "rows": rows, "differences": compared})


def differences(rows: list[Row]) -> Iterator[Comparison]:
    """Each refined set against the picks as they are, against the other ways, and against the controls."""
    ways = [row for row in rows if row.arm in WAYS]
    rest = [row for row in rows if row.arm not in WAYS]
    for place, row in enumerate(ways):
        yield from against(row, (*rest, *ways[:place]))


def plain(row: Row) -> dict[str, Any]:
    """A row for the results; confusions stay in the workspace, of each student a line per pair of classes."""
    return {key: value for key, value in asdict(row).items() if key != "confusions"}


def markdown(rows: list[Row]) -> str:
    """One line per way and budget, in percent after the last epoch."""
    lines = ["| IPC | images | labels | epochs | n | top-1, last epoch |", "|---|---|---|---|---|---|"]
    for row in rows:
        top1 = spread(row.last_mean, row.last_std)
        cells = (row.ipc, row.arm, row.label_regime, row.epochs, row.n, top1)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
