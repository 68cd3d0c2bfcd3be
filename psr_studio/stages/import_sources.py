"""Where an imported pool comes from: a folder, a zip, a Hugging Face data set on disk, another workspace.

A source first says which labels it holds and how many pictures of each, without decoding any; then it gives the
pictures one after the other, always in the same order. Nothing is unpacked to the disk, and nothing outside the path
that was named is read.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from psr_studio.errors import StudioError, did_you_mean
from psr_studio.pictures import MAX_BYTES, is_picture
from psr_studio.workspace import Pool

MAX_ENTRIES = 20_000_000
MAX_TOTAL_BYTES = 2 * 2**40  # of all pictures in a zip, unpacked
MAX_RATIO = 100  # unpacked to packed; pictures are packed already, a bomb is 1000 and more
RATIO_COUNTS_FROM = 2**20  # bytes; small files of one colour pack well
ROWS_AT_ONCE = 64
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


@dataclass
class ImageSource:
    """Pictures with labels. `labels` maps each label to its number of pictures, in the order they come."""

    path: Path
    kind: str
    labels: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)  # of the generator, where the source says so

    def __iter__(self) -> Iterator[Item]:
        """The pictures, one after the other."""
        raise AssertionError("a source of some kind")

    def __len__(self) -> int:
        return sum(self.labels.values())


def open_source(path: str | Path, split: str | None = None) -> ImageSource:
    """Look at a path and say what is in it.

    Raises:
        PoolImportError: nothing there, no pictures, several splits, or a zip that is not safe.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise PoolImportError(f'There is nothing at "{path}".', "Check the path.")
    if path.is_file():
        if path.suffix in (".parquet", ".arrow"):
            return TableSource.find([path], path, split)
        if zipfile.is_zipfile(path):
            return ZipSource.find(path, split)
        raise PoolImportError(
            f'"{path.name}" is no folder, zip, Parquet or Arrow file.', "Name one of these."
        )
    if any(path.glob("pool/class=*/part-*.parquet")):
        return WorkspaceSource.find(path)
    tables = sorted(p for kind in ("parquet", "arrow") for p in path.rglob(f"*.{kind}"))
    if tables:
        _refuse_links(tables)
        return TableSource.find(tables, path, split)
    return FolderSource.find(path, split)


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


def _counts(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(PurePosixPath(name).parent.name for name in names))


