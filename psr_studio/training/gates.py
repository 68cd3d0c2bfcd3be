"""The gates of a bundle: what its models must reach before a measurement made with them means anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from psr_studio.bundles.bundle import Bundle
from psr_studio.core.devices import candidate_seed, pick_dtype, sent
from psr_studio.core.files import whole_file
from psr_studio.method.distillation import hard_label_loss, kd_loss
from psr_studio.method.metrics import expected_calibration_error, mean_pairwise_distance
from psr_studio.models.generator import Sampling
from psr_studio.models.levels import NormalisedImages, from_uint8
from psr_studio.models.students import Training, build_student, train_student
from psr_studio.training.loop import load
from psr_studio.training.settings import BundleSettings

TEMPERATURE = 1.5


@dataclass(frozen=True)
class Gate:
    """One measured gate: ``value`` must be at least (or, where ``at_most``, at most) ``needed``."""

    name: str
    value: float
    needed: float
    at_most: bool = False
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the measured value is on the right side of what is needed."""
        return self.value <= self.needed if self.at_most else self.value >= self.needed

    def as_dict(self) -> dict[str, object]:
        """For gates.json."""
        return {**asdict(self), "passed": self.passed}


class Bench:
    """The bundle's networks and the data set's images on one device, with the numbers that several gates share.

    Attributes:
        test, real: images at rest of the test and the training split, uint8 (N, H, W, ch), on the device.
    """

    def __init__(self, bundle: Bundle, settings: BundleSettings, folder: Path, device: torch.device) -> None:
        self.bundle, self.device = bundle, device
        self.needed, self.guidance = settings.gates, settings.guidance
        self.teacher = bundle.teacher(device)
        self.codec = bundle.codec(device)
        self.generator = bundle.generator(device, pick_dtype(device))
        self.test, labels = load(folder, "test", settings.data, device)
        self.test_labels = labels.cpu()
        self.real, labels = load(folder, "train", settings.data, device)
        self.real_labels = labels.cpu()

    @property
    def n_classes(self) -> int:
        """C."""
        return self.bundle.n_classes

    def some_real(self, per_class: int, seed: int = 0) -> Tensor:
        """Training images drawn by a seed, class-major: uint8 (C * per_class, H, W, ch)."""
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(self.real)))
        owners = self.real_labels[order]
        rows = [order[owners == c][:per_class] for c in range(self.n_classes)]
        return self.real[torch.cat(rows).to(self.real.device)]

    def sample(self, per_class: int, steps: int = 50, sampler: str = "ddpm", seed: int = 0) -> Tensor:
        """``per_class`` decoded images of each class, class-major, as stored: uint8 (C * per_class, H, W, ch)."""
        classes = [c for c in range(self.n_classes) for _ in range(per_class)]
        seeds = [candidate_seed(seed, c, i) for c in range(self.n_classes) for i in range(per_class)]
        sampling = Sampling(sampler=sampler, steps=steps, guidance=self.guidance)
        done = []
        for start in range(0, len(classes), 200):
            part = slice(start, start + 200)
            *_, (_, latents) = self.generator.sample(classes[part], seeds[part], sampling)
            done.append(torch.from_numpy(self.codec.decode_uint8(latents)))
        return torch.cat(done).to(self.device)

    def labels(self, per_class: int) -> Tensor:
        """Of class-major images, (C * per_class,)."""
        return torch.arange(self.n_classes).repeat_interleave(per_class)

    def student_top1(
        self, images: Tensor, targets: Tensor, training: Training, seed: int, hard: bool
    ) -> float:
        """Last-epoch top-1 on the test split of a ConvNet-3 trained on images at rest, in [0, 1]."""
        height, _, channels = self.bundle.image_shape
        torch.manual_seed(seed)
        student = build_student("convnet-3", self.n_classes, channels, height).to(self.device)
        loss_fn = hard_label_loss if hard else (lambda logits, soft: kd_loss(logits, soft, TEMPERATURE))
        shown, tested = (
            NormalisedImages.of(levels, self.bundle.normalisation, self.device)
            for levels in (images, self.test)
        )
        checks = list(
            train_student(
                student,
                shown,
                targets.to(self.device),
                loss_fn,
                tested,
                self.test_labels.to(self.device),
                training,
                seed,
            )
        )
        return checks[-1].top1


def teacher_gates(bench: Bench) -> list[Gate]:
    """Accuracy on the test split, and calibration."""
    logits, _ = bench.teacher.predict(bench.test)
    top1 = (logits.argmax(1) == bench.test_labels).float().mean().item()
    ece = expected_calibration_error(logits, bench.test_labels)
    return [
        Gate("teacher top-1", top1, bench.needed.top1),
        Gate("teacher ECE, 15 bins", float(ece), bench.needed.ece, at_most=True),
    ]


def codec_gates(bench: Bench) -> list[Gate]:
    """How many points of teacher accuracy the codec costs."""
    with torch.no_grad():
        rebuilt = torch.cat(
            [
                torch.from_numpy(
                    bench.codec.decode_uint8(bench.codec.encode(from_uint8(sent(part, bench.device))))
                )
                for part in bench.test.split(500)
            ]
        ).to(bench.test.device)
    hits = [
        (bench.teacher.predict(x)[0].argmax(1) == bench.test_labels).float().mean().item()
        for x in (bench.test, rebuilt)
    ]
    errors = [
        (from_uint8(a) - from_uint8(b)).square().mean()
        for a, b in zip(rebuilt.split(500), bench.test.split(500), strict=True)
    ]
    return [
        Gate(
            "teacher top-1 lost through the codec",
            hits[0] - hits[1],
            bench.needed.codec_loss,
            at_most=True,
            note=f"mean squared error {torch.stack(errors).mean().item():.4f} on the [-1, 1] range",
        )
    ]


