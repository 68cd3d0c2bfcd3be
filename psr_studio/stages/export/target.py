"""Where an export goes: a folder and a zip that are free or ours, since they are replaced."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from psr_studio.core.errors import ExportError
from psr_studio.core.files import serves_a_system, sha256
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.texts import TextError, decode, parse_json
from psr_studio.core.words import plural

MANIFEST = "manifest.json"


def zip_path(folder: Path) -> Path:
    """The zip of an export folder."""
    return folder.with_name(f"{folder.name}.zip")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an export of ours; None when there is none."""
    try:
        return _manifest((folder / MANIFEST).read_bytes())
    except OSError:
        return None


def _manifest(data: bytes) -> dict[str, Any] | None:
    try:
        found = parse_json(decode(data))
        files = found["files"].values()
        known = {"inputs_hash", "format_version"} <= found.keys()
        return found if known and all(isinstance(about["sha256"], str) for about in files) else None
    except (TextError, AttributeError, KeyError, TypeError):
        return None


def check_target(folder: Path, root: Path, zipped: bool) -> None:
    """Raise ExportError unless the folder is free, empty, or just what we wrote there, and the zip, if any, as well."""
    if zipped and zip_path(folder).exists() and not is_our_zip(folder):
        raise ExportError(
            f'"{zip_path(folder).name}" beside the folder "{folder.name}" is no zip that PSR Studio wrote.',
            "Move it away, or choose another name for the export. Nothing was changed.",
        )
    if not folder.exists():
        return
    shown = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)
    if not folder.is_dir():
        raise ExportError(f'"{shown}" is a file.', "Choose another name for the export. Nothing was changed.")
    manifest = read_manifest(folder)
    ours = {name: about["sha256"] for name, about in manifest["files"].items()} if manifest else {}
    there = [
        path for path in folder.rglob("*") if path.is_file() and not serves_a_system(_inside(path, folder))
    ]
    foreign = [path for path in there if not _is_ours(path, folder, ours)]
    if not foreign:
        return
    name = _inside(foreign[0], folder).as_posix()
    n = plural(len(foreign), "file")
    if name in ours:
        raise ExportError(
            f'The folder "{shown}" holds {n} that changed since the export, such as "{name}".',
            "Move what you changed out of the folder, or choose another name for the export. Nothing was changed.",
        )
    raise ExportError(
        f'The folder "{shown}" already holds {n} that PSR Studio did not write, such as "{name}".',
        "Choose an empty folder. Nothing was changed.",
    )


def _inside(path: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(folder).as_posix())


def _is_ours(path: Path, folder: Path, ours: dict[str, str]) -> bool:
    """A file that was changed since counts as the user's."""
    name = _inside(path, folder).as_posix()
    return (name == MANIFEST and bool(ours)) or (name in ours and sha256(path) == ours[name])


def is_our_zip(folder: Path) -> bool:
    """Whether the zip beside the folder is there and holds an export of ours of that name."""
    try:
        with zipfile.ZipFile(zip_path(folder)) as packed:
            return _manifest(packed.read(f"{folder.name}/{MANIFEST}")) is not None
    except (OSError, KeyError, zipfile.BadZipFile):
        return False


def write_zip(folder: Path) -> Path:
    """<name>.zip beside the folder, with the folder inside; what is compressed already is stored as it is."""
    target = zip_path(folder)
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as packed:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            stop_if_asked()
            stored = path.suffix in (".png", ".tar", ".parquet")
            kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            packed.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", kind)
    return target
