"""The original images of a known data set, read from wherever its user keeps them.

Four forms: the idx files of the MNIST family, the official files as torchvision puts them, Parquet in the Hugging Face
image convention, and a folder of class folders for each split, Tiny-ImageNet's included.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.data_sets import DataSet
from psr_studio.core.errors import ModelError
from psr_studio.core.pictures import PictureError, is_picture, read_picture

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation")}
ANNOTATIONS = "val_annotations.txt"  # of Tiny-ImageNet: the class folder of each validation picture
LABELS = ("label", "fine_label", "class", "labels", "target")  # columns of a table that does not say which
ROWS_AT_ONCE = 1024
WHERE_IT_MAY_LIE = (
    "Name the folder of the official files, one with Parquet files of the splits, or one with train/<class>/ and "
    "test/<class>/."
)


def read_split(path: str | Path, split: str, data: DataSet) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, H, W, ch) and labels int64 (N,) of "train" or "test", in the order of their source.

    Raises:
        ModelError: nothing of the kind lies there, a class is missing, or a picture is broken.
    """
    path = Path(path).expanduser().absolute()
    if (found := read_official(path, split, data)) is not None:
        return found
    if tables := _tables(path, split):
        return _decoded(_rows_of_tables(tables), data, path)
    if listed := _listed(_root(path), split):
        return _decoded(((label, file, file.read_bytes()) for label, file in listed), data, path)
    raise ModelError(f'"{path}" holds no {split} images of {data.title}.', WHERE_IT_MAY_LIE)


def read_official(path: Path, split: str, data: DataSet) -> tuple[np.ndarray, np.ndarray] | None:
    """As `read_split`, of the files that a data set's own authors give out; None where they are not there."""
    for read in (_read_idx_files, _read_official):
        if (found := read(path, split, data)) is not None:
            return found
    return None


