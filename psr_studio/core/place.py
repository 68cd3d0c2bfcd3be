"""What a path meant when it was opened: it may come to mean another folder or file, or nothing."""

from __future__ import annotations

from pathlib import Path

from psr_studio.core.errors import WorkspaceError


class Place:
    """The folder of a workspace and, where it is on the disk, its ledger, as they were found.

    Raises:
        OSError: one of them is not there.
    """

    def __init__(self, root: Path, ledger: Path | None = None) -> None:
        named = {"workspace": root} | ({} if ledger is None else {"ledger": ledger})
        self._found = [(noun, path, _identity(path)) for noun, path in named.items()]

    def check(self) -> None:
        """Raise WorkspaceError where a path no longer leads to what was opened."""
        for noun, path, known in self._found:
            try:
                found = _identity(path)
            except OSError:
                found = None
            if found != known:
                raise WorkspaceError(
                    f'The {noun} "{path}" is no longer the one that was opened: it was moved, replaced or deleted.',
                    "Put it back, or close PSR Studio and open the workspace where it is now. "
                    "Nothing is written anywhere else.",
                )


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
