"""Where the files that ship with the code lie: in a checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from psr_studio.core.errors import StudioError

PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(kind: Literal["presets", "assets"]) -> Path:
    """Return the folder of the presets or of the embedded models.

    The checkout's folder (beside the package) comes first, so that an editable install reads what is edited;
    a wheel carries the same folders inside the package as `_presets` and `_assets`.

    Raises:
        StudioError: neither is there.
    """
    checkout = PACKAGE.parent
    candidates = [PACKAGE / f"_{kind}"]
    if (checkout / "pyproject.toml").is_file():
        candidates.insert(0, checkout / kind)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise StudioError(
        f'The folder "{kind}" that ships with PSR Studio is not on this machine (looked in {candidates[0]}).',
        "Install PSR Studio again, or clone the whole repository.",
    )
