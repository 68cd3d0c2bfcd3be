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
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC, Bundle, outputs_of
from psr_studio.bundles.index import check_bundle, read_bundle_file
from psr_studio.bundles.real_images import SPLITS, is_split, kept_array, prepared, split_of
from psr_studio.bundles.shipped import shipped_teachers
from psr_studio.bundles.sources import Source, fingerprint, locate, missing, unfit
from psr_studio.core.errors import ModelError
from psr_studio.core.files import absolute_path, check_path, write_bytes
from psr_studio.core.remembered import home
from psr_studio.core.resources import resource_dir
from psr_studio.core.texts import read_text, toml_value

if TYPE_CHECKING:
    import torch

    from psr_studio.models.codec import Codec
    from psr_studio.models.teacher import Teacher

FOLDER = "bundles"  # under presets/
NEEDED = ("class_names", "image_shape", "mean", "std", "teacher")
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
SPLIT_HERE = ("*",)  # real images that are split by the description lie in class folders at once
IDENTITY_SECONDS = 5.0  # a status asks for it once for every part of a pool
TRAIN_PER_CLASS = 200  # real images of a class that are kept for controls
TEST_SHARE = 0.2  # of real images that come without a split


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
    ExternalBundle.check(path, index)
    return ExternalBundle(path, index)


