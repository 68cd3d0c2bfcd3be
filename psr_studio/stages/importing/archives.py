"""Pictures in tars, packed or not: class folders, or WebDataset shards. Read in place, in the order of the archive."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from psr_studio.core.files import serves_a_system
from psr_studio.core.pictures import FIRST_BYTES, MAX_BYTES, is_picture, looks_like_picture
from psr_studio.core.texts import TextError, decode, parse_json
from psr_studio.core.words import printable
from psr_studio.stages.importing.folders import (
    MAX_RATIO,
    RATIO_COUNTS_FROM,
    Entry,
    PictureFiles,
    check_entries,
)
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError, known, too_large
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.tables import LABEL_NAMES, files_of_split

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LABEL_FILE, ABOUT_FILE = "cls", "json"  # of a sample of a shard, beside its picture
MAX_LABEL_BYTES = 2**20
DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)


def is_tar(path: Path) -> bool:
    """Whether a file is a tar by its name; what it holds is looked at when it is read."""
    return path.name.lower().endswith(TARS)


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar, packed or not; what is wrong with it is said of the file."""
    try:
        with tarfile.open(path, "r:*") as packed:
            yield packed
    except (*DAMAGE, UnicodeError) as err:
        first = (str(err) or type(err).__name__).splitlines()[0]
        raise PoolImportError(
            f'"{path.name}" is a damaged tar ({first}).', "Get or make that tar again."
        ) from err


def open_tar(path: Path, reading: Reading) -> ImageSource:
    """Look into a tar: a WebDataset shard where labels lie beside the pictures, otherwise class folders."""
    samples = _samples(path)
    if any(sample.label is not None for sample in samples.values()):
        return ShardSource.of([path], path, {path: samples})
    return TarSource.find(path, reading)


def open_shards(files: Sequence[Path], path: Path, reading: Reading) -> ImageSource:
    """The shards of one split in a folder of tars."""
    shards = files_of_split(files, path, reading.split)
    samples = {file: _samples(file) for file in shards}
    if not any(sample.label is not None for found in samples.values() for sample in found.values()):
        if len(shards) == 1:
            return TarSource.find(shards[0], reading)
        raise PoolImportError(
            f'"{path}" holds {len(shards)} tars such as "{shards[0].name}", without labels (.cls) beside pictures.',
            "Name one tar with class folders, or write the label of each picture beside it as KEY.cls.",
        )
    return ShardSource.of(shards, path, samples)


@dataclass
class TarSource(PictureFiles):
    """A tar with a folder per class."""

    @classmethod
    def find(cls, path: Path, reading: Reading) -> TarSource:
        """Check every entry before any picture is read."""
        pictures: list[str] = []
        others: list[str] = []
        entries: list[Entry] = []
        with opened(path) as packed:
            for member, name in _files(packed, entries):
                is_one = is_picture(name) or looks_like_picture(_bytes(packed, member, FIRST_BYTES))
                (pictures if is_one else others).append(name)
        check_entries(entries, path.name)
        _check_ratio(path, entries)
        return cls.of(path, "tar", pictures, others, path.name, reading)

    def __iter__(self) -> Iterator[Item]:
        """The pictures in the order of the archive."""
        with opened(self.path) as packed:
            for member in packed:
                if (name := _entry(member).name) in self.names:
                    yield Item(printable(self.names[name]), printable(name), known(_picture(packed, member)))

    sample = ImageSource.sample  # a packed archive is read from its beginning


@dataclass
class _Sample:
    """What lies under one key of a shard."""

    picture: str = ""
    label: str | None = None


