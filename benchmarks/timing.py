"""What all benchmarks share: candidates taking turns, medians, and the conditions of a run."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from psr_studio.core.allocator import keep_freed_memory

keep_freed_memory()  # as our programs do, for peers too
RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "diffusers", "numpy", "pillow", "isal")

REST_SECONDS = 0.3


@dataclass(frozen=True)
class Seconds:
    """Seconds of a way: by the clock, and of this process's CPU time, which a busy machine disturbs less."""

    wall: float
    cpu: float


def alternate(
    ways: Mapping[str, Callable[[], Any]], rounds: int, twice: bool = False
) -> dict[str, list[Seconds]]:
    """Times of each way, taking turns, so that a busy moment hits all of them alike.

    Between two ways everything rests for a moment: the threads of a BLAS library go on spinning for a tenth of a
    second after their last product, and would take the cores of whoever comes next.

    Args:
        ways: by name; each is run once before, uncounted, to warm up.
        twice: run each one more time right before it counts, for what is done again and again.
    """
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            time.sleep(REST_SECONDS)
            if twice:
                run()
            began = time.perf_counter(), time.process_time()
            run()
            if number:
                times[name].append(Seconds(time.perf_counter() - began[0], time.process_time() - began[1]))
    return times


def medians(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Seconds]:
    """Median times of each way, taking turns as in `alternate`."""
    return {
        name: Seconds(statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times))
        for name, times in alternate(ways, rounds).items()
    }


def conditions() -> dict[str, Any]:
    """Device, versions, load and command of this run."""
    import torch

    return {
        "command": " ".join(["python", *map(_without_folders, sys.argv)]),
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu(),
        "threads": torch.get_num_threads(),
        "load_before": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write_results(name: str, results: Mapping[str, Any]) -> None:
    """Keep the results beside the benchmarks."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _without_folders(word: str) -> str:
    """A word of the command, with absolute paths cut to their names."""
    return Path(word).name if Path(word).is_absolute() else word


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores"
