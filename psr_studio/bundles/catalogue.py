"""All bundles by name: embedded ones, described ones, and the one that is built in memory for tests."""

from __future__ import annotations

from pathlib import Path

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.data_sets import DATA_SETS, DataSet
from psr_studio.bundles.described import external_bundles, load_external
from psr_studio.bundles.embedded import INDEX, EmbeddedBundle, bundles, read_index
from psr_studio.bundles.own_data import OwnDataBundle
from psr_studio.core.errors import ModelError, did_you_mean
from psr_studio.core.files import check_path

TINY = "tiny-dit"  # built in memory


class UnmadeBundleError(ModelError):
    """A bundle that `train-bundle` makes of a data set, and that nobody has made here yet."""

    def __init__(self, data: DataSet) -> None:
        super().__init__(
            f'The bundle "{data.name}" is not made yet: its networks do not ship with PSR Studio.',
            f"Make it from your copy of {data.title}: `psr-studio train-bundle {data.name} --data FOLDER`.",
        )


def load_bundle(name_or_path: str | Path) -> Bundle:
    """An embedded or described bundle by name, or any bundle folder or description by path; opens no network yet.

    Raises:
        ModelError: neither such a name nor such a folder, or a damaged index.
        UnmadeBundleError: the bundle of a data set that `train-bundle` knows, where nobody has trained it.
    """
    embedded, name = bundles(), str(name_or_path)
    folder = embedded.get(name) or check_path(name)
    if (folder / INDEX).is_file():
        index = read_index(folder)
        return OwnDataBundle(folder, index) if "images" in index else EmbeddedBundle(folder, index)
    if name == TINY:
        from psr_studio.bundles.tiny_dit import TinyDit  # loads torch

        return TinyDit()
    if (described := load_external(name)) is not None:
        return described
    if name in DATA_SETS:
        raise UnmadeBundleError(DATA_SETS[name])
    raise _unknown(name, [*embedded, TINY, *external_bundles()])


def _unknown(name: str, known: list[str]) -> ModelError:
    """The error for a name that stands for no bundle; a path is often one of the machine that a recipe came from."""
    if "/" in name or "\\" in name or name.endswith(".toml"):
        return ModelError(
            f'There is no bundle at "{name}": neither a folder with a {INDEX} nor a description is there.',
            "Say where it is on this machine, `psr-studio status -w WORKSPACE --set bundle=PATH`, or set it to one of "
            f"{', '.join(known)}.",
        )
    return ModelError(
        f'There is no bundle "{name}": it is neither a folder with a {INDEX} nor one of {", ".join(known)}.',
        f'{did_you_mean(name, known)}Set "bundle" to one of these, or to the path of one of yours.',
    )
