"""The folder on disk: whole parts, one writer, and what is fresh, stale or missing.

```
<root>/studio.sqlite    recipe.toml    pool/class=<c>/part-<n>.parquet    exports/<name>/
       scores/<teacher>/class=<c>/part-<n>.parquet    refined/<selection>/class=<c>.parquet
```

Parts are replaced whole (`core.disk`), so a part that exists is whole and a step resumes at the first
missing one. What changes files and the ledger together is one commit (`storage.changes`). A file counts by its
exact name only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from psr_studio.core.disk import writing
from psr_studio.core.errors import WorkspaceError
from psr_studio.core.files import absolute_path, sweep_temps, write_bytes
from psr_studio.core.place import Place
from psr_studio.recipe.errors import check_folder_name
from psr_studio.recipe.load import load_recipe
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS
from psr_studio.storage.changes import Change, recover
from psr_studio.storage.database import DO_AGAIN
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.lock import OPEN_AGAIN, FolderLock
from psr_studio.storage.names import (
    class_files,
    class_folder,
    class_number,
    part_files,
    part_name,
    part_number,
    strays,
)
from psr_studio.storage.parquet import write_part
from psr_studio.storage.parts import Parts, stamp
from psr_studio.storage.pool import OWN_LOGITS, Pool
from psr_studio.storage.rescue import is_whole, set_aside, take_over
from psr_studio.storage.scores import (
    BEYOND,
    Refined,
    Scores,
    check_finite,
    load_refined,
    load_scores,
    load_teacher_logits,
)

EXPORTS = "exports"
MARKS_OF_ONE = ("studio.sqlite", "recipe.toml", "pool")  # a folder with none of them is no workspace
State = Literal["fresh", "stale", "missing", "partial", "off"]


@dataclass(frozen=True)
class StageStatus:
    """Whether the results of a stage are there and made from the present inputs; `reason` is one sentence."""

    state: State
    reason: str


@dataclass(frozen=True)
class PoolPart:
    """Candidates of one class to be written."""

    candidate_ids: np.ndarray  # (n,) int64, from `candidate_id`
    seeds: np.ndarray  # (n,) int64, one per candidate
    images: np.ndarray  # (n, H, W, C) uint8
    latents: np.ndarray | None = None  # (n, c, h, w) float32; None of pictures that no codec has encoded
    targets: np.ndarray | None = None  # (n,) int64, which target of its class each was steered to
    intervals: np.ndarray | None = None  # (n,) int64, the interval of difficulty of that target, -1 for none
    own_logits: np.ndarray | None = None  # (n, C) float32, of soft labels that came with imported pictures
    parents: np.ndarray | None = None  # (n,) int64, the candidates that these are variations of
    origins: list[str] | None = None  # (n,) which crops of which real images each was made of


@dataclass(frozen=True)
class ScorePart:
    """Teacher outputs of one pool part."""

    candidate_ids: np.ndarray  # (n,) int64
    logits: np.ndarray  # (n, C) float32, restricted to the task's classes
    embeddings: np.ndarray  # (n, D) float32
    beyond: np.ndarray | None = None  # (n, 2) float32, `signals.beyond_task` of a teacher that knows more


@dataclass(frozen=True)
class RefinedPart:
    """Refined picks of one class, in pick order."""

    candidate_ids: np.ndarray  # (n,) int64
    latents: np.ndarray  # (n, c, h, w) float32
    images: np.ndarray  # (n, H, W, C) uint8
    traces: np.ndarray  # (n, L) float32, the loss at each step


class Workspace:
    """One workspace folder; use `Workspace.open`, and close it or use it in a `with` block."""

    def __init__(self, root: Path, ledger: Ledger, lock: FolderLock | None) -> None:
        self.root = root
        self.ledger = ledger
        self.place = ledger.place or Place(root)
        self.parts = Parts(root, ledger)
        self._lock = lock
        self._pool: tuple[tuple, Pool] | None = None

    @classmethod
    def open(cls, root: str | Path, *, create: bool = True, lock: bool = True) -> Workspace:
        """Open a folder as a workspace, and make it when `create`.

        With `lock` this process becomes its only writer, and what a killed one left is finished or taken back;
        workers that write parts for it pass False.

        Raises:
            WorkspaceError: the folder is missing, read-only, of a newer format version, or open elsewhere; without
                `create` also one that holds nothing of a workspace.
        """
        root = absolute_path(root)
        _make_folder(root, create)
        held = FolderLock(root) if lock else None
        try:
            if held:
                sweep_temps(root)
            ledger = Ledger(root / "studio.sqlite", exclusive=lock)
            try:
                if held:
                    recover(root, [root, root / EXPORTS], ledger)
                return cls(root, ledger, held)
            except BaseException:
                ledger.close()
                raise
        except BaseException:
            if held:
                held.release()
            raise

    def close(self) -> None:
        """Close the ledger and let the next process in; may be called twice."""
        self.ledger.close()
        self._pool = None
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Changes

    def change(self, folder: Path | None = None) -> Change:
        """A change of files in the workspace, or in a folder of it, together with the ledger.

        Raises:
            WorkspaceError: the workspace is no longer where it was opened. OSError: the disk.
        """
        self.place.check()
        return Change(self.root, folder or self.root, self.ledger)

    def beside(self, change: Change) -> Workspace:
        """The same workspace, written to where a change makes what is new."""
        return Workspace(change.new, self.ledger, None)

    # Recipe

    @property
    def recipe(self) -> Recipe | None:
        """The recipe saved here, None before the first `save_recipe`; RecipeError names file and line."""
        path = self.root / "recipe.toml"
        return load_recipe(path) if path.is_file() else None

    def save_recipe(self, recipe: Recipe) -> None:
        """Write the resolved recipe."""
        write_bytes(self.root / "recipe.toml", to_toml(recipe).encode(), self.place, DO_AGAIN)

    # Pool

    def pool_part_path(self, class_id: int, part: int) -> Path:
        """Where a part of the pool lies."""
        return self.root / "pool" / class_folder(class_id) / part_name(part)

    def has_part(self, class_id: int, part: int, inputs_hash: str | None = None) -> bool:
        """Whether a part is whole and, when a hash is given, was made from these inputs."""
        return self._holds(self.pool_part_path(class_id, part), inputs_hash)

    def write_pool_part(
        self,
        class_id: int,
        part: int,
        *,
        columns: PoolPart,
        inputs_hash: str,
        settings: Mapping[str, Any] | None = None,
        class_names: Sequence[str] = (),
    ) -> Path:
        """Write candidates of one class; `settings` are the generator's."""
        n = len(columns.candidate_ids)
        wrong = columns.candidate_ids // CANDIDATES_PER_CLASS != class_id
        assert not wrong.any(), f"candidates {columns.candidate_ids[wrong][:3]} are not of class {class_id}"
        path = self.pool_part_path(class_id, part)
        stored: dict[str, np.ndarray | list[str]] = {
            "candidate_id": columns.candidate_ids,
            "class": np.full(n, class_id, np.int64),
            "seed": columns.seeds,
            "image": columns.images,
            **({} if columns.latents is None else {"latent": columns.latents}),
            **({} if columns.own_logits is None else {OWN_LOGITS: columns.own_logits}),
            "generator": [_settings_text(settings or {})] * n,
        }
        if columns.targets is not None and columns.intervals is not None:
            stored |= {"target": columns.targets, "interval": columns.intervals}
        if columns.parents is not None:
            stored["parent"] = columns.parents
        if columns.origins is not None:
            stored["origin"] = columns.origins
        self._write(path, stored, inputs_hash, settings, class_names)
        return path

    def discard_pool_parts(self, class_id: int, keep: Collection[int]) -> int:
        """Remove the parts of a class but for these numbers, left from a larger pool; returns how many."""
        extra = [path for path in self.pool_paths([class_id]) if part_number(path.name) not in keep]
        for path in extra:
            discard(path)
        return len(extra)

    def pool_paths(self, classes: Sequence[int] | None = None) -> list[Path]:
        """All parts of the pool on disk, by class, then part."""
        return part_files(self.root / "pool", classes)

    def pool(self) -> Pool:
        """The pool as it is on disk now; the same object as long as no file has changed."""
        paths = self.pool_paths()
        state = tuple((path, stamp(path)) for path in paths)
        if self._pool is None or self._pool[0] != state:
            self._pool = (state, Pool(paths, self.parts))
        return self._pool[1]

    def pool_of(self, paths: Sequence[Path]) -> Pool:
        """Some parts of the pool, as if there were no other."""
        return Pool(paths, self.parts)

    # Latents of pictures that came without

    def latents_part_path(self, codec_id: str, class_id: int, part: int) -> Path:
        """Where what a codec made of the pictures of a pool part lies."""
        return self.root / "latents" / _folder_of(codec_id) / class_folder(class_id) / part_name(part)

    def write_latents_part(
        self, codec_id: str, class_id: int, part: int, *, candidate_ids: np.ndarray, latents: np.ndarray,
        inputs_hash: str,
    ) -> Path:  # fmt: skip
        """Write the latents, float32 (n, c, h, w), of one pool part."""
        path = self.latents_part_path(codec_id, class_id, part)
        stored = {"candidate_id": candidate_ids, "latent": latents}
        self._write(path, stored, inputs_hash, {"codec": codec_id})
        return path

    # Targets of guided candidates

    def write_targets(
        self, path: Path, columns: Mapping[str, np.ndarray], inputs_hash: str, settings: Mapping[str, Any]
    ) -> None:
        """Write where the candidates of a guided pool are steered."""
        self._write(path, columns, inputs_hash, settings)

    def discard_targets(self, path: Path) -> None:
        """Remove targets that nothing needs any more."""
        discard(path)

    # Scores

    def scores_part_path(self, teacher_id: str, class_id: int, part: int) -> Path:
        """Where the scores of a pool part lie."""
        return self.root / "scores" / _folder_of(teacher_id) / class_folder(class_id) / part_name(part)

    def write_scores_part(
        self, teacher_id: str, class_id: int, part: int, *, columns: ScorePart, inputs_hash: str
    ) -> Path:
        """Write the teacher's outputs for one pool part; WorkspaceError on values that are not finite."""
        check_finite(columns.candidate_ids, columns.logits, columns.embeddings, columns.beyond)
        path = self.scores_part_path(teacher_id, class_id, part)
        stored = {
            "candidate_id": columns.candidate_ids,
            "logits": columns.logits,
            "embedding": columns.embeddings,
            **({} if columns.beyond is None else {BEYOND: columns.beyond}),
        }
        self._write(path, stored, inputs_hash, {"teacher": teacher_id})
        return path

    def scores(
        self, teacher_id: str, *, require_all: bool = True, pool: Pool | None = None, beyond: bool = False
    ) -> Scores:
        """Scores in the order of a pool, the one on disk by default; see `load_scores` for what is raised."""
        return load_scores(
            self.pool() if pool is None else pool,
            part_files(self.root / "scores" / _folder_of(teacher_id)),
            self.parts,
            require_all,
            beyond,
        )

    def teacher_logits(self, teacher_id: str, pool: Pool) -> np.ndarray:
        """The teacher's logits (N, C) in the order of a pool, without its embeddings; errors as `scores`."""
        files = part_files(self.root / "scores" / _folder_of(teacher_id))
        return load_teacher_logits(pool, files, self.parts)

    # Refined

    def refined_path(self, selection: str, class_id: int) -> Path:
        """Where the refined picks of a class lie."""
        check_folder_name("the selection", selection)
        return self.root / "refined" / selection / f"{class_folder(class_id)}.parquet"

    def write_refined(
        self,
        selection: str,
        class_id: int,
        *,
        columns: RefinedPart,
        inputs_hash: str,
        settings: Mapping[str, Any] | None = None,
        class_names: Sequence[str] = (),
    ) -> Path:
        """Write the refined picks of one class."""
        path = self.refined_path(selection, class_id)
        stored = {
            "candidate_id": columns.candidate_ids,
            "class": np.full(len(columns.candidate_ids), class_id, np.int64),
            "image": columns.images,
            "latent": columns.latents,
            "trace": columns.traces,
        }
        self._write(path, stored, inputs_hash, settings, class_names)
        return path

    def refined(self, selection: str) -> Refined:
        """Refined picks of a selection, by class and in pick order; WorkspaceError when there are none."""
        return load_refined(self.refined_files(selection), self.parts)

    def refined_files(self, selection: str) -> dict[int, Path]:
        """The files of the refined picks of a selection, by class; {} when there are none."""
        return class_files(self.refined_path(selection, 0).parent)

    def export_path(self, name: str) -> Path:
        """Where an export of that name goes."""
        check_folder_name("the export", name)
        return self.root / EXPORTS / name

    # Status

    def compare(self, expected: Mapping[Path, str], what: str) -> StageStatus:
        """Compare files on disk with the inputs hash each should have been made from.

        Args:
            expected: every file of the stage and its hash; what lies among them under a name that is none is said.
            what: the unit in words, such as "parts".
        """
        found = self._compared(expected, what)
        if said := strays(expected, self.root, lambda path: self._holds(path, None)):
            return StageStatus(found.state, f"{found.reason} {said}")
        return found

    def _compared(self, expected: Mapping[Path, str], what: str) -> StageStatus:
        found = self.parts.look(expected)
        damaged = {path: seen.problem for path, seen in found.items() if seen is not None and seen.problem}
        words = f" Damaged: {_named(list(damaged))} ({next(iter(damaged.values()))})." if damaged else ""
        present = {path: seen for path, seen in found.items() if seen is not None and not seen.problem}
        if not present and not damaged:
            return StageStatus("missing", f"None of {len(found)} {what} is there.")
        if stale := sum(seen.inputs_hash != expected[path] for path, seen in present.items()):
            return StageStatus(
                "stale", f"{stale} of {len(present)} {what} were made from other inputs.{words}"
            )
        if len(present) < len(found):
            return StageStatus("partial", f"{len(present)} of {len(found)} {what} are there.{words}")
        return StageStatus("fresh", f"All {len(present)} {what} are there.")

    def lacking(self, expected: Mapping[Path, str | None]) -> set[Path]:
        """The files that are missing, damaged or made from other inputs than their hash says; None: from any."""
        return {
            path
            for path, seen in self.parts.look(expected).items()
            if seen is None or seen.problem or expected[path] not in (None, seen.inputs_hash)
        }

    def _holds(self, path: Path, inputs_hash: str | None) -> bool:
        return not self.lacking({path: inputs_hash})

    def _write(
        self,
        path: Path,
        columns: Mapping[str, Any],
        inputs_hash: str,
        settings: Mapping[str, Any] | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        info = write_part(
            path,
            columns,
            inputs_hash=inputs_hash,
            settings=settings,
            class_names=class_names,
            place=self.place,
        )
        self.parts.note_whole(path, info)


def rescue_ledger(root: str | Path) -> tuple[Path, dict[str, int]]:
    """Replace the ledger of a workspace by a new one with every row that can be read.

    Returns:
        Where the replaced file is kept, and how many rows of each table were taken over.

    Raises:
        WorkspaceError: there is no ledger, it is whole or of a newer version, the workspace is open elsewhere, or the
            disk refuses.
    """
    root = absolute_path(root)
    path = root / "studio.sqlite"
    if not path.is_file():
        raise WorkspaceError(f'There is no ledger "{path}".', "Name the folder of a workspace.")
    held = FolderLock(root)
    try:
        if is_whole(path):
            raise WorkspaceError(f'The ledger "{path}" is whole.', "Leave it as it is. Nothing was changed.")
        kept = set_aside(path)
        with closing(Ledger(path)) as ledger:
            return kept, take_over(kept, ledger)
    finally:
        held.release()


def is_one(root: Path) -> bool:
    """Whether a folder holds something of a workspace."""
    return any((root / name).exists() for name in MARKS_OF_ONE)


def _make_folder(root: Path, create: bool) -> None:
    if root.exists() and not root.is_dir():
        raise WorkspaceError(f'The workspace "{root}" is a file.', "Choose a folder.")
    if create and root.is_dir():
        return
    if not create and is_one(root):
        return
    if not create:
        raise WorkspaceError(
            f'There is no workspace "{root}".', "Check the path, or generate a pool there first."
        )
    with writing(root, again=OPEN_AGAIN):
        root.mkdir(parents=True, exist_ok=True)


def discard(path: Path) -> None:
    """Remove a file that nothing needs any more; DiskError when that is refused."""
    with writing(path):
        path.unlink(missing_ok=True)


def _named(paths: Sequence[Path]) -> str:
    """Parts in words: "part 3 of class 2 and 4 more"."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    part = part_number(paths[0].name)
    if part is not None:
        return f"part {part} of class {class_number(paths[0].parent.name)}{more}"
    return f"class {class_number(paths[0].stem)}{more}"


def _folder_of(teacher_id: str) -> str:
    """A teacher's id as a folder name: "hf_hub:timm/x@ab12" becomes "hf_hub_timm_x@ab12"."""
    return re.sub(r"[^\w.@+-]", "_", teacher_id)


def _settings_text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={settings[key]}" for key in sorted(settings))
