"""The lines of a study's table: our cells and their controls, and beside them what the papers print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psr_studio.bundles.bundle import Bundle
from psr_studio.method.protocols import HARD
from psr_studio.recipe.schema import ORIGINAL
from psr_studio.stages.evaluate import GENERATE_AND_USE
from psr_studio.stages.evaluate.stage import Row
from psr_studio.studies.measures import Measures
from psr_studio.studies.results import Result
from psr_studio.studies.study import Study

HERE = "here"
COLUMNS = ("Source", "Images", "Student", "IPC", "Labels", "Protocol", "n", "Last %", "Missing")


@dataclass(frozen=True)
class Entry:
    """One accuracy, or the place where one is missing.

    Attributes:
        source: `HERE`, or the table of a paper with its data set.
        images: what students are trained on. control: it is no choice of ours.
        ipc: None where a paper does not say.
        candidates: per class, that the images were chosen from; None for controls and papers.
        mean, std: top-1 in percent; None where it is missing, or where a paper prints no spread.
        measures: of the candidates that the images were chosen from, where they lie in a pool of their own.
        row: ours with all that it says. missing: students that are still to be trained, in words; "" for none.
    """

    source: str
    images: str
    control: bool
    ipc: int | None
    student: str
    candidates: int | None = None
    mean: float | None = None
    std: float | None = None
    measures: Measures | None = None
    row: Row | None = None
    missing: str = ""

    @property
    def accuracy(self) -> str:
        """Mean and standard deviation: "81.2 ± 0.4", the mean alone, or "" where it is missing."""
        if self.mean is None:
            return ""
        return f"{self.mean:.1f}" + ("" if self.std is None else f" ± {self.std:.1f}")

    @property
    def cells(self) -> tuple[str, ...]:
        """The entry under `COLUMNS`."""
        row, ipc = self.row, "" if self.ipc is None else str(self.ipc)
        known = (row.label_regime, row.protocol, str(row.n)) if row else ("", "", "")
        return (self.source, self.images, self.student, ipc, *known, self.accuracy, self.missing)


def own_entries(results: Sequence[Result]) -> list[Entry]:
    """A line per cell, then one per control of each budget and student, which cells share."""
    controls: dict[tuple, Entry] = {}
    cells = {_trained(result.own) for result in results if result.own}
    for result in results:
        for row in result.controls:
            if _trained(row) not in cells:
                entry = _entry(result, row, control_name(row), control=True)
                controls.setdefault((entry.ipc, entry.student, entry.images), entry)
    entries = [_entry(result, result.own, result.cell.level.name) for result in results]
    return [*entries, *controls.values()]


def _trained(row: Row) -> tuple[str, ...]:
    return row.arm, row.set_hash, row.student, row.trained_by


def control_name(row: Row) -> str:
    """A control with its labels, where these are hard, and its test images, where these are not all."""
    name = f"{row.arm}, hard labels" if row.label_regime == HARD else row.arm
    return name if row.test_set == ORIGINAL else f"{row.test_set}: {name}"


def _entry(result: Result, row: Row | None, images: str, control: bool = False) -> Entry:
    n = result.cell.recipe.evaluate.n_seeds
    has = row.n if row else 0
    return Entry(
        source=HERE,
        images=images,
        control=control,
        ipc=result.cell.ipc,
        student=result.cell.student,
        candidates=result.cell.n_candidates
        if result.cell.level.form != GENERATE_AND_USE and not control
        else None,
        mean=100 * row.last_mean if row else None,
        std=100 * row.last_std if row and row.n > 1 else None,
        measures=None if control else result.measures,
        row=row,
        missing="" if has == n else f"{n - has} of {n} students",
    )


def published_entries(study: Study) -> list[Entry]:
    """What the papers print for this study."""
    return [
        Entry(f"{table.place} ({table.data})", p.images, False, p.ipc, p.student, mean=p.mean, std=p.std)
        for table in study.published
        for p in table.rows
    ]


def of_the_same_data(study: Study, bundle: Bundle, students: Iterable[str]) -> list[Entry]:
    """Those of the papers' lines that may stand in one figure with ours: same data set and student.

    Protocols differ all the same, as the report says.
    """
    known = {_plain(student) for student in students}
    same = {f"{table.place} ({table.data})" for table in study.published if _is_of(bundle.name, table.data)}
    return [
        entry
        for entry in published_entries(study)
        if entry.source in same and entry.ipc is not None and _plain(entry.student) in known
    ]


def _is_of(bundle: str, data: str) -> bool:
    ours, theirs = bundle.lower(), _plain(data)
    return ours == theirs or ours.startswith(f"{theirs}-")


def _plain(name: str) -> str:
    """ "CIFAR-10" and "cifar10", "ConvNet-6" and "convnet-6" are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
