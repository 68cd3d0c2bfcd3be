"""Trains a bundle's teacher: a timm network on small pictures, then calibrates it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.devices import candidate_seed
from psr_studio.core.files import whole_file
from psr_studio.models.augment import flip
from psr_studio.models.head import fit_temperature
from psr_studio.models.teacher import CONFIG_NAME, WEIGHTS_NAME, Teacher, TeacherConfig, create_backbone
from psr_studio.training import data
from psr_studio.training.loop import batch_of, load, mixed_precision
from psr_studio.training.settings import BundleSettings, Cycle, TeacherSettings

WARMUP = 0.15  # share of a cycle
EMA_STEP = 0.005


def config_of(settings: BundleSettings, calibration: float = 1.0) -> TeacherConfig:
    """What the teacher's folder says of it."""
    teacher = settings.teacher
    return TeacherConfig(
        architecture=teacher.architecture,
        input_size=teacher.input_size,
        mean=settings.data.mean,
        std=settings.data.std,
        n_classes=settings.data.n_classes,
        in_chans=settings.data.channels,
        calibration=round(calibration, 4),
        kwargs=dict(teacher.kwargs),
    )


def one_cycle(progress: float, peak: float) -> float:
    """Learning rate at ``progress`` in [0, 1]: linear warm-up, then cosine to zero."""
    if progress < WARMUP:
        return peak * progress / WARMUP
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))


def cycle_at(cycles: tuple[Cycle, ...], epochs: float) -> tuple[Cycle, float]:
    """The cycle that so many epochs fall into, and the learning rate there."""
    for cycle in cycles[:-1]:
        if epochs < cycle.epochs:
            return cycle, one_cycle(epochs / cycle.epochs, cycle.peak_lr)
        epochs -= cycle.epochs
    return cycles[-1], one_cycle(epochs / cycles[-1].epochs, cycles[-1].peak_lr)


class Run:
    """A teacher in training with its running average, on one device."""

    def __init__(
        self, settings: BundleSettings, folder: Path, work: Path, seed: int, device: torch.device
    ) -> None:
        self.settings, self.seed, self.device = settings.teacher, seed, device
        images, labels = load(folder, "train", settings.data, device)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images))).to(device)
        self.held, self.fit = order[: self.settings.held_out], order[self.settings.held_out :]
        self.images, self.labels = images, labels
        torch.manual_seed(seed)
        self.config = config_of(settings)
        self.net = create_backbone(self.config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: nn.Module = copy.deepcopy(self.net)
        self.teacher = Teacher(self.ema, self.config, "in training")  # its way of showing a picture
        self.optimizer = _optimizer(self.net, self.settings)
        self.generator = torch.Generator().manual_seed(seed)
        parts = {"net": self.net, "ema": self.ema, "optimizer": self.optimizer, "generator": self.generator}
        self.checkpoint = Checkpoint(work / "teacher.pt", parts)

    @property
    def n_steps(self) -> int:
        """Of an epoch."""
        return len(self.fit) // self.settings.batch

    def order(self, epoch: int) -> Tensor:
        """Rows of the training images in the order of an epoch, which depends on the seed and the epoch only."""
        shuffled = torch.Generator().manual_seed(candidate_seed(self.seed, epoch, 0))
        return self.fit[torch.randperm(len(self.fit), generator=shuffled).to(self.device)]

    def step(self, rows: Tensor, epochs: float) -> Tensor:
        """One step on a batch, after so many epochs; the loss, not yet waited for."""
        cycle, lr = cycle_at(self.settings.cycles, epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        batch = self._augmented(batch_of(self.images, rows, self.device), cycle)
        with mixed_precision(self.device):
            logits = self.net(self.teacher.preprocess(batch).contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), self.labels[rows])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._average()
        return loss.detach()

    def _augmented(self, batch: Tensor, cycle: Cycle) -> Tensor:
        settings = self.settings
        batch = data.shift(batch, self.generator, settings.shift, settings.reflect)
        if settings.mirror:
            batch = flip(batch, self.generator)
        return data.erase(batch, self.generator, cycle.erase, settings.erase_side) if cycle.erase else batch

    @torch.no_grad()
    def _average(self) -> None:
        for averaged, current in zip(
            self.ema.state_dict().values(), self.net.state_dict().values(), strict=True
        ):
            if averaged.is_floating_point():
                averaged.lerp_(current, EMA_STEP)
            else:
                averaged.copy_(current)

    def held_out(self) -> tuple[Tensor, Tensor]:
        """The average's logits on the images held out, and their labels, on the CPU."""
        self.teacher.eval()
        logits, _ = self.teacher.predict(self.images[self.held.to(self.images.device)], batch_size=500)
        return logits, self.labels[self.held].cpu()


def _optimizer(net: nn.Module, settings: TeacherSettings) -> torch.optim.Optimizer:
    decay = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": decay, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=settings.cycles[0].peak_lr, momentum=0.9, nesterov=True)


def train(
    settings: BundleSettings, folder: Path, work: Path, out: Path, seed: int, device: torch.device
) -> Iterator[dict[str, float]]:
    """Trains, calibrates and writes ``config.json`` and ``model.safetensors`` (bfloat16) into ``out``.

    Yields one dict per epoch. A checkpoint in ``work`` lets the command be stopped at any moment and resumed.
    """
    run = Run(settings, folder, work, seed, device)
    n_steps, checkpoint = run.n_steps, run.checkpoint
    n_epochs = sum(cycle.epochs for cycle in settings.teacher.cycles)
    while checkpoint.step < n_epochs * n_steps:
        epoch, first = divmod(checkpoint.step, n_steps)
        order, total = run.order(epoch), torch.zeros((), device=device)
        run.net.train()
        for step in range(first, n_steps):
            rows = order[step * settings.teacher.batch : (step + 1) * settings.teacher.batch]
            total += run.step(rows, epoch + step / n_steps)
            checkpoint.reached(checkpoint.step + 1, final=step + 1 == n_steps)
        logits, labels = run.held_out()
        held = (logits.argmax(1) == labels).float().mean().item()
        mean = total.item() / (n_steps - first)
        yield {"epoch": epoch + 1, "loss": mean, "held_out": held, "seconds": checkpoint.seconds}
    save(run.ema, config_of(settings, fit_temperature(*run.held_out())), out)


def save(net: nn.Module, config: TeacherConfig, out: Path) -> None:
    """Weights as bfloat16 safetensors and, last, the config that rebuilds the network."""
    out.mkdir(parents=True, exist_ok=True)
    state = {
        key: (value.to(torch.bfloat16) if value.is_floating_point() else value).contiguous().cpu()
        for key, value in net.state_dict().items()
    }
    with whole_file(out / WEIGHTS_NAME) as temp:
        save_file(state, temp)
    facts = {
        "architecture": config.architecture,
        "input_size": config.input_size,
        "mean": list(config.mean),
        "std": list(config.std),
        "n_classes": config.n_classes,
        "in_chans": config.in_chans,
        "calibration": config.calibration,
        "kwargs": config.kwargs,
    }
    with whole_file(out / CONFIG_NAME) as temp:
        temp.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