def _refuse_links(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_symlink():
            raise PoolImportError(
                f'"{path}" is a link, which may lead anywhere.',
                "Copy the folder with its links resolved (`cp -rL`) and import the copy.",
            )


@dataclass
class FolderSource(ImageSource):
    """A folder per class."""

    names: list[str] = field(default_factory=list)

    @classmethod
    def find(cls, path: Path, split: str | None) -> FolderSource:
        """Walk a folder; links are refused."""
        names: list[str] = []
        for folder, folders, files in os.walk(path):
            here = Path(folder)
            _refuse_links([here / name for name in folders if not name.startswith(".")])
            pictures = [here / name for name in files if is_picture(name)]
            _refuse_links(pictures)
            names += [picture.relative_to(path).as_posix() for picture in pictures]
        chosen = group_by_split(names, split, str(path))
        return cls(path, "folder", _counts(chosen), names=chosen)

    def __iter__(self) -> Iterator[Item]:
        """The pictures in name order."""
        for name in self.names:
            file = self.path / name
            if (size := file.stat().st_size) > MAX_BYTES:
                raise too_large(name, size)
            yield Item(PurePosixPath(name).parent.name, name, file.read_bytes())


@dataclass
class ZipSource(ImageSource):
    """A zip with a folder per class; read in place, never unpacked to the disk."""

    names: list[str] = field(default_factory=list)

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
        names = [e.filename for e in entries if is_picture(e.filename) and "__MACOSX" not in e.filename]
        chosen = group_by_split(names, split, path.name)
        return cls(path, "zip", _counts(chosen), names=chosen)

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


def too_large(name: str, size: int) -> PoolImportError:
    """The error for one file that no picture needs to be."""
    return PoolImportError(
        f'"{name}" has {size / 2**20:,.0f} MiB; a picture may have {MAX_BYTES / 2**20:.0f} MiB.',
        "Shrink or remove it.",
    )


@dataclass
class TableSource(ImageSource):
    """Parquet or Arrow files with an image and a label column, as `datasets` writes them."""

    files: list[Path] = field(default_factory=list)
    columns: tuple[str, str] = ("image", "label")
    names: list[str] = field(default_factory=list)  # of the labels; [] where they are their own

    @classmethod
    def find(cls, files: Sequence[Path], path: Path, split: str | None) -> TableSource:
        """Choose the files of a split and the columns, and count the labels."""
        chosen = _files_of_split(files, path, split)
        image, label, names = _columns(chosen[0])
        labels: Counter[str] = Counter()
        for file in chosen:
            for batch in _batches(file, [label]):
                labels.update(_words(value, names) for value in batch.column(label).to_pylist())
        if not labels:
            raise PoolImportError(f'"{path}" holds no rows.', "Name a data set with pictures.")
        return cls(path, "data set", dict(labels), files=chosen, columns=(image, label), names=names)

    def __iter__(self) -> Iterator[Item]:
        """The pictures in the order of the rows."""
        image, label = self.columns
        for file in self.files:
            row = 0
            for batch in _batches(file, [image, label]):
                for picture, value in zip(
                    batch.column(image).to_pylist(), batch.column(label).to_pylist(), strict=True
                ):
                    yield Item(
                        _words(value, self.names), f"{file.name}, row {row}", _bytes(picture, file, row)
                    )
                    row += 1


def _files_of_split(files: Sequence[Path], path: Path, split: str | None) -> list[Path]:
    """Splits are folders ("train/data-00000.arrow") or prefixes of names ("train-00000-of-00002.parquet")."""
    groups: dict[str, list[Path]] = {}
    folders = {file.parent for file in files}
    for file in files:
        name = file.parent.name if len(folders) > 1 else file.name.partition("-")[0].partition(".")[0]
        groups.setdefault(name, []).append(file)
    if split is None and len(groups) == 1:
        return next(iter(groups.values()))
    if split in groups:
        return groups[split]
    known = ", ".join(groups)
    if split is None:
        raise PoolImportError(f'"{path}" holds {len(groups)} splits: {known}.', SPLIT_FIX)
    raise PoolImportError(
        f'"{path}" has no split "{split}"; it has {known}.', f"{did_you_mean(split, groups)}Name one of them."
    )


def _schema(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix == ".parquet":
            return pq.read_schema(file)
        with pa.memory_map(str(file)) as mapped:
            return pa.ipc.open_stream(mapped).schema
    except (OSError, pa.ArrowException) as err:
        raise _damaged(file, err) from err


def _batches(file: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(ROWS_AT_ONCE, columns=columns)
            return
        with pa.memory_map(str(file)) as mapped:
            for batch in pa.ipc.open_stream(mapped):
                yield from pa.Table.from_batches([batch]).select(columns).to_batches(ROWS_AT_ONCE)
    except (OSError, pa.ArrowException) as err:
        raise _damaged(file, err) from err


def _damaged(file: Path, err: Exception) -> PoolImportError:
    first = str(err).splitlines()[0][:160]
    return PoolImportError(f'"{file}" is damaged ({first}).', "Get that file again.")


def _columns(file: Path) -> tuple[str, str, list[str]]:
    """Names of the image and the label column, and the names of the labels."""
    import pyarrow as pa

    schema = _schema(file)
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError):
        features = {}
    kinds = {
        name: about.get("_type") if isinstance(about, dict) else None for name, about in features.items()
    }
    images = [name for name, kind in kinds.items() if kind == "Image"]
    images += [f.name for f in schema if pa.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    labels += [name for name in ("label", "class", "labels", "fine_label", "target") if name in schema.names]
    if not images or not labels:
        lacking = "column of pictures" if not images else "column of labels"
        raise PoolImportError(
            f'"{file.name}" has no {lacking}; its columns are {", ".join(schema.names)}.',
            'Write it with `datasets`, with an Image column and a ClassLabel column "label".',
        )
    return images[0], labels[0], list(features.get(labels[0], {}).get("names") or [])


def _words(value: Any, names: Sequence[str]) -> str:
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)


def _bytes(picture: Any, file: Path, row: int) -> bytes:
    data = picture.get("bytes") if isinstance(picture, dict) else picture
    if not isinstance(data, bytes):
        raise PoolImportError(
            f'"{file.name}", row {row} holds a path instead of a picture.',
            "Write the data set with the pictures in it (`Image(decode=False)` with bytes).",
        )
    if len(data) > MAX_BYTES:
        raise too_large(f"{file.name}, row {row}", len(data))
    return data


@dataclass
class WorkspaceSource(ImageSource):
    """The pool of another workspace, with its latents and seeds."""

    pool: Pool | None = None
    names: list[str] = field(default_factory=list)

    @classmethod
    def find(cls, path: Path) -> WorkspaceSource:
        """Open the parts that are whole; a damaged part is an error here, since the import is whole or not at all."""
        files = sorted(path.glob("pool/class=*/part-*.parquet"))
        _refuse_links(files)
        pool = Pool(files)
        if pool.broken:
            raise PoolImportError(pool.broken[0].reason, "Mend that workspace first, then import it.")
        names = _columns(files[0])[2]
        labels = Counter(_words(int(label), names) for label in pool.labels)
        return cls(path, "workspace", dict(labels), pool.settings, pool, names)

    def __iter__(self) -> Iterator[Item]:
        """The candidates in pool order."""
        assert self.pool is not None
        for start in range(0, len(self.pool), ROWS_AT_ONCE):
            at = np.arange(start, min(start + ROWS_AT_ONCE, len(self.pool)))
            latents = self.pool.latents_at(at)
            for position, latent in zip(at, latents, strict=True):
                label = _words(int(self.pool.labels[position]), self.names)
                name = f"candidate {self.pool.candidate_ids[position]}"
                yield Item(label, name, self.pool.png(int(position)), latent, int(self.pool.seeds[position]))
