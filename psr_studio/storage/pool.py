"""The pool as plain arrays, read from its parts only as far as they are asked for.

Shapes: N candidates in pool order (by class, then index), latents (N, c, h, w) float32, images uint8
(n, H, W, C). A position is an index into the pool order.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np

from psr_studio.core.errors import DamagedError, DiskError, WorkspaceError
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS
from psr_studio.storage.names import part_number
from psr_studio.storage.parquet import PartInfo, damaged, stable_hash
from psr_studio.storage.parts import Reader
from psr_studio.storage.png import decode_png

CACHED_PARTS = 16  # pictures of the parts touched last; 60 pictures of 256 px are about 7 MiB
OWN_LOGITS = "own_logits"  # the column of soft labels that pictures were imported with
BLANK = 128  # grey level that stands for a picture that cannot be read


class Broken(NamedTuple):
    """A file that cannot be used: why, as a sentence that names it, and the cause alone where it is damaged."""

    path: Path
    reason: str
    cause: str = ""

    @classmethod
    def of(cls, path: Path, err: WorkspaceError) -> Broken:
        """The file as an error has it."""
        return cls(path, err.problem, err.reason if isinstance(err, DamagedError) else "")


class PartView(NamedTuple):
    """One part of the pool as it is on disk."""

    path: Path
    class_id: int
    part: int
    candidate_ids: np.ndarray  # (n,) int64
    content_hash: str


def contents(parts: Iterable[PartView]) -> frozenset[tuple[Path, str]]:
    """Names what some parts hold: a pool has all of another when it has its contents."""
    return frozenset((part.path, part.content_hash) for part in parts)


def candidate_id(class_id: int, index: int) -> int:
    """The number of candidate `index` of a class, unique in a workspace."""
    assert 0 <= index < CANDIDATES_PER_CLASS, f"index {index} of a class"
    return class_id * CANDIDATES_PER_CLASS + index


class _Part(NamedTuple):
    path: Path
    info: PartInfo
    ids: np.ndarray
    seeds: np.ndarray
    class_id: int


class Pool:
    """All candidates on disk. Opening reads numbers only; pictures and latents follow on first use.

    `broken` names the files that were left out, and grows when a picture turns out to be damaged. Safe to
    share between threads. The arrays are read-only views of one snapshot: open again to see parts written
    later.
    """

    def __init__(self, paths: Sequence[Path], files: Reader | None = None) -> None:
        self.broken: list[Broken] = []
        self._files = files or Reader()
        self._parts = self._open(paths)
        ids = concat([p.ids for p in self._parts], np.int64)
        order = np.argsort(ids, kind="stable")
        self.candidate_ids = frozen(ids[order])
        self.labels = frozen(self.candidate_ids // CANDIDATES_PER_CLASS)
        self.seeds = frozen(concat([p.seeds for p in self._parts], np.int64)[order])
        sizes = [len(p.ids) for p in self._parts]
        self._part_of = np.repeat(np.arange(len(sizes)), sizes)[order]
        self._row_of = concat([np.arange(n) for n in sizes], np.int64)[order]
        self._latents: np.ndarray | None = None
        self.encoded: OrderedDict[int, list[bytes]] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.candidate_ids)

    def first(self, n: int) -> Pool:
        """The first n candidates of each class, or all where there are fewer: what a smaller pool would hold."""
        kept = np.arange(len(self)) - np.searchsorted(self.labels, self.labels) < n
        found = copy(self)
        for name in ("candidate_ids", "labels", "seeds", "_part_of", "_row_of"):
            setattr(found, name, frozen(getattr(self, name)[kept]))
        found._latents = None
        return found

    @property
    def counts(self) -> np.ndarray:
        """Candidates by class, int64 (highest class + 1,)."""
        return np.bincount(self.labels)

    @property
    def settings(self) -> dict:
        """Generator settings of the first part; {} for an empty pool."""
        return dict(self._parts[0].info.settings) if self._parts else {}

    @property
    def part_settings(self) -> list[dict]:
        """Generator settings of each part."""
        return [dict(part.info.settings) for part in self._parts]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C) of the pictures; (0, 0, 0) for an empty pool."""
        return self._parts[0].info.shapes["image"] if self._parts else (0, 0, 0)

    @property
    def latents(self) -> np.ndarray:
        """All latents (N, c, h, w) float32, kept after the first use. For a few of them see `latents_at`."""
        with self._lock:
            if self._latents is None:
                self._latents = frozen(self.latents_at(np.arange(len(self))))
            return self._latents

    @property
    def has_latents(self) -> bool:
        """Whether the parts hold them: pictures that were imported without a codec have none."""
        return not self._parts or "latent" in self._parts[0].info.shapes

    @property
    def has_own_logits(self) -> bool:
        """Whether its pictures were imported with soft labels, which are used instead of the teacher's."""
        return bool(self._parts) and OWN_LOGITS in self._parts[0].info.shapes

    def own_logits_at(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Logits (n, C) float32 of the soft labels that some positions were imported with; a damaged part raises."""
        return self._vectors_at(OWN_LOGITS, np.asarray(positions, np.int64))

    def latents_at(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Latents (n, c, h, w) float32 of some positions, in that order; reads only the parts they lie in.

        Raises:
            WorkspaceError: a damaged part, or a pool without latents.
        """
        if not self.has_latents:
            raise WorkspaceError(
                f"The {len(self)} pictures of this pool were not made of latents, and no codec has encoded them.",
                "Refine with a bundle that has a codec: it encodes those that it moves.",
            )
        positions = np.asarray(positions, np.int64)
        if self._latents is not None:
            return self._latents[positions]
        return self._vectors_at("latent", positions)

    def _vectors_at(self, name: str, positions: np.ndarray) -> np.ndarray:
        """A column of arrays, float32 (n, ...), of some positions; reads only the parts they lie in."""
        shape = self._parts[0].info.shapes[name] if self._parts else (0, 0, 0)
        found = np.empty((len(positions), *shape), np.float32)
        for part in np.unique(self._part_of[positions]):
            here = np.flatnonzero(self._part_of[positions] == part)
            stored = self._files.read(self._parts[part].path, [name])[1]
            found[here] = stored[name][self._row_of[positions[here]]]
        return found

    def steering_at(self, positions: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Target and interval of difficulty that candidates were steered to, see `PoolPart`: int64 (n,) each.

        Both are -1 where nothing was steered; reads only the parts they lie in.
        """
        target, interval = self._numbers_at(("target", "interval"), positions)
        return target, interval

    def parents_at(self, positions: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The candidates that others are variations of, int64 (n,), and their strength, float64 (n,).

        They are -1 and 0 of what is no variation; reads only the parts that variations lie in.
        """
        strength = np.array([part.info.settings.get("strength", 0.0) for part in self._parts], np.float64)
        (parents,) = self._numbers_at(("parent",), positions)
        of_part = strength[self._part_of[np.asarray(positions, np.int64)]]
        return parents, np.where(parents < 0, 0.0, of_part)

    @property
    def is_variation(self) -> np.ndarray:
        """(N,) bool, whether a candidate was made from another one."""
        return np.array(["parent" in part.info.shapes for part in self._parts], bool)[self._part_of]

    def _numbers_at(self, names: Sequence[str], positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Columns of whole numbers, int64 (names, n), of some positions; -1 where a part lacks them."""
        positions = np.asarray(positions, np.int64)
        found = np.full((len(names), len(positions)), -1, np.int64)
        for part in np.unique(self._part_of[positions]):
            if names[0] not in self._parts[part].info.shapes:
                continue
            here = np.flatnonzero(self._part_of[positions] == part)
            stored = self._files.read(self._parts[part].path, list(names))[1]
            found[:, here] = [stored[name][self._row_of[positions[here]]] for name in names]
        return found

    def origin_at(self, position: int) -> str:
        """Which crops of which real images a candidate was made of, in words; "" of one that was not cut."""
        part = self._parts[self._part_of[position]]
        if part.info.settings.get("source") != "crops":
            return ""
        return str(self._files.read(part.path, ["origin"])[1]["origin"][self._row_of[position]])

    def positions(self, candidate_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Positions of candidates, int64 (n,); WorkspaceError names those that are not in the pool."""
        try:
            wanted = np.asarray(candidate_ids, np.int64)
        except OverflowError:
            raise self._without([cid for cid in candidate_ids if not -(2**63) <= cid < 2**63]) from None
        found = np.searchsorted(self.candidate_ids, wanted)
        known = found < len(self)
        known[known] = self.candidate_ids[found[known]] == wanted[known]
        if not known.all():
            raise self._without(wanted[~known])
        return found

    def _without(self, candidate_ids: Sequence[int] | np.ndarray) -> WorkspaceError:
        return WorkspaceError(
            f"Candidates {some(candidate_ids)} are not in the pool of {len(self)} candidates.",
            "Select again from this pool, or restore the pool they were taken from.",
        )

    def png(self, position: int) -> bytes:
        """The stored PNG of one candidate, byte for byte; WorkspaceError when its part cannot be read."""
        return self._part_pngs(int(self._part_of[position]))[int(self._row_of[position])]

    @property
    def images(self) -> np.ndarray:
        """All pictures uint8 (N, H, W, C), decoded anew each time. For a few of them see `images_at`."""
        return self.images_at(None)

    def images_at(self, positions: Sequence[int] | np.ndarray | None, *, strict: bool = True) -> np.ndarray:
        """Pictures uint8 (n, H, W, C) of some positions, in that order; None means all.

        A damaged picture is a WorkspaceError naming file and candidate; with `strict=False` it is a grey
        tile, and its file is added to `broken`.
        """
        places = np.arange(len(self)) if positions is None else np.asarray(positions, np.int64)
        out = np.full((len(places), *self.image_shape), BLANK, np.uint8)
        for i, position in enumerate(places):
            try:
                out[i] = self._image(int(position))
            except WorkspaceError as err:
                if strict or isinstance(err, DiskError):
                    raise
                self._note(Broken.of(self._parts[self._part_of[position]].path, err))
        return out

    def content_hash(self, class_id: int | None = None) -> str:
        """Hash of the stored contents of one class, or of the whole pool."""
        parts = [p for p in self._parts if class_id is None or p.class_id == class_id]
        return stable_hash([p.info.content_hash for p in parts])

    def parts(self) -> list[PartView]:
        """The parts in use, by class, then part."""
        used = np.bincount(self._part_of, minlength=len(self._parts))
        return [
            PartView(p.path, p.class_id, part_number(p.path.name) or 0, p.ids, p.info.content_hash)
            for number, p in enumerate(self._parts)
            if used[number]
        ]

    def inputs_hashes(self) -> dict[Path, str]:
        """What each part in use was made from."""
        return {p.path: p.info.inputs_hash for p in self._parts}

    def _image(self, position: int) -> np.ndarray:
        data = self.png(position)
        try:
            pixels = decode_png(data)
        except ValueError as err:
            raise self._bad_picture(position, str(err)) from err
        if pixels.shape != self.image_shape:
            raise self._bad_picture(position, f"shape {pixels.shape}, expected {self.image_shape}")
        return pixels

    def _bad_picture(self, position: int, reason: str) -> WorkspaceError:
        path = self._parts[self._part_of[position]].path
        err = damaged(
            path, f"the picture of candidate {self.candidate_ids[position]} cannot be read ({reason})"
        )
        self._files.note_damage(err)
        return err

    def _part_pngs(self, part: int) -> list[bytes]:
        with self._lock:
            if part not in self.encoded:
                self.encoded[part] = self._files.read(self._parts[part].path, ["image"])[1]["image"]
                if len(self.encoded) > CACHED_PARTS:
                    self.encoded.popitem(last=False)
            self.encoded.move_to_end(part)
            return self.encoded[part]

    def _note(self, broken: Broken) -> None:
        with self._lock:
            if broken not in self.broken:
                self.broken.append(broken)

    def _open(self, paths: Sequence[Path]) -> list[_Part]:
        parts: list[_Part] = []
        ids_of: dict[int, list[np.ndarray]] = {}
        for path in paths:
            try:
                part = self._open_part(path)
                _check_alike(part, parts, ids_of.get(part.class_id, []))
            except DiskError:  # a disk that is away for a moment must not make the pool smaller
                raise
            except WorkspaceError as err:
                self.broken.append(Broken.of(path, err))
                continue
            ids_of.setdefault(part.class_id, []).append(part.ids)
            parts.append(part)
        return parts

    def _open_part(self, path: Path) -> _Part:
        info, stored = self._files.read(path, ["candidate_id", "seed"])
        ids = stored["candidate_id"]
        return _Part(path, info, ids, stored["seed"], int(ids[0]) // CANDIDATES_PER_CLASS if len(ids) else -1)


def _check_alike(part: _Part, others: list[_Part], same_class: list[np.ndarray]) -> None:
    """A part of another bundle or of an older part size must not mix with the rest."""
    shapes = {name: part.info.shapes.get(name) for name in ("latent", "image")}
    if shapes["image"] is None:
        raise damaged(part.path, "it has no pictures")
    if others and shapes != (first := {name: others[0].info.shapes.get(name) for name in shapes}):
        raise damaged(part.path, f"its shapes are {shapes}, those of the other parts {first}")
    repeated = part.ids[np.isin(part.ids, concat(same_class, np.int64))]
    if len(repeated):
        raise damaged(part.path, f"it repeats candidates of another part, such as {int(repeated[0])}")


def concat(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    """Join 1-d arrays, of which there may be none."""
    return np.concatenate(arrays).astype(dtype) if arrays else np.zeros(0, dtype)


def frozen(array: np.ndarray) -> np.ndarray:
    """Mark an array that is shared as read-only."""
    array.setflags(write=False)
    return array


def some(ids: np.ndarray | Sequence[int], n: int = 5) -> str:
    """The first few numbers in words: "3, 4, 5 and 12 more"."""
    shown = ", ".join(str(int(i)) for i in ids[:n])
    return shown if len(ids) <= n else f"{shown} and {len(ids) - n} more"
