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
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.app.curation import Curation
from psr_studio.app.opening import OpenWorkspace
from psr_studio.core.errors import StudioError
from psr_studio.core.home import provide_home
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS
from psr_studio.stages import finetune, helped, study, weights
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.evaluate.influence import Helped
from psr_studio.stages.evaluate.stage import Row
from psr_studio.stages.export import stage as export
from psr_studio.stages.export.stage import Summary
from psr_studio.stages.generate import stage as generate
from psr_studio.stages.generate import variations
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.labels import soften_task
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.reorder import stage as reorder
from psr_studio.stages.reorder.offer import ClassOrder, class_order, offered
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import stage as select
from psr_studio.stages.stage import Stage
from psr_studio.stages.table import PIPELINE, STAGES
from psr_studio.stages.teach import STAGE as TEACH
from psr_studio.stages.tune import correlation
from psr_studio.stages.tune import stage as tune
from psr_studio.storage.pool import Pool
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.scores import Refined, Scores
from psr_studio.storage.trials import TrialRecord
from psr_studio.storage.workspace import StageStatus, Workspace
from psr_studio.studies import report, running
from psr_studio.studies.homes import Homes
from psr_studio.studies.measures import real_features
from psr_studio.studies.outlook import outlook
from psr_studio.studies.pools import Compared, Side, compared
from psr_studio.studies.results import Result, results
from psr_studio.studies.study import Study, cells, in_whole_parts, pool_recipes
from psr_studio.studies.table import find_study
from psr_studio.workers.request import worker_request

if TYPE_CHECKING:
    from psr_studio.stages.cost import Cost


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


