"""What a bundle is trained with: one typed record per data set, sizes and schedules included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
class DataSet:
    """A data set with all that `train-bundle` makes of it.

    Attributes:
        side: pixels of its square pictures.
        mean, std: of the training images in [0, 1], one number per channel.
        licence: of data and models, in words; data_licence: of the data alone.
        class_names: in label order; () where they are those of its class folders, see `originals.class_names`.
        folder_names: of its class folders, in label order, where these are not the class names.
        torchvision: its class there, where it has one, which downloads about `download_bytes`.
        licence_text: of a licence that lets the bundle hold real images; "" where it may hold none.
        train_per_class: real training images of a class that are kept for controls and guidance.
        guidance: the classifier-free scale the bundle is sampled at.
    """

    name: str
    title: str
    licence: str
    side: int
    channels: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    teacher: TeacherSettings
    codec: CodecSettings
    generator: GeneratorSettings = GeneratorSettings()
    gates: Gates = Gates()
    guidance: float = 1.5
    data_licence: str = "not stated by its authors"
    folder_names: tuple[str, ...] = ()
    torchvision: str = ""
    download_bytes: int = 0
    licence_text: str = ""
    train_per_class: int = 600

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def label_rows(self) -> int:
        """Of the generator's label table, without the null row that follows them."""
        return NULL_CLASS if self.generator.for_pipeline else self.n_classes

    @property
    def ships_images(self) -> bool:
        """Whether the bundle holds real images; else they are read from where its user keeps them."""
        return bool(self.licence_text)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, ch) of its pictures at rest."""
        return self.side, self.side, self.channels


FASHION_MNIST_LICENCE = """The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

FASHION_MNIST = DataSet(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT (data, Zalando SE); Apache-2.0 (models)",
    side=28,
    channels=1,
    class_names=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    mean=(0.2861,),
    std=(0.3530,),
    teacher=TeacherSettings(
        architecture="resnet10t",
        input_size=56,  # timm's stem divides by four before the first stage: 28 px is shown at twice its size
        kwargs={"stem_type": "deep", "stem_width": 16, "channels": [56, 112, 192, 256]},
        cycles=(Cycle(12, 0.2, erase=0.25), Cycle(5, 0.05)),  # the second, lower one without erasing
    ),
    codec=CodecSettings(size=32),
    data_licence="MIT, Zalando SE",
    torchvision="FashionMNIST",
    licence_text=FASHION_MNIST_LICENCE,
)  # fmt: skip


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
NONE_IN_HERE = "none of it is in here; Apache-2.0 (models)"

CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10",
    licence=f"not stated (data, Krizhevsky 2009), {NONE_IN_HERE}",
    side=32,
    channels=3,
    class_names=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    teacher=COLOUR_TEACHER,
    codec=COLOUR_CODEC,
    generator=COLOUR_GENERATOR,
    gates=COLOUR_GATES,
    torchvision="CIFAR10",
    download_bytes=170_498_071,
)  # fmt: skip

CIFAR100 = DataSet(
    name="cifar100",
    title="CIFAR-100",
    licence=f"not stated (data, Krizhevsky 2009), {NONE_IN_HERE}",
    side=32,
    channels=3,
    class_names=(
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
        "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle",
        "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear",
        "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon",
        "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail",
        "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
        "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
        "willow_tree", "wolf", "woman", "worm",
    ),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    teacher=replace(COLOUR_TEACHER, cycles=(Cycle(30, 0.25, erase=0.5),)),
    codec=COLOUR_CODEC,
    generator=replace(COLOUR_GENERATOR, steps=24000),
    gates=replace(COLOUR_GATES, top1=0.70, agreement=0.70, worst_class=0.40),
    torchvision="CIFAR100",
    download_bytes=169_001_437,
    train_per_class=200,
)  # fmt: skip

SVHN = DataSet(
    name="svhn",
    title="SVHN",
    licence=f"non-commercial use only (data, Netzer et al. 2011), {NONE_IN_HERE}",
    side=32,
    channels=3,
    class_names=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    mean=(0.4377, 0.4438, 0.4728),
    std=(0.1980, 0.2010, 0.1970),
    teacher=replace(COLOUR_TEACHER, cycles=(Cycle(10, 0.1, erase=0.5),), mirror=False),
    codec=COLOUR_CODEC,
    generator=replace(COLOUR_GENERATOR, mirrored=False),
    gates=replace(COLOUR_GATES, top1=0.95),
    data_licence="non-commercial use only",
    torchvision="SVHN",
    download_bytes=246_000_000,
)

TINY_IMAGENET = DataSet(
    name="tiny-imagenet",
    title="Tiny-ImageNet",
    licence=f"ImageNet terms of access (data), {NONE_IN_HERE}",
    side=64,
    channels=3,
    class_names=(),
    mean=(0.4802, 0.4481, 0.3975),
    std=(0.2770, 0.2691, 0.2821),
    teacher=replace(COLOUR_TEACHER, cycles=(Cycle(30, 0.25, erase=0.5),), shift=6, erase_side=24),
    codec=CodecSettings(size=64, widths=(16, 32, 64, 64), latent_channels=8, steps=4000),
    generator=replace(COLOUR_GENERATOR, steps=48000),
    gates=replace(COLOUR_GATES, top1=0.55, codec_loss=0.05, agreement=0.60, worst_class=0.20),
    data_licence="ImageNet terms of access",
    train_per_class=100,
)

DATA_SETS = {row.name: row for row in (FASHION_MNIST, CIFAR10, CIFAR100, SVHN, TINY_IMAGENET)}


def data_set(name: str) -> DataSet:
    """The record of a data set by name.

    Raises:
        StudioError: there is none, with the names that there are.
    """
    if name not in DATA_SETS:
        raise StudioError(
            f'There is no training recipe for a bundle "{name}".',
            f"{did_you_mean(name, DATA_SETS)}Train one of: {', '.join(DATA_SETS)}.",
        )
    return DATA_SETS[name]
