"""What is known of each data set that a bundle can be made of, before its files are seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """A data set of square pictures with one label each.

    Attributes:
        name: of its bundle and its preset; title: in words.
        side: pixels of its pictures.
        class_names: in label order; () where they are those of its class folders, see `originals.class_names`.
        mean, std: of the training images in [0, 1], one number per channel.
        licence: of the data, in words.
        licence_text: of a licence that lets a bundle hold real images; "" where it may hold none.
        folder_names: of its class folders, in label order, where these are not the class names.
        torchvision: its class in torchvision.datasets, where it has one, which downloads about `download_bytes`.
        train_per_class: real training images of a class that are kept for controls and guidance.
    """

    name: str
    title: str
    side: int
    channels: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    licence: str = "not stated by its authors"
    licence_text: str = ""
    folder_names: tuple[str, ...] = ()
    torchvision: str = ""
    download_bytes: int = 0
    train_per_class: int = 600

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, ch) of its pictures at rest."""
        return self.side, self.side, self.channels

    @property
    def ships_images(self) -> bool:
        """Whether a bundle holds real images; else they are read from where its user keeps them."""
        return bool(self.licence_text)


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
    side=28,
    channels=1,
    class_names=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    mean=(0.2861,),
    std=(0.3530,),
    licence="MIT, Zalando SE",
    licence_text=FASHION_MNIST_LICENCE,
    torchvision="FashionMNIST",
    download_bytes=30_878_645,
)  # fmt: skip

CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10",
    side=32,
    channels=3,
    class_names=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    torchvision="CIFAR10",
    download_bytes=170_498_071,
)  # fmt: skip

CIFAR100 = DataSet(
    name="cifar100",
    title="CIFAR-100",
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
    torchvision="CIFAR100",
    download_bytes=169_001_437,
    train_per_class=200,
)  # fmt: skip

SVHN = DataSet(
    name="svhn",
    title="SVHN",
    side=32,
    channels=3,
    class_names=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    mean=(0.4377, 0.4438, 0.4728),
    std=(0.1980, 0.2010, 0.1970),
    licence="non-commercial use only",
    torchvision="SVHN",
    download_bytes=246_000_000,
)

TINY_IMAGENET = DataSet(
    name="tiny-imagenet",
    title="Tiny-ImageNet",
    side=64,
    channels=3,
    class_names=(),
    mean=(0.4802, 0.4481, 0.3975),
    std=(0.2770, 0.2691, 0.2821),
    licence="ImageNet terms of access",
    train_per_class=100,
)

DATA_SETS = {row.name: row for row in (FASHION_MNIST, CIFAR10, CIFAR100, SVHN, TINY_IMAGENET)}
