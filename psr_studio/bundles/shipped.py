"""The teachers that ship with PSR Studio without a bundle of their own: a folder of timm's form in `assets/`.

```
imagenet-teacher/teacher.toml     name, licence, what was measured, SHA-256 of every file
                 config.json, model.safetensors
                 README.md, LICENSE
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psr_studio.bundles.index import read_bundle_file
from psr_studio.core.errors import ModelError, StudioError
from psr_studio.core.files import sha256
from psr_studio.core.resources import resource_dir

IMAGENET_TEACHER = "imagenet-teacher"
TEACHER_INDEX = "teacher.toml"


def shipped_teachers() -> dict[str, Path]:
    """Their folders by name; none where `assets/` is not on this machine."""
    try:
        assets = resource_dir("assets")
    except StudioError:
        return {}
    return {path.parent.name: path.parent for path in sorted(assets.glob(f"*/{TEACHER_INDEX}"))}


def read_teacher_index(folder: Path) -> dict[str, Any]:
    """What a shipped teacher's folder says of itself; ModelError for a damaged index."""
    path = folder / TEACHER_INDEX
    index = read_bundle_file(path)
    files = index.get("files")
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise ModelError(f'{path}: "files" is no table of SHA-256.', "Restore that file.")
    return index


def differences(folder: Path, files: dict[str, str]) -> list[str]:
    """One sentence per file that is missing or differs from its SHA-256; empty when all are whole."""
    problems = []
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{path} is missing.")
        elif sha256(path) != digest:
            problems.append(f"{path} differs from its SHA-256.")
    return problems
