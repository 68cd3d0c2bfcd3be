"""Pictures as tensors: what distillation code leaves behind, `images.pt` with `labels.pt`, `.npz`, DD-Ranking's layout.

Files are opened without running anything in them: `.pt` with `weights_only=True`, `.npz` without pickles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.words import printable
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError, called, spread
from psr_studio.stages.importing.reading import VALUES, Reading, Scale
from psr_studio.storage.png import encode_png

if TYPE_CHECKING:
    from torch import Tensor

TENSORS = (".pt", ".pth", ".npz", ".npy", ".safetensors")
IMAGE_KEYS = ("images", "image", "x", "data", "imgs", "image_syn", "images_train", "x_train", "arr_0")
LABEL_KEYS = (
    "hard_labels", "labels", "label", "y", "targets", "target", "label_syn", "labels_train", "y_train",
    "soft_labels", "arr_1",
)  # fmt: skip
PREFIX = "dd-ranking-"  # before the names of files in exports of ours
ASKED = 'Set "Values of the tensors" (--values) to {}.'
SLACK = 1e-3  # beyond a range, from rounding in half precision


def is_tensor_file(path: Path) -> bool:
    """Whether a file holds tensors by its name."""
    return path.suffix.lower() in TENSORS


@dataclass
class TensorSource(ImageSource):
    """Pictures and labels in tensors; each picture is told by its place."""

    images: Tensor | None = None  # (N, ch, H, W) or (N, H, W, ch), as it lies in its file
    words: list[str] = field(default_factory=list)  # the label of each
    scale: Scale | None = None  # None where they are bytes
    channels_last: bool = False

    @classmethod
    def find(cls, files: Sequence[Path], path: Path, reading: Reading) -> TensorSource:
        """Choose pictures and labels among the tensors of some files, and say what their numbers are.

        Raises:
            PoolImportError: no pictures or labels, tensors that do not fit each other, numbers that may mean several
                things.
        """
        found = {name: tensor for file in files for name, tensor in tensors_of(file).items()}
        image, label = _named(IMAGE_KEYS, found, path), _named(LABEL_KEYS, found, path)
        images, channels_last = _shaped(found[image], image)
        words = _labels(found[label], len(images), label)
        scale, said = _scale(images, reading, image)
        taken = {"pictures": f'"{image}"', "labels": f'"{label}"', "pixels": said}
        return cls(
            path, "tensors", dict(Counter(words)), taken=taken, images=images, words=words, scale=scale,
            channels_last=channels_last,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Item]:
        """The pictures in their order."""
        return map(self._item, range(len(self.words)))

    def sample(self, n: int) -> list[Item]:
        """As in `ImageSource`."""
        return [self._item(i) for i in spread(range(len(self.words)), n)]

    def _item(self, place: int) -> Item:
        return Item(
            self.words[place], f"{printable(self.path.name)}, picture {place}", partial(self._png, place)
        )

    def _png(self, place: int) -> bytes:
        assert self.images is not None
        pixels = self.images[place]
        if not self.channels_last:
            pixels = pixels.movedim(0, -1)
        values = pixels.float().numpy() if self.scale else pixels.numpy()
        if self.scale:
            values = values * np.asarray(self.scale.std, np.float32) + np.asarray(self.scale.mean, np.float32)
            values = (values.clip(0, 1) * 255).round()
        return encode_png(np.ascontiguousarray(values.astype(np.uint8)))


def beside(path: Path) -> list[Path]:
    """A file of tensors with those that lie beside it, for labels often have a file of their own."""
    if path.suffix.lower() == ".npz":
        return [path]
    others = sorted(p for p in path.parent.iterdir() if p != path and p.suffix == path.suffix and p.is_file())
    return [path, *(other for other in others if plain_name(other.stem) in LABEL_KEYS)]


def plain_name(name: str) -> str:
    """The name of a tensor or file as names are compared: small letters, "_" for "-", without our prefix."""
    return name.lower().removeprefix(PREFIX).replace("-", "_")


def tensors_of(file: Path) -> dict[str, Tensor]:
    """The tensors of a file: by the name of the file where it holds one, else by their own; errors as `loaded`."""
    import torch

    found = loaded(file)
    if isinstance(found, torch.Tensor):
        return {file.stem: found}
    if isinstance(found, list | tuple) and len(found) == 2:
        found = dict(zip((IMAGE_KEYS[0], LABEL_KEYS[1]), found, strict=True))
    named = found if isinstance(found, Mapping) else {}
    tensors = {str(name): tensor for name, tensor in named.items() if isinstance(tensor, torch.Tensor)}
    if len(tensors) == 1 and plain_name(file.stem) in (*IMAGE_KEYS, *LABEL_KEYS):
        return {file.stem: next(iter(tensors.values()))}
    return tensors


def loaded(file: Path) -> Any:
    """What a file of tensors holds: a tensor, or tensors in a list or by name, as they were saved.

    Raises:
        PoolImportError: code, text alone, or damage. OSError: as the system says it.
    """
    import torch

    try:
        if file.suffix.lower() in (".npz", ".npy"):
            read: Any = np.load(file, allow_pickle=False)
            found: Any = {name: read[name] for name in read.files} if file.suffix.lower() == ".npz" else read
            return _each(found, torch.from_numpy)
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as err:  # readers raise what they stumble over
        first = (str(err) or type(err).__name__).splitlines()[0][:160]
        raise PoolImportError(
            f'"{file.name}" holds no plain tensors, or is damaged ({first}).',
            "Save pictures and labels as tensors, without code around them.",
        ) from err


def _each(found: Any, change: Any) -> Any:
    """The arrays of a file changed one by one; those of words are left out."""
    if not isinstance(found, dict):
        return change(found)
    return {name: change(value) for name, value in found.items() if value.dtype.kind not in "US"}


def _named(keys: Sequence[str], found: Mapping[str, Tensor], path: Path) -> str:
    plain = {plain_name(name): name for name in reversed(list(found))}
    name = next((plain[key] for key in keys if key in plain), None)
    if name is None:
        what = "pictures" if keys is IMAGE_KEYS else "labels"
        raise PoolImportError(
            f'"{called(path)}" holds no tensor of {what} that is known by its name; it holds '
            f"{', '.join(found) or 'none'}.",
            f'Call it "{keys[0]}" or "{keys[1]}", in the same file or in one of its own beside the other.',
        )
    return name


def _shaped(images: Tensor, name: str) -> tuple[Tensor, bool]:
    """Pictures with their channels, and whether these stand last."""
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images, False
    if images.ndim == 4 and images.shape[-1] in (1, 3):
        return images, True
    raise PoolImportError(
        f'"{name}" has the shape {tuple(images.shape)}; pictures are (N, channels, H, W) or (N, H, W, channels).',
        "Save the pictures in one of these shapes, with 1 or 3 channels.",
    )


def _labels(labels: Tensor, n: int, name: str) -> list[str]:
    """The label of each picture as a word; of a distribution over classes the largest."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(dim=1)
    flat = labels.flatten()
    if len(flat) != n or not bool((flat == flat.round()).all()):
        raise PoolImportError(
            f'"{name}" has the shape {tuple(labels.shape)}, but there are {n:,} pictures, which need one label each.',
            "Save a whole number, or a distribution over the classes, for each picture.",
        )
    return [str(int(value)) for value in flat.tolist()]


