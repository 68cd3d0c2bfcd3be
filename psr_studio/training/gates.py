"""The gates of a bundle: what its models must reach before a measurement made with them means anything."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from psr_studio.bundles.bundle import Bundle
from psr_studio.core.devices import candidate_seed, pick_device, pick_dtype
from psr_studio.method.distillation import hard_label_loss, kd_loss
from psr_studio.method.metrics import expected_calibration_error, mean_pairwise_distance
from psr_studio.models.generator import Sampling
from psr_studio.models.levels import from_uint8
from psr_studio.models.students import Training, build_student, train_student

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
    """The bundle's networks and data on one device, with the numbers that several gates share."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.device = pick_device("auto")
        self.teacher = bundle.teacher(self.device)
        self.codec = bundle.codec(self.device)
        self.generator = bundle.generator(self.device, pick_dtype(self.device))
        images, labels = bundle.test_set
        self.test, self.test_labels = from_uint8(images), torch.from_numpy(labels)
        images, labels = bundle.train_subset
        self.real, self.real_labels = from_uint8(images), torch.from_numpy(labels)

    def sample(
        self, per_class: int, guidance: float, steps: int = 50, sampler: str = "ddpm", seed: int = 0
    ) -> Tensor:
        """``per_class`` decoded images of each class, class-major, as stored: (C * per_class, ch, H, W) in [-1, 1]."""
        classes = [c for c in range(self.bundle.n_classes) for _ in range(per_class)]
        seeds = [candidate_seed(seed, c, i) for c in range(self.bundle.n_classes) for i in range(per_class)]
        how = Sampling(sampler=sampler, steps=steps, guidance=guidance)
        done = []
        for start in range(0, len(classes), 200):
            part = slice(start, start + 200)
            *_, (_, latents) = self.generator.sample(classes[part], seeds[part], how)
            done.append(from_uint8(self.codec.decode_uint8(latents)))
        return torch.cat(done)

    def student_top1(self, images: Tensor, targets: Tensor, how: Training, seed: int, hard: bool) -> float:
        """Last-epoch top-1 on the test split of a ConvNet-3 trained on ``images``, in [0, 1]."""
        mean, std = self.bundle.normalisation
        height, _, channels = self.bundle.image_shape
        torch.manual_seed(seed)
        student = build_student("convnet-3", self.bundle.n_classes, channels, height).to(self.device)
        loss_fn = hard_label_loss if hard else (lambda logits, soft: kd_loss(logits, soft, TEMPERATURE))
        normal = lambda x: (((x + 1) / 2 - mean) / std).to(self.device)  # noqa: E731
        checks = list(
            train_student(
                student,
                normal(images),
                targets.to(self.device),
                loss_fn,
                normal(self.test),
                self.test_labels.to(self.device),
                how,
                seed,
            )
        )
        return checks[-1].top1


def teacher_gates(bench: Bench) -> list[Gate]:
    """Accuracy on the test split, and calibration."""
    logits, _ = bench.teacher.predict(bench.test)
    top1 = (logits.argmax(1) == bench.test_labels).float().mean().item()
    ece = expected_calibration_error(logits, bench.test_labels)
    return [Gate("teacher top-1", top1, 0.94), Gate("teacher ECE, 15 bins", float(ece), 0.03, at_most=True)]


def codec_gates(bench: Bench) -> list[Gate]:
    """How many points of teacher accuracy the codec costs."""
    with torch.no_grad():
        rebuilt = torch.cat(
            [
                from_uint8(bench.codec.decode_uint8(bench.codec.encode(part.to(bench.device))))
                for part in bench.test.split(500)
            ]
        )
    hits = [
        (bench.teacher.predict(x)[0].argmax(1) == bench.test_labels).float().mean().item()
        for x in (bench.test, rebuilt)
    ]
    error = (rebuilt - bench.test).square().mean().item()
    return [
        Gate(
            "teacher top-1 lost through the codec",
            hits[0] - hits[1],
            0.015,
            at_most=True,
            note=f"mean squared error {error:.4f} on the [-1, 1] range",
        )
    ]


