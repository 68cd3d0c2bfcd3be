"""The pictures that a teacher is taught on, with their classes: real ones from whatever an import reads, or a pool."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from psr_studio.core.devices import n_cores
from psr_studio.core.errors import ModelError, StudioError
from psr_studio.core.files import check_path
from psr_studio.core.pictures import PictureError, read_picture
from psr_studio.core.words import plural
from psr_studio.models.head import FOLDS
from psr_studio.stages.batches import ahead
from psr_studio.stages.importing.classes import ClassNames, match_classes
from psr_studio.stages.importing.folders import PictureFiles, kinds_text
from psr_studio.stages.importing.items import ImageSource, Item
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.sources import open_source, splits_of
from psr_studio.storage.pool import Pool

AT_ONCE = 32  # pictures decoded and shown to the network together
MIN_PER_CLASS = FOLDS  # one for each fold
Batch = tuple[np.ndarray, np.ndarray]  # images uint8 (n, H, W, ch), labels int64 (n,)


@dataclass
class Pictures:
    """Pictures with labels 0 to C - 1, in two parts: those to learn from, and those held out, if any.

    Attributes:
        class_names: in label order. n: pictures of both parts, at most.
        passed_over: files that are no pictures, by kind. n_copies: pictures left out since they were seen before.
    """

    class_names: tuple[str, ...]
    n: int
    passed_over: dict[str, int] = field(default_factory=dict)
    n_copies: int = 0

    def parts(self, shape: tuple[int, int, int]) -> Iterator[tuple[bool, Batch]]:
        """Whether they are held out, and a batch of them."""
        raise AssertionError("pictures of some kind")

    @property
    def left_out(self) -> str:
        """What was not used, in words; "" for nothing."""
        copies = f"{plural(self.n_copies, 'copy', 'copies')} of other pictures left out." * bool(
            self.n_copies
        )
        other = f"Other files: {kinds_text(self.passed_over)}." if self.passed_over else ""
        return " ".join(filter(None, (copies, other)))


class RealPictures(Pictures):
    """A folder with a folder per class, or anything else that an import reads.

    Args:
        task: classes to match the labels to; None takes the labels as they are, sorted.
        held_out: names of pictures in a folder of class folders that are not learned from.

    Raises:
        StudioError: nothing of the kind there, one class only, a class with too few pictures, or none of a class of
            the task.
    """

    def __init__(
        self, path: str | Path, task: ClassNames | None = None, held_out: Collection[str] = ()
    ) -> None:
        self.sources = _opened(check_path(path), task, held_out)
        labels = [label for source in self.sources for label in source.labels]
        if task is None:
            unique = sorted(
                set(labels), key=lambda name: (len(name), name) if name.isdecimal() else (0, name)
            )
            self.class_of = {label: i for i, label in enumerate(unique)}
            names = tuple(unique)
        else:
            self.class_of = match_classes(sorted(set(labels)), task, where=f'"{path}"')
            names = task.names
        passed_over = sum((Counter(source.passed_over) for source in self.sources), Counter())
        super().__init__(names, sum(map(len, self.sources)), dict(passed_over))
        counts = Counter[int]()
        for label, n in self.sources[0].labels.items():
            counts[self.class_of[label]] += n
        _check_counts(names, [counts[c] for c in range(len(names))], f'"{path}"')

    def parts(self, shape: tuple[int, int, int]) -> Iterator[tuple[bool, Batch]]:
        """As in `Pictures`; a picture that is there twice counts once, in the part that comes first."""
        seen: set[bytes] = set()
        for held_out, source in enumerate(self.sources):
            try:
                read = self._read(source, shape, seen)
                while batch := list(islice(read, AT_ONCE)):
                    images, labels = zip(*batch, strict=True)
                    yield bool(held_out), (np.stack(images), np.array(labels, np.int64))
            finally:
                source.close()

    def _read(
        self, source: ImageSource, shape: tuple[int, int, int], seen: set[bytes]
    ) -> Iterator[tuple[np.ndarray, int]]:
        labelled = (item for item in source if item.label in self.class_of)
        for item, (image, digest) in ahead(labelled, partial(_decoded, shape=shape), n_cores()):
            if digest in seen:
                self.n_copies += 1
                continue
            seen.add(digest)
            yield image, self.class_of[item.label]


class PoolPictures(Pictures):
    """The candidates of a workspace, each with the class it was made for."""

    def __init__(self, pool: Pool, class_names: Sequence[str]) -> None:
        self.pool = pool
        super().__init__(tuple(class_names), len(pool))
        counts = np.bincount(pool.labels, minlength=len(class_names)).tolist()
        _check_counts(self.class_names, counts, "the pool")

    def parts(self, shape: tuple[int, int, int]) -> Iterator[tuple[bool, Batch]]:
        """As in `Pictures`; nothing is held out."""
        if self.pool.image_shape != shape:
            side, channels = self.pool.image_shape[0], self.pool.image_shape[2]
            raise ModelError(
                f"The pool holds pictures of {side} pixels with {plural(channels, 'channel')}, but the backbone is "
                f"shown {shape[0]} with {shape[2]}.",
                "Name a backbone for such pictures.",
            )
        for start in range(0, len(self.pool), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(self.pool)))
            yield False, (self.pool.images_at(rows), self.pool.labels[rows])


def _opened(path: Path, task: ClassNames | None, named: Collection[str]) -> list[ImageSource]:
    """The pictures to learn from and those held out, where the source has a split of its own or they are named."""
    names = task or ClassNames(())
    if (splits := splits_of(path, names)) is not None:
        return [open_source(path, names, Reading(split)) for split in splits]
    source = open_source(path, names)
    return list(source.parted(named)) if named and isinstance(source, PictureFiles) else [source]


def _check_counts(names: Sequence[str], counts: Sequence[int], where: str) -> None:
    if len(names) < 2:
        raise ModelError(
            f'There is one class in {where}, "{names[0]}", but a teacher tells two or more apart.',
            "Put the pictures of each class into a folder of its own, side by side.",
        )
    few = min(range(len(names)), key=lambda c: counts[c])
    if counts[few] < MIN_PER_CLASS:
        raise ModelError(
            f'The class "{names[few]}" has {plural(counts[few], "picture")} in {where}, but {MIN_PER_CLASS} or more '
            "of each class are needed.",
            "Add pictures of that class; 50 of each are a good start.",
        )


def _decoded(item: Item, shape: tuple[int, int, int]) -> tuple[np.ndarray, bytes]:
    """A picture as it is judged, uint8 (H, W, ch), and a hash of its bytes."""
    try:
        data = item.load()
        return read_picture(data, shape), hashlib.blake2b(data, digest_size=16).digest()
    except PictureError as err:
        raise StudioError(f'"{item.name}" cannot be used: {err}.', "Replace or remove it.") from err
