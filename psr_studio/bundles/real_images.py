"""Real images of a user's own data set, cut to the shape at rest once and mapped from the disk from then on."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from psr_studio.core.disk import reading
from psr_studio.core.errors import DiskError, ModelError
from psr_studio.core.files import serves_a_system, whole_file
from psr_studio.core.pictures import PictureError, is_picture, read_picture
from psr_studio.core.remembered import ELSEWHERE

if TYPE_CHECKING:
    from psr_studio.models.teacher import Teacher

LOG = logging.getLogger(__name__)

SPLITS = {"train": ("train",), "test": ("val", "test", "valid", "validation")}  # folders, the usual one first
CHUNK = 64  # images scored together


def split_of(
    folder: Path, names: Sequence[str], split: str, test_share: float | None, seed: int
) -> list[list[Path]]:
    """The pictures of a split, "train" or "test", by class in label order, sorted by name.

    They lie in <split>/<class>/, or in <class>/ at once: then a share of each class is drawn for the test. A picture
    is drawn by its name and the seed alone, so that the others that lie beside it move it next to never.

    Args:
        names: of the class folders. test_share: None where only folders of splits will do.

    Raises:
        ModelError: a class without pictures.
    """
    if test_share is None or is_split(folder):
        there = [name for name in SPLITS[split] if (folder / name).is_dir()] or SPLITS[split][:1]
        return [_pictures(folder / there[0] / name) for name in names]
    return [_drawn(_pictures(folder / name), name, split, test_share, seed) for name in names]


def is_split(folder: Path) -> bool:
    """Whether real images lie in a training and a test folder, so that none is drawn; "train" may be a class, too."""
    return all(any((folder / name).is_dir() for name in names) for names in SPLITS.values())


def _drawn(files: Sequence[Path], name: str, split: str, test_share: float, seed: int) -> list[Path]:
    def lot(path: Path) -> str:
        return hashlib.sha256(f"{seed} {name} {path.name}".encode(errors="surrogateescape")).hexdigest()

    n_test = min(len(files) - 1, max(1, round(test_share * len(files))))
    test = set(sorted(files, key=lot)[:n_test])
    return [path for path in files if (path in test) == (split == "test")]


def prepared(
    classes: Sequence[Sequence[Path]], shape: tuple[int, int, int], per_class: int | None, cache: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of each class, in label order: uint8 (N, H, W, ch), labels int64 (N,).

    Args:
        per_class: take so many of each class, spread evenly over its files in name order; None takes all.
        cache: where the prepared array is kept; equal files give the same array.

    Raises:
        ModelError: a broken picture, by name.
    """
    files = [_spread(found, per_class) for found in classes]
    labels = np.repeat(np.arange(len(files)), [len(names) for names in files])
    flat = [path for names in files for path in names]
    key = json.dumps([[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in flat] + [list(shape)])
    kept = cache / f"images-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not kept.is_file():
        _prepare(flat, shape, kept)
    return np.load(kept, mmap_mode="r"), labels


def _pictures(folder: Path) -> list[Path]:
    found = sorted(
        path for path in folder.rglob("*")
        if is_picture(path) and path.is_file() and not serves_a_system(PurePosixPath(path.relative_to(folder)))
    )  # fmt: skip
    if not found:
        raise ModelError(
            f'The folder "{folder}" of real images holds no pictures, or is not there.',
            "Name a folder with train/<class>/ and val/<class>/ for every class of the task.",
        )
    return found


def _spread(found: Sequence[Path], per_class: int | None) -> Sequence[Path]:
    if per_class is None or len(found) <= per_class:
        return found
    return [found[i * len(found) // per_class] for i in range(per_class)]


def _prepare(files: Sequence[Path], shape: tuple[int, int, int], kept: Path) -> None:
    """Written picture by picture: a mapped file would end the process where the disk is full."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), *shape)}
    needed = len(files) * math.prod(shape)
    with whole_file(kept, needed=needed, again=ELSEWHERE) as temp, temp.open("wb") as array:
        np.lib.format.write_array_header_1_0(array, header)
        for path in files:
            array.write(_picture(path, shape).tobytes())


def _picture(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        return read_picture(path.read_bytes(), shape)
    except PictureError as err:
        raise ModelError(f'The real image "{path}" cannot be used: {err}.', "Replace or remove it.") from err


def kept_array(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array from a file, or made and written there."""
    if (found := read_array(path)) is not None:
        return found
    values = make()
    keep_array(path, values)
    return values


def read_array(path: Path, shape: tuple[int, ...] = ()) -> np.ndarray | None:
    """An array from a file; None where there is none, or a damaged one, which is to be made anew.

    Args:
        shape: its first sizes.

    Raises:
        DiskError: the disk refused.
    """
    if not path.is_file():
        return None
    if (found := _opened(path, shape)) is None:
        LOG.warning("%s is damaged, or of other data, and is made anew.", path)
    return found


def is_kept(path: Path, shape: tuple[int, ...] = ()) -> bool:
    """Whether `read_array` would find an array, by the head and the size of the file."""
    return path.is_file() and _opened(path, shape, "r") is not None


def _opened(path: Path, shape: tuple[int, ...], mapped: Literal["r"] | None = None) -> np.ndarray | None:
    try:
        with reading(path):
            found = np.load(path, mmap_mode=mapped, allow_pickle=False)
    except DiskError:
        raise
    except Exception:  # NumPy raises whatever the file makes it raise
        return None
    return found if isinstance(found, np.ndarray) and found.shape[: len(shape)] == shape else None


def keep_array(path: Path, values: np.ndarray) -> None:
    """Write it whole or not at all."""
    with whole_file(path, again=ELSEWHERE) as temp:
        np.save(temp, values)


def difficulty_over(
    teacher: Teacher, images: np.ndarray, labels: np.ndarray, task: Sequence[int], over_all: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Difficulty (DGS eq. 6) of the real images of some classes, ascending, by a teacher restricted to these.

    Args:
        over_all: by every output of the teacher instead.

    Returns:
        float32 (n,) and the labels (n,), in the order of the images.
    """
    from psr_studio.method.signals import difficulty

    return _over(teacher, images, labels, task, over_all, difficulty)


def uncertainty_over(
    teacher: Teacher, images: np.ndarray, labels: np.ndarray, task: Sequence[int], over_all: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The same of the teacher's normalised entropy, at the temperature of the difficulty, 1."""
    from psr_studio.method.signals import predictive_entropy

    return _over(
        teacher, images, labels, task, over_all, lambda logits, _: predictive_entropy(logits, temperature=1.0)
    )


def _over(
    teacher: Teacher, images: np.ndarray, labels: np.ndarray, task: Sequence[int], over_all: bool,
    signal: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A signal of logits (n, C), of all outputs where it is over all, and the place (n,) of each label in these."""
    import torch

    rows, classes = np.flatnonzero(np.isin(labels, task)), np.array(task)
    outputs = np.array(teacher.rows)
    columns = slice(None) if over_all else outputs[classes]
    places = outputs[labels[rows]] if over_all else np.searchsorted(classes, labels[rows])
    values = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        found, _ = teacher.predict_all(torch.from_numpy(np.array(images[rows[part]])))
        values[part] = signal(found.numpy()[:, columns], places[part])
    return values, labels[rows]
