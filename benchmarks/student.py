"""Training students: our loop against the straightforward one, same set, epochs, batches, checks and seeds.

    OMP_NUM_THREADS=1 python benchmarks/student.py [--student convnet-3] [--ipc 10] [--epochs 300] [--seeds 3]

The straightforward loop is the field's: a DataLoader whose workers decode, normalise and augment (DSA, one operation
a batch) picture by picture, the network in float32 as its source writes it, and the whole test split through a
DataLoader at every check. Ours: set and test split rest as uint8, a batch is augmented at once, bfloat16 where the
device has it, and checks between the first and the last epoch look at a fixed part of the test split. They take
turns; medians, by the clock and in CPU seconds of all processes, which a busy machine disturbs less. Accuracies are
those of the same seeds, on random real images with hard labels.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timing import REST_SECONDS, conditions, write_results
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import functional as T

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.devices import pick_device
from psr_studio.models.augment import OPERATIONS
from psr_studio.models.students import MNIST_SIZE, StudentMemory, Training, build_student, train_student
from psr_studio.stages.evaluate.arms import random_real
from psr_studio.stages.evaluate.lessons import normalised

WORKERS = 2


class Pictures(Dataset):
    """Pictures one by one, from uint8 to what a student sees; `operation` is None for test images."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, bundle: Bundle) -> None:
        self.images, self.labels = images, torch.from_numpy(np.array(labels))
        self.mean, self.std = ([float(v)] for v in bundle.normalisation)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int | tuple[int, int | None, int]) -> tuple[Tensor, Tensor]:
        row, operation, seed = item if isinstance(item, tuple) else (item, None, 0)
        picture = T.to_pil_image(np.array(self.images[row]))
        pixels = T.normalize(T.to_tensor(picture), self.mean, self.std)
        if operation is not None:
            generator = torch.Generator().manual_seed(seed)
            pixels = OPERATIONS[operation](pixels[None], generator)[0]
        return pixels, self.labels[row]


class Batches(Sampler):
    """Rows of each batch in a new order, with the operation of the batch and a seed for each picture."""

    def __init__(self, n: int, batch_size: int, generator: torch.Generator) -> None:
        self.n, self.batch_size, self.generator = n, batch_size, generator

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self):
        for rows in torch.randperm(self.n, generator=self.generator).split(self.batch_size):
            operation = int(torch.randint(len(OPERATIONS), (1,), generator=self.generator))
            seeds = torch.randint(2**31, (len(rows),), generator=self.generator).tolist()
            yield [(int(row), operation, seed) for row, seed in zip(rows, seeds, strict=True)]


def plain_student(name: str, n_classes: int, channels: int, size: int) -> nn.Module:
    """The same network, in torch's own layers; for names other than ConvNets ours."""
    if not name.startswith("convnet-"):
        return build_student(name, n_classes, channels, size)
    layers: list[nn.Module] = []
    side, inputs = size, channels
    for level in range(int(name.removeprefix("convnet-"))):
        padding = 3 if level == 0 and size == MNIST_SIZE else 1
        layers += [
            nn.Conv2d(inputs, 128, 3, padding=padding),
            nn.GroupNorm(128, 128),
            nn.ReLU(),
            nn.AvgPool2d(2),
        ]
        side, inputs = (side + 2 * (padding - 1)) // 2, 128
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * side * side, n_classes))


