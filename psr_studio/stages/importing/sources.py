"""Where an imported pool comes from: folders, archives, tables, lists, tensors, another workspace."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from psr_studio.bundles.real_images import SPLITS
from psr_studio.stages.importing.archives import is_tar, open_shards, open_tar
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.folders import FolderSource, ZipSource, files_in
from psr_studio.stages.importing.items import ImageSource, PoolImportError, SeveralSplits, refuse_links
from psr_studio.stages.importing.lists import ListSource, is_list
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.tables import (
    TableSource,
    WorkspaceSource,
    has_pictures,
    is_cache,
    is_table,
)
from psr_studio.stages.importing.tensors import TensorSource, beside, is_tensor_file
from psr_studio.storage.names import part_files

READ = "a folder, a zip or tar, a Parquet or Arrow file, a CSV or JSON Lines list, or tensors"
OTHER_FORMATS = {  # what is not read, by ending, and what it is
    (".pkl", ".pickle"): "a pickle, which can run code when opened",
    (".gz", ".7z", ".rar"): "an archive that is neither zip nor tar",
    (".mdb", ".h5", ".hdf5", ".tfrecord"): "a data base of records",
}


def open_source(path: str | Path, classes: ClassNames, reading: Reading | None = None) -> ImageSource:
    """Look at a path and say what is in it.

    Args:
        classes: of the task: a folder that is named as one of them is a class folder.
        reading: what is said of it where it leaves a choice.

    Raises:
        PoolImportError: nothing there, no pictures, several splits, or an archive that is not safe.
    """
    path, reading = Path(path).expanduser().absolute(), replace(reading or Reading(), is_class=classes.holds)
    if not path.exists():
        raise PoolImportError(f'There is nothing at "{path}".', "Check the path.")
    if path.is_file():
        return _open_file(path, reading)
    if part_files(path / "pool"):
        return WorkspaceSource.find(path)
    files = list(files_in(path))
    tables = sorted(file for file in files if is_table(file))
    refuse_links(tables)
    pictures = [file for file in tables if not is_cache(file) and has_pictures(file)]
    in_folders = _opened_folders(path, reading, files, tables)
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
    return TableSource.find(tables, path, reading.split, reading.columns)


def splits_of(path: str | Path, classes: ClassNames) -> tuple[str, str] | None:
    """The training and the test split of a source, which lie side by side under usual names; None where it has none.

    Raises:
        PoolImportError: as `open_source`, also for several splits of other names.
    """
    try:
        open_source(path, classes).close()
    except SeveralSplits as err:
        train, test = (
            next((name for usual in names for name in err.splits if PurePosixPath(name).name == usual), None)
            for names in SPLITS.values()
        )
        if train is None or test is None or PurePosixPath(train).parent != PurePosixPath(test).parent:
            raise
        return train, test
    return None


def _open_file(path: Path, reading: Reading) -> ImageSource:
    if is_table(path):
        return TableSource.find([path], path, reading.split, reading.columns)
    if is_list(path):
        return ListSource.find(path, reading)
    if is_tar(path):
        return open_tar(path, reading)
    if is_tensor_file(path):
        return TensorSource.find(beside(path), path, reading)
    if zipfile.is_zipfile(path):
        return ZipSource.find(path, reading)
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise PoolImportError(
                f'"{path.name}" is a zip whose end is missing: it was not copied or downloaded to the end.',
                "Get that zip again.",
            )
    held = _other_format([path])
    raise PoolImportError(
        f'"{path.name}" is {f"{held}" if held else "none of what is read"}.', f"Name {READ}."
    )


def _opened_folders(
    path: Path, reading: Reading, files: Sequence[Path], tables: Sequence[Path]
) -> ImageSource | None:
    """The pictures in class folders, or what else lies there instead; None where there are none but tables."""
    lists = [file for file in files if is_list(file) and file.parent == path]
    try:
        found = FolderSource.find(path, reading)
        of_no_class = len(found.labels) == 1 and not reading.is_class(next(iter(found.labels)))
        if (
            of_no_class and len(lists) == 1 and reading.rule is None
        ):  # all in one folder, beside a list of them
            return ListSource.find(lists[0], reading)
        return found
    except PoolImportError as err:
        loose = "outside the class folders" in err.problem
        if len(lists) == 1 and (loose or "no pictures" in err.problem):
            return ListSource.find(lists[0], reading)
        if "no pictures" not in err.problem:
            raise
        if tables:
            return None
        if tars := sorted(file for file in files if is_tar(file)):
            return open_shards(tars, path, reading)
        if tensors := sorted(file for file in files if is_tensor_file(file)):
            return TensorSource.find(tensors, path, reading)
        held = _other_format(files)
        if held:
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
