"""What a bundle is trained with: one typed record per data set, with sizes, schedules and gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from psr_studio.bundles import data_sets
from psr_studio.bundles.data_sets import DataSet
from psr_studio.core.errors import StudioError, did_you_mean

NULL_CLASS = 1000  # of diffusers' DiTPipeline, which guides networks with as many label rows only


@dataclass(frozen=True)
class Cycle:
    """One cycle of the teacher's learning rate: linear warm-up, then cosine to zero.

    Attributes:
        epochs: over the training images that are not held out.
        peak_lr: of SGD with Nesterov momentum.
        erase: share of the pictures in which a random square is erased.
    """

    epochs: int
    peak_lr: float
    erase: float = 0.0


@dataclass(frozen=True)
class TeacherSettings:
    """A timm network by name, and how it is trained.

    Attributes:
        input_size: pixels a side it is shown the picture at.
        kwargs: of timm's constructor, beside classes and channels.
        cycles: one after the other; a cycle added at the end goes on where a finished training stopped.
        held_out: training images kept for choosing and for the calibration temperature.
        shift: pixels a picture is moved by at most, in x and y.
        reflect: fill what a shift uncovers with the mirrored picture; else with black.
        mirror: show half of the pictures mirrored left to right.
        erase_side: pixels of the largest erased square.
    """

    architecture: str
    input_size: int
    kwargs: Mapping[str, Any]
    cycles: tuple[Cycle, ...]
    batch: int = 256
    weight_decay: float = 5e-4
    held_out: int = 3000
    shift: int = 2
    reflect: bool = False
    mirror: bool = True
    erase_side: int = 9


@dataclass(frozen=True)
class CodecSettings:
    """A diffusers AutoencoderKL; each width after the first halves height and width.

    Attributes:
        size: pixels a side of the padded picture.
        kl, absolute, label, feature: weights of the loss beside the mean squared error: posterior KL per latent
            element, absolute error, the teacher's soft label on the reconstruction against its label on the original,
            and its features.
    """

    size: int
    widths: tuple[int, ...] = (16, 32, 64)
    latent_channels: int = 4
    steps: int = 3000
    batch: int = 128
    peak_lr: float = 2e-3
    warmup: int = 300
    decay_share: float = 0.5
    kl: float = 1e-3
    absolute: float = 0.3
    label: float = 0.1
    feature: float = 0.1


@dataclass(frozen=True)
class GeneratorSettings:
    """A diffusers DiTTransformer2DModel on the codec's latents.

    Attributes:
        patch: latent pixels a side of one token.
        for_pipeline: as many label rows as diffusers' DiTPipeline needs to guide it, most of them unused.
        mirrored: train on the latents of the mirrored pictures, too.
    """

    heads: int = 4
    head_dim: int = 64
    layers: int = 5
    patch: int = 2
    for_pipeline: bool = True
    steps: int = 6000
    batch: int = 256
    peak_lr: float = 1e-3
    warmup: int = 200
    decay_share: float = 0.3
    label_dropout: float = 0.1
    ema_decay: float = 0.999
    mirrored: bool = False


@dataclass(frozen=True)
class Gates:
    """What the bundle's models must reach, see `gates`; shares of 1, losses in shares, speed in images per second.

    Attributes:
        train_on_samples: top-1 of a student trained on samples; None where only `behind_real` counts.
        behind_real: how far that may lie behind the same student on as many real images; None does not train it.
        samples, train_samples: images per class that are looked at, and that a student is trained on.
        epochs, soft_epochs: of the students, on hard labels and on the teacher's.
    """

    top1: float = 0.94
    ece: float = 0.03
    codec_loss: float = 0.015
    agreement: float = 0.90
    worst_class: float = 0.75
    distance: float = 0.70
    speed: float = 15.0
    train_on_samples: float | None = 0.82
    behind_real: float | None = None
    soft_label_gap: float = 0.03
    samples: int = 200
    train_samples: int = 500
    epochs: int = 40
    soft_epochs: int = 300


@dataclass(frozen=True)
class BundleSettings:
    """A data set with all that `train-bundle` makes of it; `guidance` is the scale its samples look best at."""

    data: DataSet
    teacher: TeacherSettings
    codec: CodecSettings
    generator: GeneratorSettings = GeneratorSettings()
    gates: Gates = Gates()
    guidance: float = 1.5

    @property
    def label_rows(self) -> int:
        """Of the generator's label table, without the null row that follows them."""
        return NULL_CLASS if self.generator.for_pipeline else self.data.n_classes


