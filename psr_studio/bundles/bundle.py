"""A bundle: one data set with its trained generator, codec and teacher, in a folder anyone can check.

```
<bundle>/bundle.toml          name, classes, image shape, SHA-256 of every file
         generator/           a diffusers DiTPipeline folder: transformer/ vae/ scheduler/
         teacher/             config.json, model.safetensors
         data/                test split, train subset (idx files), train_difficulty.safetensors; see own_data.py for
                              bundles that hold no real images
         demo/                a workspace: a scored pool, ready to touch
```
"""

from __future__ import annotations

import gzip
import hashlib
import tomllib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.errors import ModelError, did_you_mean
from psr_studio.core.files import check_path, sha256
from psr_studio.core.resources import resource_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from psr_studio.bundles.data_sets import DataSet
    from psr_studio.bundles.sources import PartState, Source
    from psr_studio.core.progress import Progress
    from psr_studio.models.codec import Codec
    from psr_studio.models.generator import Generator
    from psr_studio.models.teacher import Teacher

INDEX = "bundle.toml"
DEFAULT_GUIDANCE = 4.0  # of a bundle that names none
HELD_OUT_EVERY = 4  # of the real training images of a class, one is kept from all controls
NEEDED = ("name", "class_names", "image_shape", "mean", "std", "files")
TINY = "tiny-dit"  # built in memory, for tests
CODEC = "generator/vae"  # the part of the generator's folder that encodes and decodes


class UnmadeBundleError(ModelError):
    """A bundle that `train-bundle` makes of a data set, and that nobody has made here yet."""

    def __init__(self, chosen: DataSet) -> None:
        super().__init__(
            f'The bundle "{chosen.name}" is not made yet: its networks do not ship with PSR Studio.',
            f"Make it from your copy of {chosen.title}: `psr-studio train-bundle {chosen.name} --data FOLDER`.",
        )


def bundles() -> dict[str, Path]:
    """The embedded bundles by name."""
    return {path.parent.name: path.parent for path in sorted(resource_dir("assets").glob(f"*/{INDEX}"))}


