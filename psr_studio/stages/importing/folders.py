"""Pictures in class folders, plain or in a zip. Nothing is unpacked to the disk, and nothing outside the path is read
but what a linked class folder leads to.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn, Self

from psr_studio.core.errors import did_you_mean
from psr_studio.core.files import serves_a_system
from psr_studio.core.pictures import (
    FIRST_BYTES,
    MAX_BYTES,
    UNPACKED,
    PictureError,
    is_picture,
    looks_like_picture,
)
from psr_studio.core.words import plural, printable
from psr_studio.stages.importing.items import (
    TABLES,
    ImageSource,
    Item,
    PoolImportError,
    SeveralSplits,
    called,
    refuse_links,
    spread,
    too_large,
)
from psr_studio.stages.importing.reading import Reading, label_by_rule

PICTURE_FOLDERS = ("images", "image", "imgs", "img")  # inside a class folder, as Tiny-ImageNet has them
UNKNOWN_ENDING = "without an ending"
UNRULED = "of other names"
MAX_ENTRIES = 20_000_000
MAX_TOTAL_BYTES = 2 * 2**40  # of all pictures in a zip, unpacked
MAX_RATIO = 100  # unpacked to packed; pictures are packed already, a bomb is 1000 and more
RATIO_COUNTS_FROM = 2**20  # bytes; small files of one colour pack well


def class_folder(name: str, is_class: Callable[[str], bool]) -> PurePosixPath:
    """The class folder of "…/<class>/<picture>", or of "…/<class>/<any folders>/<picture>".

    The innermost folder whose name stands for a class; where none does, the one that the picture lies in.

    Raises:
        PoolImportError: it lies in folders of two classes.
    """
    parents = [folder for folder in PurePosixPath(name).parents if folder.name]
    of_class = [folder for folder in parents if is_class(folder.name)]
    if len({folder.name for folder in of_class}) > 1:
        raise PoolImportError(
            f'"{name}" lies in the folders of two classes, "{of_class[0].name}" and "{of_class[1].name}".',
            "Move the pictures of each class into a folder of their own, side by side.",
        )
    plain = [folder for folder in parents if folder.name.lower() not in PICTURE_FOLDERS]
    return of_class[0] if of_class else (plain or parents)[0]


def group_by_split(
    names: Sequence[str], split: str | None, where: str, is_class: Callable[[str], bool]
) -> tuple[PurePosixPath, dict[str, str]]:
    """Of paths "…/<split>/<class>/<picture>" the folder of one split, and its pictures, sorted, with their labels.

    Raises:
        PoolImportError: pictures outside class folders, or several splits and none named.
    """
    loose = [name for name in names if "/" not in name]
    if not names or loose:
        what = "no pictures" if not names else f'"{loose[0]}" outside the class folders'
        raise PoolImportError(
            f'"{where}" holds {what}.',
            "Put the pictures of each class into a folder that is named as the class, or say how their names tell it: "
            '"Naming rule" (--rule), such as "{class}_*".',
        )
    groups: dict[PurePosixPath, dict[str, str]] = {}
    for name in sorted(names, key=lambda name: name.split("/")):  # by class folder, as ImageFolder has them
        folder = class_folder(name, is_class)
        groups.setdefault(folder.parent, {})[name] = folder.name
    if split is not None:
        wanted = [group for group in groups if group.name == split or group.as_posix() == split]
        if not wanted:
            known = [group.as_posix() for group in groups]
            raise PoolImportError(
                f'"{where}" has no split "{split}"; it has {", ".join(known)}.',
                f"{did_you_mean(split, known)}Name one of them.",
            )
        groups = {group: groups[group] for group in wanted}
    if len(groups) > 1:
        shown = ", ".join(f'"{group}"' for group in list(groups)[:5])
        names = [group.as_posix() for group in groups]
        raise SeveralSplits(f'"{where}" holds {len(groups)} sets of class folders: {shown}.', names)
    return next(iter(groups.items()))


def unreadable(path: Path | str, err: OSError) -> PoolImportError:
    """The error for a file or folder of a source that the system does not hand out."""
    why = os.strerror(err.errno) if err.errno else str(err)
    return PoolImportError(
        f'"{called(Path(path))}" cannot be read: {why}.',
        "Give yourself read permission there, or take it out of the source. The pool is as it was.",
    )


@contextmanager
def reading_source(path: str | Path) -> Iterator[None]:
    """What the system says while a source is read is said of the source, not of the workspace."""
    try:
        yield
    except OSError as err:
        raise unreadable(err.filename or path, err) from err


def items_of(source: ImageSource) -> Iterator[Item]:
    """The pictures of a source; what the system refuses is said of it."""
    with reading_source(source.path):
        yield from source


@dataclass
class PictureFiles(ImageSource):
    """Pictures by name, with the label of each: that of its class folder."""

    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        path: Path,
        kind: str,
        pictures: Sequence[str],
        others: Sequence[str],
        where: str,
        reading: Reading,
    ) -> Self:
        """The pictures of one split; other files in the same class folders are counted by their endings.

        By a naming rule folders say nothing: the names of all pictures do.

        Raises:
            PoolImportError: as `group_by_split`, or files of other kinds only.
        """
        if others and not pictures and any("/" in name for name in others):
            raise PoolImportError(
                f'"{where}" holds no pictures that are read: {kinds_text(_kinds(others))}.',
                "Name one with pictures; convert those of other kinds to PNG first, which loses nothing.",
            )
        if reading.rule is not None:
            return cls._by_rule(path, kind, pictures, others, where, reading)
        group, labels = group_by_split(pictures, reading.split, where, reading.is_class)
        folders = {class_folder(name, reading.is_class) for name in labels}
        beside = [
            name for name in others if "/" in name and any(f in folders for f in PurePosixPath(name).parents)
        ]
        taken = (
            {"pictures": f'the folder "{printable(group.as_posix())}"'} if reading.split is not None else {}
        )
        counts = dict(Counter(printable(label) for label in labels.values()))
        odd = {printable(name): _kind(name) for name in beside}
        return cls(path, kind, counts, taken=taken, others=odd, names=labels)

    @classmethod
    def _by_rule(
        cls,
        path: Path,
        kind: str,
        pictures: Sequence[str],
        others: Sequence[str],
        where: str,
        reading: Reading,
    ) -> Self:
        assert reading.rule is not None
        said = {name: label_by_rule(reading.rule, name, reading.is_class) for name in sorted(pictures)}
        labels = {name: label for name, label in said.items() if label}
        if not labels:
            example = f', such as "{pictures[0]}"' if pictures else ""
            raise PoolImportError(
                f'No name of {plural(len(pictures), "picture")} in "{where}" is as "{reading.rule}" says{example}.',
                'Correct "Naming rule" (--rule): "{class}" is the class, "*" anything, "#" digits.',
            )
        counts = dict(Counter(printable(label) for label in labels.values()))
        odd = {printable(name): UNRULED for name, label in said.items() if not label}
        odd |= {printable(name): _kind(name) for name in others}
        return cls(
            path, kind, counts, taken={"classes": f'names as "{reading.rule}"'}, others=odd, names=labels
        )

    def parted(self, apart: Collection[str]) -> tuple[Self, Self]:
        """Two sources of it: the pictures that are not named, with the other files, and those that are."""
        rest, named = (
            {name: label for name, label in self.names.items() if (name in apart) == wanted}
            for wanted in (False, True)
        )
        counts = [dict(Counter(map(printable, part.values()))) for part in (rest, named)]
        return replace(self, names=rest, labels=counts[0]), replace(
            self, names=named, labels=counts[1], others={}
        )

    def item(self, name: str) -> Item:
        """One of its pictures."""
        return Item(
            printable(self.names[name]), printable(name), partial(self.read, name), file=printable(name)
        )

    def read(self, name: str) -> bytes:
        """The bytes of one of its pictures.

        Raises:
            PictureError, PoolImportError, OSError: why they cannot be had.
        """
        raise AssertionError("pictures of some kind")

    def __iter__(self) -> Iterator[Item]:
        """The pictures in name order."""
        return map(self.item, self.names)

    def sample(self, n: int) -> list[Item]:
        """As in `ImageSource`."""
        return [self.item(name) for name in spread(list(self.names), n)]


def kinds_text(passed_over: Mapping[str, int]) -> str:
    """In words: "5 passed over (3 .gif, 2 .tiff)"."""
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(passed_over.items()))
    return f"{sum(passed_over.values()):,} passed over ({kinds})"


def _kinds(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(map(_kind, names)))


def _kind(name: str) -> str:
    return printable(PurePosixPath(name).suffix.lower() or UNKNOWN_ENDING)


def _refuse(err: OSError) -> NoReturn:
    """`os.walk` would pass over a folder that it cannot list."""
    raise err


@dataclass
class FolderSource(PictureFiles):
    """A folder per class."""

    @classmethod
    def find(cls, path: Path, reading: Reading) -> FolderSource:
        """Walk a folder; links are refused, but for class folders. Pipes, sockets and devices are no pictures.

        A picture is known by its ending or, where that says nothing, by its first bytes.

        Raises:
            OSError: a folder in it cannot be listed.
        """
        pictures: list[str] = []
        others: list[str] = []
        for file in files_in(path):
            name = file.relative_to(path).as_posix()
            known = is_picture(file)
            if known:
                refuse_links([file])
            if not file.is_file() or file.is_symlink():
                continue
            (pictures if known or looks_like_picture(_first_bytes(file)) else others).append(name)
        made = cls.of(path, "folder", pictures, others, str(path), reading)
        for link in linked_folders(path):
            inside = f"{link.relative_to(path).as_posix()}/"
            if any(name.startswith(inside) for name in made.names):
                made.taken[f'"{inside[:-1]}"'] = f'the link to "{printable(str(link.resolve()))}"'
        return made

    def read(self, name: str) -> bytes:
        """As in `PictureFiles`."""
        file = self.path / name
        if (size := file.stat().st_size) > MAX_BYTES:
            raise too_large(name, size)
        return file.read_bytes()


def files_in(path: Path) -> Iterator[Path]:
    """All files under a folder but those that serve a system; links to folders are refused, but for class folders.

    Raises:
        OSError: a folder in it cannot be listed.
    """
    linked = linked_folders(path)
    for start in (path, *linked):
        for folder, folders, files in os.walk(start, onerror=_refuse):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if not serves_a_system(PurePosixPath(name)))
            refuse_links([here / name for name in folders if here / name not in linked])
            yield from (here / name for name in files if not serves_a_system(PurePosixPath(name)))


def linked_folders(path: Path) -> list[Path]:
    """Links to folders where class folders lie: in the folder that is named, or in a folder of a split of it.

    One that leads into the named folder, or to a folder that holds it, is none: its pictures would come twice.
    """

    def folders_in(folder: Path) -> list[Path]:
        return [p for p in folder.iterdir() if p.is_dir() and not serves_a_system(PurePosixPath(p.name))]

    inner = [path, *(folder for folder in folders_in(path) if not folder.is_symlink())]
    links = sorted(link for folder in inner for link in folders_in(folder) if link.is_symlink())
    return [link for link in links if not _nested(link.resolve(), path.resolve())]


def _nested(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(FIRST_BYTES)


@dataclass
class ZipSource(PictureFiles):
    """A zip with a folder per class; read in place, never unpacked to the disk."""

    entries: dict[str, str] = field(default_factory=dict)  # our name of an entry to the zip's own

    @classmethod
    def find(cls, path: Path, reading: Reading) -> ZipSource:
        """Check every entry before any is read. Backslashes, as Windows tools write them, part folders, too."""
        pictures: list[str] = []
        others: list[str] = []
        try:
            with zipfile.ZipFile(path) as packed:
                entries = {_plain(e): e for e in packed.infolist() if not e.is_dir()}
                check_entries([_entry(e) for e in packed.infolist() if not e.is_dir()], path.name)
                for name, entry in entries.items():
                    if serves_a_system(PurePosixPath(name)):
                        continue
                    known = is_picture(name) or looks_like_picture(_first_of(packed, entry))
                    (pictures if known else others).append(name)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as err:
            raise PoolImportError(
                f'"{path.name}" is a damaged zip ({err}).', "Get or make that zip again."
            ) from err
        tables = [name for name in others if name.lower().endswith(TABLES)]
        if tables and not pictures:
            raise PoolImportError(
                f'"{path.name}" holds no pictures but tables such as "{tables[0]}", which are not read from a zip.',
                "Unpack it and import the folder.",
            )
        made = cls.of(path, "zip", pictures, others, path.name, reading)
        made.entries = {name: entries[name].filename for name in made.names}
        return made

    @cached_property
    def _packed(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def read(self, name: str) -> bytes:
        """As in `PictureFiles`."""
        try:
            with self._packed.open(self.entries[name]) as file:
                data = file.read(MAX_BYTES + 1)
        except _UNPACKING as err:
            raise PictureError(f"it cannot be unpacked ({err})") from err
        if len(data) > MAX_BYTES:
            raise too_large(name, len(data))
        return data

    def close(self) -> None:
        """As in `ImageSource`."""
        if "_packed" in self.__dict__:
            self._packed.close()


# What `zipfile` and its decompressors raise over damaged or unknown data.
_UNPACKING = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
)


def _plain(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename.replace("\\", "/")).as_posix()


def _first_of(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with packed.open(entry) as file:
            return file.read(FIRST_BYTES)
    except _UNPACKING:
        return b""


class Entry(NamedTuple):
    """A file in an archive; `packed` bytes are known where each is packed by itself."""

    name: str
    size: int
    packed: int | None = None
    is_link: bool = False
    is_encrypted: bool = False


def _entry(entry: zipfile.ZipInfo) -> Entry:
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    return Entry(_plain(entry), entry.file_size, entry.compress_size, is_link, bool(entry.flag_bits & 0x1))


def check_entries(entries: Sequence[Entry], where: str) -> None:
    """Refuse an archive that is made to harm: paths that lead out, links, bombs, repeated or encrypted entries."""
    seen: set[str] = set()
    total = 0
    for entry in entries:
        if reason := _unsafe(entry, seen):
            raise PoolImportError(
                f'"{where}" holds {reason}: "{entry.name[:80]}".',
                "Use an archive that holds nothing but folders of pictures. Nothing was unpacked.",
            )
        seen.add(entry.name)
        total += entry.size
    if total > MAX_TOTAL_BYTES or len(entries) > MAX_ENTRIES:
        raise PoolImportError(
            f'"{where}" holds {len(entries):,} files of {total / 2**30:,.0f} GiB, more than '
            f"{MAX_ENTRIES:,} files or {MAX_TOTAL_BYTES / 2**30:,.0f} GiB.",
            "Split it, or unpack it yourself and import the folder.",
        )


def _unsafe(entry: Entry, seen: set[str]) -> str:
    name = entry.name
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and re.match(r"[A-Za-z]:", parts[0])):
        return "a path that leads out of it"
    if not parts:
        return "a file without a name"
    if entry.is_link:
        return "a link"
    if entry.is_encrypted:
        return "an encrypted file"
    if name in seen:
        return "a file twice"
    if entry.packed is None:
        return ""
    unpacked = PurePosixPath(name).suffix.lower() in UNPACKED
    most = MAX_BYTES if unpacked else max(RATIO_COUNTS_FROM, MAX_RATIO * max(1, entry.packed))
    if entry.size > most:
        if unpacked:
            return f"a file that unpacks to more than {MAX_BYTES / 2**20:.0f} MiB"
        return f"a file that unpacks to more than {MAX_RATIO} times its size"
    return ""
