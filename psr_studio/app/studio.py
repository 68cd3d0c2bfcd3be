"""The Python face: one object over a workspace, a recipe and a bundle; command line and screen use it.

```python
from psr_studio import Studio

with Studio("runs/first", "fashion-mnist", ipc=10) as studio:
    for run in studio.runs.values():
        for event in run():
            print(f"{event.stage} {event.fraction:.0%} {event.message}")
    print(studio.selection("current").candidate_ids)
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.app.curation import Curating
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages import generate as pool
from psr_studio.stages import score
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.evaluate.stage import Row
from psr_studio.stages.export import stage as export
from psr_studio.stages.export.stage import Summary
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.labels import soften_task
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.select import stage as select
from psr_studio.stages.tune import correlation
from psr_studio.stages.tune import stage as tune
from psr_studio.storage.pool import Pool
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.scores import Refined, Scores
from psr_studio.storage.trials import TrialRecord
from psr_studio.storage.workspace import StageStatus

if TYPE_CHECKING:
    from psr_studio.stages.cost import Cost

STAGES = ("pool", "score", "select", "refine", "evaluate", "export")


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
    soft_labels: np.ndarray  # (k, C) float32, 0 for classes that the selection does not hold
    shortfall: dict[int, int]
    settings: dict[str, Any]

    def __len__(self) -> int:
        return len(self.candidate_ids)

    @property
    def indices(self) -> np.ndarray:
        """(k,) int64: `positions` under the name that `Selection` gives its picks."""
        return self.positions


class Studio(Curating):
    """A workspace opened for work; close it, or use it in a `with` block.

    Args:
        workspace: the folder; made when it is not there.
        preset: name of a shipped preset, path of a TOML file, or a Recipe. None takes the recipe that the
            workspace was last used with, or "fashion-mnist" in a new one.
        demo: fill a new workspace with the pre-generated pool of the bundle.
        replace_recipe: take the preset although steps would make anew what the workspace holds.
        workers: generate, score and refine by so many processes on this machine, one per GPU.
        ray: or by the Ray cluster at this address ("auto", "local").
        overrides: settings by dotted key (`**{"select.ipc": 5}`) or by bare name where only one table has it
            (`ipc=5`).

    Raises:
        RecipeError, ModelError, WorkspaceError: the preset, the bundle or the folder.
    """

    # Steps: each takes settings of its own table as keywords, keeps them in the recipe, does what is missing

    def generate(self, *, only: Sequence[int] | None = None, **settings: Any) -> Iterator[Progress]:
        """Generate the missing parts of the pool; with `only`, those of some classes."""
        return self._run("pool", self._shared(pool, only=only), settings)

    def score(self, **settings: Any) -> Iterator[Progress]:
        """Score the candidates that have no scores of this teacher."""
        return self._run("score", self._shared(score), settings)

    def select(self, **settings: Any) -> Iterator[Progress]:
        """Select and save under `select.name`."""
        return self._run("select", select.run, settings)

    def tune(self, *, sliders: bool = False, **settings: Any) -> Iterator[Progress]:
        """Search selector and weights by a proxy; budget and other rules are the recipe's, or the sliders'."""
        self.set({key if "." in key else f"tune.{key}": value for key, value in settings.items()})
        return tune.run(self.workspace, self._curated() if sliders else self.recipe, self.bundle)

    def refine(self, **settings: Any) -> Iterator[Progress]:
        """Refine the latents of the selection `select.name`."""
        return self._run("refine", self._shared(refine), settings)

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

    def _shared(self, stage: ModuleType, **options: Any) -> Callable[..., Iterator[Progress]]:
        """A step as this process does it, or as its workers do."""
        if self.staff is None:
            return partial(stage.run, **options)
        from psr_studio.workers import driver

        return partial(driver.run, self.staff, stage, **options)

    @property
    def runs(self) -> dict[str, Callable[..., Iterator[Progress]]]:
        """Stage to the function that starts it, for a job worker; tuning is one that a pipeline can leave out."""
        steps = (self.generate, self.score, self.select, self.refine, self.evaluate, self.export)
        return {**dict(zip(STAGES, steps, strict=True)), tune.STAGE: self.tune}

    def estimate(self, stage: str) -> Cost:
        """What a step would cost with this recipe, all but "select" and "export"; opens the networks, measures.

        Raises:
            ValueError: another stage.
        """
        modules = (pool, score, refine, evaluate, tune)
        known = {module.STAGE: module.cost for module in modules}
        if stage not in known:
            raise ValueError(f'A cost is known for {", ".join(known)}, not for "{stage}".')
        return known[stage](self.workspace, self.recipe, self.bundle)

    def status(self) -> dict[str, StageStatus]:
        """Fresh, stale, partial or missing, by stage."""
        modules = (pool, score, select, refine, evaluate, export)
        return {
            stage: module.status(self.workspace, self.recipe, self.bundle)  # type: ignore[attr-defined]
            for stage, module in zip(STAGES, modules, strict=True)
        }

    # Around the pipeline

    def import_pool(self, path: str | Path, **options: Any) -> Iterator[Progress]:
        """Make pictures from elsewhere the pool, whole or not at all; `options` as `stages.importing.Options`."""
        yield from importing.run(self.workspace, self.recipe, self.bundle, path, **options)
        self.set(importing.settings_after(self.workspace, self.recipe, self.bundle))

    def download_weights(self) -> Iterator[Progress]:
        """Fetch the weights of the bundle that are not on this machine; a person asks for it, never a step."""
        return self.bundle.download()

    @property
    def chores(self) -> dict[str, Callable[..., Iterator[Progress]]]:
        """What a job worker may do beside the steps."""
        return {importing.STAGE: self.import_pool, "weights": self.download_weights}

    # Results

    @property
    def pool(self) -> Pool:
        """Arrays `candidate_ids`, `labels`, `seeds`, `latents`, and pictures by `images(positions)`."""
        return self.workspace.pool()

    @property
    def scores(self) -> Scores:
        """Arrays `logits` (N, C), `embeddings` (N, D) in pool order; WorkspaceError when some are missing."""
        score.require_fresh(self.workspace, self.recipe, self.bundle)
        return self.workspace.scores(self.bundle.teacher_id)

    def selection(self, name: str | None = None) -> SelectionArrays:
        """A saved selection, the recipe's when `name` is None; SelectionError when there is none."""
        record = select.require(self.workspace, name or self.recipe.select.name, self.bundle)
        return self._arrays(record)

    def trials(self, *, sliders: bool = False) -> list[TrialRecord]:
        """The trials of this search, the best first; those of the search made last when it has none yet."""
        return tune.trials(self.workspace, self._curated() if sliders else self.recipe, self.bundle)

    def tune_status(self, *, sliders: bool = False) -> StageStatus:
        """Whether the search is done, begun, or was made with other rules."""
        return tune.status(self.workspace, self._curated() if sliders else self.recipe, self.bundle)

    def tune_trust(self, proxy: str | None = None) -> str:
        """How well the proxy ranks settings, as measured on this bundle, in words."""
        ipc = self.curate_settings()["ipc"]
        return correlation.trust(self.bundle, proxy or self.recipe.tune.proxy, ipc)

    def take(self, trial: TrialRecord) -> str | None:
        """Put the settings of a trial on the sliders, as one undoable action; returns what changed in words."""
        return self.move_to(self._rules_of(trial), merge_within=0.0)

    def holds(self, trial: TrialRecord) -> bool:
        """Whether the sliders stand as in a trial."""
        return not self._moved(self.curate_rules(), self._rules_of(trial))

    def refined(self, name: str | None = None) -> Refined:
        """Refined latents, pictures and loss traces of a selection; WorkspaceError when there are none."""
        return self.workspace.refined(name or self.recipe.select.name)

    def table(self) -> list[Row]:
        """The results of the present recipe, a row per arm; arms without a trained student are left out."""
        return evaluate.table(self.workspace, self.recipe, self.bundle)

    def export_summary(self, **settings: Any) -> Summary:
        """What an export would write, without writing."""
        named = {f"export.{key}": value for key, value in settings.items()}
        return export.summary(self.workspace, self.recipe.with_values(named), self.bundle)

    # Inside

    def _rules_of(self, trial: TrialRecord) -> SelectRecipe:
        """The rules on the sliders with the settings of a trial; weights that are the preset's follow the budget."""
        return self.curate_rules(**trial.settings).left_to_presets(trial.settings["selector"])

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
            soft_labels=soften_task(logits, record.settings["temperature"], classes),
            shortfall=dict(record.shortfall),
            settings={k: v for k, v in record.settings.items() if k != select.POOL_HASH},
        )
