"""What the ledger knows of the cells of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psr_studio.core.errors import SelectionError, StudioError
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.choice import Marks
from psr_studio.stages.study import STAGE
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.study import Cell, Study, cells

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


@dataclass(frozen=True)
class Result:
    """What is known of one cell.

    Attributes:
        rows: its own first, then its controls; none before its first student is trained.
        trained, wanted: students, its own and those of its controls; `wanted` is 0 before its images are chosen.
    """

    cell: Cell
    rows: tuple[evaluate.Row, ...]
    trained: int
    wanted: int

    @property
    def own(self) -> evaluate.Row | None:
        """The row of the cell itself; None before its first student is trained."""
        return next((row for row in self.rows if row.selection), None)

    @property
    def finished(self) -> bool:
        """Whether every student is trained."""
        return 0 < self.wanted == self.trained


def results(ws: Workspace, recipe: Recipe, bundle: Bundle, study: Study) -> list[Result]:
    """Every cell of a study with what the ledger knows of it, in the order in which they are filled."""
    return [result_of(ws, bundle, cell) for cell in cells(study, recipe, bundle)]


def result_of(ws: Workspace, bundle: Bundle, cell: Cell) -> Result:
    """What is known of one cell."""
    if not is_chosen(ws, bundle, cell):
        return Result(cell, (), 0, 0)
    try:
        jobs = evaluate.plan(ws, cell.recipe, bundle, ahead=True)
    except StudioError:  # the pool lacks what was chosen: the cell begins anew
        return Result(cell, (), 0, 0)
    known = {record.inputs_hash: record for record in ws.ledger.evaluations()}
    trained = sum(job.inputs_hash in known for job in jobs)
    return Result(cell, tuple(evaluate.rows_of(jobs, known)), trained, len(jobs))


def is_chosen(ws: Workspace, bundle: Bundle, cell: Cell) -> bool:
    """Whether the selection of a cell is there, made from the present pool by just these rules."""
    try:
        return ws.ledger.selection(cell.selection).inputs_hash == choice_hash(ws, bundle, cell)
    except SelectionError:
        return False


def choice_hash(ws: Workspace, bundle: Bundle, cell: Cell) -> str:
    """What the selection of a cell is made from: the pool, the rules, and of how many candidates it chooses."""
    pool = ws.pool().first(cell.n_candidates)  # a pool that grows beyond them changes nothing
    inputs: dict[str, Any] = select.inputs(ws, cell.recipe, bundle, pool, Marks())
    return stable_hash([STAGE.name, inputs, cell.n_candidates])