class ExternalBundle(Bundle):
    """A bundle whose parts are found on this machine when they are needed."""

    def __init__(self, path: Path, index: dict[str, Any]) -> None:
        super().__init__(path, index)
        self._identities: dict[str, tuple[float, str]] = {}

    @staticmethod
    def check(path: Path, index: Mapping[str, Any]) -> None:
        """Raise ModelError, naming file and value, where a description says what no bundle can be."""
        check_bundle(path, index, NEEDED)

    @property
    def called(self) -> str:
        """As in `Bundle`."""
        return self.name if self.name in external_bundles() else str(self.path)

    @property
    def sources(self) -> dict[str, Source]:
        """What it needs from elsewhere, by part.

        A teacher that ships, or one still to come, is replaced for this bundle alone: another's classes are others.
        """
        found = {}
        for part in ("generator", "codec", "teacher", "images"):
            table: Mapping[str, Any] | None = self.index.get(part)
            if table is not None:
                files = self._own_files(part)
                licence = str(table.get("licence", "not stated"))
                name, size = str(table.get("source", "")), int(table.get("size", 0))
                shipped = part == "teacher" and (not name or name in shipped_teachers())
                alone = (self.name if not self._is_own else str(self.path.absolute())) if shipped else ""
                found[part] = Source(
                    part, name, tuple(table.get("files", files)), licence, size, bundle=alone
                )
        return found

    def _own_files(self, part: str) -> tuple[str, ...]:
        """What the folder of a part must hold; of a generator of another's kind nothing is known."""
        if part == "images":
            return SPLIT_HERE if "test_share" in self.index[part] else FILES[part]
        if part != "generator":
            return FILES[part]
        kind = self.index[part].get("kind", "dit")
        return {"dit": FILES[part], "stable-diffusion": STABLE_DIFFUSION_FILES}.get(kind, ("*",))

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

    def has(self, part: str) -> bool:
        """As in `Bundle`: its description has such a table, or the one of the generator, which holds a codec too."""
        return "generator" in self.index or (part == CODEC and "codec" in self.index)

    def missing_part(self, part: str) -> Source | None:
        """As in `Bundle`; real images that the description does not name are missing, too."""
        if part == "images" and part not in self.sources:
            return Source(part, "", FILES[part])
        return super().missing_part(part)

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
        if not self.has(part) and part in ("generator", CODEC):
            lines.append("none")
        elif part == CODEC and "codec" not in self.sources:
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

        self.require("generator", "Pictures are made by a generator")
        options = self.index["generator"]
        opening = Opening(self.folder("generator"), device, dtype, self.class_names, self.class_rows, options)
        key = ("generator", f"{device} {dtype}")
        return self._keep(key, lambda: open_generator(str(options.get("kind", "dit")), opening))

    def codec(self, device: torch.device) -> Codec:
        """The codec on ``device``, in float32: its own source, or the `vae` of the generator."""
        from psr_studio.models.codec import Codec

        self.require(CODEC, "Latents are made by a codec")
        named = "codec" in self.sources
        folder = self.folder("codec") if named else self.folder("generator") / "vae"
        return self._keep(("codec", str(device)), lambda: Codec.from_folder(folder, self.image_shape, device))

    @property
    def n_outputs(self) -> int:
        """As in `Bundle`."""
        source = self.sources.get("teacher")
        place = None if source is None else locate(source)
        return self.n_classes if place is None else outputs_of(place, self.n_classes)

    def teacher(self, device: torch.device) -> Teacher:
        """The teacher on ``device``, in float32, restricted to the task's classes."""
        from psr_studio.models.teacher import Teacher

        folder = self.folder("teacher")
        return self._keep(
            ("teacher", str(device)),
            lambda: Teacher.from_timm_folder(folder, self.class_rows, device, self.class_names),
        )

    # Real images: the user's own, prepared once and then mapped from the disk

    @cached_property
    def test_set(self) -> tuple[np.ndarray, np.ndarray]:
        """The test images of the task's classes: uint8 (N, H, W, ch), labels int64 (N,)."""
        return self._prepared("test", per_class=None)

    def _train_images(self) -> tuple[np.ndarray, np.ndarray]:
        per_class = int(self.index.get("images", {}).get("train_per_class", TRAIN_PER_CLASS))
        return self._prepared("train", per_class)

    @cached_property
    def all_train_images(self) -> tuple[np.ndarray, np.ndarray]:
        """As in `Bundle`: the whole training split, not the share of each class that is kept for controls."""
        return self._prepared("train", per_class=None)

    def _prepared(self, split: str, per_class: int | None) -> tuple[np.ndarray, np.ndarray]:
        if source := self.missing_part("images"):
            raise missing(self.called, source)
        table, names = self.index["images"], self._class_folders()
        files = split_of(
            self.folder("images"), names, split, table.get("test_share"), int(table.get("seed", 0))
        )
        return prepared(files, self.image_shape, per_class, home())

    def drawn_test(self, folder: Path) -> frozenset[str]:
        """As in `Bundle`."""
        source = self.sources.get("images")
        place = None if source is None else locate(source)
        share = self.index.get("images", {}).get("test_share")
        if place is None or share is None or place.resolve() != folder.resolve() or is_split(place):
            return frozenset()
        seed = int(self.index["images"].get("seed", 0))
        drawn = split_of(place, self._class_folders(), "test", share, seed)
        return frozenset(path.relative_to(place).as_posix() for files in drawn for path in files)

    def _class_folders(self) -> Sequence[str]:
        """Names of the folders of the real images, in label order."""
        folder_names = self.index.get("images", {}).get("folder_names")
        return folder_names or self.index.get("wordnet_ids", self.class_names)

    @property
    def has_train_difficulty(self) -> bool:
        """Whether it can be computed here."""
        return all(part in self.sources and locate(self.sources[part]) for part in ("images", "teacher"))

    @cached_property
    def train_difficulty(self) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's difficulty of the real training images that are kept, as in `Bundle`; computed once."""
        return self._kept_difficulty("difficulty", over_all=False)

    @cached_property
    def difficulty_over_all(self) -> tuple[np.ndarray, np.ndarray]:
        """As in `Bundle`; computed once."""
        return self._kept_difficulty("difficulty-over-all", over_all=True)

    def _kept_difficulty(self, name: str, over_all: bool) -> tuple[np.ndarray, np.ndarray]:
        kept = home() / f"{name}-{self.identity('teacher')}-{self.identity('data')}.npy"
        classes = tuple(range(self.n_classes))
        return kept_array(kept, lambda: self._difficulty_over(classes, over_all)[0]), self.train_subset[1]

    def _listing(self, folder: Path | None) -> list[Any]:
        """The class folders with the time of their last change; files are neither read nor counted."""
        if folder is None:
            return ["absent"]
        table = self.index["images"]
        splits = ("train", "val") if "test_share" not in table else ("", *SPLITS["train"], *SPLITS["test"])
        places = [folder / split / name for split in splits for name in self._class_folders()]
        found = [(str(place), place.stat().st_mtime_ns if place.is_dir() else 0) for place in places]
        return [*found, table["test_share"], table.get("seed", 0)] if "test_share" in table else found

    def remember(self, part: str, folder: str | Path) -> None:
        """As in `Bundle`; a part that a description of the user's own has not yet is written into it."""
        if part in FILES and part not in self.sources and str(folder).strip() and self._is_own:
            self._add(part, absolute_path(folder))
        else:
            super().remember(part, folder)
        self._networks.clear()
        self._identities.clear()
        for kept in (
            "test_set", "train_subset", "held_out", "all_train_images", "train_difficulty", "difficulty_over_all",
        ):  # fmt: skip
            self.__dict__.pop(kept, None)

    @property
    def parts_to_name(self) -> tuple[str, ...]:
        """As in `Bundle`: all of them, where the description is the user's own."""
        return tuple(FILES) if self._is_own else super().parts_to_name

    @property
    def _is_own(self) -> bool:
        return self.name not in external_bundles()

    def _add(self, part: str, folder: Path) -> None:
        """Write a new table into the description, whole or not at all."""
        table: dict[str, Any] = {"source": str(folder)}
        if part == "images":
            table |= {"test_share": TEST_SHARE, "seed": 0}
        if part == "generator" and (folder / "unet").is_dir():
            table |= {"kind": "stable-diffusion", "prompt": "a photo of a {}"}
        made = ExternalBundle(self.path, {**self.index, part: table})
        if (wrong := unfit(made.sources[part], folder)) is not None:
            raise wrong
        text = read_text(self.path).rstrip() + f"\n\n[{part}]\n"
        text += "".join(f"{key} = {toml_value(value)}\n" for key, value in table.items())
        write_bytes(self.path, text.encode())
        self.index = made.index
