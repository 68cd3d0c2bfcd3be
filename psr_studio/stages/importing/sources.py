"""Where an imported pool comes from: a folder, a zip, a Hugging Face data set on disk, another workspace."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.folders import FolderSource, ZipSource, files_in
from psr_studio.stages.importing.items import ImageSource, PoolImportError, refuse_links
from psr_studio.stages.importing.tables import (
    Columns,
    TableSource,
    WorkspaceSource,
    has_pictures,
    is_cache,
    is_table,
)
from psr_studio.storage.names import part_files

OTHER_FORMATS = {  # what distillation code leaves behind, by ending, and how to bring it here
    (".pt", ".pth", ".npz", ".npy", ".pkl", ".pickle"): "tensors",
    (".tar", ".tgz", ".gz", ".7z", ".rar"): "an archive that is no zip",
    (".mdb", ".h5", ".hdf5", ".tfrecord"): "a data base of records",
    (".safetensors",): "tensors",
}


def open_source(
    path: str | Path, classes: ClassNames, split: str | None = None, columns: Columns | None = None
) -> ImageSource:
    """Look at a path and say what is in it.

    Args:
        classes: of the task: a folder that is named as one of them is a class folder.
        split: of a source that has several.
        columns: of a table, where its own names leave a doubt.

    Raises:
        PoolImportError: nothing there, no pictures, several splits, or a zip that is not safe.
    """
    path, columns = Path(path).expanduser().absolute(), columns or Columns()
    if not path.exists():
        raise PoolImportError(f'There is nothing at "{path}".', "Check the path.")
    if path.is_file():
        return _open_file(path, classes, split, columns)
    if part_files(path / "pool"):
        return WorkspaceSource.find(path)
    files = list(files_in(path))
    tables = sorted(file for file in files if is_table(file))
    refuse_links(tables)
    pictures = [file for file in tables if not is_cache(file) and has_pictures(file)]
    in_folders = _opened_folders(path, split, classes, tables)
    if in_folders is not None and not pictures:
        in_folders.others |= {table.relative_to(path).as_posix(): table.name for table in tables}
        return in_folders
    if in_folders is not None:
        if (path / "manifest.json").is_file():  # an export of ours in several formats: the same pictures
            return in_folders
        shown = pictures[0].relative_to(path).as_posix()
        raise PoolImportError(
            f'"{path}" holds {len(in_folders):,} pictures in class folders and others in tables such as "{shown}".',
            "Give the path of the one to import: the folder of the class folders, or the table.",
        )
    return TableSource.find(tables, path, split, columns)


def _open_file(path: Path, classes: ClassNames, split: str | None, columns: Columns) -> ImageSource:
    if is_table(path):
        return TableSource.find([path], path, split, columns)
    if zipfile.is_zipfile(path):
        return ZipSource.find(path, split, classes.holds)
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise PoolImportError(
                f'"{path.name}" is a zip whose end is missing: it was not copied or downloaded to the end.',
                "Get that zip again.",
            )
    held = _other_format([path])
    raise PoolImportError(
        f'"{path.name}" {f"holds {held}" if held else "is no folder, zip, Parquet or Arrow file"}.',
        "Name a folder, a zip, or a Parquet or Arrow file.",
    )


def _opened_folders(
    path: Path, split: str | None, classes: ClassNames, tables: Sequence[Path]
) -> FolderSource | None:
    """The pictures in class folders; None where there are none but tables."""
    try:
        return FolderSource.find(path, split, classes.holds)
    except PoolImportError as err:
        if tables and "no pictures" in err.problem:
            return None
        held = _other_format(list(files_in(path)))
        if held and "no pictures" in err.problem:
            raise PoolImportError(
                f'"{path}" holds no pictures but {held}.',
                "Write its pictures as PNG files, in a folder for each class.",
            ) from err
        raise


def _other_format(files: Sequence[Path]) -> str:
    """What a source holds instead of pictures, in words; "" for nothing that is known."""
    for endings, words in OTHER_FORMATS.items():
        found = [file.name for file in files if file.suffix.lower() in endings]
        if found:
            return f'{words} ("{found[0]}")'
    return ""
