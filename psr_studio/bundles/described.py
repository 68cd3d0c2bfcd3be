"""External bundles: the papers' real setting, whose weights and images do not ship with PSR Studio.

A description is a small TOML file: class list in label order, rows of the generator's and the teacher's larger class
table, picture size, and for each part its source (a hub id or a folder), licence and size. Descriptions ship in
`presets/bundles/`; a copy with other sources is a bundle too, by its path.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC, Bundle
from psr_studio.bundles.index import check_bundle, read_bundle_file
from psr_studio.bundles.sources import Source, fingerprint, home, locate, missing
from psr_studio.core.errors import ModelError
from psr_studio.core.files import check_path
from psr_studio.core.resources import resource_dir

if TYPE_CHECKING:
    import torch

    from psr_studio.models.codec import Codec
    from psr_studio.models.teacher import Teacher

FOLDER = "bundles"  # under presets/
NEEDED = ("class_names", "image_shape", "mean", "std", "generator", "teacher")
WEIGHTS = ("config.json", "*.safetensors")
FILES = {
    "generator": ("transformer/config.json", "transformer/*.safetensors", "scheduler/scheduler_config.json"),
    "codec": WEIGHTS,
    "teacher": ("config.json", "model.safetensors"),
    "images": ("train", "val"),
}
STABLE_DIFFUSION_FILES = (
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "scheduler/scheduler_config.json",
    "tokenizer/*",
)
IDENTITY_SECONDS = 5.0  # a status asks for it once for every part of a pool
TRAIN_PER_CLASS = 200  # real images of a class that are kept for controls


def external_bundles() -> dict[str, Path]:
    """The described bundles by name, variants included ("imagewoof-dit-dgs"), with their file."""
    found = {}
    for path in sorted((resource_dir("presets") / FOLDER).glob("*.toml")):
        found[path.stem] = path
        found |= {f"{path.stem}-{name}": path for name in read_bundle_file(path).get("variants", {})}
    return found


def load_external(name_or_path: str | Path) -> ExternalBundle | None:
    """A described bundle by name, or by the path of its TOML file; None when it is neither.

    Raises:
        ModelError: the file is not TOML, or lacks a key.
    """
    name = str(name_or_path)
    path = external_bundles().get(name)
    if path is None and name.endswith(".toml") and check_path(name).is_file():
        path, name = check_path(name), Path(name).stem
    if path is None:
        return None
    index = read_bundle_file(path)
    variants = index.pop("variants", {})
    if not isinstance(variants, dict) or not all(isinstance(table, dict) for table in variants.values()):
        raise ModelError(f'{path}: "variants" must hold tables.', "Write each as [variants.NAME].")
    index |= {"name": name, **variants.get(name.removeprefix(f"{path.stem}-"), {})}
    check_bundle(path, index, NEEDED)
    return ExternalBundle(path, index)


class ExternalBundle(Bundle):
    """A bundle whose parts are found on this machine when they are needed."""

    def __init__(self, path: Path, index: dict[str, Any]) -> None:
        super().__init__(path, index)
        self._identities: dict[str, tuple[float, str]] = {}

    @property
    def called(self) -> str:
        """As in `Bundle`."""
        return self.name if self.name in external_bundles() else str(self.path)

    @property
    def sources(self) -> dict[str, Source]:
        """What it needs from elsewhere, by part."""
        found = {}
        for part in ("generator", "codec", "teacher", "images"):
            table: Mapping[str, Any] | None = self.index.get(part)
            if table is not None:
                files = self._own_files() if part == "generator" else FILES[part]
                licence = str(table.get("licence", "not stated"))
                name, size = str(table.get("source", "")), int(table.get("size", 0))
                found[part] = Source(part, name, tuple(table.get("files", files)), licence, size)
        return found

    def _own_files(self) -> tuple[str, ...]:
        """What the folder of a generator of this kind must hold; of another's kind nothing is known."""
        kind = self.index["generator"].get("kind", "dit")
        return {"dit": FILES["generator"], "stable-diffusion": STABLE_DIFFUSION_FILES}.get(kind, ("*",))

    def _options(self) -> dict[str, Any]:
        """What the generator is opened with beside its files, such as the prompt."""
        table = self.index.get("generator", {})
        return {
            key: value for key, value in table.items() if key not in ("source", "licence", "size", "files")
        }

    @property
    def class_rows(self) -> tuple[int, ...] | None:
        """Rows of the 1000-way class tables that are the task's classes, in label order; None for all."""
        rows = self.index.get("class_indices")
        return None if rows is None else tuple(rows)

    def folder(self, part: str) -> Path:
        """Where a part lies on this machine.

        Raises:
            ModelError: it does not, with the ways to get it.
        """
        source = self.sources[part]
        found = locate(source)
        if found is None:
            raise missing(self.called, source)
        return found

    def identity(self, part: str) -> str:
        """A hash of the task's classes and of the files of a part: "generator" (with its codec), `CODEC`,
        "teacher" or "data". Looked at again after a few seconds.
        """
        made, known = self._identities.get(part, (-math.inf, ""))
        if time.monotonic() - made < IDENTITY_SECONDS:
            return known
        known = self._identify(part)
        self._identities[part] = (time.monotonic(), known)
        return known

    def _identify(self, part: str) -> str:
        lines: list[Any] = [self.class_names, self.class_rows, self.image_shape]
        if part == "generator" and (options := self._options()) not in ({}, {"kind": "dit"}):
            lines.append(options)
        if part == "data" and "images" in self.sources:
            lines.append(self._listing(locate(self.sources["images"])))
        if part == CODEC and "codec" not in self.sources:
            folder = locate(self.sources["generator"])
            lines.append("absent" if folder is None else fingerprint(folder, ("vae/*",)))
        needed = {"generator": ("generator", "codec"), CODEC: ("codec",), "teacher": ("teacher",)}
        for name in needed.get(part, ()):
            if (source := self.sources.get(name)) is not None:
                folder = locate(source)
                lines.append(
                    f"absent {source.name}"
                    if folder is None
                    else fingerprint(folder, (*source.files, "*/psr_studio.json"))
                )
        return hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:16]

    def generator(self, device: torch.device, dtype: torch.dtype) -> Any:
        """The generator on ``device``, of the kind that the description names ("dit" by default)."""
        from psr_studio.models.adapters import Opening
        from psr_studio.models.kinds import open_generator

        options = self.index["generator"]
        opening = Opening(self.folder("generator"), device, dtype, self.class_names, self.class_rows, options)
        key = ("generator", f"{device} {dtype}")
        return self._keep(key, lambda: open_generator(str(options.get("kind", "dit")), opening))

    def codec(self, device: torch.device) -> Codec:
        """The codec on ``device``, in float32: its own source, or the `vae` of the generator."""
        from psr_studio.models.codec import Codec

        own = "codec" in self.sources
        folder = self.folder("codec") if own else self.folder("generator") / "vae"
        return self._keep(("codec", str(device)), lambda: Codec.from_folder(folder, self.image_shape, device))

    def teacher(self, device: torch.device) -> Teacher:
        """The teacher on ``device``, in float32, restricted to the task's classes."""
        from psr_studio.models.teacher import Teacher

        folder = self.folder("teacher")
        return self._keep(
            ("teacher", str(device)),
            lambda: Teacher.from_timm_folder(folder, self.class_rows, device, self.class_names),
        )

    # Real images: the user's own ImageNet, prepared once and then mapped from the disk

    @cached_property
    def test_set(self) -> tuple[np.ndarray, np.ndarray]:
        """The validation images of the task's classes: uint8 (N, H, W, ch), labels int64 (N,)."""
        return self._prepared("val", per_class=None)

    def _train_images(self) -> tuple[np.ndarray, np.ndarray]:
        per_class = int(self.index.get("images", {}).get("train_per_class", TRAIN_PER_CLASS))
        return self._prepared("train", per_class)

    def _prepared(self, split: str, per_class: int | None) -> tuple[np.ndarray, np.ndarray]:
        from psr_studio.bundles.real_images import prepared

        if "images" not in self.sources:
            raise ModelError(
                f'"{self.name}" names no real images.', "Add an [images] table to its description."
            )
        folders = [
            self.folder("images") / split / name for name in self.index.get("wordnet_ids", self.class_names)
        ]
        return prepared(folders, self.image_shape, per_class, home())

    @property
    def has_train_difficulty(self) -> bool:
        """Whether it can be computed here."""
        return all(part in self.sources and locate(self.sources[part]) for part in ("images", "teacher"))

    @cached_property
    def train_difficulty(self) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's difficulty of the real training images that are kept, as in `Bundle`; computed once."""
        from psr_studio.bundles.real_images import kept_array

        kept = home() / f"difficulty-{self.identity('teacher')}-{self.identity('data')}.npy"
        classes = tuple(range(self.n_classes))
        return kept_array(kept, lambda: self._difficulty_over(classes)[0]), self.train_subset[1]

    def _listing(self, folder: Path | None) -> list[Any]:
        """The class folders with the time of their last change; files are neither read nor counted."""
        if folder is None:
            return ["absent"]
        names = self.index.get("wordnet_ids", self.class_names)
        places = [folder / split / name for split in ("train", "val") for name in names]
        return [(str(place), place.stat().st_mtime_ns if place.is_dir() else 0) for place in places]

    def remember(self, part: str, folder: str | Path) -> None:
        """As in `Bundle`; what was known of the files is forgotten."""
        super().remember(part, folder)
        self._identities.clear()
