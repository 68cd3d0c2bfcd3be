"""Where an export goes: a folder that is free or ours, replaced whole or not at all, and its zip."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from psr_studio.core.errors import ExportError
from psr_studio.core.files import sha256
from psr_studio.disk import remove_if_possible, writing

MANIFEST = "manifest.json"
TEMP, OLD = ".tmp-export-", ".old-export-"


def temp_path(target: Path) -> Path:
    """The name under which an export or its zip is made, beside its place."""
    return target.parent / f"{TEMP}{os.getpid()}-{target.name}"


def zip_path(folder: Path) -> Path:
    """The zip of an export folder."""
    return folder.with_name(f"{folder.name}.zip")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an export of ours; None when there is none."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return found if {"files", "inputs_hash", "format_version"} <= found.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def check_target(folder: Path, root: Path) -> None:
    """Raise ExportError unless the folder is free, empty, or just what we wrote there."""
    if not folder.exists():
        return
    shown = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)
    if not folder.is_dir():
        raise ExportError(f'"{shown}" is a file.', "Choose another name for the export. Nothing was changed.")
    manifest = read_manifest(folder)
    ours = {name: about["sha256"] for name, about in manifest["files"].items()} if manifest else {}
    foreign = [path for path in folder.rglob("*") if path.is_file() and not _is_ours(path, folder, ours)]
    if foreign:
        noun = "file" if len(foreign) == 1 else "files"
        raise ExportError(
            f'The folder "{shown}" already holds {len(foreign):,} {noun} that PSR Studio did not write, '
            f'such as "{foreign[0].relative_to(folder).as_posix()}".',
            "Choose an empty folder. Nothing was changed.",
        )


def _is_ours(path: Path, folder: Path, ours: dict[str, str]) -> bool:
    """A file that was changed since counts as the user's."""
    name = path.relative_to(folder).as_posix()
    return (name == MANIFEST and bool(ours)) or (name in ours and sha256(path) == ours[name])


def put_in_place(temp: Path, folder: Path) -> None:
    """Rename the finished folder; an older export steps aside first and goes only when the new one stands."""
    if not folder.exists():
        os.replace(temp, folder)
        return
    old = folder.parent / f"{OLD}{folder.name}"
    os.replace(folder, old)
    os.replace(temp, folder)
    shutil.rmtree(old)


def recover(exports: Path) -> None:
    """Finish what a killed export left: halves go, and an older export that had stepped aside comes back."""
    for temp in exports.glob(f"{TEMP}*"):
        if temp.is_dir():
            shutil.rmtree(temp, ignore_errors=True)
        else:
            temp.unlink(missing_ok=True)
    for old in exports.glob(f"{OLD}*"):
        folder = exports / old.name.removeprefix(OLD)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, folder)


def write_zip(folder: Path) -> Path:
    """<name>.zip beside the folder, with the folder inside; what is compressed already is stored as it is."""
    target = zip_path(folder)
    temp = temp_path(target)
    again = f'export again, or set "export.zip" to false: the folder "{folder.name}" is whole'
    try:
        with writing(target, again=again):
            with zipfile.ZipFile(temp, "w") as packed:
                for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                    stored = path.suffix in (".png", ".tar", ".parquet")
                    kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
                    packed.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", kind)
            os.replace(temp, target)
    finally:
        remove_if_possible(temp)
    return target
