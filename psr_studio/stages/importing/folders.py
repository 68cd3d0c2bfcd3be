"""Pictures in class folders, plain or in a zip. Nothing is unpacked to the disk, nothing outside the path is read."""

from __future__ import annotations

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn, Self

from psr_studio.core.errors import did_you_mean
from psr_studio.core.pictures import MAX_BYTES, is_picture
from psr_studio.stages.importing.items import (
    SPLIT_FIX,
    ImageSource,
    Item,
    PoolImportError,
    refuse_links,
    too_large,
)

OTHER_KINDS = (  # pictures by their endings, too, but of kinds that are not read
    ".gif", ".tif", ".tiff", ".jfif", ".jp2", ".jxl", ".avif", ".heic", ".heif", ".svg", ".ico", ".tga", ".psd",
    ".exr", ".hdr", ".dng", ".cr2", ".nef", ".arw", ".pbm", ".pnm",
)  # fmt: skip
MAX_ENTRIES = 20_000_000
MAX_TOTAL_BYTES = 2 * 2**40  # of all pictures in a zip, unpacked
MAX_RATIO = 100  # unpacked to packed; pictures are packed already, a bomb is 1000 and more
RATIO_COUNTS_FROM = 2**20  # bytes; small files of one colour pack well


def group_by_split(names: Sequence[str], split: str | None, where: str) -> list[str]:
    """Of paths "…/<split>/<class>/<picture>" those of one split, sorted.

    Raises:
        PoolImportError: pictures outside class folders, or several splits and none named.
    """
    loose = [name for name in names if "/" not in name]
    if not names or loose:
        what = "no pictures" if not names else f'"{loose[0]}" outside the class folders'
        raise PoolImportError(
            f'"{where}" holds {what}.',
            "Put the pictures of each class into a folder that is named as the class.",
        )
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(PurePosixPath(name).parent.parent.as_posix(), []).append(name)
    if split is not None:
        wanted = [group for group in groups if PurePosixPath(group).name == split]
        if not wanted:
            known = [PurePosixPath(group).name or "." for group in groups]
            raise PoolImportError(
                f'"{where}" has no split "{split}"; it has {", ".join(known)}.',
                f"{did_you_mean(split, known)}Name one of them.",
            )
        groups = {group: groups[group] for group in wanted}
    if len(groups) > 1:
        shown = ", ".join(f'"{group}"' for group in list(groups)[:5])
        raise PoolImportError(f'"{where}" holds {len(groups)} sets of class folders: {shown}.', SPLIT_FIX)
    return next(iter(groups.values()))


def unreadable(path: Path | str, err: OSError) -> PoolImportError:
    """The error for a file or folder of a source that the system does not hand out."""
    why = os.strerror(err.errno) if err.errno else str(err)
    return PoolImportError(
        f'"{path}" cannot be read: {why}.',
        "Give yourself read permission there, or take it out of the source. The pool is as it was.",
    )


@dataclass
class PictureFiles(ImageSource):
    """Pictures by name, "…/<class>/<picture>"; `passed_over` counts those of other kinds by their ending."""

    names: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, kind: str, names: Sequence[str], split: str | None, where: str) -> Self:
        """The pictures of one split among all files that were found.

        Raises:
            PoolImportError: as `group_by_split`, or pictures of other kinds only.
        """
        pictures = [name for name in names if is_picture(name)]
        others = [name for name in names if _is_of_other_kind(name)]
        if others and not pictures:
            raise PoolImportError(
                f'"{where}" holds no pictures but {kinds_text(_kinds(others))}.',
                "Convert them to PNG first, which loses nothing.",
            )
        chosen = group_by_split(pictures, split, where)
        labels = Counter(PurePosixPath(name).parent.name for name in chosen)
        group = PurePosixPath(chosen[0]).parent.parent
        beside = [name for name in others if PurePosixPath(name).parent.parent == group]
        return cls(path, kind, dict(labels), names=chosen, passed_over=_kinds(beside))


def kinds_text(passed_over: Mapping[str, int]) -> str:
    """In words: "5 of kinds that are not read (3 .gif, 2 .tiff)"."""
    kinds = ", ".join(f"{n:,} {ending}" for ending, n in sorted(passed_over.items()))
    return f"{sum(passed_over.values()):,} of kinds that are not read ({kinds})"