def sample_gates(bench: Bench, guidance: float, per_class: int = 200) -> list[Gate]:
    """Agreement of the teacher with the asked-for class, and diversity against real images."""
    images = bench.sample(per_class, guidance)
    labels = torch.arange(bench.bundle.n_classes).repeat_interleave(per_class)
    logits, features = bench.teacher.predict(images)
    agree = (logits.argmax(1) == labels).float()
    by_class = [agree[labels == c].mean().item() for c in range(bench.bundle.n_classes)]
    _, real_features = bench.teacher.predict(bench.real)
    ratios = [
        mean_pairwise_distance(features[labels == c])
        / mean_pairwise_distance(real_features[bench.real_labels == c][:per_class])
        for c in range(bench.bundle.n_classes)
    ]
    worst = int(np.argmin(by_class))
    conditions = f"DDPM, 50 steps, guidance {guidance}, {per_class} per class"
    return [
        Gate("samples predicted as their class", agree.mean().item(), 0.90, note=conditions),
        Gate("worst class", by_class[worst], 0.75, note=f"{bench.bundle.class_names[worst]}; {conditions}"),
        Gate("mean pairwise feature distance, share of real", float(np.mean(ratios)), 0.70, note=conditions),
    ]


def train_on_samples_gate(bench: Bench, guidance: float, per_class: int = 500, epochs: int = 40) -> Gate:
    """A ConvNet-3 on samples with hard labels, tested on real images."""
    images = bench.sample(per_class, guidance, steps=25, sampler="dpm-solver++", seed=1)
    labels = torch.arange(bench.bundle.n_classes).repeat_interleave(per_class)
    top1 = bench.student_top1(images, labels, Training(epochs=epochs, n_checks=1), seed=0, hard=True)
    note = (
        f"DPM-Solver++, 25 steps, guidance {guidance}; {epochs} epochs, DC optimiser, DSA, seed 0, last epoch"
    )
    return Gate("ConvNet-3 on 500 samples per class, hard labels", top1, 0.82, note=note)


def soft_label_gap_gate(
    bench: Bench, guidance: float, ipc: int = 10, epochs: int = 300, n_seeds: int = 3
) -> Gate:
    """Generate-and-use against random real images with the same teacher's labels: points of top-1 behind."""
    n_classes = bench.bundle.n_classes
    gaps, tops = [], []
    for seed in range(n_seeds):
        generated = bench.sample(ipc, guidance, seed=10 + seed)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(bench.real)))
        chosen = torch.cat([order[bench.real_labels[order] == c][:ipc] for c in range(n_classes)])
        arms = []
        for images in (bench.real[chosen], generated):
            soft = F.softmax(bench.teacher.predict(images)[0] / TEMPERATURE, 1)
            arms.append(
                bench.student_top1(images, soft, Training(epochs=epochs, n_checks=1), seed, hard=False)
            )
        gaps.append(arms[0] - arms[1])
        tops.append(arms)
    real, ours = np.mean(tops, axis=0)
    note = (
        f"IPC {ipc}, teacher labels, {epochs} epochs, {n_seeds} seeds: "
        f"random real {real:.3f}, generate-and-use {ours:.3f}"
    )
    return Gate("generate-and-use behind random real", float(np.mean(gaps)), 0.03, at_most=True, note=note)


def speed_gate(bench: Bench, guidance: float, n: int = 200) -> Gate:
    """Sampled and decoded images per second at 25 steps; the best of three runs."""
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        bench.sample(n // bench.bundle.n_classes, guidance, steps=25, sampler="dpm-solver++")
        rates.append(n / (time.perf_counter() - began))
    return Gate(
        "images per second, 25 steps",
        max(rates),
        15,
        note=f"{bench.device}, {torch.get_num_threads()} threads",
    )


def measure(bundle: Bundle, guidance: float) -> list[Gate]:
    """Every gate of the bundle at its default guidance; minutes on a CPU."""
    bench = Bench(bundle)
    return [
        *teacher_gates(bench),
        *codec_gates(bench),
        *sample_gates(bench, guidance),
        speed_gate(bench, guidance),
        train_on_samples_gate(bench, guidance),
        soft_label_gap_gate(bench, guidance),
    ]
