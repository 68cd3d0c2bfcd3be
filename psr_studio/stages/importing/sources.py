"""Where an imported pool comes from: a folder, a zip, a Hugging Face data set on disk, another workspace."""

from __future__ import annotations

import zipfile
from pathlib import Path

from psr_studio.stages.importing.folders import FolderSource, ZipSource
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError, refuse_links
from psr_studio.stages.importing.tables import TableSource, WorkspaceSource

__all__ = ["ImageSource", "Item", "PoolImportError", "open_source"]


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
        refuse_links(tables)
        return TableSource.find(tables, path, split)
    return FolderSource.find(path, split)
