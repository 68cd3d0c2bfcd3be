"""A temporary folder for uploads that is this process's own. No gradio here: it reads the name at its import."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psr_studio.core.errors import StudioError

NAME = "GRADIO_TEMP_DIR"


@contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Make a folder that only this user can open, name it to Gradio, and remove it with all that is in it at the end.

    It lies in the folder that `GRADIO_TEMP_DIR` names already, or else in the system's.

    Raises:
        StudioError: nothing can be written there.
    """
    above = os.environ.get(NAME)
    try:
        if above:
            Path(above).mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix="psr-studio-", dir=above, ignore_cleanup_errors=True)
    except OSError as err:
        raise StudioError(
            f"No folder for uploads can be made in {above or 'the temporary folder'}: {err}.",
            "Name a folder that you can write to: TMPDIR=/path/to/folder before the command.",
        ) from err
    with made as folder:
        os.environ[NAME] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[NAME]
            if above:
                os.environ[NAME] = above
