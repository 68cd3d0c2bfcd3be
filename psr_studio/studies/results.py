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
from psr_studio.studies.homes import Homes
from psr_studio.studies.measures import Measures, read_measures
from psr_studio.studies.study import Cell, Study, cells

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


@dataclass(frozen=True)
class Result:
    """What is known of one cell.

    Attributes:
        rows: its own and those of its controls; none before its first student is trained.
        trained, wanted: students, its own and those of its controls; `wanted` is 0 before its images are chosen.
        measures: of the candidates that it chooses from, where they lie in a pool of their own and are measured.
    """

    cell: Cell
    rows: tuple[evaluate.Row, ...] = ()
    trained: int = 0
    wanted: int = 0
    measures: Measures | None = None

    @property
    def own(self) -> evaluate.Row | None:
        """The row of the cell itself; None before its first student is trained."""
        form = self.cell.level.form
        return next((row for row in self.rows if row.arm == form), None)

    @property
    def controls(self) -> list[evaluate.Row]:
        """The rows beside its own."""
        return [row for row in self.rows if row.arm != self.cell.level.form]

    @property
    def finished(self) -> bool:
        """Whether every student is trained."""
        return 0 < self.wanted == self.trained


def results(ws: Workspace, recipe: Recipe, bundle: Bundle, study: Study) -> list[Result]:
    """Every cell of a study with what the ledger knows of it, in the order in which they are filled."""
    with Homes(ws) as homes:
        return [result_of(homes.of(cell.pool), bundle, cell) for cell in cells(study, recipe, bundle)]


def result_of(home: Workspace | None, bundle: Bundle, cell: Cell) -> Result:
    """What is known of one cell; nothing where the workspace of its pool is not there."""
    if home is None or not is_chosen(home, bundle, cell):
        return Result(cell)
    measures = read_measures(home, cell.recipe, bundle, cell.n_candidates) if cell.pool else None
    try:
        jobs = evaluate.plan(home, cell.recipe, bundle, ahead=True)
    except StudioError:  # the pool lacks what was chosen: the cell begins anew
        return Result(cell, measures=measures)
    known = {record.inputs_hash: record for record in home.ledger.evaluations()}
    trained = sum(job.inputs_hash in known for job in jobs)
    return Result(cell, tuple(evaluate.rows_of(jobs, known)), trained, len(jobs), measures)


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
