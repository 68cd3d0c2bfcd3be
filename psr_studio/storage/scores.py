"""Teacher scores and refined latents as plain arrays.

Shapes: N candidates in pool order, C classes: logits (N, C) and embeddings (N, D) float32. A refined set of n
pictures: latents (n, c, h, w) float32, images uint8 (n, H, W, C), traces (n, L) float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from psr_studio.core.errors import DiskError, WorkspaceError
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS
from psr_studio.storage.parquet import damaged
from psr_studio.storage.parts import Reader
from psr_studio.storage.png import decode_png
from psr_studio.storage.pool import Broken, Pool, concat, frozen, some

BEYOND = "beyond_task"  # the column of `signals.beyond_task`


@dataclass(frozen=True)
class Scores:
    """Teacher outputs in pool order; rows that are not `scored` (with `require_all=False`) are NaN."""

    candidate_ids: np.ndarray  # (N,) int64
    logits: np.ndarray  # (N, C) float32: of the soft labels that the pictures came with, else the teacher's
    embeddings: np.ndarray  # (N, D) float32
    scored: np.ndarray  # (N,) bool
    teacher_logits: np.ndarray  # (N, C) float32
    beyond: np.ndarray | None = None  # (N, 2) float32, `signals.beyond_task`; None where not asked for
    broken: list[Broken] = field(default_factory=list)

    def logits_at(self, positions: np.ndarray) -> np.ndarray:
        """Logits (n, C) of some positions; WorkspaceError when one of them has none."""
        if not self.scored[positions].all():
            raise _unscored(self.candidate_ids[positions], self.scored[positions], self.broken)
        return self.logits[positions]


@dataclass(frozen=True)
class Refined:
    """Refined latents of a selection: by class, in pick order inside a class."""

    candidate_ids: np.ndarray  # (n,) int64
    labels: np.ndarray  # (n,) int64
    latents: np.ndarray  # (n, c, h, w) float32
    images: np.ndarray  # (n, H, W, C) uint8
    traces: np.ndarray  # (n, L) float32, the loss at each step
    inputs_hashes: dict[int, str]  # by class
    broken: list[Broken] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.candidate_ids)

    def images_of(self, candidate_ids: Sequence[int]) -> np.ndarray:
        """Refined pictures uint8 (n, H, W, C) of some candidates; WorkspaceError when one of them has none."""
        place = {int(cid): row for row, cid in enumerate(self.candidate_ids)}
        if missing := [cid for cid in candidate_ids if cid not in place]:
            why = f" {self.broken[0].reason}" if self.broken else ""
            raise WorkspaceError(
                f"{len(missing)} of {len(candidate_ids)} candidates are not refined, such as {some(missing, 3)}.{why}",
                "Run the refine step: it refines only what is missing.",
            )
        return self.images[[place[cid] for cid in candidate_ids]]


def load_scores(
    pool: Pool, paths: Sequence[Path], files: Reader, require_all: bool = True, beyond: bool = False
) -> Scores:
    """Read score parts and put them in pool order; rows of candidates that left the pool are dropped.

    Args:
        beyond: read what lies beyond the task too, which every file must have then.

    Raises:
        WorkspaceError: a candidate has no scores (with the damaged file, if that is why).
    """
    names = ["candidate_id", "logits", "embedding", *([BEYOND] if beyond else [])]
    stored, broken = _read_all(paths, names, files)
    rows = _rows(pool, stored)
    scored = rows >= 0
    if require_all and not scored.all():
        raise _unscored(pool.candidate_ids, scored, broken)
    teacher = frozen(_aligned([s["logits"] for s in stored], rows))
    logits = frozen(_own_logits(pool, scored)) if pool.has_own_logits else teacher
    embeddings = _aligned([s["embedding"] for s in stored], rows)
    found = frozen(_aligned([s[BEYOND] for s in stored], rows)) if beyond else None
    return Scores(pool.candidate_ids, logits, frozen(embeddings), frozen(scored), teacher, found, broken)


def load_teacher_logits(pool: Pool, paths: Sequence[Path], files: Reader) -> np.ndarray:
    """The teacher's logits (N, C) alone, in pool order, without the memory that embeddings take.

    Raises:
        WorkspaceError: as `load_scores`.
    """
    stored, broken = _read_all(paths, ["candidate_id", "logits"], files)
    rows = _rows(pool, stored)
    if (rows < 0).any():
        raise _unscored(pool.candidate_ids, rows >= 0, broken)
    return frozen(_aligned([s["logits"] for s in stored], rows))


def _rows(pool: Pool, stored: Sequence[dict]) -> np.ndarray:
    """The row of each candidate in the stacked parts, the last where there are several; -1 where there is none."""
    ids = concat([s["candidate_id"] for s in stored], np.int64)
    last = {int(cid): row for row, cid in enumerate(ids)}
    return np.array([last.get(int(cid), -1) for cid in pool.candidate_ids], np.int64)


def _own_logits(pool: Pool, scored: np.ndarray) -> np.ndarray:
    """Logits (N, C) of the soft labels that the pictures came with; NaN where a candidate is not scored."""
    found = pool.own_logits_at(np.arange(len(pool)))
    found[~scored] = np.nan
    return found


def check_finite(candidate_ids: np.ndarray, *outputs: np.ndarray | None) -> None:
    """Raise WorkspaceError naming the candidates whose teacher outputs, (n, ...) each, hold NaN or infinity."""
    wrong = np.zeros(len(candidate_ids), bool)
    for values in outputs:
        wrong |= False if values is None else ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise WorkspaceError(
            f"The teacher's outputs of {int(wrong.sum())} candidates are not finite numbers: "
            f"{some(candidate_ids[wrong])}.",
            "Run the score step again; if it stays, generate them again or check the teacher's weights.",
        )


def load_refined(paths: Mapping[int, Path], files: Reader) -> Refined:
    """Read refined classes (class to file); damaged files are named in `broken`, the others are used.

    Raises:
        WorkspaceError: no file can be read.
    """
    names = ["candidate_id", "latent", "image", "trace"]
    kept: list[dict] = []
    hashes: dict[int, str] = {}
    broken: list[Broken] = []
    for class_id, path in sorted(paths.items()):
        try:
            info, stored = files.read(path, names)
            stored["image"] = _decode_all(path, stored, files)
            _check_alike(path, stored, kept)
            hashes[class_id] = info.inputs_hash
        except DiskError:  # it says nothing about the file
            raise
        except WorkspaceError as err:
            broken.append(Broken.of(path, err))
            continue
        kept.append(stored)
    if not kept:
        reasons = "".join(f" {b.reason}" for b in broken[:1])
        raise WorkspaceError(f"There are no refined latents.{reasons}", "Run the refine step.")
    ids, latents, images = (np.concatenate([s[name] for s in kept]) for name in names[:3])
    traces = _padded([s["trace"] for s in kept])
    return Refined(ids, ids // CANDIDATES_PER_CLASS, latents, images, traces, hashes, broken)


def _decode_all(path: Path, stored: dict, files: Reader) -> np.ndarray:
    try:
        return np.stack([decode_png(data) for data in stored["image"]])
    except ValueError as err:
        said = damaged(path, f"a picture in it cannot be read ({err})")
        files.note_damage(said)
        raise said from err


def _check_alike(path: Path, stored: dict, others: list[dict]) -> None:
    for name in ("latent", "image"):
        found = stored[name].shape[1:]
        if others and found != others[0][name].shape[1:]:
            raise damaged(
                path, f"its {name} has shape {found}, that of other classes {others[0][name].shape[1:]}"
            )


def _padded(traces: list[np.ndarray]) -> np.ndarray:
    """Stack loss traces; classes refined with fewer steps end in NaN."""
    out = np.full((sum(map(len, traces)), max(t.shape[1] for t in traces)), np.nan, np.float32)
    start = 0
    for trace in traces:
        out[start : start + len(trace), : trace.shape[1]] = trace
        start += len(trace)
    return out


def _read_all(paths: Sequence[Path], names: Sequence[str], files: Reader) -> tuple[list[dict], list[Broken]]:
    stored, broken = [], []
    for path in paths:
        try:
            stored.append(files.read(path, names)[1])
        except DiskError:  # it says nothing about the file
            raise
        except WorkspaceError as err:
            broken.append(Broken.of(path, err))
    return stored, broken


def _unscored(candidate_ids: np.ndarray, scored: np.ndarray, broken: list[Broken]) -> WorkspaceError:
    why = f" {broken[0].reason}" if broken else ""
    return WorkspaceError(
        f"{int((~scored).sum())} of {len(candidate_ids)} candidates have no teacher scores, "
        f"such as {some(candidate_ids[~scored], 3)}.{why}",
        "Run the score step: it scores only what is missing.",
    )


def _aligned(blocks: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Rows of the stacked blocks; row -1 is NaN."""
    if not blocks:
        return np.full((len(rows), 0), np.nan, np.float32)
    stacked = np.concatenate(blocks)
    if np.array_equal(rows, np.arange(len(stacked))):  # written in pool order: a copy would double the memory
        return stacked
    out = np.full((len(rows), stacked.shape[1]), np.nan, np.float32)
    out[rows >= 0] = stacked[rows[rows >= 0]]
    return out
