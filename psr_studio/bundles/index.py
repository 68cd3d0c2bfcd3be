"""What the file of a bundle may say: the types and ranges of its values, and what they must be to one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from psr_studio.core.errors import ModelError
from psr_studio.core.texts import TextError, parse_toml, read_text
from psr_studio.method.selectors.parameters import setting
from psr_studio.models.tables import FileTable, check_table

PARTS = ("generator", "codec", "teacher", "images")


class PartFields(FileTable):
    """The table of a part; a generator's own options stand beside these."""

    kind: str = setting("dit", "Of generator.")
    source: str = setting("", "A hub id, a folder, or the name of a data set.")
    licence: str = setting("", "Of this part.")
    size: int = setting(0, "About.", "bytes", 0, 10**15)
    files: tuple[str, ...] = setting((), "Patterns of the files that are needed.")
    prompt: str = setting("", "With {} for the class.")
    train_per_class: int = setting(200, "Real images of a class that are kept.", "", 1, 10**6)
    folder_names: tuple[str, ...] = setting((), "Of the real images, in label order.")
    test_share: float = setting(
        0.2, "Of the real images of a class, where they have no split of their own.", "", 0.01, 0.9
    )
    seed: int = setting(0, "That the test images are drawn by.", "", 0, 2**63 - 1)
    torchvision: str = setting("", "Class of torchvision.datasets that downloads the real images.")


class BundleFields(FileTable):
    """The whole file."""

    name: str = setting("", "Its own name.")
    title: str = setting("", "Its name in words.")
    licence: str = setting("", "Of the whole.")
    class_names: tuple[str, ...] = setting((), "In label order.")
    image_shape: tuple[int, ...] = setting((), "H, W, channels.", "pixels", 1, 4096, length=3)
    mean: tuple[float, ...] = setting((), "Of the pixels in [0, 1].", "", -10, 10)
    std: tuple[float, ...] = setting((), "Of the pixels in [0, 1].", "", 1e-6, 10)
    guidance: float = setting(4.0, "The scale its samples look best at.", "", 0, 100)
    guided_channels: int = setting(0, "Latent channels that guidance acts on, 0 for all.", "", 0, 4096)
    class_indices: tuple[int, ...] = setting((), "Rows of the larger class table.", "", 0, 10**6)
    wordnet_ids: tuple[str, ...] = setting((), "Folder names of the real images.")
    files: dict[str, Any] = {}
    generator: PartFields = PartFields()
    codec: PartFields = PartFields()
    teacher: PartFields = PartFields()
    images: PartFields = PartFields()


def read_bundle_file(path: Path) -> dict[str, Any]:
    """The tables of a bundle's file; ModelError when it is not TOML or cannot be read."""
    try:
        return parse_toml(read_text(path))
    except TextError as err:
        raise ModelError(f"{path}: {err}.", _mend(path, err.fix)) from err
    except OSError as err:
        raise ModelError(f"{path} cannot be read ({err.strerror}).", _mend(path, "Check that file.")) from err


def check_bundle(path: Path, index: Mapping[str, Any], needed: Sequence[str]) -> None:
    """Raise ModelError, naming file and value, where a bundle's file says what no bundle can be."""
    if lacking := [key for key in needed if key not in index]:
        raise ModelError(f"{path} lacks {', '.join(lacking)}.", _mend(path, "Write it as in docs/models.md."))
    try:
        found = check_table(BundleFields, {key: _listed(key, value) for key, value in index.items()})
        for part in PARTS:
            _check_files(part, getattr(found, part).files)
        _check_together(index)
    except ModelError as err:
        raise ModelError(f"{path}: {err.problem}", _mend(path, err.fix)) from err


def _mend(path: Path, fix: str) -> str:
    """What ships with PSR Studio is restored, what its user wrote is corrected."""
    return "Restore that file." if path.name == "bundle.toml" else fix


def _listed(key: str, value: Any) -> Any:
    """One number for all channels is a list of one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [value] if key in ("mean", "std") and is_number else value


def _check_files(part: str, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise ModelError(
                f'"{part}.files" names "{pattern}", which leads out of the folder of the part.',
                "Write patterns of files below that folder.",
            )


def _check_together(index: Mapping[str, Any]) -> None:
    names = index["class_names"]
    if not names:
        raise ModelError('"class_names" is empty.', "Name the classes of the task.")
    seen: dict[str, str] = {}
    for name in names:
        if (twin := seen.setdefault(name.casefold(), name)) is not name:
            clash = "is there twice" if twin == name else f'and "{twin}" differ by case only'
            raise ModelError(
                f'The class name "{name}" {clash}.',
                "Give each class a name of its own: folders are told apart by it.",
            )
    for key in ("class_indices", "wordnet_ids"):
        values = index.get(key)
        if values is not None and len(values) != len(names):
            raise ModelError(
                f'"{key}" has {len(values)} values, but "class_names" has {len(names)}.',
                "Write one for each class.",
            )
        if values is not None and len(set(values)) < len(values):
            twice = next(value for i, value in enumerate(values) if value in values[:i])
            raise ModelError(
                f'"{key}" holds {twice} twice, so that two classes would be the same one.',
                "Correct one of them.",
            )
    channels = index["image_shape"][2]
    if channels not in (1, 3):
        raise ModelError(f"Images have {channels} channels, but only 1 and 3 can be shown.", "Write 1 or 3.")
    for key in ("mean", "std"):
        if (n := len(_listed(key, index[key]))) not in (1, channels):
            raise ModelError(
                f'"{key}" has {n} values for {channels} channels.', f"Write 1 or {channels} values."
            )
