"""What handing out costs: one worker against the bare loop in one process, same groups, same bytes.

    python benchmarks/workers.py

The embedded model generates a pool of 4 groups; the two ways take turns. What counts is the time from the first
step of the first group to the last part that is written, and the CPU seconds of all processes in that time. What
goes before (opening the networks, measuring the cost, starting a process) is told apart.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from timing import conditions, write_results

from psr_studio.app.studio import Studio
from psr_studio.core.files import sha256
from psr_studio.core.progress import Progress

ROUNDS, GROUPS, BATCH = 3, 4, 16
RECIPE: dict[str, Any] = {
    "pool.classes": [0, 1],
    "pool.pool_size": GROUPS * BATCH // 2,
    "pool.part_size": BATCH,
    "pool.batch_size": BATCH,
}


def cpu_seconds() -> float:
    """Of this process and of its workers, as long as they live."""
    processes = [psutil.Process(), *psutil.Process().children()]
    return sum(sum(p.cpu_times()[:2]) for p in processes)


def measure(root: Path, workers: int | None) -> dict[str, float]:
    """Seconds of all kinds from the first step of the first group to the last part, and seconds before that."""
    began = time.perf_counter()
    marks: list[tuple[float, float, float]] = []
    event: Progress | None = None
    with Studio(root, "fashion-mnist", workers=workers, **RECIPE) as studio:
        for event in studio.generate():
            first = not marks and "Denoising" in event.message
            if first or (event.part_done and event.done == event.total):
                marks.append((time.perf_counter(), cpu_seconds(), time.process_time()))
    assert event is not None and event.done == event.total == GROUPS * BATCH and len(marks) == 2
    (wall, cpu, own), (wall_end, cpu_end, own_end) = marks
    return {
        "seconds": wall_end - wall,
        "cpu_seconds": cpu_end - cpu,
        "cpu_seconds_of_this_process": own_end - own,  # with a worker: of the one that only hands out
        "start_up_seconds": wall - began,
    }


def hashes(root: Path) -> dict[str, str]:
    """Every part and its bytes."""
    return {path.relative_to(root).as_posix(): sha256(path) for path in sorted(root.rglob("part-*.parquet"))}


def compare() -> dict[str, Any]:
    """Medians of both ways, taking turns, and what the worker adds."""
    rows: dict[str, list[dict[str, float]]] = {"bare loop": [], "one worker": []}
    made = []
    for number in range(ROUNDS + 1):
        for name, workers in (("bare loop", None), ("one worker", 1)):
            with tempfile.TemporaryDirectory() as folder:
                row = measure(Path(folder) / "ws", workers)
                made.append(hashes(Path(folder) / "ws"))
            if number:  # the first round warms up
                rows[name].append(row)
                print(name, {key: round(value, 3) for key, value in row.items()}, flush=True)
    assert all(found == made[0] for found in made), "the bytes differ"
    return {"images": GROUPS * BATCH, "groups": GROUPS, **summary(rows), "runs": rows}


def summary(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Median and least of the rounds, and what the worker adds by either; on a busy machine the least is the fairer."""
    found: dict[str, Any] = {}
    for what, chosen in (("medians", statistics.median), ("least", min)):
        table = {
            name: {key: round(chosen([row[key] for row in runs]), 3) for key in runs[0]}
            for name, runs in rows.items()
        }
        bare, shared = table["bare loop"], table["one worker"]
        more = {key: round(100 * (shared[key] / bare[key] - 1), 2) for key in ("seconds", "cpu_seconds")}
        found[what] = {**table, "added_percent": more}
    handing = statistics.median(row["cpu_seconds_of_this_process"] for row in rows["one worker"])
    bare_cpu = found["medians"]["bare loop"]["cpu_seconds"]
    return {**found, "handing_out_percent_of_cpu": round(100 * handing / bare_cpu, 2)}


def main() -> None:
    """Print the comparison and keep it."""
    stated = conditions()
    found = compare()
    print({key: value for key, value in found.items() if key != "runs"})
    write_results("workers", {"conditions": stated, "rounds": ROUNDS, **found})


if __name__ == "__main__":
    main()