def _kinds(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(_ending(name) for name in names))


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_of_other_kind(name: str) -> bool:
    return not PurePosixPath(name).name.startswith(".") and _ending(name) in OTHER_KINDS


def _refuse(err: OSError) -> NoReturn:
    """`os.walk` would pass over a folder that it cannot list."""
    raise err


@dataclass
class FolderSource(PictureFiles):
    """A folder per class."""

    @classmethod
    def find(cls, path: Path, split: str | None) -> FolderSource:
        """Walk a folder; links are refused. Pipes, sockets and devices are no pictures, whatever their names.

        Raises:
            OSError: a folder in it cannot be listed.
        """
        names: list[str] = []
        for folder, folders, files in os.walk(path, onerror=_refuse):
            here = Path(folder)
            refuse_links([here / name for name in folders if not name.startswith(".")])
            found = [here / name for name in files if is_picture(name) or _is_of_other_kind(name)]
            refuse_links([file for file in found if is_picture(file)])
            names += [file.relative_to(path).as_posix() for file in found if file.is_file()]
        return cls.of(path, "folder", names, split, str(path))

    def __iter__(self) -> Iterator[Item]:
        """The pictures in name order."""
        for name in self.names:
            file = self.path / name
            if (size := file.stat().st_size) > MAX_BYTES:
                raise too_large(name, size)
            yield Item(PurePosixPath(name).parent.name, name, file.read_bytes())


@dataclass
class ZipSource(PictureFiles):
    """A zip with a folder per class; read in place, never unpacked to the disk."""

    @classmethod
    def find(cls, path: Path, split: str | None) -> ZipSource:
        """Check every entry before any is read."""
        try:
            with zipfile.ZipFile(path) as packed:
                entries = [e for e in packed.infolist() if not e.is_dir()]
        except (zipfile.BadZipFile, OSError, ValueError) as err:
            raise PoolImportError(
                f'"{path.name}" is a damaged zip ({err}).', "Get or make that zip again."
            ) from err
        check_entries(entries, path.name)
        names = [e.filename for e in entries if "__MACOSX" not in e.filename]
        return cls.of(path, "zip", names, split, path.name)

    def __iter__(self) -> Iterator[Item]:
        """The pictures in name order."""
        with zipfile.ZipFile(self.path) as packed:
            for name in self.names:
                try:
                    with packed.open(name) as file:
                        data = file.read(MAX_BYTES + 1)
                except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as err:
                    raise PoolImportError(
                        f'"{name}" in "{self.path.name}" cannot be unpacked ({err}).',
                        "Get or make that zip again.",
                    ) from err
                if len(data) > MAX_BYTES:
                    raise too_large(name, len(data))
                yield Item(PurePosixPath(name).parent.name, name, data)


def check_entries(entries: Sequence[zipfile.ZipInfo], where: str) -> None:
    """Refuse a zip that is made to harm: paths that lead out, links, bombs, repeated or encrypted entries."""
    seen: set[str] = set()
    total = 0
    for entry in entries:
        if reason := _unsafe(entry, seen):
            raise PoolImportError(
                f'"{where}" holds {reason}: "{entry.filename[:80]}".',
                "Use a zip that holds nothing but folders of pictures. Nothing was unpacked.",
            )
        seen.add(entry.filename)
        total += entry.file_size
    if total > MAX_TOTAL_BYTES or len(entries) > MAX_ENTRIES:
        raise PoolImportError(
            f'"{where}" holds {len(entries):,} files of {total / 2**30:,.0f} GiB, more than '
            f"{MAX_ENTRIES:,} files or {MAX_TOTAL_BYTES / 2**30:,.0f} GiB.",
            "Split it, or unpack it yourself and import the folder.",
        )


def _unsafe(entry: zipfile.ZipInfo, seen: set[str]) -> str:
    name = entry.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and ":" in parts[0]):
        return "a path that leads out of it"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link"
    if entry.flag_bits & 0x1:
        return "an encrypted file"
    if entry.filename in seen:
        return "a file twice"
    if entry.file_size > max(RATIO_COUNTS_FROM, MAX_RATIO * max(1, entry.compress_size)):
        return f"a file that unpacks to more than {MAX_RATIO} times its size"
    return ""
