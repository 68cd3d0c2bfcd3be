"""What is left of a study and how long that takes, also before any of it was run: nothing is made or measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psr_studio.core.errors import StudioError
from psr_studio.core.words import duration, plural
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.stages import speeds
from psr_studio.stages.evaluate import STAGE as EVALUATE
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.generate import STAGE as GENERATE
from psr_studio.stages.generate import stage as generate
from psr_studio.stages.generate import tuned
from psr_studio.stages.generate.plan import classes_of, plan
from psr_studio.stages.generate.targets import first, uncounted
from psr_studio.stages.refine import STAGE as REFINE
from psr_studio.stages.refine import stage as refine
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.homes import Homes
from psr_studio.studies.results import is_chosen
from psr_studio.studies.study import Cell, Study, cells, in_whole_parts, pool_recipes

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


@dataclass(frozen=True)
class Todo:
    """Some work: how many items, and its seconds by what was last measured here, None where nothing was."""

    items: int
    seconds: float | None

    @classmethod
    def of(cls, parts: Iterable[Todo]) -> Todo:
        """All of it; the time is known where that of each part is."""
        found = [part for part in parts if part.items]
        known = [part.seconds for part in found if part.seconds is not None]
        return cls(sum(part.items for part in found), sum(known) if len(known) == len(found) else None)

    def said(self, noun: str, nouns: str = "") -> str:
        """In words, with the time where it is known."""
        time = "" if self.seconds is None else f" (about {duration(self.seconds)})"
        return plural(self.items, noun, nouns) + time


def outlook(ws: Workspace, recipe: Recipe, bundle: Bundle, study: Study) -> str:
    """What there is to do until a study is finished, in words; "" where nothing is.

    Raises:
        StudioError: as `cells`; no real images to test on.
    """
    wanted = cells(study, recipe, bundle)
    with Homes(ws) as homes:
        made = {
            ("candidate", "candidates"): _candidates(homes, recipe, bundle, wanted),
            ("picture to refine", "pictures to refine"): _pictures(homes, bundle, wanted),
            ("student", "students"): students_to_train(homes, bundle, wanted),
        }
        before = _before(homes, bundle, wanted)
    todo = {nouns: work for nouns, work in made.items() if work.items}
    if not todo:
        return ""
    known = [work.seconds is not None for work in todo.values()]
    said = f"To do: {', '.join(work.said(*nouns) for nouns, work in todo.items())}"
    if not any(known):
        said = f"{said}. {speeds.UNKNOWN}"
    else:
        rest = "" if all(known) else " How long the others take is known after the first run here."
        said = f"{said}, at the speed last measured here.{rest}"
    return f"{said} {before}".rstrip()


def students_to_train(homes: Homes, bundle: Bundle, wanted: Sequence[Cell]) -> Todo:
    """The students that some cells miss, each training once.

    Raises:
        StudioError: as `evaluate.plan`; no real images to test on.
    """
    seen: set[str] = set()

    def of(cell: Cell) -> Todo:
        home = homes.of(cell.pool)
        ws, asked = home or homes.ws, cell.recipe
        if home is not None and is_chosen(home, bundle, cell):
            jobs = evaluate.plan(home, asked, bundle, ahead=True)
        else:
            jobs = evaluate.jobs_to_come(asked, bundle, cell.pool)
        new = [job for job in evaluate.untrained(ws, jobs) if job.student_hash not in seen]
        seen.update(job.student_hash for job in new)
        size = evaluate.size_of(ws, asked, bundle, new)
        return Todo(len(new), speeds.seconds(ws, EVALUATE.name, asked, size))

    return Todo.of(map(of, wanted))


def _before(homes: Homes, bundle: Bundle, wanted: Sequence[Cell]) -> str:
    """A sentence on what comes before the candidates; "" where it is done."""
    found: dict[str, None] = {}  # in their order, each once
    for pool, made_by in pool_recipes(wanted).items():
        home, settings = homes.of(pool), made_by.pool
        if settings.source == CROPS or settings.steering is not None:
            if home is None or not generate.identity_of_targets(home, made_by, bundle):
                found |= dict.fromkeys(first(made_by))
        if pool and settings.generator == made_by.finetune.name:
            if home is None or settings.generator not in tuned.names(home):
                found["a generator is fine-tuned"] = None
    return f"{uncounted(list(found))}." if found else ""


def _candidates(homes: Homes, recipe: Recipe, bundle: Bundle, wanted: Sequence[Cell]) -> Todo:
    """Those that the pools still lack; the pool of the workspace is made by its own recipe."""

    def of(pool: str, needed: Recipe) -> Todo:
        home = homes.of(pool)
        standing = recipe if not pool else home.recipe if home else None
        size = {"pool.pool_size": in_whole_parts(needed, standing)}
        grown = (needed if pool else recipe).with_values(size)
        try:
            if home is not None:
                left = generate.size(home, grown, bundle)
                return Todo(left.items, speeds.seconds(home, GENERATE.name, grown, left))
        except StudioError:  # what it is steered to is still to be found
            pass
        return Todo(sum(part.n for part in plan(grown, bundle)), None)

    return Todo.of(of(*pool) for pool in pool_recipes(wanted).items())


def _pictures(homes: Homes, bundle: Bundle, wanted: Sequence[Cell]) -> Todo:
    """Those of selections that are trained on refined; cells that differ in the student alone share them."""

    def of(cell: Cell) -> Todo:
        home, asked = homes.of(cell.pool), cell.recipe
        if home is not None and is_chosen(home, bundle, cell):
            left = refine.size(home, asked, bundle)
        else:
            left = refine.size_of(asked, bundle, asked.select.ipc * len(classes_of(asked, bundle)))
        return Todo(left.items, speeds.seconds(home or homes.ws, REFINE.name, asked, left))

    refined = {(cell.pool, cell.selection): cell for cell in wanted if cell.level.form == "refined"}
    return Todo.of(map(of, refined.values()))
