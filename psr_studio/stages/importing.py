"""Import: pictures made elsewhere become the pool of a workspace, so that they can be scored, selected and refined.

The pictures are cut to the bundle's shape and kept without loss; their latents come from the codec's encoder and are
marked so in the settings of every part. Everything is written beside the pool first and put in its place by one
rename at the end, so an import is there whole or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.devices import candidate_seed, pick_device
from psr_studio.errors import ModelError, WorkspaceError
from psr_studio.pictures import PictureError, read_picture
from psr_studio.progress import Progress
from psr_studio.recipe import Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.import_classes import match_classes
from psr_studio.stages.import_sources import ImageSource, Item, PoolImportError, open_source
from psr_studio.workspace import (
    CANDIDATES_PER_CLASS,
    PoolPart,
    StageStatus,
    Workspace,
    candidate_id,
    stable_hash,
)

if TYPE_CHECKING:
    from psr_studio.bundle import Bundle

STAGE = "import"
MANIFEST, FILES = "import.json", "import.csv"  # in pool/
STAGING, ASIDE = ".import-new", ".import-old"
BUFFER_BYTES = 2**30  # of pictures that wait for their part to fill
N_PREVIEWS = 8
EVENT_EVERY = 32  # pictures


@dataclass(frozen=True)
class Options:
    """What of a source is taken.

    Attributes:
        split: of a source that has several.
        limit: pictures per class, the first ones; None for all.
        replace: give up the pool that is there.
        skip_unknown: leave out labels that are no class of the task.
        skip_broken: leave out pictures that cannot be read.
    """

    split: str | None = None
    limit: int | None = None
    replace: bool = False
    skip_unknown: bool = False
    skip_broken: bool = False


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, path: str | Path, **options: Any
) -> Iterator[Progress]:
    """Make the pictures at `path` the pool of the workspace; `options` are those of `Options`.

    Raises:
        PoolImportError: the source, its classes or a picture; the pool is as it was then.
        WorkspaceError, ModelError: a pool that is there, the disk, the codec.
    """
    how, clock = Options(**options), Stopwatch()
    if how.limit is not None and how.limit < 1:
        raise PoolImportError(f"{how.limit} pictures per class are asked for.", "Ask for 1 or more.")
    recover(ws.root)
    if (n := len(ws.pool())) and not how.replace:
        raise WorkspaceError(
            f"This workspace already holds a pool of {n:,} candidates.",
            'Choose another workspace folder, or give up this pool with "Replace the pool" (--replace).',
        )
    source = open_source(path, how.split)
    classes = match_classes(
        list(source.labels),
        bundle.class_names,
        bundle.index.get("wordnet_ids", ()),
        bundle.index.get("class_indices"),
        how.skip_unknown,
        f'"{source.path.name}"',
    )
    counts = [min(n, how.limit or n) for label, n in source.labels.items() if label in classes]
    if max(counts) > CANDIDATES_PER_CLASS:
        raise PoolImportError(
            f'"{source.path.name}" holds {max(counts):,} pictures of a class; a pool holds {CANDIDATES_PER_CLASS:,}.',
            "Take fewer with --limit.",
        )
    total = sum(counts)
    yield Progress(STAGE, 0, total, f"Opening the codec for {total:,} pictures of {len(classes)} classes.")
    writer = _Writer(ws, recipe, bundle, source)
    clock.start()
    try:
        for done, message, previews in _read(source, classes, bundle, how, writer):
            yield Progress(STAGE, done, total, message, previews=previews, seconds=clock.seconds)
        writer.finish(how)
        _put_in_place(ws.root)
    except OSError as err:
        raise WorkspaceError(
            f"The import could not be written: {err.strerror or err}.",
            "Free space or give yourself write permission there. The pool is as it was.",
        ) from err
    finally:
        shutil.rmtree(ws.root / STAGING, ignore_errors=True)
    words = f"Imported {writer.n_written:,} pictures of {len(writer.counts)} classes"
    left_out = f"; {len(writer.left_out):,} left out" if writer.left_out else ""
    yield Progress(
        STAGE,
        total,
        total,
        f'{words} from "{source.path.name}"{left_out}.',
        part_done=True,
        seconds=clock.seconds,
    )


def _read(
    source: ImageSource, classes: dict[str, int], bundle: Bundle, how: Options, writer: _Writer
) -> Iterator[tuple[int, str, tuple[np.ndarray, ...]]]:
    """Decode picture by picture; yields (pictures read, what was done, previews)."""
    taken: dict[int, int] = dict.fromkeys(classes.values(), 0)
    done = 0
    for item in source:
        class_id = classes.get(item.label)
        if class_id is None or (how.limit is not None and taken[class_id] >= how.limit):
            continue
        try:
            pixels = read_picture(item.data, bundle.image_shape)
        except PictureError as err:
            if not how.skip_broken:
                raise PoolImportError(
                    f'"{item.name}" in "{source.path.name}" cannot be used: {err}.',
                    "Replace or remove it, or leave out such pictures with --skip-broken. The pool is as it was.",
                ) from err
            writer.left_out.append(item.name)
            continue
        taken[class_id] += 1
        done += 1
        writer.add(class_id, item, pixels)
        if full := writer.full():
            shown = writer.write(full[0])
            yield done, f'Encoded pictures of "{bundle.class_names[full[0]]}".', shown
        elif done % EVENT_EVERY == 0:
            yield done, f"Read {done:,} pictures.", ()
    for class_id in writer.waiting():
        yield done, f'Encoded pictures of "{bundle.class_names[class_id]}".', writer.write(class_id)


@dataclass
class _Waiting:
    """Pictures of a class that are not written yet."""

    images: list[np.ndarray] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


class _Writer:
    """Collects pictures by class and writes parts, beside the pool."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle, source: ImageSource) -> None:
        self.recipe, self.bundle, self.source = recipe, bundle, source
        self.codec = bundle.codec(pick_device(recipe.device))
        self.identity = bundle.identity("generator")
        self.keeps_latents = source.settings.get("generator") == self.identity
        shutil.rmtree(ws.root / STAGING, ignore_errors=True)
        self.staging = Workspace(ws.root / STAGING, ws.ledger, None)
        self.counts: dict[int, int] = {}
        self.parts: dict[str, str] = {}
        self.rows: list[tuple[int, str]] = []
        self.left_out: list[str] = []
        self._waiting: dict[int, _Waiting] = {}
        self._bytes = 0

    @property
    def n_written(self) -> int:
        """Pictures on the disk."""
        return sum(self.counts.values())

    def add(self, class_id: int, item: Item, pixels: np.ndarray) -> None:
        """Take a picture in."""
        waiting = self._waiting.setdefault(class_id, _Waiting())
        waiting.images.append(pixels)
        waiting.items.append(Item(item.label, item.name, b"", item.latent, item.seed))
        waiting.digests.append(hashlib.sha256(item.data).hexdigest())
        self._bytes += pixels.nbytes

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

    def write(self, class_id: int) -> tuple[np.ndarray, ...]:
        """Encode and write what waits of a class as one part; returns the first pictures."""
        waiting = self._waiting.pop(class_id)
        images = np.stack(waiting.images)
        self._bytes -= images.nbytes
        start = self.counts.get(class_id, 0)
        ids = [candidate_id(class_id, start + i) for i in range(len(images))]
        number = sum(1 for name in self.parts if name.startswith(f"class={class_id}/"))
        hashed = {"stage": STAGE, "class": class_id, "start": start, "pictures": waiting.digests}
        inputs_hash = stable_hash({**hashed, "codec": self.identity})
        path = self.staging.write_pool_part(
            class_id,
            number,
            columns=PoolPart(
                np.array(ids, np.int64),
                self._seeds(waiting, class_id, start),
                images,
                self._latents(waiting, images),
            ),
            inputs_hash=inputs_hash,
            settings=self.settings,
            class_names=self.bundle.class_names,
        )
        self.parts[path.relative_to(self.staging.root / "pool").as_posix()] = inputs_hash
        self.counts[class_id] = start + len(images)
        self.rows += [(ids[i], item.name) for i, item in enumerate(waiting.items)]
        return tuple(images[:N_PREVIEWS])

    @property
    def settings(self) -> dict[str, Any]:
        """What each part says of its origin."""
        origin = {"imported_from": self.source.path.name, "kind": self.source.kind, "codec": self.identity}
        if self.keeps_latents:
            return {**self.source.settings, **origin, "latents": "generated"}
        return {**origin, "latents": "encoded", "bundle": self.bundle.name}

    def _seeds(self, waiting: _Waiting, class_id: int, start: int) -> np.ndarray:
        base = self.recipe.pool.seed
        own = [candidate_seed(base, class_id, start + i) for i in range(len(waiting.items))]
        return np.array(
            [s if i.seed is None else i.seed for s, i in zip(own, waiting.items, strict=True)], np.int64
        )

    def _latents(self, waiting: _Waiting, images: np.ndarray) -> np.ndarray:
        """Encoded, or those of a workspace whose pool the same generator and codec made."""
        import torch

        from psr_studio.models.codec import from_uint8

        if self.keeps_latents:
            return np.stack([item.latent for item in waiting.items if item.latent is not None])
        device = next(self.codec.parameters()).device
        size = self.recipe.pool.batch_size
        with torch.no_grad():
            parts = [
                self.codec.encode(from_uint8(images[i : i + size]).to(device)).cpu().numpy()
                for i in range(0, len(images), size)
            ]
        latents = np.concatenate(parts).astype(np.float32)
        if not np.isfinite(latents).all():
            raise ModelError(
                f'The codec of "{self.bundle.name}" encoded pictures to latents that are not finite numbers.',
                "Check its weights with `psr-studio doctor`.",
            )
        return latents

    def finish(self, how: Options) -> None:
        """The manifest and the list of files."""
        if not self.counts:
            raise PoolImportError(
                f'No picture of "{self.source.path.name}" could be used.', "Name another source."
            )
        about = {
            "source": self.source.path.name,
            "kind": self.source.kind,
            "split": how.split,
            "codec": self.identity,
            "latents": self.settings["latents"],
            "counts": {str(class_id): n for class_id, n in sorted(self.counts.items())},
            "left_out": self.left_out,
            "parts": dict(sorted(self.parts.items())),
        }
        folder = self.staging.root / "pool"
        (folder / MANIFEST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        with (folder / FILES).open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["candidate_id", "file"])
            lines.writerows(sorted(self.rows))


