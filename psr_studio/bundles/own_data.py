"""Bundles that ship their networks but no real image: test split and controls are read from the user's own copy."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np

from psr_studio.bundles.bundle import rank_in_class
from psr_studio.bundles.data_sets import DataSet
from psr_studio.bundles.embedded import EmbeddedBundle
from psr_studio.bundles.originals import read_split
from psr_studio.bundles.sources import Source, locate, missing
from psr_studio.core.errors import ModelError
from psr_studio.core.files import listing, whole_file
from psr_studio.core.remembered import HOME_VARIABLE, home


class OwnDataBundle(EmbeddedBundle):
    """A bundle whose index has a table [images]: the data set's name, its licence, and its class in torchvision."""

    @cached_property
    def data_set(self) -> DataSet:
        """What is known of the user's files before they are seen."""
        table = self.index["images"]
        side, _, channels = self.image_shape
        return DataSet(
            name=self.name,
            title=str(table["source"]),
            side=side,
            channels=channels,
            class_names=self.class_names,
            licence=str(table.get("licence", "not stated")),
            folder_names=tuple(table.get("folder_names", ())),
            torchvision=str(table.get("torchvision", "")),
            download_bytes=int(table.get("size", 0)),
            train_per_class=int(table.get("train_per_class", DataSet.train_per_class)),
        )

    @property
    def sources(self) -> dict[str, Source]:
        """The real images."""
        data = self.data_set
        return {
            "images": Source("images", data.title, (), data.licence, data.download_bytes, data.torchvision)
        }

    def remember(self, part: str, folder: str | Path) -> None:
        """As in `Bundle`, after a look into the folder.

        Raises:
            ModelError: it holds no such data set, or a picture in it is broken.
        """
        if part in self.sources and str(folder).strip():
            self._prepare(Path(folder).expanduser().absolute(), "test")
        super().remember(part, folder)
        for kept in ("test_set", "train_subset", "held_out", "all_train_images"):
            self.__dict__.pop(kept, None)

    def identity(self, part: str) -> str:
        """As in `Bundle`; "data" counts the user's files as well, by name, size and time of change."""
        identity = super().identity(part)
        if part != "data":
            return identity
        folder = locate(self.sources["images"])
        listed = "absent" if folder is None else _listing(folder)
        return hashlib.sha256(f"{identity} {listed}".encode()).hexdigest()[:16]

    @cached_property
    def all_train_images(self) -> tuple[np.ndarray, np.ndarray]:
        """As in `Bundle`: the whole training split."""
        return self._split("train")

    def _split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        folder = locate(self.sources["images"])
        if folder is None:
            raise missing(self.called, self.sources["images"])
        per_class = self.data_set.train_per_class if name == "train-subset" else None
        return self._prepare(folder, name.partition("-")[0], per_class)

    def _prepare(
        self, folder: Path, split: str, per_class: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The images of a split that are kept, written once for this folder and mapped from the disk from then on.

        Args:
            per_class: so many of each class in place of all.
        """
        facts = [str(self.data_set), _listing(folder), split]
        if split == "train" and per_class is None:
            facts.append("all")
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        kept = {part: home() / f"{part}-{key}.npy" for part in ("labels", "images")}
        if not all(path.is_file() for path in kept.values()):
            images, labels = read_split(folder, split, self.data_set)
            if per_class is not None:
                rows = _spread(labels, per_class)
                images, labels = images[rows], labels[rows]
            for part, values in (("labels", labels), ("images", images)):
                _write(kept[part], values)
        return np.load(kept["images"], mmap_mode="r"), np.load(kept["labels"])


def _spread(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Rows of so many items of each class, spread evenly over them in their order, sorted."""
    counts = np.bincount(labels)[labels]
    rank = rank_in_class(labels)
    return np.flatnonzero(rank * per_class // counts != (rank - 1) * per_class // counts)


def _listing(folder: Path) -> str:
    """Names, sizes and times of change of the files, as a hash."""
    return hashlib.sha256(json.dumps(listing(folder, folder)).encode()).hexdigest()[:16]


def _write(path: Path, values: np.ndarray) -> None:
    try:
        with whole_file(path) as temp:
            np.save(temp, values)
    except OSError as err:
        raise ModelError(
            f'The real images could not be prepared in "{path.parent}": {err.strerror or err}.',
            f"Free {values.nbytes / 2**30:.1f} GiB there, or set {HOME_VARIABLE} to another folder.",
        ) from err
