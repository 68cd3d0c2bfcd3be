"""What a source of pictures is: labels with counts first, then one picture after the other, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.core.errors import StudioError
from psr_studio.core.pictures import MAX_BYTES

TABLES = (".parquet", ".arrow", ".feather")
SPLIT_FIX = "Name one of them with --split, or give the path of its folder."


class PoolImportError(StudioError):
    """Something that cannot become a pool; the pool that is there is as it was."""


@dataclass(frozen=True)
class Item:
    """One picture as it lies in its source."""

    label: str
    name: str  # for messages and for tracing it back
    data: bytes
    latent: np.ndarray | None = None  # (c, h, w) float32, of another workspace
    seed: int | None = None
    problem: str = (
        ""  # why its bytes cannot be had, for "it cannot be used: ..."; "" where they are in `data`
    )


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
    passed_over: dict[str, int] = field(
        default_factory=dict
    )  # files or rows that are no pictures, counted by kind

    @property
    def has_latents(self) -> bool:
        """Whether its pictures bring the latents that they were decoded from."""
        return False

    def __iter__(self) -> Iterator[Item]:
        """The pictures, one after the other."""
        raise AssertionError("a source of some kind")

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
