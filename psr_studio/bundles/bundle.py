"""What a bundle is: one data set with its teacher and, where it makes pictures itself, its generator and codec."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from psr_studio.core.errors import ModelError
from psr_studio.core.texts import TextError, parse_json, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from psr_studio.bundles.sources import PartState, Source
    from psr_studio.core.progress import Progress
    from psr_studio.models.codec import Codec
    from psr_studio.models.teacher import Teacher

DEFAULT_GUIDANCE = 4.0  # of a bundle that names none
HELD_OUT_EVERY = 4  # of the real training images of a class, one is kept from all controls
CODEC = "generator/vae"  # the part of the generator's folder that encodes and decodes

T = TypeVar("T")


class Bundle(ABC):
    """An opened bundle. Networks are made on first use and kept, one per kind and device.

    Args:
        path: its folder, or the file that describes it. index: what that says.
    """

    def __init__(self, path: Path, index: dict[str, Any]) -> None:
        self.path, self.index = path, index
        self._networks: dict[tuple[str, str], Any] = {}

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
        return self.index.get("guided_channels") or None

    @property
    def sources(self) -> dict[str, Source]:
        """What it needs from elsewhere, by part; nothing where everything ships with PSR Studio."""
        return {}

    @property
    def called(self) -> str:
        """What a command calls it: its name, or its path where it is a bundle of the user's own."""
        return str(self.path)

    def parts(self) -> list[PartState]:
        """The sources with where each is."""
        from psr_studio.bundles.sources import state

        return [state(source) for source in self.sources.values()]

    @property
    def parts_to_name(self) -> tuple[str, ...]:
        """The parts that `remember` takes a folder for."""
        return tuple(self.sources)

    def remember(self, part: str, folder: str | Path) -> None:
        """Look for a part in this folder from now on, "" to forget the folder named before.

        Raises:
            ModelError: the folder lacks a file, or no such part is needed.
        """
        from psr_studio.bundles.sources import forget, remember

        self.check_takes(part)
        if str(folder).strip():
            remember(self.sources[part], folder)
        else:
            forget(self.sources[part])
        self._networks.clear()

    def check_takes(self, part: str) -> None:
        """Raise ModelError where no folder can be named for a part."""
        if part not in self.sources:
            needed = (
                f"needed are {', '.join(self.sources)}" if self.sources else "it needs nothing from elsewhere"
            )
            raise ModelError(f'"{self.name}" needs no {part} of its own.', f"Leave it out; {needed}.")

    def missing_parts(self) -> list[Source]:
        """The sources that are not on this machine."""
        from psr_studio.bundles.sources import locate

        return [source for source in self.sources.values() if locate(source) is None]

    def missing_part(self, part: str) -> Source | None:
        """The source of a part, such as "images" or "teacher", that is not on this machine; None where it is here."""
        return next((source for source in self.missing_parts() if source.part == part), None)

    def download(self) -> Iterator[Progress]:
        """Fetch the missing sources that the Hugging Face hub has; see `sources.download`."""
        from psr_studio.bundles.sources import download

        return download(self.missing_parts())

    @property
    def files(self) -> dict[str, str]:
        """Relative path -> SHA-256 of what ships with it."""
        return {}

    def verify(self) -> list[str]:
        """One sentence per file of `files` that is missing or differs from its SHA-256; empty when whole."""
        return []

    @property
    def demo(self) -> Path | None:
        """The folder of the pre-generated pool, if the bundle has one."""
        return None

    # Networks

    def has(self, part: str) -> bool:
        """Whether "generator" or `CODEC` belongs to it, here or elsewhere: a bundle of pictures may have neither."""
        return True

    def drawn_test(self, folder: Path) -> frozenset[str]:
        """Names in `folder` of the pictures that are drawn from it for the test; none where no split is drawn there."""
        return frozenset()

    def require(self, part: str, what: str) -> None:
        """Raise ModelError where it has no "generator" or `CODEC`; `what` is what needs one, as a sentence begins."""
        if self.has(part):
            return
        noun = "codec" if part == CODEC else part
        raise ModelError(
            f'{what}, and "{self.name}" has no {noun}: its pictures come by import.',
            f'Name the folder of a {noun} that fits them under "Weights" on the Pool tab '
            f"(or run `psr-studio weights {shlex.quote(self.called)} --{noun} FOLDER`).",
        )

    @abstractmethod
    def identity(self, part: str) -> str:
        """A hash of a part as it is: "generator" (with its codec), `CODEC`, "teacher" or "data"."""

    @abstractmethod
    def generator(self, device: torch.device, dtype: torch.dtype) -> Any:
        """The generator on ``device``, computing in ``dtype``; a `models.adapters.PoolGenerator`.

        Raises:
            ModelError: it has none, or its files are not on this machine.
        """

    @abstractmethod
    def codec(self, device: torch.device) -> Codec:
        """The codec on ``device``, in float32; ModelError as for the generator."""

    @property
    def codec_is_here(self) -> bool:
        """Whether it has a codec and the files of it are on this machine."""
        home = "codec" if "codec" in self.sources else "generator"
        return self.has(CODEC) and self.missing_part(home) is None

    @abstractmethod
    def teacher(self, device: torch.device) -> Teacher:
        """The teacher on ``device``, in float32."""

    def _keep(self, key: tuple[str, str], make: Callable[[], T]) -> T:
        if key not in self._networks:
            self._networks[key] = make()
        return self._networks[key]

    @property
    def teacher_id(self) -> str:
        """The name scores are stored under, without opening the teacher."""
        return f"teacher-{self.identity('teacher')[:8]}"

    @property
    def n_outputs(self) -> int:
        """Outputs of the teacher's head, of which C are the classes; C where the teacher is not on this machine."""
        return self.n_classes

    # Real images

    @property
    @abstractmethod
    def test_set(self) -> tuple[np.ndarray, np.ndarray]:
        """The whole test split: images uint8 (N, H, W, ch), labels int64 (N,)."""

    @abstractmethod
    def _train_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Real training images, the same number for each class, of which a share is held out: as ``test_set``."""

    @cached_property
    def train_subset(self) -> tuple[np.ndarray, np.ndarray]:
        """Real training images, the same number for each class, for controls and guidance: as ``test_set``."""
        return self._real(held_out=False)

    @property
    def all_train_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Every real training image that is at hand, those that are held out included: as ``test_set``."""
        return self._train_images()

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Real training images that ``train_subset`` leaves out, for tuning only: as ``test_set``.

        Every fourth image of a class. Nothing is trained on them here; the bundle's own teacher and generator were.
        """
        return self._real(held_out=True)

    def _real(self, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self._train_images()
        in_part = (rank_in_class(labels) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out
        return images[in_part], labels[in_part]

    @property
    @abstractmethod
    def has_train_difficulty(self) -> bool:
        """Whether ``train_difficulty`` can be read."""

    @property
    @abstractmethod
    def train_difficulty(self) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's difficulty of real training images, float32 (N,), and their labels int64 (N,)."""

    def has_original_difficulty(self, task: Sequence[int], over_all: bool = False) -> bool:
        """Whether ``original_difficulty`` of these classes can be read or computed here."""
        known = self.n_classes == (self.n_outputs if over_all else len(task))
        return self.has_train_difficulty and (known or self.missing_part("images") is None)

    def original_difficulty(
        self, task: Sequence[int], over_all: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's difficulty of real training images of these classes: float32 (m,), labels (m,).

        Over all classes it is ``train_difficulty``. Over others it is computed from ``train_subset``, once.

        Args:
            over_all: softened over every output of the teacher, not over just these classes.

        Raises:
            ModelError: the real images are not on this machine.
        """
        classes = tuple(int(c) for c in task)
        if over_all and self.n_outputs > self.n_classes:
            values, labels = self.difficulty_over_all
        elif over_all or len(classes) == self.n_classes:
            values, labels = self.train_difficulty
        else:
            return self._keep(("original difficulty", str(classes)), lambda: self._difficulty_over(classes))
        own = np.isin(labels, classes)
        return (values, labels) if own.all() else (values[own], labels[own])

    @cached_property
    def difficulty_over_all(self) -> tuple[np.ndarray, np.ndarray]:
        """As ``train_difficulty``, of ``train_subset``, over every output of a teacher that has more than C."""
        return self._difficulty_over(tuple(range(self.n_classes)), over_all=True)

    def _difficulty_over(
        self, task: tuple[int, ...], over_all: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        from psr_studio.bundles.real_images import difficulty_over
        from psr_studio.core.devices import pick_device

        return difficulty_over(self.teacher(pick_device("auto")), *self.train_subset, task, over_all)


def outputs_of(teacher: Path, otherwise: int) -> int:
    """Outputs of the head of a teacher's folder, without opening the network; `otherwise` where it does not say."""
    try:
        said = parse_json(read_text(teacher / "config.json"))
    except (OSError, TextError):  # opening the teacher names what is wrong
        return otherwise
    found = said.get("num_classes", said.get("n_classes")) if isinstance(said, dict) else None
    return found if isinstance(found, int) else otherwise


def rank_in_class(labels: np.ndarray) -> np.ndarray:
    """Place of each item among those of its label, in their order: labels (N,) -> (N,), such as [0, 0, 1, 2]."""
    order = np.argsort(labels, kind="stable")
    counts = np.unique(labels, return_counts=True)[1]
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank
