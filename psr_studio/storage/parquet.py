"""One Parquet part: arrays in, arrays out, readable by `datasets`, pandas and DuckDB as it stands.

Shapes: n rows. uint8 (n, H, W, C) is stored as PNG in the Hugging Face Image convention, float32 (n, ...) as
a list of fixed length whose shape stands in the metadata, int64 (n,) as it is. "class" is a ClassLabel when
class names are given.

Every part carries the metadata key "psr_studio": JSON with the format version, the hash of the inputs it was
made from, the hash of its contents, the settings that made it and the shapes. Pages carry checksums, so a
flipped bit is found on reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from psr_studio.core.disk import reading
from psr_studio.core.errors import DamagedError, WorkspaceError
from psr_studio.core.files import write_bytes
from psr_studio.core.place import Place
from psr_studio.storage.png import encode_png

FORMAT_VERSION = 1
META_KEY, SEAL_KEY = b"psr_studio", b"psr_studio_seal"
IMPORT_MANIFEST = "import.json"  # in the folder of a pool that was not generated
IMPORT_AGAIN = "Put a backup of this file in its place, or import the pictures again."
# Folders above the file, and the step that writes it.
STEPS = {
    (1, "pool"): "generate",
    (0, "targets"): "generate",
    (2, "scores"): "score",
    (2, "latents"): "refine",
    (1, "refined"): "refine",
}


@dataclass(frozen=True)
class PartInfo:
    """What a part says about itself."""

    format_version: int
    inputs_hash: str
    content_hash: str
    n_rows: int
    settings: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]


def stable_hash(obj: Any) -> str:
    """Hash plain data (dicts in any order, lists, tuples, text, numbers, None) to 32 hex digits."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_part(
    path: Path,
    columns: Mapping[str, np.ndarray | Sequence[str]],
    *,
    inputs_hash: str,
    settings: Mapping[str, Any] | None = None,
    class_names: Sequence[str] = (),
    place: Place | None = None,
) -> PartInfo:
    """Write the columns (equal lengths) as one atomic file and return what it says about itself.

    Args:
        place: what must still be where it was opened.

    Raises:
        WorkspaceError: the disk is full or read-only, or the place has changed; nothing half-written remains, an
            older part is whole.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    assert len(set(lengths.values())) == 1, f"columns of unequal length: {lengths}"
    arrays, features, shapes = {}, {}, {}
    for name, values in columns.items():
        arrays[name], features[name] = _encode(name, values, class_names)
        if isinstance(values, np.ndarray):
            shapes[name] = tuple(values.shape[1:])
    info = PartInfo(
        FORMAT_VERSION,
        inputs_hash,
        content_hash(columns),
        next(iter(lengths.values())),
        dict(settings or {}),
        shapes,
    )
    about = {key: value for key, value in vars(info).items() if key != "n_rows"}
    table = pa.table(arrays).replace_schema_metadata(
        {
            META_KEY: json.dumps(about),
            SEAL_KEY: _seal(about, info.n_rows, list(columns)),
            b"huggingface": json.dumps({"info": {"features": features}}),
        }
    )
    sink = pa.BufferOutputStream()
    words = [name for name, values in columns.items() if not isinstance(values, np.ndarray)]
    pq.write_table(table, sink, compression="none", use_dictionary=words, write_page_checksum=True)
    write_bytes(path, memoryview(sink.getvalue()), place)
    return info


def read_part(path: Path, names: Sequence[str]) -> tuple[PartInfo, dict[str, Any]]:
    """Read columns and what the part says about itself.

    Columns come as int64 (n,), float32 (n, ...), images as a list of PNG bytes, text as a list.

    Raises:
        WorkspaceError: names the file, when it is damaged, not ours or lacks a column.
    """
    with _reading(path) as file:
        info = _info(file, path)
        if missing := [name for name in names if name not in file.schema_arrow.names]:
            raise damaged(path, f"it has no column {', '.join(missing)}")
        table = file.read(columns=list(names))
        found = {name: _decode(name, table.column(name), info) for name in names}
        _check_values(path, found)
        return info, found


def check_part(path: Path) -> PartInfo:
    """Read a part through, a column at a time: every page against its checksum, and the values themselves.

    Raises:
        WorkspaceError: as `read_part`.
    """
    with _reading(path) as file:
        info = _info(file, path)
        for name in file.schema_arrow.names:
            column = file.read(columns=[name], use_threads=False).column(name)
            if not pa.types.is_struct(column.type):
                _check_values(path, {name: _decode(name, column, info)})
        return info


def damaged(path: Path, reason: str) -> DamagedError:
    """The error for one file that cannot be used; all others can."""
    if (path.parent.parent / IMPORT_MANIFEST).is_file():
        fix = IMPORT_AGAIN
    else:
        fix = f"Run {_step_of(path)} again: only this part is made anew, all others are kept."
    return DamagedError(f'The file "{path}" is damaged: {reason}.', fix, path, reason)


def _step_of(path: Path) -> str:
    """The step that makes a part, by the folder it lies in."""
    below = [parent.name for parent in path.parents[:3]]  # of the workspace: see `Workspace`
    step = next((step for (depth, name), step in STEPS.items() if below[depth : depth + 1] == [name]), "")
    return f"the {step} step" if step else "its step"


def content_hash(columns: Mapping[str, np.ndarray | Sequence[str]]) -> str:
    """Hash names, shapes, types and values of the columns; equal data give equal hashes on every machine."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(columns):
        values = columns[name]
        if not isinstance(values, np.ndarray):
            digest.update(f"{name}:{json.dumps(list(values))}".encode())
            continue
        little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        digest.update(f"{name}:{little.dtype.str}:{little.shape}".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()


def _plain(obj: Any) -> Any:
    """numpy scalars and arrays, for JSON."""
    if isinstance(obj, (np.generic, np.ndarray)):
        return obj.tolist()
    raise TypeError(f"cannot hash {type(obj).__name__}")


def _encode(
    name: str, values: np.ndarray | Sequence[str], class_names: Sequence[str]
) -> tuple[pa.Array, dict]:
    """One column as Arrow data and as a Hugging Face feature."""
    if not isinstance(values, np.ndarray):
        return pa.array(list(values), pa.string()), {"dtype": "string", "_type": "Value"}
    if values.ndim == 4 and values.dtype == np.uint8:
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        return pa.array([{"bytes": encode_png(x), "path": None} for x in values], kind), {"_type": "Image"}
    if values.ndim == 1 and values.dtype == np.int64:
        label = {"names": list(class_names), "_type": "ClassLabel"}
        return pa.array(values), label if name == "class" and class_names else {
            "dtype": "int64",
            "_type": "Value",
        }
    assert values.dtype == np.float32 and values.ndim >= 2, f"{name}: {values.dtype} {values.shape}"
    width = int(np.prod(values.shape[1:]))
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), width)
    return flat, {"feature": {"dtype": "float32", "_type": "Value"}, "length": width, "_type": "Sequence"}


def _decode(name: str, column: pa.ChunkedArray, info: PartInfo) -> Any:
    if len(column) != info.n_rows:
        raise ValueError(f'"{name}" has {len(column)} of {info.n_rows} rows')
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_struct(whole.type):
        return whole.field("bytes").to_pylist()
    if pa.types.is_fixed_size_list(whole.type) and whole.type.value_type == pa.float32():
        return (
            whole.flatten().to_numpy(zero_copy_only=False).reshape(len(whole), *info.shapes.get(name, (-1,)))
        )
    if pa.types.is_string(whole.type):
        return whole.to_pylist()
    if whole.type == pa.int64():
        return whole.to_numpy(zero_copy_only=False)
    raise ValueError(f'"{name}" holds {whole.type}, which no step writes')


def _info(file: pq.ParquetFile, path: Path) -> PartInfo:
    metadata = file.schema_arrow.metadata or {}
    raw = metadata.get(META_KEY)
    if raw is None:
        raise damaged(path, "PSR Studio did not write it")
    about = json.loads(raw)
    if about["format_version"] > FORMAT_VERSION:
        raise newer_format(path, about["format_version"])
    seal = metadata.get(SEAL_KEY)  # parts from before there was one have none
    if seal not in (None, _seal(about, file.metadata.num_rows, file.schema_arrow.names).encode()):
        raise damaged(path, "what it says about itself was changed")
    shapes = {name: tuple(shape) for name, shape in about.pop("shapes").items()}
    return PartInfo(n_rows=file.metadata.num_rows, shapes=shapes, **about)


def _seal(about: Mapping[str, Any], n_rows: int, names: Sequence[str]) -> str:
    """A hash of what a part says about itself: checksums of pages do not cover it."""
    return stable_hash([about, n_rows, list(names)])


def _check_values(path: Path, columns: Mapping[str, Any]) -> None:
    """Refuse values that no step writes: they would be chosen, shown and exported like any other."""
    for name, values in columns.items():
        if name == "candidate_id":
            kinds, counts = np.unique(values, return_counts=True)
            if (counts > 1).any():
                raise damaged(path, f"it holds candidate {kinds[counts > 1][0]} twice")
        elif isinstance(values, np.ndarray) and values.dtype == np.float32 and not np.isfinite(values).all():
            rows = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
            raise damaged(path, f'"{name}" in {len(rows)} of {len(values)} rows is not a finite number')


def newer_format(path: Path, found: int) -> WorkspaceError:
    """The error for a file or folder that a later PSR Studio wrote."""
    return WorkspaceError(
        f'"{path}" has format version {found}; this PSR Studio reads versions up to {FORMAT_VERSION}.',
        "Update PSR Studio, or choose another workspace folder. Nothing was changed.",
    )


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a part. What the system refuses is said as such; whatever else Arrow finds wrong is damage to this file."""
    try:
        with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except WorkspaceError:
        raise
    except FileNotFoundError as err:
        raise WorkspaceError(f'The file "{path}" is not there.', "Run its step again.") from err
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as err:
        raise damaged(path, (str(err) or type(err).__name__).splitlines()[0].rstrip(".")) from err