def _put_in_place(root: Path) -> None:
    """The old pool steps aside, the new one takes its place, and only then the old one goes."""
    pool, aside = root / "pool", root / ASIDE
    if pool.exists():
        os.replace(pool, aside)
    os.replace(root / STAGING / "pool", pool)
    shutil.rmtree(aside, ignore_errors=True)


def recover(root: Path) -> None:
    """Finish or undo what a killed import left; call it when the workspace is opened for work."""
    pool, aside = root / "pool", root / ASIDE
    shutil.rmtree(root / STAGING, ignore_errors=True)
    if aside.is_dir() and pool.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.is_dir():
        os.replace(aside, pool)


def manifest(ws: Workspace) -> dict[str, Any] | None:
    """What is known of an imported pool; None where the pool was generated, or there is none."""
    try:
        found = json.loads((ws.root / "pool" / MANIFEST).read_text(encoding="utf-8"))
        return found if {"source", "codec", "counts", "parts"} <= found.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def status(ws: Workspace, bundle: Bundle, about: dict[str, Any]) -> StageStatus:
    """Whether an imported pool is whole and its latents are those of the bundle's codec."""
    found = ws.compare(
        {ws.root / "pool" / name: digest for name, digest in about["parts"].items()}, "pool parts"
    )
    if found.state == "fresh" and about["codec"] != bundle.identity("generator"):
        return StageStatus(
            "stale", f'Imported from "{about["source"]}", but encoded by the codec of another bundle.'
        )
    return StageStatus(found.state, f'Imported from "{about["source"]}". {found.reason}')


def nothing_to_generate(about: dict[str, Any]) -> Progress:
    """The one event of generating in a workspace whose pool was imported."""
    n = sum(about["counts"].values())
    words = f'This pool was imported from "{about["source"]}"; to generate one, choose another workspace.'
    return Progress("pool", n, n, words, part_done=True, resumed=n)


def settings_after(ws: Workspace, recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """Settings that fit the imported pool: its size, its classes, and no more images per class than it has."""
    about = manifest(ws)
    assert about is not None, "called after an import"
    counts = {int(class_id): n for class_id, n in about["counts"].items()}
    most = max(counts.values())
    everything = len(counts) == bundle.n_classes
    return {
        "pool.pool_size": most,
        "pool.classes": None if everything else tuple(sorted(counts)),
        "select.ipc": min(recipe.select.ipc, most),
    }