class Studio(OpenWorkspace):
    """A workspace opened for work; close it, or use it in a `with` block.

    Args:
        workspace: the folder; made when it is not there.
        preset: name of a shipped preset, path of a TOML file, or a Recipe. None takes the recipe that the
            workspace was last used with, or "fashion-mnist" in a new one.
        create: make the folder where it is no workspace yet; without it that is an error.
        demo: fill a new workspace with the pre-generated pool of the bundle.
        replace_recipe: take the preset although steps would make anew what the workspace holds.
        keep: save preset and overrides as the recipe of the workspace; without it they hold for this object alone.
        workers: share the work, students included, among so many processes on this machine, one per GPU.
        ray: or by the Ray cluster at this address ("auto", "local").
        overrides: settings by dotted key (`**{"select.ipc": 5}`) or by bare name where only one table has it
            (`ipc=5`).

    Raises:
        RecipeError, ModelError, WorkspaceError: the preset, the bundle or the folder.

    Attributes:
        curation: sliders, marks, locks and undo, and the selection they make live.
    """

    def __init__(
        self, workspace: str | Path, preset: str | Path | Recipe | None = None, *, create: bool = True,
        demo: bool = False, replace_recipe: bool = False, keep: bool = True, workers: int | None = None,
        ray: str | None = None, **overrides: Any,
    ) -> None:  # fmt: skip
        provide_home()
        super().__init__(
            workspace, preset, overrides, create, demo, replace_recipe, keep, worker_request(workers, ray)
        )
        self.curation = Curation(self)

    def close(self) -> None:
        """Let the next process in, and pool and networks go; may be called twice."""
        super().close()
        self.curation.forget()

    # Steps: each takes settings of its own table as keywords, keeps them in the recipe, does what is missing

    def generate(self, *, only: Sequence[int] | None = None, **settings: Any) -> Iterator[Progress]:
        """Generate the missing parts of the pool; with `only`, those of some classes.

        Raises:
            StudioError: before settings are kept, where real images are needed that are not here or do not suffice.
        """
        asked = self.recipe.with_values(_of_stage(generate.STAGE, settings))
        generate.require_real_images(self.workspace, asked, self.bundle)
        return self._run(generate.STAGE, {"only": only}, **settings)

    def variations(self, candidate: int, count: int = 8, strength: float = 0.5) -> Iterator[Progress]:
        """Generate variations of a candidate under seeds of their own, and score them.

        Args:
            candidate: its number. strength: share of the denoising steps that are taken from its latent on, above 0 to
                1, where nothing of it is left.

        Raises:
            StudioError: no such candidate, or a pool without latents that a generator can begin at.
        """
        self.set({"pool.variations": self.with_variations(candidate, count, strength)})
        return self._made_and_scored(candidate // CANDIDATES_PER_CLASS)

    def _made_and_scored(self, class_id: int) -> Iterator[Progress]:
        yield from self.generate(only=[class_id])
        yield from self.score()

    def with_variations(self, candidate: int, count: int, strength: float) -> tuple[str, ...]:
        """The setting "pool.variations" with those of one more candidate in it; raises as `variations`."""
        return variations.asked_for(self.workspace, self.recipe, self.bundle, candidate, count, strength)

    def finetune(self, **settings: Any) -> Iterator[Progress]:
        """Fine-tune the generator as Minimax does; `pool.generator` chooses it by its name."""
        return self._run(finetune.STAGE, **settings)

    def score(self, **settings: Any) -> Iterator[Progress]:
        """Score the candidates that have no scores of this teacher; last, what there is to say of the class order."""
        return self._and_order(self._run(score.STAGE, **settings))

    def select(self, **settings: Any) -> Iterator[Progress]:
        """Select and save under `select.name`."""
        return self._run(select.STAGE, **settings)

    def tune(self, *, sliders: bool = False, **settings: Any) -> Iterator[Progress]:
        """Search selector and weights by a proxy; budget and other rules are the recipe's, or the sliders'."""
        self._keep(tune.STAGE, settings)
        return self._watched(tune.run(self.workspace, self._recipe(sliders), self.bundle))

    def refine(self, **settings: Any) -> Iterator[Progress]:
        """Refine the latents of the selection `select.name`."""
        return self._run(refine.STAGE, **settings)

    def evaluate(self, **settings: Any) -> Iterator[Progress]:
        """Train students on the selection and on its controls."""
        return self._run(evaluate.STAGE, **settings)

    def export(self, **settings: Any) -> Iterator[Progress]:
        """Write the set out as a folder."""
        return self._run(export.STAGE, **settings)

    def study(self, name: str, **settings: Any) -> Iterator[Progress]:
        """Run a table or figure of the papers, from a pool large enough for it to its report.

        Args:
            name: one of `studies.table.STUDIES`.
            settings: `budgets`, `students`, and others by dotted key, such as those of the students' training.

        Raises:
            StudioError: no study of that name, with the near match; what a step says.
        """
        asked, recipe = find_study(name), self.recipe.with_values(_of_stage(study.STAGE, settings))
        # What cannot be is said before settings are kept or a pool is made.
        with Homes(self.workspace) as homes:
            for pool, made_by in pool_recipes(cells(asked, recipe, self.bundle)).items():
                generate.require_real_images(homes.of(pool) or self.workspace, made_by, self.bundle)
        self._keep(study.STAGE, settings)
        return self._watched(self._study(asked))

    def _study(self, asked: Study) -> Iterator[Progress]:
        for pool, made_by in pool_recipes(cells(asked, self.recipe, self.bundle)).items():
            if pool:
                with Homes(self.workspace, writing=True) as homes:
                    yield from self._own_pool(homes.at(pool), made_by)
            else:
                self.set({"pool.pool_size": in_whole_parts(made_by, self.recipe)})
                yield from self.generate()
                yield from self.score()
            shared = None if self.workers is None else self._stage
            yield from running.run(self.workspace, self.recipe, self.bundle, asked, pool, by_workers=shared)

    def _own_pool(self, home: Workspace, made_by: Recipe) -> Iterator[Progress]:
        """Fill and score a pool that a study has for itself."""
        recipe = made_by.with_values({"pool.pool_size": in_whole_parts(made_by, home.recipe)})
        home.save_recipe(recipe)
        tuned = [finetune.STAGE] if recipe.pool.generator == recipe.finetune.name else []
        for stage in (*tuned, generate.STAGE, score.STAGE):
            yield from self._stage(stage, home, recipe)

    def helped(self, *, by: str = "pick", leave_out: bool = False, **settings: Any) -> Iterator[Progress]:
        """Judge the picks of the recipe's selection by its students, from the same seeds; `judged` has the results.

        Args:
            by: "pick", "rank" or "class". leave_out: also train without each of them.
            settings: by dotted key, such as those of the students' training.

        Raises:
            StudioError: no such selection or grouping; no real images to judge by.
        """
        self._keep(helped.STAGE, settings)
        asked = self.judged(by, leave_out)
        asked.check()
        return self._watched(asked.run())

    def judged(self, by: str = "pick", leave_out: bool = False, **settings: Any) -> Helped:
        """Which picks of the recipe's selection helped, as far as it is known; raises as `helped`."""
        recipe = self.recipe.with_values(settings)
        return Helped(self.workspace, recipe, self.bundle, by, leave_out)

    def study_results(self, name: str) -> list[Result]:
        """Every cell of a study with what is known of it."""
        return results(self.workspace, self.recipe, self.bundle, find_study(name))

    def study_outlook(self, name: str) -> str:
        """What there is to do until a study is finished, in words, with the time where it is known; "" when it is."""
        return outlook(self.workspace, self.recipe, self.bundle, find_study(name))

    def study_table(self, name: str) -> str:
        """The lines of a study as text, those of the papers below ours."""
        return report.text_of(find_study(name), self.study_results(name))

    @property
    def runs(self) -> dict[str, Callable[..., Iterator[Progress]]]:
        """Every stage of the table by name with the function that starts it, for a job worker."""
        runs: dict[Stage, Callable[..., Iterator[Progress]]] = {
            finetune.STAGE: self.finetune,
            generate.STAGE: self.generate,
            score.STAGE: self.score,
            tune.STAGE: self.tune,
            study.STAGE: self.study,
            helped.STAGE: self.helped,
            importing.STAGE: self.import_pool,
            reorder.STAGE: self.reorder,
            weights.STAGE: self.download_weights,
            TEACH: self.teach,
        }
        return {name: runs.get(stage, partial(self._run, stage)) for name, stage in STAGES.items()}

    def _run(
        self, stage: Stage, options: Mapping[str, Any] | None = None, /, **settings: Any
    ) -> Iterator[Progress]:
        """Check the settings now, work when the first event is asked for: in this process, or by its workers."""
        self._keep(stage, settings)
        return self._watched(self._stage(stage, self.workspace, self.recipe, **(options or {})))

    def _stage(self, stage: Stage, ws: Workspace, recipe: Recipe, **options: Any) -> Iterator[Progress]:
        if self.workers is None or not stage.shared:
            return stage.run(ws, recipe, self.bundle, **options)
        from psr_studio.workers import driver

        return driver.run(self.workers, stage, ws, recipe, self.bundle, **options)

    def _watched(self, events: Iterator[Progress]) -> Iterator[Progress]:
        """A step; where it ends in a workspace that is not where it was opened, that is the cause that is said."""
        try:
            yield from events
        except (StudioError, OSError):
            self.workspace.place.check()
            raise

    def _and_order(self, events: Iterator[Progress]) -> Iterator[Progress]:
        """Scoring, and then whether the classes of an imported pool look like those of another order."""
        yield from events
        if (found := offered(self.workspace, self.recipe, self.bundle)) is not None:
            words = f'{found.text} See "Take this order" on the Pool tab (or run `psr-studio reorder`).'
            yield Progress(score.STAGE.name, found.n, found.n, words, part_done=True, resumed=found.n)

    def _keep(self, stage: Stage, settings: Mapping[str, Any]) -> None:
        self.set(_of_stage(stage, settings))

    def estimate(self, stage: str) -> Cost:
        """What a step would cost with this recipe, all but "select" and "export"; opens the networks, measures.

        Raises:
            ValueError: another stage.
        """
        known = {name: row.cost for name, row in STAGES.items() if row.cost}
        if stage not in known:
            raise ValueError(f'A cost is known for {", ".join(known)}, not for "{stage}".')
        return known[stage](self.workspace, self.recipe, self.bundle)

    def status(self) -> dict[str, StageStatus]:
        """Fresh, stale, partial or missing, by stage of the pipeline; with "select", damaged rows of the ledger."""
        found = {
            stage.name: stage.status(self.workspace, self.recipe, self.bundle)
            for stage in PIPELINE
            if stage.status
        }
        if rows := self.workspace.ledger.unreadable():
            name = select.STAGE.name
            state = found[name]
            found[name] = StageStatus(state.state, f"{state.reason} Left out: {', '.join(rows)}.")
        return found

    # Around the pipeline

    def import_pool(self, path: str | Path, **options: Any) -> Iterator[Progress]:
        """Make pictures from elsewhere the pool, whole or not at all; `options` as `stages.importing.Options`."""
        keep = self.set_with
        return self._watched(
            importing.run(self.workspace, self.recipe, self.bundle, path, keep=keep, **options)
        )

    def check_import(self, path: str | Path, **options: Any) -> str:
        """What `import_pool` would take, soft labels held against the classes, in words; nothing is written."""
        return importing.check(self.recipe, self.bundle, path, **options)

    def class_order(self) -> ClassOrder:
        """How the classes of an imported pool agree with the teacher; WorkspaceError where that cannot be said."""
        return class_order(self.workspace, self.recipe, self.bundle)

    def reorder(self) -> Iterator[Progress]:
        """Give the folders of an imported pool the classes that the teacher sees in them, whole or not at all."""
        return self._watched(reorder.run(self.workspace, self.recipe, self.bundle, keep=self.set_with))

    def compare_pools(self, other: str | Path) -> Compared:
        """Set the scored pool beside that of another workspace, by as many candidates of each class.

        Coverage needs the teacher's features of all real training images, which are made once per bundle.

        Raises:
            StudioError: no such workspace, scores that are missing, other classes or another teacher.
        """
        if not str(other) or Path(other).resolve() == self.workspace.root.resolve():
            raise StudioError(
                f'"Compare pools" sets "{self.workspace.root.name}" beside another workspace, but '
                f"{'this one' if str(other) else 'none'} is named.",
                "Name the folder of another one, of the same classes and teacher.",
            )
        with Studio(other, create=False) as second:
            here, there = (one._side() for one in (self, second))
            real = real_features(self.bundle, here.scored.present, self.recipe.device)
            return compared(here, there, real)

    def _side(self) -> Side:
        name = self.workspace.root.name
        try:
            return Side(name, self.curation.scored)
        except StudioError as err:
            raise StudioError(f'"{name}": {err.problem}', err.fix) from err

    def download_weights(self) -> Iterator[Progress]:
        """Fetch the weights of the bundle that are not on this machine; a person asks for it, never a step."""
        return self.bundle.download()

    def teach(self, images: str | Path | None = None, **options: Any) -> Iterator[Progress]:
        """Make a teacher of the bundle's classes on real pictures, or on the pool; see `stages.teach.stage.run`.

        It is used from when the bundle is told where it lies: `bundle.remember("teacher", folder)`.
        """
        return self._watched(TEACH.run(self.workspace, self.recipe, self.bundle, images, **options))

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
        return tune.trials(self.workspace, self._recipe(sliders), self.bundle)

    def tune_status(self, *, sliders: bool = False) -> StageStatus:
        """Whether the search is done, begun, or was made with other rules."""
        return tune.status(self.workspace, self._recipe(sliders), self.bundle)

    def tune_trust(self, proxy: str | None = None) -> str:
        """How well the proxy ranks settings, as measured on this bundle, in words."""
        return correlation.trust(self.bundle, proxy or self.recipe.tune.proxy, self.curation.rules().ipc)

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

    def _recipe(self, sliders: bool) -> Recipe:
        return self.curation.recipe() if sliders else self.recipe

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


def _of_stage(stage: Stage, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the table of a stage, or of others, by dotted key."""
    return {key if "." in key else f"{stage.name}.{key}": value for key, value in settings.items()}