def sample_gates(bench: Bench) -> list[Gate]:
    """Agreement of the teacher with the asked-for class, and diversity against real images."""
    per_class = bench.needed.samples
    labels = bench.labels(per_class)
    logits, features = bench.teacher.predict(bench.sample(per_class))
    agree = (logits.argmax(1) == labels).float()
    by_class = [agree[labels == c].mean().item() for c in range(bench.n_classes)]
    _, real_features = bench.teacher.predict(bench.some_real(per_class))
    ratios = [
        mean_pairwise_distance(features[labels == c]) / mean_pairwise_distance(real_features[labels == c])
        for c in range(bench.n_classes)
    ]
    worst, needed = int(np.argmin(by_class)), bench.needed
    conditions = f"DDPM, 50 steps, guidance {bench.guidance}, {per_class} per class"
    named = f"{bench.bundle.class_names[worst]}; {conditions}"
    distance = float(np.mean(ratios))
    return [
        Gate("samples predicted as their class", agree.mean().item(), needed.agreement, note=conditions),
        Gate("worst class", by_class[worst], needed.worst_class, note=named),
        Gate("mean pairwise feature distance, share of real", distance, needed.distance, note=conditions),
    ]


def train_on_samples_gates(bench: Bench) -> list[Gate]:
    """A ConvNet-3 on samples with hard labels, tested on real images; and how far it lies behind one on real ones."""
    needed = bench.needed
    per_class, epochs = needed.train_samples, needed.epochs
    labels, training = bench.labels(per_class), Training(epochs=epochs, n_checks=1)
    trained = lambda images: bench.student_top1(images, labels, training, seed=0, hard=True)  # noqa: E731
    top1 = trained(bench.sample(per_class, steps=25, sampler="dpm-solver++", seed=1))
    sampled = f"DPM-Solver++, 25 steps, guidance {bench.guidance}"
    conditions = f"{sampled}; {epochs} epochs, DC optimiser, DSA, seed 0, last epoch"
    found = []
    if needed.train_on_samples is not None:
        name = f"ConvNet-3 on {per_class} samples per class, hard labels"
        found.append(Gate(name, top1, needed.train_on_samples, note=conditions))
    if needed.behind_real is not None:
        real = trained(bench.some_real(per_class))
        note = f"real {real:.3f}, samples {top1:.3f}; {conditions}"
        name = f"ConvNet-3 on {per_class} samples per class behind real ones"
        found.append(Gate(name, real - top1, needed.behind_real, at_most=True, note=note))
    return found


def soft_label_gap_gate(bench: Bench, ipc: int = 10, n_seeds: int = 3) -> Gate:
    """Generate-and-use against random real images with the same teacher's labels: points of top-1 behind."""
    tops, epochs = [], bench.needed.soft_epochs
    training = Training(epochs=epochs, n_checks=1)
    for seed in range(n_seeds):
        arms = []
        for images in (bench.some_real(ipc, seed), bench.sample(ipc, seed=10 + seed)):
            soft = F.softmax(bench.teacher.predict(images)[0] / TEMPERATURE, 1)
            arms.append(bench.student_top1(images, soft, training, seed, hard=False))
        tops.append(arms)
    real, ours = np.mean(tops, axis=0)
    note = (
        f"IPC {ipc}, teacher labels, {epochs} epochs, {n_seeds} seeds: "
        f"random real {real:.3f}, generate-and-use {ours:.3f}"
    )
    needed = bench.needed.soft_label_gap
    return Gate("generate-and-use behind random real", float(real - ours), needed, at_most=True, note=note)


def speed_gate(bench: Bench, n: int = 200) -> Gate:
    """Sampled and decoded images per second at 25 steps; the best of three runs."""
    rates = []
    per_class = max(1, n // bench.n_classes)
    for _ in range(3):
        began = time.perf_counter()
        bench.sample(per_class, steps=25, sampler="dpm-solver++")
        rates.append(per_class * bench.n_classes / (time.perf_counter() - began))
    note = f"{bench.device}, {torch.get_num_threads()} threads"
    return Gate("images per second, 25 steps", max(rates), bench.needed.speed, note=note)


GROUPS: dict[str, Callable[[Bench], list[Gate]]] = {
    "teacher": teacher_gates,
    "codec": codec_gates,
    "samples": sample_gates,
    "speed": lambda bench: [speed_gate(bench)],
    "train on samples": train_on_samples_gates,
    "soft labels": lambda bench: [soft_label_gap_gate(bench)],
}


def measure(
    bundle: Bundle, settings: BundleSettings, folder: Path, device: torch.device, kept: Path
) -> Iterator[Gate]:
    """Every gate of the bundle at its default guidance, one after the other; minutes on a CPU.

    Args:
        kept: a JSON file of what is measured of these very networks already.
    """
    of = "/".join(
        [
            bundle.identity("generator"),
            bundle.identity("teacher"),
            str(settings.gates),
            str(settings.guidance),
        ]
    )
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    found: dict[str, list[dict]] = known["gates"] if known.get("of") == of else {}
    bench = Bench(bundle, settings, folder, device)
    for name, group in GROUPS.items():
        if name not in found:
            found[name] = [asdict(gate) for gate in group(bench)]
            with whole_file(kept) as temp:
                temp.write_text(json.dumps({"of": of, "gates": found}), encoding="utf-8")
        yield from (Gate(**facts) for facts in found[name])
