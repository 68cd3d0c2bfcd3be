"""Fashion-MNIST as arrays, read from its four original idx files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from psr_studio.core.errors import StudioError

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MEAN, STD = 0.2861, 0.3530  # of the 60,000 training images, in [0, 1]
# Where Debian's package dataset-fashion-mnist puts them; torchvision's FashionMNIST/raw holds the same files.
USUAL_FOLDERS = ("/usr/share/datasets/fashion-mnist", "data/FashionMNIST/raw")


def find_folder(folder: str | Path | None = None) -> Path:
    """The folder that holds the idx files: the one given, or the first usual one.

    Raises:
        StudioError: none of them holds the files.
    """
    for candidate in [folder] if folder else USUAL_FOLDERS:
        path = Path(candidate)
        if (path / "train-images-idx3-ubyte.gz").exists() or (path / "train-images-idx3-ubyte").exists():
            return path
    raise StudioError(
        f"No Fashion-MNIST files in {folder or ' or '.join(USUAL_FOLDERS)}.",
        "Install Debian's package dataset-fashion-mnist, or pass --data with the folder that holds "
        "train-images-idx3-ubyte.gz and its three companions.",
    )


def _read_idx(path: Path) -> np.ndarray:
    raw = (
        gzip.decompress(path.with_suffix(path.suffix + ".gz").read_bytes())
        if not path.exists()
        else path.read_bytes()
    )
    n_dims = raw[3]
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(n_dims))
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_dims).reshape(shape)


def load_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28, 1) and labels int64 (N,) of "train" (60,000) or "test" (10,000)."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte")
    return images[..., None].copy(), labels.astype(np.int64)


def to_model(images: np.ndarray) -> Tensor:
    """uint8 (N, H, W, ch) -> float32 (N, ch, H, W) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def shift(images: Tensor, generator: torch.Generator, pixels: int = 2) -> Tensor:
    """Each image moved by up to ``pixels`` in x and y; the border repeats the background -1."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pixels,) * 4, value=-1.0)
    dx, dy = torch.randint(0, 2 * pixels + 1, (2, n), generator=generator)
    rows = (dy[:, None] + torch.arange(height))[:, None, :, None]
    cols = (dx[:, None] + torch.arange(width))[:, None, None, :]
    batch = torch.arange(n)[:, None, None, None]
    channel = torch.arange(images.shape[1])[None, :, None, None]
    return padded[batch, channel, rows, cols]


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def erase(images: Tensor, generator: torch.Generator, probability: float = 0.5, side: int = 9) -> Tensor:
    """A random square of up to ``side`` pixels set to mid-grey in part of the images."""
    n, _, height, width = images.shape
    hit = torch.rand(n, generator=generator) < probability
    size = torch.randint(3, side + 1, (n,), generator=generator)
    top = (torch.rand(n, generator=generator) * (height - size)).long()
    left = (torch.rand(n, generator=generator) * (width - size)).long()
    y = torch.arange(height)[None, :, None]
    x = torch.arange(width)[None, None, :]
    in_rows = (y >= top[:, None, None]) & (y < (top + size)[:, None, None])
    in_cols = (x >= left[:, None, None]) & (x < (left + size)[:, None, None])
    inside = in_rows & in_cols & hit[:, None, None]
    return images.masked_fill(inside[:, None], 0.0)
