"""What a study is: a table or figure of a paper, as cells that the stages of the pipeline fill."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from psr_studio.recipe.schema import Recipe

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.studies.published import Published

Kind = Literal["lines", "heatmap", "bars"]


@dataclass(frozen=True)
class Level:
    """One value on the axis of a study.

    Attributes:
        settings: of the recipe, by dotted key.
        form: of the selection that students learn from, "selected" or "refined".
        times: candidates per class, as a multiple of the images per class; that of the study when None.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    form: str = "selected"
    times: int | None = None


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


def most_candidates(study: Study, recipe: Recipe) -> int:
    """Candidates of each class that the largest cell chooses from."""
    most = max(level.times or study.times for level in study.levels)
    return most * max(_budgets(study, recipe))


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
            "select.ipc": ipc,
            "select.allocation": "even",
            "select.budgets": None,
            "select.name": selection_name(study, level, ipc),
            "pool.pool_size": ipc * (level.times or study.times),
            "evaluate.student": student,
            "evaluate.arms": (level.form,),
            "evaluate.compare": (),
            "evaluate.controls": True,
            "evaluate.n_checks": 1,
            **study.settings,
            **level.settings,
        }
    )


def selection_name(study: Study, level: Level, ipc: int) -> str:
    """The name that a cell's selection is saved under."""
    return f"{study.name} - {re.sub(r'[^a-z0-9]+', '-', level.name.lower()).strip('-')} - {ipc}"
