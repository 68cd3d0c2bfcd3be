"""What a source of pictures is: labels with counts first, then one picture after the other, in a fixed order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from psr_studio.core.errors import StudioError
from psr_studio.core.pictures import MAX_BYTES, PictureError
from psr_studio.core.words import printable

T = TypeVar("T")

TABLES = (".parquet", ".arrow", ".feather")
SPLIT_FIX = 'Name one of them in "Split" (--split), or give the path of its folder.'


class PoolImportError(StudioError):
    """Something that cannot become a pool; the pool that is there is as it was."""

    @property
    def asks(self) -> bool:
        """Whether the way out is a control of an import, '"Naming rule" (--rule)', which others do not have."""
        return '" (--' in self.fix


class SeveralSplits(PoolImportError):
    """A source with several splits of which none is named; `splits` are their names."""

    def __init__(self, problem: str, splits: Sequence[str]) -> None:
        super().__init__(problem, SPLIT_FIX)
        self.splits = tuple(splits)


@dataclass(frozen=True)
class Item:
    """One picture as it lies in its source.

    Attributes:
        label: that it has there, "" where it has none. name: for messages and for tracing it back.
        load: its bytes, in any thread; PictureError says why they cannot be had.
        latent: (c, h, w) float32, and seed, of another workspace.
        file: its path in the source, "" where it is no file there. logits: (C,) float32, of a label that it brings.
    """

    label: str
    name: str
    load: Callable[[], bytes]
    latent: np.ndarray | None = None
    seed: int | None = None
    file: str = ""
    logits: np.ndarray | None = None


@dataclass(frozen=True)
class LabelRows:
    """Labels as a file holds them: (n, K) float32, the picture of each row and the class of each column where said."""

    values: np.ndarray
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def called(path: Path) -> str:
    """How messages name a source: a file, which may be an upload, by its name; a folder by its path."""
    return printable(path.name if path.is_file() else str(path))


def known(data: bytes) -> Callable[[], bytes]:
    """The `load` of an item whose bytes are at hand."""
    return lambda: data


def unknown(why: str) -> Callable[[], bytes]:
    """The `load` of an item whose bytes cannot be had."""

    def load() -> bytes:
        raise PictureError(why)

    return load


def spread(items: Sequence[T], n: int) -> list[T]:
    """At most n of them, evenly over their order."""
    return [items[i * len(items) // n] for i in range(n)] if len(items) > n else list(items)


@dataclass
class ImageSource:
    """Pictures with labels. `labels` maps each label to its number of pictures, in the order they come."""

    path: Path
    kind: str
    labels: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)  # of the generator, where the source says so
    taken: dict[str, str] = field(
        default_factory=dict
    )  # what was chosen in it, such as {"label": "fine_label"}
    others: dict[str, str] = field(
        default_factory=dict
    )  # files that are no pictures, with what kind they are

    @property
    def has_latents(self) -> bool:
        """Whether its pictures bring the latents that they were decoded from."""
        return False

    @property
    def n_items(self) -> int:
        """How many pictures come, with those that have no label."""
        return len(self)

    def soft_labels(self) -> LabelRows | None:
        """Labels that its pictures bring, a row for each in its order; None where they bring none."""
        return None

    def __iter__(self) -> Iterator[Item]:
        """The pictures, one after the other."""
        raise AssertionError("a source of some kind")

    def sample(self, n: int) -> list[Item]:
        """At most n of its pictures, spread over it where that costs nothing."""
        return list(islice(self, n))

    def close(self) -> None:
        """Let go of what was opened to read it."""

    @property
    def passed_over(self) -> dict[str, int]:
        """The others, counted by kind."""
        return dict(Counter(self.others.values()))

    def __len__(self) -> int:
        return sum(self.labels.values())


def refuse_links(paths: Sequence[Path]) -> None:
    """Raise PoolImportError when one of these is a link."""
    for path in paths:
        if path.is_symlink():
            raise PoolImportError(
                f'"{path}" is a link, which may lead anywhere.',
                "Copy the folder with its links resolved (`cp -rL`) and import the copy.",
            )


def too_large(name: str, size: int) -> PoolImportError:
    """The error for one file that no picture needs to be."""
    return PoolImportError(
        f'"{name}" has {size / 2**20:,.0f} MiB; a picture may have {MAX_BYTES / 2**20:.0f} MiB.',
        "Shrink or remove it.",
    )
