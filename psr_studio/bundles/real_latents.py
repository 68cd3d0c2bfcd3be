"""What networks make of real images: computed once per bundle, and kept for all workspaces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.bundles.bundle import CODEC
from psr_studio.bundles.real_images import (
    difficulty_over,
    is_kept,
    keep_array,
    read_array,
    uncertainty_over,
)
from psr_studio.core.remembered import home

if TYPE_CHECKING:
    import torch

    from psr_studio.bundles.bundle import Bundle

AT_ONCE = 32  # images between two looks at the progress

Rows = Generator[int, None, np.ndarray]  # yields how many more are done, returns all


def finished(rows: Rows) -> np.ndarray:
    """What is returned at the end."""
    while True:
        try:
            next(rows)
        except StopIteration as end:
            return end.value


def real_latents(bundle: Bundle, class_id: int, device: torch.device, mirrored: bool = False) -> Rows:
    """The codec's posterior means of the real training images of a class, float32 (m, c, h, w).

    Args:
        mirrored: those of the images mirrored left to right.

    Raises:
        ModelError: the real images are not on this machine.
    """
    rows, path = real_rows(bundle, class_id), _latents_path(bundle, class_id, mirrored)
    codec, images = bundle.codec(device), bundle.train_subset[0]

    def encoded(part: np.ndarray) -> np.ndarray:
        shown = np.array(images[part])
        return codec.encode_uint8(shown[:, :, ::-1].copy() if mirrored else shown)

    return (yield from _kept(path, rows, encoded))


def real_difficulty(
    bundle: Bundle, class_id: int, task: Sequence[int], device: torch.device, over_all: bool = False
) -> Rows:
    """The teacher's difficulty (DGS eq. 6) of the same images over the classes of a task, float32 (m,).

    Args:
        over_all: over every output of the teacher instead.
    """
    return (yield from _signal("difficulty", difficulty_over, bundle, class_id, task, device, over_all))


def real_uncertainty(
    bundle: Bundle, class_id: int, task: Sequence[int], device: torch.device, over_all: bool = False
) -> Rows:
    """The same of the teacher's normalised entropy at temperature 1."""
    return (yield from _signal("uncertainty", uncertainty_over, bundle, class_id, task, device, over_all))


def real_embeddings(bundle: Bundle, class_id: int, device: torch.device) -> Rows:
    """The teacher's features of the same images, float32 (m, D)."""
    rows, path = real_rows(bundle, class_id), _embeddings_path(bundle, class_id)
    return (yield from _embedded(bundle, rows, path, device))


def some_real_embeddings(bundle: Bundle, class_id: int, device: torch.device, most: int = 200) -> Rows:
    """The teacher's features of at most so many of them, spread evenly over the class, float32 (m, D)."""
    rows, path = real_rows(bundle, class_id), _embeddings_path(bundle, class_id, f"{most}-")
    if len(rows) <= most:
        return (yield from real_embeddings(bundle, class_id, device))
    spread = np.linspace(0, len(rows) - 1, most).round().astype(int)
    return (yield from _embedded(bundle, rows[spread], path, device))


def _embedded(bundle: Bundle, rows: np.ndarray, path: Path, device: torch.device) -> Rows:
    from torch import from_numpy

    teacher, images = bundle.teacher(device), bundle.train_subset[0]
    return (
        yield from _kept(
            path, rows, lambda part: teacher.predict(from_numpy(np.array(images[part])))[1].numpy()
        )
    )


def has_real_embeddings(bundle: Bundle, class_id: int) -> bool:
    """Whether the features of the real images of a class are kept."""
    path = _embeddings_path(bundle, class_id)
    return path.is_file() and is_kept(path, (n_real(bundle, class_id),))  # a count may prepare all pictures


def _signal(
    name: str, signal: Callable[..., tuple[np.ndarray, np.ndarray]], bundle: Bundle, class_id: int,
    task: Sequence[int], device: torch.device, over_all: bool,
) -> Rows:  # fmt: skip
    rows, teacher = real_rows(bundle, class_id), bundle.teacher(device)
    path = _signal_path(name, bundle, class_id, task, over_all)
    images, labels = bundle.train_subset

    def made(part: np.ndarray) -> np.ndarray:
        return signal(teacher, np.array(images[part]), labels[part], task, over_all)[0]

    return (yield from _kept(path, rows, made))


def are_at_hand(bundle: Bundle) -> bool:
    """Whether the real training images lie in the bundle or were read before, so that to count them takes no time."""
    return "images" not in bundle.sources or "train_subset" in vars(bundle)


def n_real(bundle: Bundle, class_id: int) -> int:
    """How many real training images of a class there are; ModelError where they are not on this machine."""
    return len(real_rows(bundle, class_id))


def left_to_encode(bundle: Bundle, classes: Sequence[int], mirrored: bool = False) -> int:
    """Real images of some classes whose latents are not kept yet."""
    return _left(bundle, classes, lambda c: _latents_path(bundle, c, mirrored))


def left_to_score(name: str, bundle: Bundle, task: Sequence[int], over_all: bool) -> int:
    """Real images of a task whose "difficulty" or "uncertainty" is not kept yet."""
    return _left(bundle, task, lambda c: _signal_path(name, bundle, c, task, over_all))


def _left(bundle: Bundle, classes: Sequence[int], path_of: Callable[[int], Path]) -> int:
    """Real images of the classes whose file is not there, or damaged."""
    counts = {c: n_real(bundle, c) for c in classes}
    return sum(n for c, n in counts.items() if not is_kept(path_of(c), (n,)))


def real_rows(bundle: Bundle, class_id: int) -> np.ndarray:
    """Rows of the real training images of a class in `Bundle.train_subset`."""
    return np.flatnonzero(bundle.train_subset[1] == class_id)


def _signal_path(name: str, bundle: Bundle, class_id: int, task: Sequence[int], over_all: bool) -> Path:
    over = "all" if over_all else task_key(task)
    return kept_folder(bundle, f"{name}-{bundle.identity('teacher')}-{over}") / f"class={class_id}.npy"


def _embeddings_path(bundle: Bundle, class_id: int, of: str = "") -> Path:
    return kept_folder(bundle, f"{of}embeddings-{bundle.identity('teacher')}") / f"class={class_id}.npy"


def _latents_path(bundle: Bundle, class_id: int, mirrored: bool) -> Path:
    made_by = f"{'mirrored-' if mirrored else ''}latents-{bundle.identity(CODEC)}"
    return kept_folder(bundle, made_by) / f"class={class_id}.npy"


def task_key(task: Sequence[int]) -> str:
    """Names the classes of a task in the name of what is kept."""
    return hashlib.sha256(json.dumps(list(task)).encode()).hexdigest()[:8]


def kept_folder(bundle: Bundle, made_by: str) -> Path:
    """Where what is made of the real images of a bundle is kept."""
    return home() / "real" / f"{made_by}-{bundle.identity('data')}"


def _kept(path: Path, rows: np.ndarray, make: Callable[[np.ndarray], np.ndarray]) -> Rows:
    """Values of some rows, from their file, or made and written there whole."""
    found = read_array(path, (len(rows),))
    if found is None:
        made = []
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            made.append(make(part))
            yield len(part)
        found = np.concatenate(made)
        keep_array(path, found)
    return found
