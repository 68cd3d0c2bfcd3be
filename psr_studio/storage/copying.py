"""A workspace copied whole into another folder, beside whatever goes on in the first."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from psr_studio.core.disk import temp_path, writing
from psr_studio.core.errors import WorkspaceError
from psr_studio.core.files import check_path
from psr_studio.storage.workspace import Workspace

LEFT_OUT = ("studio.sqlite*", "cache", "log.txt", ".*")


def copy_workspace(ws: Workspace, target: str | Path) -> Path:
    """Copy pool, scores, selections, refined pictures, exports, recipe and ledger; returns the new folder.

    Finished parts are never written to again, so where the disk can, both folders name the same file.

    Raises:
        WorkspaceError: there is something at `target` already; DiskError for what the disk refuses. Nothing stands
            there then.
    """
    target = check_path(target).absolute()
    if os.path.lexists(target):
        raise WorkspaceError(f'"{target}" is there already.', "Name a folder that is not there yet.")
    made = temp_path(target)
    try:
        with writing(target, again="copy it again"):
            ignored = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(ws.root, made, ignore=ignored, copy_function=_link_or_copy)
            ws.ledger.copy_to(made / ws.ledger.path.name)
            made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, target)