def load_bundle(name_or_path: str | Path) -> Bundle:
    """An embedded or described bundle by name, or any bundle folder or description by path; opens no network yet.

    Raises:
        ModelError: neither such a name nor such a folder, or a damaged index.
        UnmadeBundleError: the bundle of a data set that `train-bundle` knows, where nobody has trained it.
    """
    from psr_studio.bundles.data_sets import DATA_SETS
    from psr_studio.bundles.described import external_bundles, load_external

    embedded = bundles()
    path = embedded.get(str(name_or_path)) or check_path(name_or_path)
    if not (path / INDEX).is_file():
        if str(name_or_path) == TINY:
            from psr_studio.bundles.tiny_dit import TinyDit

            return TinyDit()
        if (described := load_external(name_or_path)) is not None:
            return described
        if str(name_or_path) in DATA_SETS:
            raise UnmadeBundleError(DATA_SETS[str(name_or_path)])
        raise _unknown(str(name_or_path), [*embedded, TINY, *external_bundles()])
    try:
        index = tomllib.loads((path / INDEX).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ModelError(f"{path / INDEX} is not TOML: {err}.", "Restore that file.") from err
    if lacking := [key for key in NEEDED if key not in index]:
        raise ModelError(f"{path / INDEX} lacks {', '.join(lacking)}.", "Restore that file.")
    if "images" in index:
        from psr_studio.bundles.own_data import OwnDataBundle

        return OwnDataBundle(path, index)
    return Bundle(path, index)


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


@dataclass
class Bundle:
    """An opened bundle. Networks are made on first use and kept, one per kind and device."""

    path: Path
    index: dict[str, Any]
    _networks: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The bundle's own name."""
        return str(self.index["name"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in label order."""
        return tuple(self.index["class_names"])

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, ch) of the images at rest."""
        height, width, channels = self.index["image_shape"]
        return height, width, channels

    @property
    def normalisation(self) -> tuple[Any, Any]:
        """Mean and standard deviation of the pixels in [0, 1], as the students see them.

        Numbers, or float32 (ch, 1, 1) where the index gives one for each channel.
        """
        mean, std = (
            np.array(v, np.float32).reshape(-1, 1, 1) if isinstance(v, list) else float(v)
            for v in (self.index["mean"], self.index["std"])
        )
        return mean, std

    @property
    def guidance(self) -> float:
        """The classifier-free guidance scale its samples look best at."""
        return float(self.index.get("guidance", DEFAULT_GUIDANCE))

    @property
    def guided_channels(self) -> int | None:
        """How many leading latent channels the guidance acts on in its papers' code; None for all."""
        return self.index.get("guided_channels")

    @property
    def sources(self) -> dict[str, Source]:
        """What it needs from elsewhere, by part; nothing where everything ships with PSR Studio."""
        return {}

    @property
    def called(self) -> str:
        """What a command calls it: its name, or its path where it is a bundle of the user's own."""
        return self.name if bundles().get(self.name) == self.path else str(self.path)

    def parts(self) -> list[PartState]:
        """The sources with where each is."""
        from psr_studio.bundles.sources import state

        return [state(source) for source in self.sources.values()]

    def remember(self, part: str, folder: str | Path) -> None:
        """Look for a part in this folder from now on, "" to forget the folder named before.

        Raises:
            ModelError: the folder lacks a file, or no such part is needed.
        """
        from psr_studio.bundles.sources import forget, remember

        if part not in self.sources:
            needed = (
                f"needed are {', '.join(self.sources)}" if self.sources else "it needs nothing from elsewhere"
            )
            raise ModelError(f'"{self.name}" needs no {part} of its own.', f"Leave it out; {needed}.")
        if str(folder).strip():
            remember(self.sources[part], folder)
        else:
            forget(self.sources[part])
        self._networks.clear()

    def missing_parts(self) -> list[Source]:
        """The sources that are not on this machine."""
        from psr_studio.bundles.sources import locate

        return [source for source in self.sources.values() if locate(source) is None]

    def download(self) -> Iterator[Progress]:
        """Fetch the missing sources that the Hugging Face hub has; see `sources.download`."""
        from psr_studio.bundles.sources import download

        return download(self.missing_parts())

    @property
    def files(self) -> dict[str, str]:
        """Relative path -> SHA-256."""
        return dict(self.index["files"])

    def identity(self, part: str) -> str:
        """A hash of every file under ``part`` ("generator", "teacher", "data") as it is on the disk.

        A file is read again only when its size or its time of change is another.
        """
        names = sorted(name for name in self.files if name.startswith(part + "/"))
        lines = [f"{name} {current_sha256(self.path / name)}" for name in names]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def generator(self, device: torch.device, dtype: torch.dtype) -> Generator:
        """The generator on ``device``, computing in ``dtype``."""
        from psr_studio.models.generator import Generator

        key = ("generator", f"{device} {dtype}")
        return self._keep(key, lambda: Generator.from_folder(self.path / "generator", device, dtype))

    def codec(self, device: torch.device) -> Codec:
        """The codec on ``device``, in float32."""
        from psr_studio.models.codec import Codec

        folder = self.path / CODEC
        return self._keep(("codec", str(device)), lambda: Codec.from_folder(folder, self.image_shape, device))

    def teacher(self, device: torch.device) -> Teacher:
        """The teacher on ``device``, in float32."""
        from psr_studio.models.teacher import Teacher

        return self._keep(
            ("teacher", str(device)), lambda: Teacher.from_folder(self.path / "teacher", device)
        )

    def _keep(self, key: tuple[str, str], make: Any) -> Any:
        if key not in self._networks:
            self._networks[key] = make()
        return self._networks[key]

    @property
    def teacher_id(self) -> str:
        """The name scores are stored under, without opening the teacher."""
        return f"teacher-{self.identity('teacher')[:8]}"

    @cached_property
    def test_set(self) -> tuple[np.ndarray, np.ndarray]:
        """The whole test split: images uint8 (N, H, W, ch), labels int64 (N,)."""
        return self._split("test")

    @cached_property
    def train_subset(self) -> tuple[np.ndarray, np.ndarray]:
        """Real training images, the same number for each class, for controls and guidance: as ``test_set``."""
        return self._real(held_out=False)

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Real training images that ``train_subset`` leaves out, for tuning only: as ``test_set``.

        Every fourth image of a class. Nothing is trained on them here; the bundle's own teacher and generator were.
        """
        return self._real(held_out=True)

    def _real(self, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self._split("train-subset")
        own = (rank_in_class(labels) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out
        return images[own], labels[own]

    def _split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        images = read_idx(self.path / "data" / f"{name}-images-idx3-ubyte.gz")
        labels = read_idx(self.path / "data" / f"{name}-labels-idx1-ubyte.gz")
        return images.reshape(len(images), *self.image_shape), labels.astype(np.int64)

    @cached_property
    def train_difficulty(self) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's difficulty of every training image, float32 (N,), and their labels int64 (N,)."""
        from safetensors.numpy import load_file

        arrays = load_file(self.path / "data" / "train_difficulty.safetensors")
        return arrays["difficulty"].astype(np.float32), arrays["labels"].astype(np.int64)

    @property
    def has_train_difficulty(self) -> bool:
        """Whether ``train_difficulty`` can be read."""
        return (self.path / "data" / "train_difficulty.safetensors").is_file()

    @property
    def demo(self) -> Path | None:
        """The folder of the pre-generated pool, if the bundle has one."""
        folder = self.path / "demo"
        return folder if folder.is_dir() else None

    def verify(self) -> list[str]:
        """One sentence per bundled file that is missing or differs from its SHA-256; empty when whole."""
        problems = []
        for name, digest in self.files.items():
            path = self.path / name
            if not path.is_file():
                problems.append(f"{path} is missing.")
            elif sha256(path) != digest:
                problems.append(f"{path} differs from its SHA-256.")
        return problems


def rank_in_class(labels: np.ndarray) -> np.ndarray:
    """Place of each item among those of its label, in their order: labels (N,) -> (N,), such as [0, 0, 1, 2]."""
    order = np.argsort(labels, kind="stable")
    counts = np.unique(labels, return_counts=True)[1]
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank


def current_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, kept while its size and time of change stay; "missing" when there is none."""
    try:
        found = path.stat()
    except OSError:
        return "missing"
    return _kept_sha256(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _kept_sha256(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def read_idx(path: Path) -> np.ndarray:
    """An idx file of unsigned bytes (the MNIST format), gzipped.

    Raises:
        ModelError: missing, truncated or corrupt, by name.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
        shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3]))
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as err:
        raise ModelError(
            f"The data file {path} is missing, truncated or corrupt ({err}).",
            "Restore that file; `psr-studio doctor` checks each bundled file against its SHA-256.",
        ) from err


def write_idx(array: np.ndarray, path: Path) -> None:
    """The inverse of ``read_idx`` for uint8 arrays; no time stamp, so equal data give equal files."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), compresslevel=9, mtime=0))