def _scale(images: Tensor, reading: Reading, name: str) -> tuple[Scale | None, str]:
    """How the numbers become pixels, and that in words; None for bytes.

    Raises:
        PoolImportError: their range leaves a doubt, or they are no finite numbers.
    """
    low, high = (float(value) for value in images.aminmax()) if images.numel() else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PoolImportError(f'"{name}" holds values that are not finite numbers.', "Save it anew.")
    if not images.is_floating_point():
        if low < 0 or high > 255:
            raise PoolImportError(
                f'"{name}" holds whole numbers from {low:g} to {high:g}; pixels are 0 to 255.',
                "Save the pixels.",
            )
        return None, "bytes"
    values = reading.values or _by_range(low, high)
    if values is None:
        raise PoolImportError(
            f'"{name}" holds numbers from {low:.3g} to {high:.3g}: they may be normalised, and by what is not said.',
            ASKED.format(", ".join(f'"{known}"' for known in VALUES)),
        )
    if values not in VALUES:
        raise PoolImportError(
            f'"{values}" is no way to read numbers as pixels.',
            ASKED.format(", ".join(f'"{known}"' for known in VALUES)),
        )
    scale = VALUES[values] or _of_bundle(reading)
    return scale, f'numbers from {low:.3g} to {high:.3g}, read as "{values}"'


def _by_range(low: float, high: float) -> str | None:
    """What a range of numbers can only be; None where it leaves a doubt."""
    if low >= -SLACK and high <= 1 + SLACK:
        return "0..1"
    if low >= 0 and 2 < high <= 255:
        return "0..255"
    if -1 - SLACK <= low < 0 and high <= 1 + SLACK:
        return "-1..1"
    return None


def _of_bundle(reading: Reading) -> Scale:
    mean, std = reading.normalisation or (0.0, 1.0)
    return Scale(np.ravel(mean), np.ravel(std))