def class_names(path: str | Path, title: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes of a data set whose record names none, and of their folders, both in label order.

    Folders sort into label order. A `words.txt` beside them, as Tiny-ImageNet has, says what their names mean.

    Raises:
        ModelError: no class folders of the training split are there.
    """
    root = _root(Path(path).expanduser().absolute())
    folders = tuple(sorted({label for label, _ in _listed(root, "train")}))
    if not folders:
        raise ModelError(f'"{path}" holds no train images of {title}.', WHERE_IT_MAY_LIE)
    words = dict(line.split("\t", 1) for line in _lines(root / "words.txt") if "\t" in line)
    meant = [words.get(name, name).split(",")[0].strip() for name in folders]
    unique = [
        word if meant.count(word) == 1 else f"{word} ({name})"
        for word, name in zip(meant, folders, strict=True)
    ]
    return tuple(unique), folders


# The MNIST family's own files


def _read_idx_files(path: Path, split: str, data: DataSet) -> tuple[np.ndarray, np.ndarray] | None:
    """The original files of a split, plain or gzipped; None where they are not here."""
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
    return images.reshape(-1, *data.shape).copy(), labels.astype(np.int64)


# The official files


def _read_official(path: Path, split: str, data: DataSet) -> tuple[np.ndarray, np.ndarray] | None:
    """The official files through torchvision, which checks each by its sum; None where they are not here."""
    if not data.torchvision or not path.is_dir():
        return None
    for root in (path, path.parent):  # the folder that holds "cifar-10-batches-py", or that folder itself
        try:
            found = torchvision_split(data.torchvision, root, split)
        except RuntimeError:  # it says so of missing and of changed files alike
            continue
        images = np.asarray(found.data)
        labels = np.asarray(found.labels if hasattr(found, "labels") else found.targets, np.int64)
        return _channels_last(images), labels
    return None


def torchvision_split(name: str, root: Path, split: str, download: bool = False) -> Any:
    """torchvision's data set; RuntimeError where its files are missing or changed."""
    from torchvision import datasets

    split_argument = {"split": split} if name == "SVHN" else {"train": split == "train"}
    return getattr(datasets, name)(root, download=download, **split_argument)


def _channels_last(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, ch), from (N, H, W), (N, H, W, ch) or SVHN's (N, ch, H, W)."""
    if images.ndim == 3:
        images = images[..., None]
    return np.ascontiguousarray(images if images.shape[-1] in (1, 3) else images.transpose(0, 2, 3, 1))


# Tables


def _tables(path: Path, split: str) -> list[Path]:
    """Parquet files of a split: in a folder of its name, or with names that begin with it ("train-00000-of-00002").

    Those nearest to `path` count, two folders down at most: what lies deeper is another data set.
    """
    for pattern in ("*.parquet", "*/*.parquet", "*/*/*.parquet"):
        files = sorted(path.glob(pattern))
        for name in SPLITS[split]:
            of_split = [f for f in files if f.parent.name == name or re.split(r"[-.]", f.name)[0] == name]
            if of_split:
                return of_split
    return []


def _rows_of_tables(files: list[Path]) -> Iterator[tuple[str, str, bytes]]:
    """Label, name for messages, and bytes of each picture."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in files:
        try:
            with pq.ParquetFile(file) as table:
                image, label, names = _columns(table.schema_arrow, file)
                row = 0
                for batch in table.iter_batches(ROWS_AT_ONCE, columns=[image, label]):
                    columns = (batch.column(name).to_pylist() for name in (image, label))
                    for picture, value in zip(*columns, strict=True):
                        raw = (picture or {}).get("bytes") or b""
                        yield names[value] if names else str(value), f"{file.name}, row {row}", raw
                        row += 1
        except (OSError, pa.ArrowException) as err:
            first = str(err).splitlines()[0][:160]
            raise ModelError(f'"{file}" is damaged ({first}).', "Get that file again.") from err


def _columns(schema: pa.Schema, file: Path) -> tuple[str, str, list[str]]:
    """Names of the image and the label column, and the names of the labels where the file has them."""
    metadata = (schema.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(metadata).get("info", {}).get("features", {})
    kinds = {name: about.get("_type") for name, about in features.items() if isinstance(about, dict)}
    structs = [field.name for field in schema if str(field.type).startswith("struct")]
    images = [name for name, kind in kinds.items() if kind == "Image"] or structs
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    labels += [name for name in LABELS if name in schema.names]
    if not images or not labels:
        lacking = "column of pictures" if not images else "column of labels"
        raise ModelError(
            f'"{file}" has no {lacking}; its columns are {", ".join(schema.names)}.',
            'Write it with `datasets`, with an Image column and a ClassLabel column "label".',
        )
    return images[0], labels[0], list(features.get(labels[0], {}).get("names") or [])


# Folders


def _root(path: Path) -> Path:
    """The folder itself, or the only one in it where an archive was unpacked into it."""
    inside = [p for p in path.iterdir() if p.is_dir()] if path.is_dir() else []
    return inside[0] if len(inside) == 1 and not (path / "train").is_dir() else path


def _listed(root: Path, split: str) -> list[tuple[str, Path]]:
    """Label and file of each picture: <split>/<class>/<picture>, or as Tiny-ImageNet's archive unpacks."""
    if split == "test" and (rows := _lines(root / "val" / ANNOTATIONS)):
        named = (row.split("\t") for row in rows)
        return [(label, root / "val" / "images" / name) for name, label, *_ in named]
    for name in SPLITS[split]:
        files = sorted(f for f in (root / name).glob("*/**/*") if is_picture(f))
        if files:
            return [(f.relative_to(root / name).parts[0], f) for f in files]
    return []


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


# Pictures and their labels


def _decoded(
    rows: Iterable[tuple[str, Path | str, bytes]], data: DataSet, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    images, found = [], []
    for label, name, raw in rows:
        try:
            images.append(read_picture(raw, data.shape))
        except PictureError as err:
            raise ModelError(f'"{name}" in "{path}" cannot be used: {err}.', "Replace or remove it.") from err
        found.append(label)
    known = _classes(set(found), data, path)
    return np.stack(images), np.array([known[label] for label in found], np.int64)


def _classes(found: set[str], data: DataSet, path: Path) -> dict[str, int]:
    """Label in the source -> class; a source may name its classes, their folders, or their numbers."""
    numbers = tuple(str(i) for i in range(data.n_classes))
    for names in (data.class_names, data.folder_names, numbers):
        if names and found == set(names):
            return {name: i for i, name in enumerate(names)}
    lacking = [name for name in data.folder_names or data.class_names if name not in found]
    odd = f'no class "{lacking[0]}"' if lacking else f'a class "{sorted(found - {*data.class_names})[0]}"'
    raise ModelError(
        f'"{path}" holds {len(found)} classes and {odd}; {data.title} has {data.n_classes}.', WHERE_IT_MAY_LIE
    )
