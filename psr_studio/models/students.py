"""The students: the field's small networks, by name, and how one is trained.

Architectures and first weights as in VICO-UoE/DatasetCondensation (ConvNet: PyTorch's own weights) and
vimar-gu/MinimaxDiffusion, which has them from snu-mllab/Efficient-Dataset-Condensation (ResNetAP-10, ResNet-18 with
instance norm: normal weights by fan-out), rebuilt from their published description.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psr_studio.core.devices import pick_dtype, sent
from psr_studio.core.errors import ModelError, did_you_mean
from psr_studio.method.distillation import cutmix
from psr_studio.method.metrics import calibration_error
from psr_studio.method.protocols import COSINE, DC_STEP, HALF_COSINE, MULTI_STEP
from psr_studio.models.augment import Augmentation, dsa
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.memory import SAME, MicroBatches

MNIST_SIZE = 28  # padded to 32
FAN_OUT = "normal by fan-out"
CONVNET = re.compile(r"convnet-(\d)")
TIMM = "timm:"
BATCH_NORM = "only slower; batch norm takes its statistics over that many, so accuracies may differ"
Loss = Callable[[Tensor, Tensor], Tensor]
Relabel = Callable[[int, slice, Tensor], Tensor]  # epoch (1-based), places in its order, the mixed batch


class InstanceNorm(nn.GroupNorm):
    """The field's "instancenorm": a GroupNorm with one group per channel and affine weights.

    It keeps the dtype of its input (statistics are accumulated in float32 either way): autocast would copy every
    feature map to float32 and back, which costs more than the convolutions of a small student.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, channels, h, w) -> the same shape and dtype."""
        with torch.autocast(features.device.type, enabled=False):
            weight, bias = self.weight.to(features.dtype), self.bias.to(features.dtype)
            return F.group_norm(features, self.num_groups, weight, bias, self.eps)


class AvgPool(nn.AvgPool2d):
    """Average pooling without overlap. On a CPU a product with a constant matrix: five times as fast as torch's own,
    forwards and backwards, to the same values up to rounding.
    """

    def __init__(self, factor: int) -> None:
        super().__init__(factor)
        self.factor = factor

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, channels, h, w) -> (N, channels, h / factor, w / factor), rounded down."""
        n, channels, height, width = features.shape
        k = self.factor
        if features.device.type != "cpu" or height % k or width % k:
            return super().forward(features)
        columns = torch.arange(k * width, device=features.device) % width // k
        pooling = F.one_hot(columns, width // k).to(features.dtype) / k**2
        return features.reshape(n, channels, height // k, k * width) @ pooling


class FirstConv2d(nn.Conv2d):
    """The convolution over the pixels. On a CPU a product of unfolded pictures: with so few channels torch's own
    takes six times as long for the gradient of its weights.
    """

    def __init__(self, channels: int, width: int, kernel: int, padding: int) -> None:
        super().__init__(channels, width, kernel, padding=padding)
        self.kernel, self.border = kernel, padding

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, ch, H, W) -> features (N, width, h, w)."""
        if images.device.type != "cpu" or images.requires_grad or self.bias is None:
            return super().forward(images)
        sides = [side + 2 * self.border - self.kernel + 1 for side in images.shape[2:]]
        patches = F.unfold(images, self.kernel, padding=self.border)
        # The bias is the weight of one more pixel, which is 1 everywhere.
        weights = torch.cat([self.weight.flatten(1), self.bias[:, None]], dim=1)
        ones = F.pad(patches, (0, 0, 0, 1), value=1.0)
        return torch.bmm(weights.expand(len(images), -1, -1), ones).unflatten(2, sides)


class ConvNet(nn.Module):
    """ConvNet-D: D x [conv3x3, 128 channels - instance norm - ReLU - average pool 2x2] - linear.

    A 28-pixel image is padded to 32 by the first convolution, as in the reference.
    """

    def __init__(self, n_classes: int, in_channels: int, size: int, depth: int = 3, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for level in range(depth):
            padding = 3 if level == 0 and size == MNIST_SIZE else 1
            layers += [
                nn.Conv2d(channels, width, 3, padding=padding)
                if level
                else FirstConv2d(channels, width, 3, padding),
                InstanceNorm(width),
                nn.ReLU(),
                AvgPool(2),
            ]
            size = (size + 2 * (padding - 1)) // 2
            channels = width
        if size < 1:
            raise ModelError(
                f"ConvNet-{depth} halves the picture {depth} times, which leaves nothing of this size.",
                'Choose a "Student" of smaller depth.',
            )
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * size * size, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, ch, H, W) -> logits (N, C)."""
        return self.classifier(self.features(images).flatten(1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; ``pool`` halves by average pooling, not strides (the AP in the name)."""

    def __init__(self, channels: int, width: int, stride: int, pool: bool) -> None:
        super().__init__()
        inner = 1 if pool else stride
        down = [AvgPool(stride)] if pool and stride > 1 else []
        self.main = nn.Sequential(
            nn.Conv2d(channels, width, 3, inner, 1, bias=False),
            InstanceNorm(width),
            nn.ReLU(),
            *down,
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            InstanceNorm(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, inner, bias=False), *copy.deepcopy(down), InstanceNorm(width)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, channels, h, w) -> features (N, width, h / stride, w / stride)."""
        return F.relu(self.main(images) + self.shortcut(images))


class ResNet(nn.Module):
    """ResNetAP-10 (one block a stage, average pooling) and ResNet-18 (two blocks a stage, strides).

    Convolutions k x k with n outputs begin normal with a standard deviation of sqrt(2 / (k k n)).
    """

    def __init__(self, n_classes: int, in_channels: int, size: int, blocks: int, pool: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_stem(in_channels, size, pool))
        stages: list[nn.Module] = []
        channels = 64
        for index, width in enumerate((64, 128, 256, 512)):
            for block in range(blocks):
                stages.append(BasicBlock(channels, width, 2 if index > 0 and block == 0 else 1, pool))
                channels = width
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, n_classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, ch, H, W) -> logits (N, C)."""
        return self.classifier(self.stages(self.stem(images)).mean((2, 3)))


def _stem(in_channels: int, size: int, pool: bool) -> list[nn.Module]:
    norm = [InstanceNorm(64), nn.ReLU()]
    if size <= 64:
        return [nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False), *norm]
    if pool and size <= 128:
        return [nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False), *norm, AvgPool(2)]
    if pool:
        return [nn.Conv2d(in_channels, 64, 7, 1, 3, bias=False), *norm, AvgPool(4)]
    return [nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False), *norm, nn.MaxPool2d(3, 2, 1)]


@dataclass(frozen=True)
class Student:
    """A student by name: `build(n_classes, in_channels, size)`, and how often it halves a picture at least.

    `first_weights` says how they are drawn, where that is not as when the first students of that name were trained.
    """

    build: Callable[[int, int, int], nn.Module]
    n_halvings: int
    first_weights: str = ""


STUDENTS = {
    "convnet-3": Student(partial(ConvNet, depth=3), 3),  # the field's at 32 px
    "convnet-4": Student(partial(ConvNet, depth=4), 4),  # 64 px
    "convnet-5": Student(partial(ConvNet, depth=5), 5),  # 128 px
    "convnet-6": Student(partial(ConvNet, depth=6), 6),  # 224 and 256 px
    "resnetap-10": Student(partial(ResNet, blocks=1, pool=True), 3, FAN_OUT),
    "resnet-18": Student(partial(ResNet, blocks=2, pool=False), 3, FAN_OUT),
}


def most_halvings(size: int) -> int:
    """How often a picture of so many pixels a side can be halved."""
    return (32 if size == MNIST_SIZE else size).bit_length() - 1


def students_for(size: int) -> list[str]:
    """The named students that a picture of so many pixels a side has room for."""
    return [name for name, student in STUDENTS.items() if student.n_halvings <= most_halvings(size)]


def first_weights(name: str) -> str:
    """How the first weights of a student are drawn; "" as ever."""
    return STUDENTS[name].first_weights if name in STUDENTS else ""


def check_student(name: str) -> None:
    """Raise ModelError where there is no student of that name: `STUDENTS`, "convnet-<depth>", "timm:<architecture>"."""
    if name in STUDENTS or CONVNET.fullmatch(name):
        return
    if name.startswith(TIMM):
        import timm

        if name.removeprefix(TIMM) in timm.list_models():
            return
    names = ", ".join((*STUDENTS, "convnet-<depth>", f"{TIMM}<architecture>"))
    raise ModelError(f'There is no student "{name}".', f"{did_you_mean(name, STUDENTS)}Name one of {names}.")


def build_student(name: str, n_classes: int, in_channels: int, size: int) -> nn.Module:
    """A fresh student by a name that `check_student` takes.

    Raises:
        ModelError: no student of that name.
    """
    check_student(name)
    if name in STUDENTS:
        return STUDENTS[name].build(n_classes, in_channels, size)
    if match := CONVNET.fullmatch(name):
        return ConvNet(n_classes, in_channels, size, int(match[1]))
    import timm

    return timm.create_model(
        name.removeprefix(TIMM), pretrained=False, num_classes=n_classes, in_chans=in_channels
    )


def seeded_student(name: str, n_classes: int, in_channels: int, size: int, seed: int) -> nn.Module:
    """The same with its first weights from `seed`, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_student(name, n_classes, in_channels, size)


@dataclass(frozen=True)
class Training:
    """How a student is trained; the defaults are the DC protocol (VICO-UoE/DatasetCondensation).

    `optimizer` and `schedule` are named as in `method.protocols`, `mix` is the share of batches that CutMix mixes,
    `checks_from` the share of the epochs before the first check.
    """

    epochs: int = 300
    batch_size: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: Augmentation | None = dsa
    n_checks: int = 10
    check_images: int | None = None  # of a check before the last epoch; all of them when None
    checks_from: float = 0.0
    optimizer: str = "sgd"
    schedule: str = DC_STEP
    mix: float = 0.0

    @property
    def check_at(self) -> set[int]:
        """The epochs that are followed by a check, the last among them."""
        before = math.floor(self.epochs * self.checks_from)
        shares = ((i + 1) / self.n_checks for i in range(self.n_checks))
        return {max(1, before + round((self.epochs - before) * share)) for share in shares}


# The learning rate as a share of the first one, before epoch e (from 0) of n.
RATES: dict[str, Callable[[int, int], float]] = {
    DC_STEP: lambda e, n: 0.1 if e >= n // 2 and n > 1 else 1.0,
    MULTI_STEP: lambda e, n: 0.2 ** ((e >= 2 * n // 3) + (e >= 5 * n // 6)),
    HALF_COSINE: lambda e, n: 0.5 * (1 + math.cos(math.pi * e / (2 * n))),  # falls to half of the first
    COSINE: lambda e, n: 0.5 * (1 + math.cos(math.pi * e / n)),
}


@dataclass(frozen=True)
class Check:
    """One point of an accuracy curve: epoch (1-based), mean training loss since the last point, top-1 in [0, 1].

    Between two points (``every_epoch``) the top-1 is NaN, and nothing is ``predicted``, which is (n,) int64 on the
    host. ``ece`` is the calibration error in [0, 1], of 15 bins, on all test images; NaN before the last epoch.
    """

    epoch: int
    loss: float
    top1: float
    predicted: Tensor | None = None
    ece: float = math.nan


@dataclass(frozen=True)
class StudentMemory:
    """What fits into memory at once, learned by one student and kept for those like it."""

    training: MicroBatches
    testing: MicroBatches

    @classmethod
    def of(cls, student: nn.Module) -> Self:
        """For students of this kind: the field's networks normalise each picture alone, most of timm's do not."""
        inexact = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in student.modules())
        training = MicroBatches("training on", items="pictures", effect=BATCH_NORM if inexact else SAME)
        return cls(training, MicroBatches("testing on", items="pictures"))

    def take_notice(self) -> str:
        """What there is to say about memory, once."""
        return " ".join(filter(None, (self.training.take_notice(), self.testing.take_notice())))


def train_student(
    student: nn.Module,
    images: Tensor | NormalisedImages,
    targets: Tensor,
    loss_fn: Loss,
    test_images: Tensor | NormalisedImages,
    test_labels: Tensor,
    training: Training,
    seed: int,
    every_epoch: bool = False,
    memory: StudentMemory | None = None,
    relabel: Relabel | None = None,
    resume: Callable[[dict[str, Any]], int] | None = None,
) -> Iterator[Check]:
    """Trains in place and yields a Check ``n_checks`` times, the last one after the last epoch.

    Args:
        student: the network, already on its device.
        images: (N, ch, H, W) float32, normalised, on the student's device; or what gives them so, row by row.
        targets: (N, C) soft labels or (N,) class ids, whatever ``loss_fn(logits, targets)`` takes; (N, C) where CutMix
            mixes them.
        loss_fn: mean loss of a batch.
        test_images: (n, ch, H, W), normalised alike.
        test_labels: (n,) int64, on the student's device.
        training: epochs, batch size and optimiser.
        seed: of the order and the augmentation; the initial weights are the caller's.
        every_epoch: also yield after the epochs between, with a top-1 of NaN, so that a caller can stop soon.
        memory: of an earlier student like this one.
        relabel: gives the targets of a batch as it is augmented and mixed, in place of those of its images.
        resume: is given, by name, all that an epoch changes, and may set it to where an earlier training stood; says
            after how many epochs that was.

    Raises:
        ModelError: there is not enough memory for even one picture.
    """
    memory = memory or StudentMemory.of(student)
    generator = torch.Generator("cpu").manual_seed(seed)
    student.train()
    optimizer = OPTIMIZERS[training.optimizer](student, training)
    done = resume({"student": student, "optimizer": optimizer, "generator": generator}) if resume else 0
    rate, check_at = RATES[training.schedule](max(0, done - 1), training.epochs), training.check_at
    some = _spread(test_images, test_labels, training.check_images)
    losses: list[Tensor] = []  # left on the device: a look at each would have it wait
    for epoch in range(done + 1, training.epochs + 1):
        before, rate = rate, RATES[training.schedule](epoch - 1, training.epochs)
        if training.schedule == DC_STEP and rate != before:  # its momentum starts anew
            optimizer.state.clear()
        for group in optimizer.param_groups:
            group["lr"] = training.lr * rate
        for place, batch, wanted in _batches(images, targets, training, generator):
            if relabel is not None:
                wanted = relabel(epoch, place, batch)
            learn = partial(_set_gradients, student, batch, wanted, loss_fn)
            losses.append(memory.training.whole(learn, len(batch)))
            optimizer.step()
        if epoch in check_at:
            last = epoch == training.epochs
            check = checked(student, *((test_images, test_labels) if last else some), memory)
            yield replace(check, epoch=epoch, loss=_mean(losses), ece=check.ece if last else math.nan)
            student.train()
            losses = []
        elif every_epoch:
            yield Check(epoch, _mean(losses), math.nan)


def _batches(
    images: Tensor | NormalisedImages, targets: Tensor, training: Training, generator: torch.Generator
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """The places of each batch in the order of an epoch, its images, augmented and mixed, and its targets."""
    order = torch.randperm(len(images), generator=generator)
    batches = (sent(order, kept.device).split(training.batch_size) for kept in (images, targets))
    start = 0
    for rows, labelled in zip(*batches, strict=True):
        batch, wanted = images[rows], targets[labelled]
        if training.augment is not None:
            batch = training.augment(batch, generator)
        if training.mix and (training.mix == 1 or float(torch.rand((), generator=generator)) < training.mix):
            batch, wanted = cutmix(batch, wanted, generator)
        yield slice(start, start + len(batch)), batch, wanted
        start += len(batch)


def _spread(
    images: Tensor | NormalisedImages, labels: Tensor, n: int | None
) -> tuple[Tensor | NormalisedImages, Tensor]:
    """n test images at even distances, so that a split sorted by class gives as many of each; always the same."""
    if n is None or n >= len(labels):
        return images, labels
    rows = torch.arange(n) * len(labels) // n
    kept = rows.to(images.device)
    taken = images.at(kept) if isinstance(images, NormalisedImages) else images[kept]
    return taken, labels[rows.to(labels.device)]


def _set_gradients(
    student: nn.Module, batch: Tensor, targets: Tensor, loss_fn: Loss, chunks: list[slice]
) -> Tensor:
    """Sets the gradients to those of the batch's mean loss, chunk by chunk; returns that loss."""
    student.zero_grad(set_to_none=True)  # also what a try that did not fit has left
    losses = []
    for rows in chunks:
        part = batch[rows]
        with _precision(part.device):
            logits = student(part)
        loss = loss_fn(logits.float(), targets[rows]) * (len(part) / len(batch))  # times 1 for a whole batch
        loss.backward()
        losses.append(loss.detach())
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()


def _mean(losses: list[Tensor]) -> float:
    return float(torch.stack(losses).cpu().double().mean())


def _sgd(student: nn.Module, training: Training) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        student.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
    )


def _adamw(student: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels alone, as RDED has it."""
    weights = [part for part in student.parameters() if part.ndim > 1]
    others = [part for part in student.parameters() if part.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=training.lr, weight_decay=training.weight_decay)


OPTIMIZERS: dict[str, Callable[[nn.Module, Training], torch.optim.Optimizer]] = {
    "sgd": _sgd, "adamw": _adamw,
}  # fmt: skip


def _precision(device: torch.device) -> torch.autocast:
    """bfloat16 convolutions where the device has them, about twice as fast; weights and losses stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=pick_dtype(device) == torch.bfloat16)


def checked(
    student: nn.Module, images: Tensor | NormalisedImages, labels: Tensor, memory: StudentMemory
) -> Check:
    """A student on test images (n, ch, H, W) with labels (n,), as after its last epoch, which the caller notes."""
    predicted, sure = predictions(student, images, memory=memory)
    hits = predicted == labels
    return Check(0, math.nan, _share(hits), predicted.cpu(), calibration_error(sure, hits))


def top1(
    student: nn.Module,
    images: Tensor | NormalisedImages,
    labels: Tensor,
    batch_size: int = 100,
    memory: StudentMemory | None = None,
) -> float:
    """Share of images (n, ch, H, W) whose arg-max is their label, in [0, 1]; leaves the student in eval mode."""
    return _share(predictions(student, images, batch_size, memory)[0] == labels)


@torch.no_grad()
def predictions(
    student: nn.Module,
    images: Tensor | NormalisedImages,
    batch_size: int = 100,
    memory: StudentMemory | None = None,
) -> tuple[Tensor, Tensor]:
    """Arg-max (n,) and its softmax (n,) float32 of images (n, ch, H, W), on the student's device.

    Leaves the student in eval mode.
    """
    testing = (memory or StudentMemory.of(student)).testing
    student.eval()

    def answers(part: Tensor) -> tuple[Tensor, Tensor]:
        logits = student(part)
        return logits.argmax(1), logits.float().softmax(1).amax(1)

    with _precision(next(student.parameters()).device):
        found = [
            testing.map(answers, images[start : start + batch_size])
            for start in range(0, len(images), batch_size)
        ]
    predicted, sure = (torch.cat(parts) for parts in zip(*found, strict=True))
    return predicted, sure


def _share(hits: Tensor) -> float:
    return float(hits.sum()) / len(hits)
