"""Writes imported pictures as the parts of a pool, beside the one that is there."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC
from psr_studio.core.devices import candidate_seed, pick_device
from psr_studio.core.words import printable
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.encoding import encoded
from psr_studio.stages.importing import STAGE
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError, unknown
from psr_studio.stages.importing.soft_labels import SoftLabels
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import PoolPart, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

MANIFEST, FILES = "import.json", "import.csv"  # in pool/
UNUSABLE = "it cannot be used"  # how the reason of a picture that cannot be had or decoded begins
NO_CODEC = ""  # in the place of a codec's identity: the pictures have no latents
BUFFER_BYTES = 2**30  # of pictures that wait for their part to fill
N_PREVIEWS = 8


@dataclass
class _Waiting:
    """Pictures of a class that are not written yet."""

    images: list[np.ndarray] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Pictures of a class that become one file; `start` is the place of the first in the class."""

    class_id: int
    number: int
    start: int
    ids: list[int]
    waiting: _Waiting


class PoolWriter:
    """Collects pictures by class and writes parts, beside the pool: to `staging`."""

    def __init__(
        self,
        staging: Workspace,
        recipe: Recipe,
        bundle: Bundle,
        source: ImageSource,
        labels: SoftLabels | None = None,
    ) -> None:
        self.recipe, self.bundle, self.source, self.labels = recipe, bundle, source, labels
        self.agreement = np.zeros((bundle.n_classes,) * 2, np.int64)  # classes by largest own labels
        self.keeps_latents = source.has_latents and source.settings.get("generator") == bundle.identity(
            "generator"
        )
        encodes = not self.keeps_latents and bundle.codec_is_here
        self.codec = bundle.codec(pick_device(recipe.device)) if encodes else None
        self.identity = bundle.identity(CODEC) if encodes or self.keeps_latents else NO_CODEC
        self.staging = staging
        self.counts: dict[int, int] = {}
        self.parts: dict[str, str] = {}
        self.files: list[tuple[int | str, str, str]] = []  # candidate, file, why it was left out
        self.unknown: list[str] = []  # labels of the source that are no class
        self.classes: dict[str, int] = {}  # labels of the source to the classes they were taken for
        self._waiting: dict[int, _Waiting] = {}
        self._n_parts: dict[int, int] = {}
        self._bytes = 0
        self.about: dict[str, Any] = {}  # the manifest, once all is written

    @property
    def n_written(self) -> int:
        """Pictures in parts."""
        return sum(self.counts.values())

    def add(self, class_id: int, item: Item, pixels: np.ndarray, digest: str) -> None:
        """Take a picture in; `digest` is of its bytes."""
        waiting = self._waiting.setdefault(class_id, _Waiting())
        waiting.images.append(pixels)
        waiting.items.append(replace(item, load=unknown("it is read already")))
        waiting.digests.append(digest)
        if item.logits is not None:
            self.agreement[class_id, int(item.logits.argmax())] += 1
        self._bytes += pixels.nbytes

    def leave_out(self, name: str, why: str) -> None:
        """Note a file of the source that does not become a candidate."""
        self.files.append(("", name, why))

    @property
    def left_out(self) -> list[str]:
        """Files that cannot be used."""
        return [name for _, name, why in self.files if why.startswith(UNUSABLE)]

    def n_taken(self, class_id: int) -> int:
        """Pictures of a class that are written or wait."""
        waiting = self._waiting.get(class_id)
        return self.counts.get(class_id, 0) + (len(waiting.images) if waiting else 0)

    def waiting(self) -> list[int]:
        """Classes with pictures that are not written."""
        return sorted(class_id for class_id, waiting in self._waiting.items() if waiting.images)

    def full(self) -> list[int]:
        """The class whose part is full, or the largest one when too many pictures wait; [] when none is."""
        size = self.recipe.pool.part_size
        ready = [class_id for class_id, waiting in self._waiting.items() if len(waiting.images) >= size]
        if not ready and self._bytes > BUFFER_BYTES:
            ready = [max(self._waiting, key=lambda class_id: len(self._waiting[class_id].images))]
        return ready

    def cut(self, class_id: int) -> Part:
        """What waits of a class as the next part, with the numbers of its candidates."""
        waiting = self._waiting.pop(class_id)
        self._bytes -= sum(image.nbytes for image in waiting.images)
        start = self.counts.get(class_id, 0)
        ids = [candidate_id(class_id, start + i) for i in range(len(waiting.images))]
        number = self._n_parts.get(class_id, 0)
        self._n_parts[class_id] = number + 1
        self.counts[class_id] = start + len(ids)
        self.files += [(ids[i], item.name, "") for i, item in enumerate(waiting.items)]
        return Part(class_id, number, start, ids, waiting)

    def write(self, part: Part) -> tuple[np.ndarray, ...]:
        """Write a part, encoded where there is a codec; returns the first pictures. May run beside the decoders."""
        images = np.stack(part.waiting.images)
        hashed = {"stage": STAGE.name, "class": part.class_id, "start": part.start}
        pictures = {"pictures": part.waiting.digests, "codec": self.identity}
        own = self._own_logits(part.waiting)
        labels = {} if own is None else {"soft labels": own}
        inputs_hash = stable_hash({**hashed, **pictures, **labels})
        path = self.staging.write_pool_part(
            part.class_id,
            part.number,
            columns=PoolPart(
                np.array(part.ids, np.int64),
                self._seeds(part.waiting, part.class_id, part.start),
                images,
                self._latents(part.waiting, images),
                own_logits=own,
            ),
            inputs_hash=inputs_hash,
            settings=self.settings,
            class_names=self.bundle.class_names,
        )
        self.parts[path.relative_to(self.staging.root / "pool").as_posix()] = inputs_hash
        return tuple(images[:N_PREVIEWS])

    def take_notice(self) -> str:
        """What there is to say about memory, once."""
        return self.codec.encoding.take_notice() if self.codec else ""

    @property
    def settings(self) -> dict[str, Any]:
        """What each part says of its origin."""
        origin = {
            "imported_from": printable(self.source.path.name),
            "kind": self.source.kind,
            "codec": self.identity,
        }
        if self.keeps_latents:
            return {**self.source.settings, **origin, "latents": "generated"}
        return {**origin, "latents": "encoded" if self.codec else "none", "bundle": self.bundle.name}

    def _seeds(self, waiting: _Waiting, class_id: int, start: int) -> np.ndarray:
        base = self.recipe.pool.seed
        seeds = [candidate_seed(base, class_id, start + i) for i in range(len(waiting.items))]
        return np.array(
            [s if i.seed is None else i.seed for s, i in zip(seeds, waiting.items, strict=True)], np.int64
        )

    def _own_logits(self, waiting: _Waiting) -> np.ndarray | None:
        """The soft labels that the pictures came with; None where they came with none."""
        if self.labels is None:
            return None
        return np.stack([item.logits for item in waiting.items if item.logits is not None])

    def _latents(self, waiting: _Waiting, images: np.ndarray) -> np.ndarray | None:
        """Encoded, or those of a workspace whose pool the same generator and codec made; None without a codec."""
        if self.keeps_latents:
            return np.stack([item.latent for item in waiting.items if item.latent is not None])
        if self.codec is None:
            return None
        return encoded(self.codec, images, self.recipe.pool.batch_size, self.bundle.name)

    def finish(self, split: str | None) -> None:
        """The manifest and the list of files."""
        if not self.counts:
            raise PoolImportError(
                f'No picture of "{printable(self.source.path.name)}" could be used.', "Name another source."
            )
        self.about = {
            "source": printable(self.source.path.name),
            "kind": self.source.kind,
            "split": split,
            "codec": self.identity,
            "latents": self.settings["latents"],
            "counts": {str(class_id): n for class_id, n in sorted(self.counts.items())},
            "left_out": self.left_out,
            "labels_left_out": self.unknown,
            "passed_over": self.source.passed_over,
            "taken": self.source.taken,
            "classes": {label: self.bundle.class_names[c] for label, c in self.classes.items()},
            "parts": dict(sorted(self.parts.items())),
        }
        if self.labels is not None:
            self.about["soft_labels"] = self.labels.agreeing(self.agreement, self.bundle.class_names)
        folder = self.staging.root / "pool"
        (folder / MANIFEST).write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")
        rows = sorted(self.files, key=_candidates_first)
        with (folder / FILES).open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["candidate_id", "file", "left out because"])
            lines.writerows(rows)


def _candidates_first(row: tuple[int | str, str, str]) -> tuple[bool, int, str]:
    """Files that became candidates by number, then the others by name."""
    candidate, name, _ = row
    return candidate == "", int(candidate or 0), name