FASHION_MNIST = BundleSettings(
    data_sets.FASHION_MNIST,
    TeacherSettings(
        architecture="resnet10t",
        input_size=56,  # timm's stem divides by four before the first stage: 28 px is shown at twice its size
        kwargs={"stem_type": "deep", "stem_width": 16, "channels": [56, 112, 192, 256]},
        cycles=(Cycle(12, 0.2, erase=0.25), Cycle(5, 0.05)),  # the second, lower one without erasing
    ),
    CodecSettings(size=32),
)

# What data sets of small colour pictures share. A resnet10t fit for 32 pixels, which it is shown at twice their size,
# since timm's stem divides by four; 64 pixels are shown as they are.
COLOUR_TEACHER = TeacherSettings(
    architecture="resnet10t",
    input_size=64,
    kwargs={
        "stem_type": "deep", "stem_width": 24, "layers": [2, 2, 1, 1], "channels": [64, 128, 256, 256],
    },
    cycles=(Cycle(16, 0.25, erase=0.5),),
    held_out=2000,
    shift=3,
    reflect=True,
    erase_side=12,
)  # fmt: skip
COLOUR_CODEC = CodecSettings(size=32, latent_channels=8, steps=2000)
COLOUR_GENERATOR = GeneratorSettings(
    layers=4, for_pipeline=False, steps=12000, ema_decay=0.9995, mirrored=True
)
COLOUR_GATES = Gates(
    top1=0.93, codec_loss=0.03, agreement=0.85, worst_class=0.70, train_on_samples=None, behind_real=0.06
)

# What two CPU cores reached in a day; 12,000 steps are better where there is time for them.
CIFAR10 = BundleSettings(
    data_sets.CIFAR10, COLOUR_TEACHER, COLOUR_CODEC, replace(COLOUR_GENERATOR, steps=5400), COLOUR_GATES,
    guidance=3.5,
)  # fmt: skip

CIFAR100 = BundleSettings(
    data_sets.CIFAR100,
    replace(COLOUR_TEACHER, cycles=(Cycle(30, 0.25, erase=0.5),)),
    COLOUR_CODEC,
    replace(COLOUR_GENERATOR, steps=24000),
    replace(COLOUR_GATES, top1=0.70, agreement=0.70, worst_class=0.40),
)

SVHN = BundleSettings(
    data_sets.SVHN,
    replace(COLOUR_TEACHER, cycles=(Cycle(10, 0.1, erase=0.5),), mirror=False),
    COLOUR_CODEC,
    replace(COLOUR_GENERATOR, mirrored=False),
    replace(COLOUR_GATES, top1=0.95),
)

TINY_IMAGENET = BundleSettings(
    data_sets.TINY_IMAGENET,
    replace(COLOUR_TEACHER, cycles=(Cycle(30, 0.25, erase=0.5),), shift=6, erase_side=24),
    CodecSettings(size=64, widths=(16, 32, 64, 64), latent_channels=8, steps=4000),
    replace(COLOUR_GENERATOR, steps=48000),
    replace(COLOUR_GATES, top1=0.55, codec_loss=0.05, agreement=0.60, worst_class=0.20),
)

TRAINABLE = {row.data.name: row for row in (FASHION_MNIST, CIFAR10, CIFAR100, SVHN, TINY_IMAGENET)}


def settings_of(name: str) -> BundleSettings:
    """The record of a data set by name.

    Raises:
        StudioError: there is none, with the names that there are.
    """
    if name not in TRAINABLE:
        raise StudioError(
            f'There is no training recipe for a bundle "{name}".',
            f"{did_you_mean(name, TRAINABLE)}Train one of: {', '.join(TRAINABLE)}.",
        )
    return TRAINABLE[name]