def straightforward(
    bundle: Bundle, chosen: tuple[np.ndarray, np.ndarray], how: Training, name: str, seed: int
) -> float:
    """The field's loop; returns the top-1 after the last epoch."""
    device, (height, _, channels) = pick_device("auto"), bundle.image_shape
    torch.manual_seed(seed)
    student = plain_student(name, bundle.n_classes, channels, height).to(device)
    generator = torch.Generator().manual_seed(seed)
    kept: dict[str, Any] = {"num_workers": WORKERS, "persistent_workers": True}
    train = Pictures(*chosen, bundle)
    loader = DataLoader(train, batch_sampler=Batches(len(train), how.batch_size, generator), **kept)
    tested = DataLoader(Pictures(*bundle.test_set, bundle), batch_size=how.batch_size, **kept)
    check_at = {max(1, round(how.epochs * (i + 1) / how.n_checks)) for i in range(how.n_checks)}
    top1 = 0.0
    for epoch in range(1, how.epochs + 1):
        if epoch in (1, how.epochs // 2 + 1):
            lr = how.lr if epoch == 1 else how.lr * 0.1
            optimizer = torch.optim.SGD(
                student.parameters(), lr, momentum=how.momentum, weight_decay=how.weight_decay
            )
        student.train()
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(student(images.to(device)), labels.to(device)).backward()
            optimizer.step()
        if epoch in check_at:
            student.eval()
            with torch.no_grad():
                hits = [
                    (student(images.to(device)).argmax(1) == labels.to(device)).sum().item()
                    for images, labels in tested
                ]
            top1 = sum(hits) / len(bundle.test_set[1])
    return top1


def ours(bundle: Bundle, chosen: tuple[np.ndarray, np.ndarray], how: Training, name: str, seed: int) -> float:
    """Our loop, as an evaluation runs it."""
    device, (height, _, channels) = pick_device("auto"), bundle.image_shape
    torch.manual_seed(seed)
    student = build_student(name, bundle.n_classes, channels, height).to(device)
    images, labels = chosen
    test_images, test_labels = bundle.test_set
    *_, last = train_student(
        student, normalised(images, bundle, device), torch.from_numpy(np.array(labels)).to(device),
        F.cross_entropy, normalised(test_images, bundle, device), torch.from_numpy(test_labels).to(device), how,
        seed, memory=StudentMemory.of(student),
    )  # fmt: skip
    return last.top1


def cpu_seconds() -> float:
    """Of this process and of those it has ended, loader workers among them."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(run: Callable[[], float]) -> tuple[float, float, float]:
    """(top-1, seconds by the clock, CPU seconds)."""
    time.sleep(REST_SECONDS)
    began = time.perf_counter(), cpu_seconds()
    top1 = run()
    return top1, time.perf_counter() - began[0], cpu_seconds() - began[1]


def main() -> None:
    """Times both loops in turns and writes benchmarks/results/student.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="fashion-mnist")
    parser.add_argument("--student", default="convnet-3")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--checks", type=int, default=10)
    parser.add_argument("--check-images", type=int, default=1000, help="test images of a check, ours")
    parser.add_argument("--seeds", type=int, default=3, help="students of each loop, taking turns")
    args = parser.parse_args()
    stated = conditions()
    bundle = load_bundle(args.bundle)
    how = Training(epochs=args.epochs, n_checks=args.checks, check_images=args.check_images)
    found: dict[str, list[tuple[float, float, float]]] = {"straightforward": [], "ours": []}
    for seed in range(args.seeds):
        rows = random_real(bundle, tuple(range(bundle.n_classes)), args.ipc, seed)
        images, labels = bundle.train_subset
        chosen = np.array(images[rows]), labels[rows]
        for name, loop in (("straightforward", straightforward), ("ours", ours)):
            run = timed(partial(loop, bundle, chosen, how, args.student, seed))
            found[name].append(run)
            print(f"seed {seed} {name:16} top-1 {run[0]:.3f}, {run[1]:.1f} s, {run[2]:.1f} CPU s", flush=True)
    results: dict[str, Any] = {
        "conditions": {**stated, "load_after": [round(x, 2) for x in os.getloadavg()]},
        "bundle": bundle.name, "student": args.student, "ipc": args.ipc, "epochs": args.epochs,
        "checks": args.checks, "check_images": args.check_images, "loader_workers": WORKERS,
        "loops": {name: summary(runs) for name, runs in found.items()},
    }  # fmt: skip
    loops = results["loops"]
    results["ratio"] = {
        unit: round(loops["straightforward"][unit] / loops["ours"][unit], 2)
        for unit in ("seconds", "cpu_seconds")
    }
    write_results("student", results)
    print(results["ratio"], loops)


def summary(runs: list[tuple[float, float, float]]) -> dict[str, Any]:
    """Medians of the times, mean and spread of the accuracies."""
    top1 = [run[0] for run in runs]
    return {
        "seconds": round(statistics.median(run[1] for run in runs), 2),
        "cpu_seconds": round(statistics.median(run[2] for run in runs), 2),
        "top1": [round(100 * value, 2) for value in top1],
        "mean": round(100 * statistics.fmean(top1), 2),
        "std": round(100 * statistics.stdev(top1), 2) if len(top1) > 1 else None,
    }


if __name__ == "__main__":
    main()
