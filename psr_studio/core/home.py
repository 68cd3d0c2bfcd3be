"""A name and a folder for a user who has none, and what this machine's libraries keep there."""

from __future__ import annotations

import getpass
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

NUMBA_CACHE = "NUMBA_CACHE_DIR"


def provide_home() -> None:
    """Give libraries what they take for granted, by the environment; before anything imports them.

    A container often runs under a number that no account has, without a home, or with one that is only read. PyTorch
    asks for the user's name, Numba for a folder to keep compiled code in; neither opens without.
    """
    if os.name != "posix":
        return
    with suppress(OSError):  # no temporary folder either: what needs none of this still works
        try:
            Path.home()
        except RuntimeError:
            os.environ["HOME"] = str(spare_folder())
        try:
            getpass.getuser()
        except (KeyError, OSError):
            os.environ["USER"] = f"user-{os.getuid()}"
        if NUMBA_CACHE not in os.environ and not _can_be_written(_cache_folder()):
            os.environ[NUMBA_CACHE] = str(spare_folder() / "numba")


def _cache_folder() -> Path:
    """Where libraries keep what they can make anew."""
    named = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else Path.home() / ".cache"


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the one where it would be made; leaves no trace."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def spare_folder() -> Path:
    """A folder of this user's own in the temporary one; another where somebody else took its name."""
    folder = Path(tempfile.gettempdir()) / f"psr-studio-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if ours else Path(tempfile.mkdtemp(prefix="psr-studio-"))