@dataclass
class ShardSource(ImageSource):
    """WebDataset shards: "KEY.png" with "KEY.cls", or a label in "KEY.json"."""

    shards: dict[Path, dict[str, _Sample]] = field(
        default_factory=dict
    )  # samples by the name of their picture

    @classmethod
    def of(cls, files: Sequence[Path], path: Path, samples: dict[Path, dict[str, _Sample]]) -> ShardSource:
        """The samples that have a picture; those without a label are among the others."""
        shards = {
            file: {sample.picture: sample for sample in samples[file].values() if sample.picture}
            for file in files
        }
        labels: Counter[str] = Counter()
        for found in shards.values():
            labels.update(sample.label for sample in found.values() if sample.label is not None)
        return cls(path, "WebDataset", dict(labels), shards=shards)

    @property
    def passed_over(self) -> dict[str, int]:
        """As in `ImageSource`, with the samples that have no label."""
        n = sum(sample.label is None for found in self.shards.values() for sample in found.values())
        return {"samples without a label": n} if n else {}

    @property
    def n_items(self) -> int:
        """As in `ImageSource`."""
        return sum(map(len, self.shards.values()))

    def __iter__(self) -> Iterator[Item]:
        """The pictures shard by shard, in the order of each."""
        for file, samples in self.shards.items():
            with opened(file) as packed:
                for member in packed:
                    sample = samples.get(_entry(member).name)
                    if sample is not None:
                        name = printable(f"{file.name}, {sample.picture}")
                        load, picture = known(_picture(packed, member)), printable(sample.picture)
                        yield Item(sample.label or "", name, load, file=picture)


def _samples(path: Path) -> dict[str, _Sample]:
    """What lies under each key of a tar; entries are checked first.

    Raises:
        PoolImportError: damaged, made to harm, or two pictures under one key of a labelled sample.
    """
    found: dict[str, _Sample] = {}
    entries: list[Entry] = []
    doubled = ""
    with opened(path) as packed:
        for member, name in _files(packed, entries):
            key, ending = _key(name)
            sample = found.setdefault(key, _Sample())
            if is_picture(name):
                doubled = doubled or (sample.picture and key)
                sample.picture = name
            elif ending == LABEL_FILE:
                sample.label = _text(path, name, _bytes(packed, member, MAX_LABEL_BYTES)).strip()
            elif ending == ABOUT_FILE and sample.label is None:
                sample.label = _label_in(_text(path, name, _bytes(packed, member, MAX_LABEL_BYTES)))
    check_entries(entries, path.name)
    _check_ratio(path, entries)
    if doubled and any(sample.label is not None for sample in found.values()):
        raise PoolImportError(
            f'"{path.name}" holds several pictures under the key "{doubled}".',
            "Write each picture with its label under a key of its own.",
        )
    return found


def _files(packed: tarfile.TarFile, entries: list[Entry]) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The files of a tar with their names, but a system's own; notes every entry that is no folder, to be checked."""
    for member in packed:
        if member.isdir():
            continue
        entry = _entry(member)
        entries.append(entry)
        if member.isreg() and not serves_a_system(PurePosixPath(entry.name)):
            yield member, entry.name


def _key(name: str) -> tuple[str, str]:
    """The key of a sample, up to the first dot of its file, and what follows in small letters."""
    folder, _, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return f"{folder}/{stem}", ending.lower()


def _label_in(text: str) -> str | None:
    """The label that the table beside a picture names; None where it names none."""
    try:
        about: Any = parse_json(text)
    except TextError:
        return None
    if not isinstance(about, dict):
        return None
    return next((str(about[name]) for name in LABEL_NAMES if isinstance(about.get(name), int | str)), None)


def _text(path: Path, name: str, data: bytes) -> str:
    try:
        return decode(data)
    except TextError as err:
        raise PoolImportError(f'"{name}" in "{path.name}" is {err}.', err.fix) from err


def _entry(member: tarfile.TarInfo) -> Entry:
    name = member.name.replace("\\", "/")
    is_link = member.issym() or member.islnk()
    return Entry(name if name.startswith("/") else PurePosixPath(name).as_posix(), member.size, None, is_link)


def _bytes(packed: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = packed.extractfile(member)
    return b"" if file is None else file.read(most)


def _picture(packed: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_BYTES:
        raise too_large(member.name, member.size)
    return _bytes(packed, member, MAX_BYTES)


def _check_ratio(path: Path, entries: Sequence[Entry]) -> None:
    """Refuse a packed tar that unpacks to what no pictures do."""
    total, size = sum(entry.size for entry in entries), path.stat().st_size
    if total > max(RATIO_COUNTS_FROM, MAX_RATIO * size):
        raise PoolImportError(
            f'"{path.name}" unpacks to {total:,} bytes, more than {MAX_RATIO} times its size.',
            "Use an archive that holds nothing but pictures. Nothing was unpacked.",
        )
