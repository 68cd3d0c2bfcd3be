"""A look at pictures before anything is made of them: their classes, counts and sizes, and what is odd among them."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image

from psr_studio.core.pictures import FORMATS, PictureError, hush_pillow
from psr_studio.core.words import plural
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.folders import kinds_text, reading_source
from psr_studio.stages.importing.items import Item, PoolImportError, called
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.sources import open_source

LOOKED_AT = 200  # pictures whose size is read
SIDES = (32, 64, 96, 128, 160, 192, 224, 256)  # that are proposed; what teachers see is seldom larger
NO_CLASSES = ClassNames(())
SHOWN = 12  # classes that are listed


@dataclass(frozen=True)
class Found:
    """What a source of pictures holds.

    Attributes:
        counts: pictures by label, labels as the source writes them, sorted.
        sizes: (width, height) of the pictures that were looked at. broken: those that cannot be read, with why.
        passed_over: files that are no pictures, by kind. kind: what the source is, such as "zip".
    """

    path: Path
    kind: str
    counts: dict[str, int]
    sizes: tuple[tuple[int, int], ...]
    broken: dict[str, str]
    passed_over: dict[str, int]

    @property
    def n(self) -> int:
        """Pictures of all classes."""
        return sum(self.counts.values())

    @property
    def side(self) -> int:
        """The side that is proposed: the largest usual one that half of the pictures fill without being enlarged."""
        shorter = median(min(size) for size in self.sizes)
        return max((side for side in SIDES if side <= shorter), default=max(8, int(shorter)))

    @property
    def lines(self) -> list[str]:
        """In words, a line each."""
        few, most = min(self.counts.values()), max(self.counts.values())
        each = f"{few:,} of each" if few == most else f"{few:,} to {most:,} of each"
        named = [f"{label} ({n:,})" for label, n in list(self.counts.items())[:SHOWN]]
        more = f" and {len(self.counts) - SHOWN:,} more" if len(self.counts) > SHOWN else ""
        lines = [
            f"{plural(self.n, 'picture')} of {plural(len(self.counts), 'class', 'classes')}, {each}: "
            f"{', '.join(named)}{more}",
            f"Sizes: {self._sizes}",
        ]
        if self.passed_over:
            lines.append(f"Other files: {kinds_text(self.passed_over)}")
        lines += [f'Cannot be read: "{name}", {why}' for name, why in self.broken.items()]
        return lines

    @property
    def _sizes(self) -> str:
        kinds = set(self.sizes)
        if len(kinds) == 1:
            width, height = self.sizes[0]
            return f"{width} x {height}"
        shorter, longer = min(map(min, kinds)), max(map(max, kinds))
        return f"{len(kinds)} kinds among {plural(len(self.sizes), 'picture')}, sides from {shorter:,} to {longer:,}"


def look(path: str | Path, reading: Reading | None = None, classes: ClassNames = NO_CLASSES) -> Found:
    """What is at a path that an import could read; decodes nothing and writes nothing.

    Args:
        classes: of the task, where they are known.

    Raises:
        PoolImportError: as `open_source`, or no picture can be read.
    """
    with reading_source(path):
        source = open_source(path, classes, reading)
        with closing(source):
            sizes, broken = _sizes(source.sample(LOOKED_AT))
    if not sizes:
        name, why = next(iter(broken.items()))
        raise PoolImportError(
            f'No picture of "{called(source.path)}" can be read, as far as it was looked at; "{name}": {why}.',
            "Name a folder or file with PNG, JPEG or WebP pictures.",
        )
    counts = dict(sorted(source.labels.items()))
    return Found(source.path, source.kind, counts, tuple(sizes), broken, source.passed_over)


def _sizes(items: list[Item]) -> tuple[list[tuple[int, int]], dict[str, str]]:
    sizes, broken = [], {}
    for item in items:
        try:
            sizes.append(_size(item.load()))
        except PictureError as err:
            broken[item.name] = str(err)
    return sizes, broken


def _size(data: bytes) -> tuple[int, int]:
    """Width and height by the head of a picture; PictureError where it has none."""
    try:
        hush_pillow()
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.size
    except Exception as err:  # a decoder fed with rubbish raises whatever it stumbles over
        raise PictureError(f"it is none of {', '.join(FORMATS)}, or broken") from err
