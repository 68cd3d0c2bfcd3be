"""Bundles of a user's own pictures, described without a line of TOML typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psr_studio.bundles.described import FILES, TEST_SHARE, ExternalBundle, load_external
from psr_studio.bundles.shipped import IMAGENET_TEACHER
from psr_studio.bundles.sources import Source, locate, unfit
from psr_studio.core.errors import ModelError
from psr_studio.core.files import absolute_path, check_path, write_bytes
from psr_studio.core.texts import parse_json, read_text, toml_value

IMAGENET = "imagenet1k-dit"  # the described bundle that lists all its classes
N_IMAGENET = 1000
PIXELS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # of ImageNet, for the students
TITLES = {"teacher": "judges the pictures", "images": "real ones, for controls, tuning and the test"}


@dataclass(frozen=True)
class TeacherFacts:
    """What a teacher says about its outputs.

    Attributes:
        source: as a description names it. n_outputs: 0 where its folder is not on this machine.
        names: of the outputs, () where it says none; wordnet_ids: of the same, where they are ImageNet's.
    """

    source: str
    n_outputs: int = 0
    names: tuple[str, ...] = ()
    wordnet_ids: tuple[str, ...] = ()


def shipped_teacher() -> TeacherFacts | None:
    """The ImageNet teacher that ships with PSR Studio, where it does."""
    found = TeacherFacts(IMAGENET_TEACHER)
    return teacher_facts(IMAGENET_TEACHER) if locate(_source(found.source)) else None


def teacher_facts(name_or_folder: str) -> TeacherFacts:
    """What is known of a teacher: a folder with config.json and model.safetensors, or a hub id or timm name.

    Raises:
        ModelError: a folder that is no teacher's, or a config.json that cannot be read.
    """
    name = name_or_folder.strip()
    folder = check_path(name)
    if folder.is_dir():
        folder = absolute_path(folder)
        if (wrong := unfit(_source(str(folder)), folder)) is not None:
            raise wrong
        return _facts(str(folder), folder)
    plain = "/" not in name and name != IMAGENET_TEACHER
    source = f"timm/{name}" if plain else name
    there = locate(_source(source))
    if there is None and not _source(source).is_hub_id:
        raise ModelError(
            f'There is no teacher "{name}": it is neither a folder nor a name of timm.',
            "Name a folder with config.json and model.safetensors, or a timm model such as resnet50.tv_in1k.",
        )
    return TeacherFacts(source) if there is None else _facts(source, there)


def _source(name: str) -> Source:
    return Source("teacher", name, FILES["teacher"])


def _facts(source: str, folder: Path) -> TeacherFacts:
    from psr_studio.models.teacher import CONFIG_NAME, TeacherConfig

    n = TeacherConfig.from_timm_folder(folder, None).n_classes
    said = parse_json(read_text(folder / CONFIG_NAME)).get("label_names")
    if isinstance(said, list) and len(said) == n and all(isinstance(name, str) for name in said):
        return TeacherFacts(source, n, tuple(said))
    if n == N_IMAGENET:
        names, wordnet_ids = imagenet_classes()
        return TeacherFacts(source, n, names, wordnet_ids)
    return TeacherFacts(source, n)


def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and WordNet ids of the classes of ImageNet-1K, in the order of its rows."""
    found = load_external(IMAGENET)
    assert found is not None
    return found.class_names, tuple(found.index["wordnet_ids"])


@dataclass(frozen=True)
class Description:
    """What the file of a bundle of pictures says.

    Attributes:
        rows: of the teacher's outputs, by class; None for all of them in this order.
        teacher: its source, "" where it is still to come. real: the folder of the real pictures, "" likewise.
        folder_names: of the real pictures, by class.
    """

    title: str
    class_names: tuple[str, ...]
    side: int
    wordnet_ids: tuple[str, ...] = ()
    rows: tuple[int, ...] | None = None
    teacher: str = ""
    real: str = ""
    folder_names: tuple[str, ...] = ()

    @property
    def index(self) -> dict[str, Any]:
        """As its file has it."""
        images: dict[str, Any] = {"source": self.real, "test_share": TEST_SHARE, "seed": 0}
        return {
            "title": self.title,
            "licence": "that of the pictures",
            "class_names": list(self.class_names),
            **({"wordnet_ids": list(self.wordnet_ids)} if self.wordnet_ids else {}),
            **({"class_indices": list(self.rows)} if self.rows is not None else {}),
            "image_shape": [self.side, self.side, 3],
            **PIXELS,
            "teacher": {"source": self.teacher},
            "images": images | ({"folder_names": list(self.folder_names)} if self.folder_names else {}),
        }


def write_description(path: Path, made: Description) -> ExternalBundle:
    """Write the file of a bundle, whole or not at all, and open it.

    Raises:
        ModelError: names that no bundle can have. DiskError: why the disk refused.
    """
    ExternalBundle.check(path, made.index)
    lines = [*_lines({key: value for key, value in made.index.items() if not isinstance(value, Mapping)})]
    for part, words in TITLES.items():
        lines += ["", f"[{part}] # {words}", *_lines(made.index[part])]
    write_bytes(path, ("\n".join(lines) + "\n").encode())
    found = load_external(path)
    assert found is not None
    return found


def _lines(table: Mapping[str, Any]) -> Sequence[str]:
    return [f"{key} = {toml_value(value)}" for key, value in table.items()]
