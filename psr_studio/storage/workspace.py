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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from psr_studio.core.disk import disk_error, sweep_temps, write_bytes
from psr_studio.core.errors import WorkspaceError
from psr_studio.core.place import Place
from psr_studio.recipe.errors import check_folder_name
from psr_studio.recipe.load import load_recipe
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml
from psr_studio.storage.changes import Change, recover
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.lock import FolderLock
from psr_studio.storage.names import class_files, class_folder, part_files, part_name, part_number, strays
from psr_studio.storage.parquet import read_info, write_part
from psr_studio.storage.pool import CANDIDATES_PER_CLASS, Pool
from psr_studio.storage.scores import Refined, Scores, check_finite, load_refined, load_scores

EXPORTS = "exports"
MARKS_OF_ONE = ("studio.sqlite", "recipe.toml", "pool")  # a folder with none of them is no workspace
State = Literal["fresh", "stale", "missing", "partial"]


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
    latents: np.ndarray  # (n, c, h, w) float32


@dataclass(frozen=True)
class ScorePart:
    """Teacher outputs of one pool part."""

    candidate_ids: np.ndarray  # (n,) int64
    logits: np.ndarray  # (n, C) float32, restricted to the task's classes
    embeddings: np.ndarray  # (n, D) float32


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
        root = Path(root).expanduser().absolute()
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
        write_bytes(self.root / "recipe.toml", to_toml(recipe).encode(), self.place)

    # Pool

    def pool_part_path(self, class_id: int, part: int) -> Path:
        """Where a part of the pool lies."""
        return self.root / "pool" / class_folder(class_id) / part_name(part)

    def has_part(self, class_id: int, part: int, inputs_hash: str | None = None) -> bool:
        """Whether a part can be read and, when a hash is given, was made from these inputs."""
        return _holds(self.pool_part_path(class_id, part), inputs_hash)

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
            "latent": columns.latents,
            "generator": [_settings_text(settings or {})] * n,
        }
        write_part(
            path,
            stored,
            inputs_hash=inputs_hash,
            settings=settings,
            class_names=class_names,
            place=self.place,
        )
        return path

    def discard_pool_parts(self, class_id: int, keep: int) -> int:
        """Remove the parts of a class numbered `keep` and up, left from a larger pool; returns how many."""
        extra = [path for path in self.pool_paths([class_id]) if (part_number(path.name) or 0) >= keep]
        for path in extra:
            path.unlink()
        return len(extra)

    def pool_paths(self, classes: Sequence[int] | None = None) -> list[Path]:
        """All parts of the pool on disk, by class, then part."""
        return part_files(self.root / "pool", classes)

    def pool(self) -> Pool:
        """The pool as it is on disk now; the same object as long as no file has changed."""
        paths = self.pool_paths()
        state = tuple((path, _stamp(path)) for path in paths)
        if self._pool is None or self._pool[0] != state:
            self._pool = (state, Pool(paths))
        return self._pool[1]

    # Scores

    def scores_part_path(self, teacher_id: str, class_id: int, part: int) -> Path:
        """Where the scores of a pool part lie."""
        return self.root / "scores" / _folder_of(teacher_id) / class_folder(class_id) / part_name(part)

    def has_scores_part(
        self, teacher_id: str, class_id: int, part: int, inputs_hash: str | None = None
    ) -> bool:
        """Whether scores of a part can be read and, when a hash is given, were made from these inputs."""
        return _holds(self.scores_part_path(teacher_id, class_id, part), inputs_hash)

    def write_scores_part(
        self, teacher_id: str, class_id: int, part: int, *, columns: ScorePart, inputs_hash: str
    ) -> Path:
        """Write the teacher's outputs for one pool part; WorkspaceError on values that are not finite."""
        check_finite(columns.candidate_ids, columns.logits, columns.embeddings)
        path = self.scores_part_path(teacher_id, class_id, part)
        stored = {
            "candidate_id": columns.candidate_ids,
            "logits": columns.logits,
            "embedding": columns.embeddings,
        }
        about = {"teacher": teacher_id}
        write_part(path, stored, inputs_hash=inputs_hash, settings=about, place=self.place)
        return path

    def scores(self, teacher_id: str, *, require_all: bool = True) -> Scores:
        """Scores in pool order; see `load_scores` for what is raised."""
        return load_scores(
            self.pool(), part_files(self.root / "scores" / _folder_of(teacher_id)), require_all
        )

    # Refined

    def refined_path(self, selection: str, class_id: int) -> Path:
        """Where the refined picks of a class lie."""
        check_folder_name("the selection", selection)
        return self.root / "refined" / selection / f"{class_folder(class_id)}.parquet"

    def has_refined(self, selection: str, class_id: int, inputs_hash: str | None = None) -> bool:
        """Whether refined picks can be read and, when a hash is given, were made from these inputs."""
        return _holds(self.refined_path(selection, class_id), inputs_hash)

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
        write_part(
            path,
            stored,
            inputs_hash=inputs_hash,
            settings=settings,
            class_names=class_names,
            place=self.place,
        )
        return path

    def refined(self, selection: str) -> Refined:
        """Refined picks of a selection, by class and in pick order; WorkspaceError when there are none."""
        return load_refined(self.refined_files(selection))

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
        if said := strays(expected, self.root):
            return StageStatus(found.state, f"{found.reason} {said}")
        return found

    def _compared(self, expected: Mapping[Path, str], what: str) -> StageStatus:
        states = [_state(path, wanted) for path, wanted in expected.items()]
        present = len(states) - states.count("missing")
        if not present:
            return StageStatus("missing", f"None of {len(states)} {what} is there.")
        if stale := states.count("stale"):
            return StageStatus("stale", f"{stale} of {present} {what} were made from other inputs.")
        if present < len(states):
            return StageStatus("partial", f"{present} of {len(states)} {what} are there.")
        return StageStatus("fresh", f"All {present} {what} are there.")


def _make_folder(root: Path, create: bool) -> None:
    if root.exists() and not root.is_dir():
        raise WorkspaceError(f'The workspace "{root}" is a file.', "Choose a folder.")
    if create and root.is_dir():
        return
    if not create and any((root / name).exists() for name in MARKS_OF_ONE):
        return
    if not create:
        raise WorkspaceError(
            f'There is no workspace "{root}".', "Check the path, or generate a pool there first."
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise disk_error(err, root) from err


def _holds(path: Path, inputs_hash: str | None) -> bool:
    """A damaged part counts as missing, so that running the step again mends it."""
    return _state(path, inputs_hash) == "fresh"


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes with a file; None where it has gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _state(path: Path, wanted: str | None) -> State:
    if not path.is_file():
        return "missing"
    try:
        found = read_info(path).inputs_hash
    except WorkspaceError:
        return "missing"
    return "fresh" if wanted in (None, found) else "stale"


def _folder_of(teacher_id: str) -> str:
    """A teacher's id as a folder name: "hf_hub:timm/x@ab12" becomes "hf_hub_timm_x@ab12"."""
    return re.sub(r"[^\w.@+-]", "_", teacher_id)


def _settings_text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={settings[key]}" for key in sorted(settings))
