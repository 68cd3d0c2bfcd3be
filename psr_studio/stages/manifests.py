"""Manifests: small JSON files that say what else lies in their folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psr_studio.core.disk import reading
from psr_studio.core.errors import DamagedError
from psr_studio.core.texts import TextError, parse_json, read_text

TEXT, COUNTS, TEXTS = "text", "counts", "texts"


def read_manifest(path: Path, kinds: Mapping[str, str], fix: str) -> dict[str, Any] | None:
    """What a manifest says; None where there is no such file.

    Args:
        kinds: what each of its keys must hold: TEXT, or a table of whole numbers (COUNTS) or of TEXTS.
        fix: what to do when it is damaged.

    Raises:
        DamagedError: not JSON, or a value is missing or of another type. DiskError: it cannot be read.
    """
    with reading(path):
        if not path.exists():
            return None
        try:
            found = parse_json(read_text(path))
        except TextError as err:
            raise _damaged(path, str(err), fix) from err
    if not isinstance(found, dict):
        raise _damaged(path, "it holds no table", fix)
    for key, kind in kinds.items():
        if not _is(kind, found.get(key)):
            raise _damaged(path, f'"{key}" is missing or not what was written', fix)
    return found


def _is(kind: str, value: Any) -> bool:
    if kind == TEXT:
        return isinstance(value, str)
    wanted = int if kind == COUNTS else str
    return isinstance(value, dict) and all(isinstance(item, wanted) for item in value.values())


def _damaged(path: Path, reason: str, fix: str) -> DamagedError:
    return DamagedError(f'The file "{path}" is damaged: {reason}.', fix, path, reason)
