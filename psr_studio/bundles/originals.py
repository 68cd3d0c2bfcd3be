"""The original images of a known data set, read from wherever its user keeps them.

Three forms: the official files as torchvision puts them, Parquet or Arrow in the Hugging Face image convention, and a
folder of class folders for each split (Tiny-ImageNet's `train/<class>/images/` and `val/val_annotations.txt` included).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.errors import ModelError, StudioError
from psr_studio.core.pictures import PictureError, read_picture

if TYPE_CHECKING:
    from psr_studio.stages.importing.items import ImageSource

SPLITS = {"train": ("train",), "test": ("test", "val", "valid", "validation")}
WHERE_IT_MAY_LIE = (
    "Name the folder that torchvision downloads it to, one with Parquet files of the splits, or one with "
    "train/<class>/ and test/<class>/."
)
ANNOTATIONS = "val_annotations.txt"  # of Tiny-ImageNet: the class folder of each validation picture


@dataclass(frozen=True)
class Kind:
    """What is known of a data set before its files are seen.

    Attributes:
        title: in words.
        shape: (H, W, ch) its pictures are read at.
        class_names: in label order.
        folder_names: of its class folders, in label order, where these are not the class names.
        torchvision: its class in torchvision.datasets; "" for none.
    """

    title: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    folder_names: tuple[str, ...] = ()
    torchvision: str = ""


def read_split(path: str | Path, split: str, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, H, W, ch) and labels int64 (N,) of "train" or "test", in the order of their source.

    Raises:
        StudioError: nothing of the kind lies there, a class is missing, or a picture is broken.
    """
    path = Path(path).expanduser().absolute()
    if (idx := _read_idx_files(path, split)) is not None:
        return idx
    if (official := _read_official(path, split, kind)) is not None:
        return official
    return _read_source(_source(path, split, kind.title), kind, path)


def class_names(path: str | Path, title: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes of a data set whose record names none, and of their folders, both in label order.

    Folders sort into label order. A `words.txt` beside them, as Tiny-ImageNet has, says what their names mean.
    """
    path = Path(path).expanduser().absolute()
    folders = tuple(sorted(_source(path, "train", title).labels))
    words = dict(line.split("\t", 1) for line in _lines(_root(path) / "words.txt") if "\t" in line)
    meant = [words.get(name, name).split(",")[0].strip() for name in folders]
    unique = [
        word if meant.count(word) == 1 else f"{word} ({name})"
        for word, name in zip(meant, folders, strict=True)
    ]
    return tuple(unique), folders


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _root(path: Path) -> Path:
    """The folder itself, or the only one in it where an archive was unpacked into it."""
    inside = [p for p in path.iterdir() if p.is_dir()] if path.is_dir() else []
    return inside[0] if len(inside) == 1 and not (path / "train").is_dir() else path


def _read_idx_files(path: Path, split: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The four original files of the MNIST family, plain or gzipped; None where they are not here."""
    prefix = {"train": "train", "test": "t10k"}[split]
    found = []
    for part in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        plain, packed = path / f"{prefix}-{part}", path / f"{prefix}-{part}.gz"
        if not plain.is_file() and not packed.is_file():
            return None
        raw = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
        shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3]))
        found.append(np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape))
    images, labels = found
    return images[..., None].copy(), labels.astype(np.int64)


def _read_official(path: Path, split: str, kind: Kind) -> tuple[np.ndarray, np.ndarray] | None:
    """The official files through torchvision, which checks each by its sum; None where they are not here."""
    if not kind.torchvision or not path.is_dir():
        return None
    for root in (path, path.parent):  # the folder that holds "cifar-10-batches-py", or that folder itself
        try:
            found = torchvision_split(kind.torchvision, root, split)
        except RuntimeError:  # it says so of missing and of changed files alike
            continue
        images = np.asarray(found.data)
        labels = np.asarray(found.labels if hasattr(found, "labels") else found.targets, np.int64)
        return _channels_last(images), labels
    return None


def torchvision_split(name: str, root: Path, split: str, download: bool = False) -> Any:
    """torchvision's data set; RuntimeError where its files are missing or changed."""
    from torchvision import datasets

    chosen = {"split": split} if name == "SVHN" else {"train": split == "train"}
    return getattr(datasets, name)(root, download=download, **chosen)


def _channels_last(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, ch), from (N, H, W), (N, H, W, ch) or SVHN's (N, ch, H, W)."""
    if images.ndim == 3:
        images = images[..., None]
    return np.ascontiguousarray(images if images.shape[-1] in (1, 3) else images.transpose(0, 2, 3, 1))


def _source(path: Path, split: str, title: str) -> ImageSource:
    from psr_studio.stages.importing.sources import open_source

    if listed := _listed(_root(path), split):
        return listed
    first: StudioError | None = None
    for name in SPLITS[split]:
        try:
            return open_source(path, name)
        except StudioError as err:
            first = first or err
    raise ModelError(
        f'"{path}" holds no {split} images of {title} ({first.problem.rstrip(".") if first else "nothing"}).',
        WHERE_IT_MAY_LIE,
    )


def _listed(root: Path, split: str) -> ImageSource | None:
    """Tiny-ImageNet's own layout: train/<class>/images/<picture>, and a list of classes beside val/images/."""
    from psr_studio.stages.importing.items import ListedSource

    if split == "train":
        files = [(path.parent.parent.name, path) for path in sorted(root.glob("train/*/images/*"))]
    else:
        rows = [line.split("\t") for line in _lines(root / "val" / ANNOTATIONS)]
        files = [(row[1], root / "val" / "images" / row[0]) for row in rows if len(row) > 1]
    return ListedSource.of(root, files) if files else None


def _read_source(source: ImageSource, kind: Kind, path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = _label_rows(source.labels, kind, path)
    images = np.empty((len(source), *kind.shape), np.uint8)
    labels = np.empty(len(source), np.int64)
    for i, item in enumerate(source):
        try:
            images[i], labels[i] = read_picture(item.data, kind.shape), rows[item.label]
        except PictureError as err:
            raise ModelError(
                f'"{item.name}" in "{path}" cannot be used: {err}.', "Replace or remove it."
            ) from err
    return images, labels


def _label_rows(found: Sequence[str] | dict[str, int], kind: Kind, path: Path) -> dict[str, int]:
    """Label in the source -> class; a source may name its classes, their folders, or their numbers."""
    numbers = tuple(str(i) for i in range(len(kind.class_names)))
    for names in (kind.class_names, kind.folder_names, numbers):
        rows = {name: i for i, name in enumerate(names)}
        if rows and set(found) == set(rows):
            return rows
    lacking = [name for name in kind.folder_names or kind.class_names if name not in found]
    strange = [name for name in found if name not in (*kind.class_names, *kind.folder_names)]
    odd = f'no class "{lacking[0]}"' if lacking else f'a class "{strange[0]}"'
    raise ModelError(
        f'"{path}" holds {len(found)} classes and {odd}; {kind.title} has {len(kind.class_names)}.',
        WHERE_IT_MAY_LIE,
    )
