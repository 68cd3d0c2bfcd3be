"""Two students on two cores: one after the other with two threads, side by side with one each in threads or processes.

    python benchmarks/side_by_side.py --epochs 20 --rounds 3

ConvNet-3 on 10 random real images of each Fashion-MNIST class, hard labels, batch 256, DSA, tested on 1,000 images
after the last epoch. The ways take turns, each in processes that are open and have trained an epoch before the clock
starts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import torch.nn.functional as F
from timing import conditions, write_results

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.devices import pick_device
from psr_studio.models.students import Training, seeded_student, train_student
from psr_studio.stages.evaluate.arms import random_real
from psr_studio.stages.evaluate.lessons import normalised

SEEDS = (0, 1)
# Threads of an operation, and the seeds of each process with how many of them train at once.
WAYS: dict[str, tuple[int, list[tuple[tuple[int, ...], int]]]] = {
    "one after the other, two threads": (2, [(SEEDS, 1)]),
    "one after the other, one thread": (1, [(SEEDS, 1)]),
    "side by side in one process, one thread each": (1, [(SEEDS, 2)]),
    "side by side in two processes, one thread each": (1, [((seed,), 1) for seed in SEEDS]),
}


def main() -> None:
    """Parses the arguments, takes turns, writes and prints the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.epochs, **json.loads(args.child))
        return
    begun = conditions()
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way in WAYS:
            found[way].append(turn(way, args.epochs))
            print(way, found[way][-1], file=sys.stderr, flush=True)
    medians = {
        way: {
            name: round(statistics.median(t[name] for t in turns), 2) for name in ("seconds", "cpu_seconds")
        }
        for way, turns in found.items()
    }
    print(json.dumps(medians, indent=1))
    write_results("side-by-side", {**begun, "epochs": args.epochs, "medians": medians, "turns": found})


def turn(way: str, epochs: int) -> dict[str, Any]:
    """Seconds of both students by the clock, CPU seconds of all processes, and both accuracies."""
    threads, shares = WAYS[way]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    children = []
    for seeds, at_once in shares:
        told = json.dumps({"seeds": seeds, "at_once": at_once})
        command = [sys.executable, __file__, "--epochs", str(epochs), "--child", told]
        children.append(
            subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    for process in children:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for process in children:
        assert process.stdin is not None
        process.stdin.write("begin\n")
        process.stdin.flush()
    said = [json.loads(process.communicate()[0]) for process in children]
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(sum(one["cpu_seconds"] for one in said), 2),
        "top1": [top1 for one in said for top1 in one["top1"]],
    }


def child(epochs: int, seeds: list[int], at_once: int) -> None:
    """Train the students of some seeds, so many at once, when told to begin."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    train(seeds[0], 1)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(train, seeds, [epochs] * len(seeds)))
    print(json.dumps({"cpu_seconds": time.process_time() - began, "top1": found}))


def train(seed: int, epochs: int) -> float:
    """Top-1 of a student after the last epoch."""
    bundle, device = load_bundle("fashion-mnist"), pick_device("auto")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # of this thread
    height, _, channels = bundle.image_shape
    rows = random_real(bundle, tuple(range(bundle.n_classes)), 10, 0)
    images, labels = bundle.train_subset
    tested, wanted = (part[:: len(part) // 1000] for part in bundle.test_set)
    student = seeded_student("convnet-3", bundle.n_classes, channels, height, seed).to(device)
    *_, last = train_student(
        student, normalised(images[rows], bundle, device), torch.from_numpy(labels[rows]), F.cross_entropy,
        normalised(tested, bundle, device), torch.from_numpy(wanted), Training(epochs=epochs, n_checks=1), seed,
    )  # fmt: skip
    return last.top1


if __name__ == "__main__":
    main()
