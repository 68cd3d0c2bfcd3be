"""Pictures in tables: Hugging Face data sets on disk, and the pools of other workspaces."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.core.errors import did_you_mean
from psr_studio.core.pictures import MAX_BYTES
from psr_studio.core.words import plural, printable
from psr_studio.stages.importing.folders import unreadable
from psr_studio.stages.importing.items import (
    TABLES,
    ImageSource,
    Item,
    LabelRows,
    PoolImportError,
    SeveralSplits,
    called,
    known,
    refuse_links,
    too_large,
    unknown,
)
from psr_studio.stages.importing.reading import Columns
from psr_studio.storage.names import part_files
from psr_studio.storage.pool import Pool

ROWS_AT_ONCE = 64


# Names that a column of pictures or of labels goes by.
IMAGE_NAMES = ("image", "img", "picture", "photo", "jpg", "png")
LABEL_NAMES = ("label", "labels", "class", "class_id", "target", "targets", "y", "cls")
N_USUAL = 2  # of these, so many decide where a table has several such columns
COPY = re.compile(r" \(\d+\)$|conflicted copy|sync-conflict|\bcopy\b", re.IGNORECASE)  # in the stem of a file
SHARD = re.compile(r"(?P<split>.*?)[-_.]?(?P<number>\d+)(?:-of-(?P<total>\d+))?$")
WITHOUT_LABEL = "rows without a label"


@dataclass(frozen=True)
class _Table:
    """One file: its columns, the names of its labels, and the label that its path says (class=3/part-0.parquet)."""

    file: Path
    image: str
    label: str
    names: list[str]
    of_path: str | None = None


@dataclass
class TableSource(ImageSource):
    """Parquet or Arrow files with a column of pictures and one of labels, as `datasets` and pandas write them."""

    tables: list[_Table] = field(default_factory=list)
    n_without_label: int = 0

    @classmethod
    def find(cls, files: Sequence[Path], path: Path, split: str | None, columns: Columns) -> TableSource:
        """Choose the files of a split and the columns, and count the labels."""
        chosen = files_of_split(_files_with_data(files, path), path, split)
        tables = [_table(file, path, columns) for file in chosen]
        _check_alike(tables, path)
        labels: Counter[str] = Counter()
        for table in tables:
            labels.update(_labels(table))
        missing = labels.pop("", 0)
        if not labels:
            what = "no rows" if not missing else f"{plural(missing, 'row')}, all without a label"
            raise PoolImportError(
                f'"{called(path)}" holds {what}.', "Name a data set with pictures and labels."
            )
        first = tables[0]
        taken = {"pictures": f'the column "{first.image}"', "labels": f'the column "{first.label}"'}
        if first.of_path is not None:
            taken["labels"] = f'the folders "{first.label}=..."'
        return cls(path, "data set", dict(labels), taken=taken, tables=tables, n_without_label=missing)

    @property
    def passed_over(self) -> dict[str, int]:
        """As in `ImageSource`, with the rows that have no label."""
        rows = {WITHOUT_LABEL: self.n_without_label} if self.n_without_label else {}
        return super().passed_over | rows

    @property
    def n_items(self) -> int:
        """As in `ImageSource`."""
        return len(self) + self.n_without_label

    def __iter__(self) -> Iterator[Item]:
        """The pictures in the order of the rows, those without a label or a picture too."""
        for table in self.tables:
            columns = [table.image] if table.of_path is not None else [table.image, table.label]
            row = 0
            for batch in _batches(table.file, columns):
                labels = _labels_of(table, batch)
                for picture, label in zip(batch.column(table.image).to_pylist(), labels, strict=True):
                    name = f"{printable(table.file.name)}, row {row}"
                    row += 1
                    yield Item(label, name, _loader(picture, name))


def is_table(file: Path) -> bool:
    """Whether the name is that of a table."""
    return file.suffix.lower() in TABLES


def is_cache(file: Path) -> bool:
    """Whether `datasets` keeps results of earlier calls in it, beside a saved set."""
    return file.match("cache-*.arrow")


def has_pictures(file: Path) -> bool:
    """Whether a table can be opened and has a column that may hold pictures."""
    try:
        return file.is_file() and bool(_candidates(file, _schema(file))[0])
    except PoolImportError:
        return False


def _files_with_data(files: Sequence[Path], path: Path) -> list[Path]:
    """Without pipes and folders of such names, and without what `datasets` keeps of earlier calls beside a set."""
    kept = [file for file in files if file.is_file() and (file == path or not is_cache(file))]
    if not kept:
        raise PoolImportError(
            f'"{path}" holds {len(files)} Parquet or Arrow files, but only caches or pipes such as "{files[0].name}".',
            "Name a folder that `save_to_disk` wrote, or a Parquet file.",
        )
    for file in kept:
        if COPY.search(file.stem) and len(kept) > 1:
            raise PoolImportError(
                f'"{file}" looks like a second copy of another file, made by a browser or a sync program.',
                "Move it away if it is one, or give the path of the file to import.",
            )
    return kept


def files_of_split(files: Sequence[Path], path: Path, split: str | None) -> list[Path]:
    """Splits are folders ("train/data-00000.arrow") or what stands before the number of a shard ("train-0.parquet").

    Raises:
        PoolImportError: several splits and none named, or a split of which shards are missing.
    """
    groups: dict[str, list[Path]] = {}
    folders = {_plain_folder(file, path) for file in files}
    for file in files:
        shard = SHARD.match(file.stem)
        name = _plain_folder(file, path) if len(folders) > 1 else (shard["split"] if shard else file.stem)
        groups.setdefault(name or ".", []).append(file)
    if split is None and len(groups) > 1:
        raise SeveralSplits(
            f'"{called(path)}" holds {len(groups)} splits: {", ".join(groups)}.', list(groups)
        )
    if split is not None and split not in groups:
        last = {name.rpartition("/")[2]: name for name in groups}
        if split not in last:
            raise PoolImportError(
                f'"{called(path)}" has no split "{split}"; it has {", ".join(groups)}.',
                f"{did_you_mean(split, groups)}Name one of them.",
            )
        split = last[split]
    taken = groups[split] if split is not None else next(iter(groups.values()))
    if path.is_dir():
        _check_shards(taken)
    return taken


def _plain_folder(file: Path, path: Path) -> str:
    """The folder of a file inside the source, without parts such as "class=3", which say a value of its rows."""
    inside = file.parent.relative_to(path) if path.is_dir() else Path()
    return "/".join(part for part in inside.parts if "=" not in part)


def _check_shards(files: Sequence[Path]) -> None:
    """Raise PoolImportError when files say that they are n of m and some of the m are not there."""
    shards = [match for file in files if (match := SHARD.match(file.stem)) and match["total"]]
    for total in {int(match["total"]) for match in shards}:
        there = {int(match["number"]) for match in shards if int(match["total"]) == total}
        if lacking := sorted(set(range(total)) - there):
            raise PoolImportError(
                f'"{files[0].parent}" holds {len(there)} of {total} files of the set; number {lacking[0]} is missing.',
                "Get the missing files, or give the path of one file to import that part alone.",
            )


def _schema(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix.lower() == ".parquet":
            return pq.read_schema(file)
        with pa.memory_map(str(file)) as mapped:
            return _arrow(mapped).schema
    except (OSError, pa.ArrowException) as err:
        raise _damaged(file, err) from err


def _arrow(mapped: Any) -> Any:
    """A reader of the stream that `datasets` writes, or of the file that pandas writes as Feather."""
    import pyarrow as pa

    magic = mapped.read(6)
    mapped.seek(0)
    return pa.ipc.open_file(mapped) if magic == b"ARROW1" else pa.ipc.open_stream(mapped)


def _batches(file: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix.lower() == ".parquet":
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(ROWS_AT_ONCE, columns=columns)
            return
        with pa.memory_map(str(file)) as mapped:
            reader = _arrow(mapped)
            n = getattr(reader, "num_record_batches", None)
            batches = reader if n is None else (reader.get_batch(i) for i in range(n))
            for batch in batches:
                yield from pa.Table.from_batches([batch]).select(columns).to_batches(ROWS_AT_ONCE)
    except (OSError, pa.ArrowException) as err:
        raise _damaged(file, err) from err


def _damaged(file: Path, err: Exception) -> PoolImportError:
    if isinstance(err, (PermissionError, FileNotFoundError)):
        return unreadable(file, err)
    first = str(err).splitlines()[0][:160]
    return PoolImportError(f'"{file}" is damaged ({first}).', "Get that file again.")


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What `datasets` says of the columns; {} where it says nothing, or nothing that can be read."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: about for name, about in found.items() if isinstance(about, dict) and name in schema.names
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _candidates(file: Path, schema: Any) -> tuple[list[str], list[str]]:
    """Columns that may hold pictures, and columns that may hold labels."""
    import pyarrow as pa

    features = _features(schema)
    images = [f.name for f in schema if pa.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    images = [name for name, about in features.items() if about.get("_type") == "Image"] or images
    images = images or [
        f.name for f in schema
        if f.name.lower() in IMAGE_NAMES and (pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type))
    ]  # fmt: skip
    labels = [name for name, about in features.items() if about.get("_type") == "ClassLabel"]
    named = [name for name in schema.names if name.lower() in LABEL_NAMES and name not in images]
    return images, list(dict.fromkeys([*labels, *named]))


def _chosen(
    kind: str, wanted: str | None, candidates: Sequence[str], file: Path, known: Sequence[str]
) -> str | None:
    """The column that is asked for, the only one, or the one with the usual name; None where there is none.

    Raises:
        PoolImportError: the column asked for is not there, or there are several and none has a usual name.
    """
    flag = '"Picture column" (--image-column)' if kind == "pictures" else '"Label column" (--label-column)'
    if wanted is not None:
        if wanted not in known:
            raise PoolImportError(
                f'"{file.name}" has no column "{wanted}"; its columns are {", ".join(known)}.',
                f"{did_you_mean(wanted, known)}Set {flag} to one of them.",
            )
        return wanted
    usual = (IMAGE_NAMES if kind == "pictures" else LABEL_NAMES)[:N_USUAL]
    by_name = [name for name in usual if name in candidates]
    if len(candidates) > 1 and not by_name:
        raise PoolImportError(
            f'"{file.name}" has several columns that may hold {kind}: {", ".join(candidates)}.',
            f"Set {flag} to one of them.",
        )
    return next(iter(by_name or candidates), None)


def _table(file: Path, path: Path, columns: Columns) -> _Table:
    """The columns of a file, by their names and kinds, never by their order."""
    schema = _schema(file)
    images, labels = _candidates(file, schema)
    image = _chosen("pictures", columns.image, images, file, schema.names)
    label = _chosen("labels", columns.label, labels, file, schema.names)
    inside = file.relative_to(path).parts if path.is_dir() else ()
    of_path = dict(part.split("=", 1) for part in inside if "=" in part)
    by_path = next((name for name in LABEL_NAMES if name in of_path), None)
    if image is None or (label is None and by_path is None):
        lacking = "column of pictures" if image is None else "column of labels"
        raise PoolImportError(
            f'"{file.name}" has no {lacking}; its columns are {", ".join(schema.names)}.',
            'Write it with `datasets`, with an Image column and a ClassLabel column "label".',
        )
    if label is None:
        assert by_path is not None
        return _Table(file, image, by_path, [], of_path[by_path])
    names = _features(schema).get(label, {}).get("names")
    return _Table(file, image, label, [str(name) for name in names] if isinstance(names, list) else [])


def _check_alike(tables: Sequence[_Table], path: Path) -> None:
    """Raise PoolImportError when the files of one set do not mean the same by their columns."""
    first = tables[0]
    for table in tables:
        if (table.image, table.label, table.names) != (first.image, first.label, first.names):
            raise PoolImportError(
                f'"{first.file.name}" and "{table.file.name}" in "{path}" have other columns or other label names.',
                "Import them one after the other, by their paths, into workspaces of their own.",
            )


def _labels(table: _Table) -> Iterator[str]:
    """The label of every row, "" where there is none."""
    for batch in _batches(table.file, [table.image if table.of_path is not None else table.label]):
        yield from _labels_of(table, batch)


def _labels_of(table: _Table, batch: Any) -> list[str]:
    if table.of_path is not None:
        return [table.of_path] * batch.num_rows
    return [_words(value, table.names) for value in batch.column(table.label).to_pylist()]


def _words(value: Any, names: Sequence[str]) -> str:
    """A label as a word; "" for none. Whole numbers may stand as 3.0, as pandas writes them beside empty cells."""
    if value is None or value == -1 or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if names and isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else ""
    return str(value)


def _loader(picture: Any, name: str) -> Callable[[], bytes]:
    """The `load` of what a cell holds."""
    data = picture.get("bytes") if isinstance(picture, dict) else picture
    if isinstance(data, bytes):
        if len(data) > MAX_BYTES:
            raise too_large(name, len(data))
        return known(data)
    if isinstance(picture, dict) and picture.get("path"):
        return unknown("the table holds its path instead of its bytes")
    return unknown("the table holds none in this row")


@dataclass
class WorkspaceSource(ImageSource):
    """The pool of another workspace, with its latents and seeds."""

    pool: Pool | None = None
    names: list[str] = field(default_factory=list)

    @classmethod
    def find(cls, path: Path) -> WorkspaceSource:
        """Open the parts that are whole; a damaged part is an error here, since the import is whole or not at all."""
        files = part_files(path / "pool")
        refuse_links(files)
        if odd := [file for file in files if not file.is_file()]:
            raise PoolImportError(f'"{odd[0]}" is no file.', "Mend that workspace first, then import it.")
        pool = Pool(files)
        if pool.broken:
            raise PoolImportError(pool.broken[0].reason, "Mend that workspace first, then import it.")
        names = list(_features(_schema(files[0])).get("class", {}).get("names") or [])
        labels = Counter(_words(int(label), names) for label in pool.labels)
        return cls(path, "workspace", dict(labels), pool.settings, pool=pool, names=names)

    @property
    def has_latents(self) -> bool:
        """As in `ImageSource`."""
        return self.pool is not None and self.pool.has_latents

    def soft_labels(self) -> LabelRows | None:
        """As in `ImageSource`: those that were imported with its pictures."""
        if self.pool is None or not self.pool.has_own_logits:
            return None
        return LabelRows(self.pool.own_logits_at(np.arange(len(self.pool))), (), tuple(self.names))

    def __iter__(self) -> Iterator[Item]:
        """The candidates in pool order."""
        assert self.pool is not None
        for start in range(0, len(self.pool), ROWS_AT_ONCE):
            at = np.arange(start, min(start + ROWS_AT_ONCE, len(self.pool)))
            latents = self.pool.latents_at(at) if self.has_latents else [None] * len(at)
            for position, latent in zip(at, latents, strict=True):
                label = _words(int(self.pool.labels[position]), self.names)
                name = f"candidate {self.pool.candidate_ids[position]}"
                load = partial(self.pool.png, int(position))
                yield Item(label, name, load, latent, int(self.pool.seeds[position]))
