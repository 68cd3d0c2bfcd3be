"""Small facts that a machine remembers between runs, as JSON files: for its user, or beside what they concern."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, TypeVar

from psr_studio.core.disk import RUN_AGAIN
from psr_studio.core.errors import DiskError
from psr_studio.core.files import write_bytes

LOG = logging.getLogger(__name__)
HOME_VARIABLE = "PSR_STUDIO_HOME"
ELSEWHERE = f"try again, or set {HOME_VARIABLE} to a folder that you may write to"

T = TypeVar("T", dict[str, Any], list[Any])


def home() -> Path:
    """The folder in which this machine keeps locations, hashes, prepared images and the list of workspaces."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "psr-studio"


def recall(path: Path, otherwise: T) -> T:
    """What a file holds; `otherwise` where there is none, or it is damaged or holds something of another kind."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise
    return found if isinstance(found, type(otherwise)) else otherwise


def keep(path: Path, values: dict[str, Any] | list[Any], again: str = RUN_AGAIN) -> None:
    """Write such a file, whole or not at all; DiskError with `again` as `disk.writing` has it."""
    write_bytes(path, json.dumps(values, indent=1).encode(), again=again)


def keep_if_possible(path: Path, values: dict[str, Any] | list[Any]) -> None:
    """The same for what is only found out again where it cannot be kept."""
    try:
        keep(path, values)
    except DiskError as err:
        LOG.warning("%s is not kept: %s", path.name, err)
