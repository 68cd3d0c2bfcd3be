"""The Python face: one object over a workspace, a recipe and a bundle. The command line and the screen use it.

```python
from psr_studio import Studio

with Studio("runs/first", "fashion-mnist", ipc=10) as studio:
    for stage in (studio.generate, studio.score, studio.select, studio.refine, studio.evaluate, studio.export):
        for event in stage():
            print(f"{event.stage} {event.fraction:.0%} {event.message}")
    print(studio.selection("current").candidate_ids)
```
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.bundle import Bundle, load_bundle
from psr_studio.errors import RecipeError, did_you_mean
from psr_studio.progress import Progress
from psr_studio.recipe import SECTIONS, Recipe, check_value, keys, load_recipe
from psr_studio.records import SelectionRecord
from psr_studio.stages import evaluate, export, pool, refine, score, select
from psr_studio.stages.live import LiveSelection, resolve_weights
from psr_studio.workspace import Pool, Refined, Scores, StageStatus, Workspace

STAGES = ("pool", "score", "select", "refine", "evaluate", "export")
DEFAULT_PRESET = "fashion-mnist"
CURATE_KEYS = ("alpha", "beta", "gamma", "ipc", "temperature", "selector")
SLIDER_SECONDS = 1.0  # one drag of a slider is one undo


@dataclass(frozen=True)
class SelectionArrays:
    """A saved selection as plain arrays, class by class, in pick order inside a class; k picks in all."""

    name: str
    candidate_ids: np.ndarray  # (k,) int64
    positions: np.ndarray  # (k,) int64, places in the pool order
    labels: np.ndarray  # (k,) int64
    scores: np.ndarray  # (k,) float64
    terms: np.ndarray  # (k, 3) float64, weighted reliability, entropy (negative), diversity
    filled: np.ndarray  # (k,) bool, taken although not eligible
    soft_labels: np.ndarray  # (k, C) float32
    shortfall: dict[int, int]
    settings: dict[str, Any]

    def __len__(self) -> int:
        return len(self.candidate_ids)


class Studio:
    """A workspace opened for work; close it, or use it in a `with` block.

    Args:
        workspace: the folder; made when it is not there.
        preset: name of a shipped preset, path of a TOML file, or a Recipe. None takes the recipe that the
            workspace was last used with, or "fashion-mnist" in a new one.
        demo: fill a new workspace with the pre-generated pool of the bundle.
        overrides: settings by dotted key (`**{"select.ipc": 5}`) or by bare name where only one table has it
            (`ipc=5`).

    Raises:
        RecipeError, ModelError, WorkspaceError: the preset, the bundle or the folder.
    """

    def __init__(
        self, workspace: str | Path, preset: str | Path | Recipe | None = None, *, demo: bool = False,
        **overrides: Any,
    ) -> None:  # fmt: skip
        values = {full_key(key): value for key, value in overrides.items()}
        given = preset if preset is None or isinstance(preset, Recipe) else load_recipe(preset)
        root = Path(workspace).expanduser().absolute()
        is_new = _is_new(root)
        self.workspace = Workspace.open(root)
        try:
            saved = self.workspace.recipe if given is None else None
            self.recipe: Recipe = (given or saved or load_recipe(DEFAULT_PRESET)).with_values(values)
            self._bundle: tuple[str, Bundle] | None = None
            self._live: tuple[object, LiveSelection] | None = None
            self._lock = threading.RLock()
            if demo and is_new and self.bundle.demo is not None:
                copy_demo(self.bundle.demo, root)
            if given is not None or values or saved is None:
                self.workspace.save_recipe(self.recipe)
        except BaseException:
            self.workspace.close()
            raise

    def close(self) -> None:
        """Let the next process in; may be called twice."""
        self.workspace.close()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Settings

    @property
    def bundle(self) -> Bundle:
        """The bundle of the recipe; its networks are opened on first use and kept."""
        with self._lock:
            if self._bundle is None or self._bundle[0] != self.recipe.bundle:
                self._bundle = (self.recipe.bundle, load_bundle(self.recipe.bundle))
            return self._bundle[1]

    def set(self, values: Mapping[str, Any]) -> None:
        """Change settings, such as {"select.ipc": 5}, and save the recipe; RecipeError changes nothing."""
        changed = self.recipe.with_values({full_key(key): value for key, value in values.items()})
        if changed != self.recipe:
            self.recipe = changed
            self.workspace.save_recipe(changed)

    # Steps: each takes settings of its own table as keywords, keeps them in the recipe, and does what is missing

    def generate(self, **settings: Any) -> Iterator[Progress]:
        """Generate the missing parts of the pool."""
        return self._run("pool", pool.run, settings)

    def score(self, **settings: Any) -> Iterator[Progress]:
        """Score the candidates that have no scores of this teacher."""
        return self._run("score", score.run, settings)

    def select(self, **settings: Any) -> Iterator[Progress]:
        """Select and save under `select.name`."""
        return self._run("select", select.run, settings)

    def refine(self, **settings: Any) -> Iterator[Progress]:
        """Refine the latents of the selection `select.name`."""
        return self._run("refine", refine.run, settings)

    def evaluate(self, **settings: Any) -> Iterator[Progress]:
        """Train students on the selection and on its controls."""
        return self._run("evaluate", evaluate.run, settings)

    def export(self, **settings: Any) -> Iterator[Progress]:
        """Write the set out as a folder."""
        return self._run("export", export.run, settings)

    def _run(
        self, section: str, run: Callable[..., Iterator[Progress]], settings: Mapping[str, Any]
    ) -> Iterator[Progress]:
        """Check the settings now, work when the first event is asked for."""
        self.set({key if "." in key else f"{section}.{key}": value for key, value in settings.items()})
        return run(self.workspace, self.recipe, self.bundle)

    @property
    def runs(self) -> dict[str, Callable[..., Iterator[Progress]]]:
        """Stage to the function that starts it, for a job worker."""
        steps = (self.generate, self.score, self.select, self.refine, self.evaluate, self.export)
        return dict(zip(STAGES, steps, strict=True))

    def status(self) -> dict[str, StageStatus]:
        """Fresh, stale, partial or missing, by stage."""
        modules = (pool, score, select, refine, evaluate, export)
        return {
            stage: module.status(self.workspace, self.recipe, self.bundle)  # type: ignore[attr-defined]
            for stage, module in zip(STAGES, modules, strict=True)
        }

    # Results

    @property
    def pool(self) -> Pool:
        """Arrays `candidate_ids`, `labels`, `seeds`, `latents`, and pictures by `images(positions)`."""
        return self.workspace.pool()

    @property
    def scores(self) -> Scores:
        """Arrays `logits` (N, C) and `embeddings` (N, D) in pool order; WorkspaceError when some are missing."""
        score.require_fresh(self.workspace, self.recipe, self.bundle)
        return self.workspace.scores(self.bundle.teacher_id)

    def selection(self, name: str | None = None) -> SelectionArrays:
        """A saved selection, the recipe's when `name` is None; SelectionError when there is none."""
        record = select.require(self.workspace, name or self.recipe.select.name, self.bundle)
        return self._arrays(record)

    def refined(self, name: str | None = None) -> Refined:
        """Refined latents, pictures and loss traces of a selection; WorkspaceError when there are none."""
        return self.workspace.refined(name or self.recipe.select.name)

    def table(self) -> list[evaluate.Row]:
        """The results of the present recipe, a row per arm; arms without a trained student are left out."""
        return evaluate.table(self.workspace, self.recipe, self.bundle)

    def export_summary(self, **settings: Any) -> export.Summary:
        """What an export would write, without writing."""
        named = {f"export.{key}": value for key, value in settings.items()}
        return export.summary(self.workspace, self.recipe.with_values(named), self.bundle)

    # Curating

    @property
    def live(self) -> LiveSelection:
        """Selection without a save, for sliders; made anew when pool, scores or teacher change."""
        with self._lock:
            state = self._live_state()
            if self._live is None or self._live[0] != state:
                self._live = (state, LiveSelection(self.workspace, self.recipe, self.bundle))
            self._live[1].recipe = self.recipe
            return self._live[1]

    def curate_settings(self) -> dict[str, Any]:
        """Weights, images per class, temperature and selector as the sliders stand; weights are resolved."""
        chosen = self._curated().select
        return {**{key: getattr(chosen, key) for key in CURATE_KEYS}, **resolve_weights(chosen)._asdict()}

    def set_curate_settings(self, merge_within: float = SLIDER_SECONDS, **settings: Any) -> str | None:
        """Move sliders, as one undoable action; a weight of None follows the preset of the budget.

        Returns:
            What changed in words, or None when nothing did.
        """
        for key, value in settings.items():
            if key not in CURATE_KEYS:
                raise RecipeError(f'"{key}" has no slider.', f"Set one of {', '.join(CURATE_KEYS)}.", key)
            check_value(f"select.{key}", value)
        return self.workspace.ledger.set_settings(settings, merge_within=merge_within)

    def mark(self, candidate_ids: list[int], mark: str | None, reason: str = "") -> str | None:
        """Pin, veto or clear (None) candidates; returns what was done, None when nothing changed."""
        return self.workspace.ledger.set_marks(candidate_ids, mark, reason)  # type: ignore[arg-type]

    def undo(self) -> str | None:
        """Take back the last mark or slider move; returns what it was."""
        return self.workspace.ledger.undo()

    def redo(self) -> str | None:
        """Do it again; returns what it was."""
        return self.workspace.ledger.redo()

    def save_selection(self, name: str = "current") -> SelectionArrays:
        """Select as the sliders stand and save it under a name; the recipe takes their settings over."""
        chosen = self._curated().select
        values = {f"select.{key}": getattr(chosen, key) for key in CURATE_KEYS}
        self.set({**values, "select.name": name})
        for _ in select.run(self.workspace, self.recipe, self.bundle, live=self.live):
            pass
        return self.selection(name)

    # Inside

    def _curated(self) -> Recipe:
        """The recipe with the slider settings of the ledger over it."""
        moved = {f"select.{k}": v for k, v in self.workspace.ledger.settings().items() if k in CURATE_KEYS}
        if "select.ipc" in moved:  # the recipe's pool size says nothing about the pool on disk
            moved["pool.pool_size"] = max(self.recipe.pool.pool_size, moved["select.ipc"])
        return self.recipe.with_values(moved)

    def _live_state(self) -> object:
        """Changes whenever a file of the pool or of its scores does."""
        found = self.workspace.pool()
        teacher = self.bundle.teacher_id
        paths = [self.workspace.scores_part_path(teacher, p.class_id, p.part) for p in found.parts()]
        stats = [path.stat() if path.is_file() else None for path in paths]
        return id(found), teacher, tuple((s.st_mtime_ns, s.st_size) if s else None for s in stats)

    def _arrays(self, record: SelectionRecord) -> SelectionArrays:
        classes = sorted(record.picks)
        positions = self.pool.positions(record.candidate_ids)
        flat = {
            name: [value for c in classes for value in getattr(record, name)[c]]
            for name in ("scores", "terms", "filled")
        }
        logits = self.scores.logits[positions]
        return SelectionArrays(
            name=record.name,
            candidate_ids=np.array(record.candidate_ids, np.int64),
            positions=positions,
            labels=self.pool.labels[positions],
            scores=np.array(flat["scores"], np.float64),
            terms=np.array(flat["terms"], np.float64).reshape(-1, 3),
            filled=np.array(flat["filled"], bool),
            soft_labels=select.soften(logits, record.settings["temperature"]),
            shortfall=dict(record.shortfall),
            settings={k: v for k, v in record.settings.items() if k != select.POOL_HASH},
        )


def full_key(name: str) -> str:
    """The dotted key of a setting given by its bare name; RecipeError when several tables have it, or none."""
    if "." in name or name in keys():
        return name
    found = [key for key in keys() if key.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise RecipeError(f'"{name}" is in several tables.', f"Write one of {', '.join(found)}.", name)
    bare = sorted({key.rpartition(".")[2] for key in keys()})
    raise RecipeError(
        f'unknown key "{name}". Tables: {", ".join(SECTIONS)}.',
        did_you_mean(name, bare) + "`psr-studio presets --keys` lists all keys.",
        name,
    )


def copy_demo(demo: Path, root: Path) -> None:
    """Copy the pre-generated pool into a new workspace, each file whole or not at all."""

    def copy_whole(source: str, target: str) -> str:
        temp = Path(target).with_name(f".tmp-{os.getpid()}-demo-{Path(target).name}")
        shutil.copyfile(source, temp)
        os.replace(temp, target)
        return target

    shutil.copytree(demo, root, dirs_exist_ok=True, copy_function=copy_whole)


def _is_new(root: Path) -> bool:
    return not any((root / name).exists() for name in ("pool", "recipe.toml", "studio.sqlite"))

