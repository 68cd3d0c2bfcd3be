"""All bundles by name: embedded ones, described ones, and the one that is built in memory for tests."""

from __future__ import annotations

from pathlib import Path

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.described import external_bundles, load_external
from psr_studio.bundles.embedded import INDEX, bundles, open_embedded
from psr_studio.core.errors import ModelError, did_you_mean

TINY = "tiny-dit"  # built in memory


def load_bundle(name_or_path: str | Path) -> Bundle:
    """An embedded or described bundle by name, or any bundle folder or description by path; opens no network yet.

    Raises:
        ModelError: neither such a name nor such a folder, or a damaged index.
    """
    embedded, name = bundles(), str(name_or_path)
    folder = embedded.get(name, Path(name).expanduser())
    if (folder / INDEX).is_file():
        return open_embedded(folder)
    if name == TINY:
        from psr_studio.bundles.tiny_dit import TinyDit  # loads torch

        return TinyDit()
    if (described := load_external(name)) is not None:
        return described
    known = [*embedded, TINY, *external_bundles()]
    raise ModelError(
        f'There is no bundle "{name}": it is neither a folder with a {INDEX} nor one of {", ".join(known)}.',
        f'{did_you_mean(name, known)}Set "bundle" to one of these.',
    )
