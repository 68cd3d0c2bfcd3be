"""What a study is: a table or figure of a paper, as cells that the stages of the pipeline fill."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from psr_studio.recipe.schema import Recipe, as_written
from psr_studio.stages.evaluate import GENERATE_AND_USE

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.studies.published import Published

Kind = Literal["lines", "heatmap", "bars"]


@dataclass(frozen=True)
class Filling:
    """A way of filling a pool that has a pool of its own in a study.

    Attributes:
        name: of its folder. title: in figures and tables.
        settings: of the recipe, by dotted key.
        targets: the setting that says how many targets a class has. It is K then, so each budget has its own pool.
    """

    name: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    targets: str = ""

    def at(self, ipc: int) -> dict[str, Any]:
        """The settings at a budget."""
        return {**self.settings, **({self.targets: ipc} if self.targets else {})}

    def pool(self, ipc: int) -> str:
        """The name of its pool at a budget."""
        return f"{self.name}-{ipc}" if self.targets else self.name


@dataclass(frozen=True)
class Level:
    """One value on the axis of a study.

    Attributes:
        settings: of the recipe, by dotted key.
        form: what students learn from: a selection, "selected" or "refined", or "generate-and-use".
        times: candidates per class, as a multiple of the images per class; that of the study when None.
        filling: of the pool that it chooses from; None is the pool of the workspace.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    form: str = "selected"
    times: int | None = None
    filling: Filling | None = None


@dataclass(frozen=True)
class Study:
    """A table or figure of a paper.

    Attributes:
        name: as it is typed. title: the question it answers. place: where the papers have it.
        axis: what its levels are, a noun. levels: what is compared at each budget.
        kind: of its figure.
        budgets: images per class.
        times: candidates per class, as a multiple of the images per class.
        settings: that hold in all cells.
        all_students: each named student that the pictures have room for, instead of the recipe's alone.
        published: what the papers print in numbers. Figures that are only drawn are left out.
        notes: where it departs from its paper, one sentence each.
    """

    name: str
    title: str
    place: str
    axis: str
    levels: tuple[Level, ...]
    kind: Kind = "lines"
    budgets: tuple[int, ...] = (1, 10, 50)
    times: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)
    all_students: bool = False
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One place in the table of a study; `recipe` is all that it is made by, its pool size included."""

    level: Level
    ipc: int
    student: str
    recipe: Recipe

    @property
    def selection(self) -> str:
        """The name its selection is saved under; cells that differ in the student alone share it."""
        return self.recipe.select.name

    @property
    def pool(self) -> str:
        """The name of the pool of its own that it chooses from; "" of the workspace's."""
        return self.level.filling.pool(self.ipc) if self.level.filling else ""

    @property
    def n_candidates(self) -> int:
        """Candidates of each class that it chooses from, M."""
        return int(self.recipe.pool.pool_size)

    def __str__(self) -> str:
        return f"{self.level.name}, {self.ipc} a class, {self.student}"


def cells(study: Study, recipe: Recipe, bundle: Bundle) -> list[Cell]:
    """All cells of a study, by budget, then student, then level.

    Raises:
        ModelError: no student of that name, or one that the pictures of the bundle have no room for.
        RecipeError: a value that the recipe refuses, such as more candidates than a pool can hold.
    """
    return [
        Cell(level, ipc, student, _recipe(study, recipe, level, ipc, student))
        for ipc, student, level in product(
            _budgets(study, recipe), _students(study, recipe, bundle), study.levels
        )
    ]


def pool_recipes(wanted: Sequence[Cell]) -> dict[str, Recipe]:
    """What each pool is made by, by its name, "" for the workspace's: its size is that of its largest cell."""
    by_size = sorted(wanted, key=lambda cell: cell.n_candidates)
    largest = {cell.pool: cell.recipe for cell in by_size}
    return {cell.pool: largest[cell.pool] for cell in wanted}


def in_whole_parts(needed: Recipe, standing: Recipe | None) -> Any:
    """The size of a pool that shall hold as many candidates of each class as a recipe says; that of now where it does.

    A part that grows later would be another one, so it grows by whole ones.
    """
    size, step = int(needed.pool.pool_size), needed.pool.part_size
    if standing is not None and size <= standing.pool.pool_size:
        return as_written(standing.pool.pool_size)
    return -(-size // step) * step


def _budgets(study: Study, recipe: Recipe) -> tuple[int, ...]:
    return tuple(sorted(set(recipe.study.budgets or study.budgets)))


def _students(study: Study, recipe: Recipe, bundle: Bundle) -> tuple[str, ...]:
    from psr_studio.models.students import build_student, students_for

    if not study.all_students and recipe.study.students is None:
        return (recipe.evaluate.student,)
    fitting = students_for(bundle.image_shape[0])
    students = tuple(dict.fromkeys(recipe.study.students or fitting))
    for name in students:
        if name not in fitting:  # said before the first student is trained, not after hours
            build_student(name, bundle.n_classes, bundle.image_shape[2], bundle.image_shape[0])
    return students


def _recipe(study: Study, recipe: Recipe, level: Level, ipc: int, student: str) -> Recipe:
    return recipe.with_values(
        {
            **{key: int(number) for key, number in recipe.pool_numbers().items()},  # one pool at every budget
            "select.ipc": ipc,
            "select.allocation": "even",
            "select.budgets": None,
            "select.name": selection_name(study, level, ipc),
            "pool.pool_size": ipc * (level.times or study.times),
            "evaluate.student": student,
            "evaluate.arms": () if level.form == GENERATE_AND_USE else (level.form,),
            "evaluate.compare": (),
            "evaluate.controls": True,
            "evaluate.n_checks": 1,
            **study.settings,
            **(level.filling.at(ipc) if level.filling else {}),
            **level.settings,
        }
    )


def selection_name(study: Study, level: Level, ipc: int) -> str:
    """The name that a cell's selection is saved under."""
    return f"{study.name} - {re.sub(r'[^a-z0-9]+', '-', level.name.lower()).strip('-')} - {ipc}"
