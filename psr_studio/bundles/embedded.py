"""Bundles that ship with PSR Studio: a folder that anyone can check.

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
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC, Bundle, outputs_of
from psr_studio.bundles.index import check_bundle, read_bundle_file
from psr_studio.bundles.shipped import differences
from psr_studio.core.errors import ModelError
from psr_studio.core.files import sha256
from psr_studio.core.resources import resource_dir

if TYPE_CHECKING:
    import torch

    from psr_studio.models.codec import Codec
    from psr_studio.models.generator import Generator
    from psr_studio.models.teacher import Teacher

INDEX = "bundle.toml"
NEEDED = ("name", "class_names", "image_shape", "mean", "std", "files")


def bundles() -> dict[str, Path]:
    """The embedded bundles by name."""
    return {path.parent.name: path.parent for path in sorted(resource_dir("assets").glob(f"*/{INDEX}"))}


def read_index(folder: Path) -> dict[str, Any]:
    """What a bundle folder says of itself; ModelError for a damaged index."""
    index = read_bundle_file(folder / INDEX)
    check_bundle(folder / INDEX, index, NEEDED)
    return index


class EmbeddedBundle(Bundle):
    """A bundle whose files lie together in one folder."""

    @property
    def called(self) -> str:
        """As in `Bundle`."""
        return self.name if bundles().get(self.name) == self.path else str(self.path)

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

    @property
    def n_outputs(self) -> int:
        """As in `Bundle`."""
        return outputs_of(self.path / "teacher", self.n_classes)

    @cached_property
    def test_set(self) -> tuple[np.ndarray, np.ndarray]:
        """The whole test split: images uint8 (N, H, W, ch), labels int64 (N,)."""
        return self._split("test")

    def _train_images(self) -> tuple[np.ndarray, np.ndarray]:
        return self._split("train-subset")

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
        return differences(self.path, self.files)


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
