"""Pictures in tables: Hugging Face data sets on disk, and the pools of other workspaces."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.core.errors import did_you_mean
from psr_studio.core.pictures import MAX_BYTES
from psr_studio.stages.importing.folders import unreadable
from psr_studio.stages.importing.items import (
    SPLIT_FIX,
    ImageSource,
    Item,
    PoolImportError,
    refuse_links,
    too_large,
)
from psr_studio.storage.pool import Pool

ROWS_AT_ONCE = 64


@dataclass
class TableSource(ImageSource):
    """Parquet or Arrow files with an image and a label column, as `datasets` writes them."""

    files: list[Path] = field(default_factory=list)
    columns: tuple[str, str] = ("image", "label")
    names: list[str] = field(default_factory=list)  # of the labels; [] where they are their own

    @classmethod
    def find(cls, files: Sequence[Path], path: Path, split: str | None) -> TableSource:
        """Choose the files of a split and the columns, and count the labels."""
        chosen = _files_of_split(_files_with_data(files, path), path, split)
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


def _files_with_data(files: Sequence[Path], path: Path) -> list[Path]:
    """Without pipes and folders of such names, and without what `datasets` keeps of earlier calls beside a set."""
    kept = [file for file in files if file.is_file() and (file == path or not file.match("cache-*.arrow"))]
    if not kept:
        raise PoolImportError(
            f'"{path}" holds {len(files)} Parquet or Arrow files, but only caches or pipes such as "{files[0].name}".',
            "Name a folder that `save_to_disk` wrote, or a Parquet file.",
        )
    return kept


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
    if isinstance(err, (PermissionError, FileNotFoundError)):
        return unreadable(file, err)
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
        refuse_links(files)
        if odd := [file for file in files if not file.is_file()]:
            raise PoolImportError(f'"{odd[0]}" is no file.', "Mend that workspace first, then import it.")
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
