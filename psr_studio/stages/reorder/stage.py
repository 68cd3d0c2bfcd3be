"""Reorder: an imported pool taken in again, each folder as the class that the teacher sees in it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.errors import WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.importing.items import Item
from psr_studio.stages.importing.soft_labels import SoftLabels
from psr_studio.stages.importing.stage import FILES, KeepSettings, Options, take_in
from psr_studio.stages.importing.tables import WorkspaceSource
from psr_studio.stages.reorder import STAGE
from psr_studio.stages.reorder.offer import class_order
from psr_studio.storage.pool import Pool
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

TAKEN = "the order in which the teacher sees them"


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, *, keep: KeepSettings | None = None
) -> Iterator[Progress]:
    """Give the folders of an imported pool the classes of the order that fits best; whole or not at all.

    Pictures and seeds stay; candidates are numbered anew, so marks go and scores are to be made again.

    Args:
        keep: as for an import.

    Raises:
        WorkspaceError: the pool is not imported or not scored, or no other order fits much better.
    """
    found = class_order(ws, recipe, bundle)
    if not found.is_offered:
        raise WorkspaceError(
            found.text, "Leave the classes as they are, or import the pictures by names of folders."
        )
    about = importing.manifest(ws)
    assert about is not None
    to = {found.classes[i]: found.classes[place] for i, place in enumerate(found.order)}
    own = WorkspaceSource.find(ws.root)
    assert own.pool is not None
    source = _OwnPool(
        Path(about["source"]), about.get("kind", "source"), own.labels, own.settings, {"classes": TAKEN},
        pool=own.pool, names=own.names, files=_files(ws), passed_over_before=about.get("passed_over", {}),
    )  # fmt: skip
    number = {name: c for c, name in enumerate(bundle.class_names)}
    source.folders = {number[name]: label for label, name in about.get("classes", {}).items()}
    source.labels = {source.label_of(c): int((own.pool.labels == c).sum()) for c in found.classes}
    classes = {source.label_of(c): to[c] for c in found.classes}
    options = Options(split=about.get("split"), replace=True)
    labels = _labels_in_order(own.pool, to, about.get("soft_labels"))
    for event in take_in(ws, recipe, bundle, source, classes, options, keep, labels):
        yield replace(event, stage=STAGE.name)


def _labels_in_order(pool: Pool, to: Mapping[int, int], about: Mapping[str, str] | None) -> SoftLabels | None:
    """The soft labels of a pool for the classes that these become: columns that were in order follow the folders."""
    if about is None or not pool.has_own_logits:
        return None
    labels = SoftLabels(pool.own_logits_at(np.arange(len(pool))), None, dict(about))
    if not labels.in_class_order:
        return labels
    logits = labels.logits.copy()
    logits[:, list(to.values())] = labels.logits[:, list(to)]
    return replace(labels, logits=logits)


@dataclass
class _OwnPool(WorkspaceSource):
    """The pool of the workspace itself, with the names that its files had, and those that were left out."""

    files: dict[int, str] = field(default_factory=dict)  # by candidate
    folders: dict[int, str] = field(default_factory=dict)  # what the source called each class
    passed_over_before: dict[str, int] = field(default_factory=dict)

    def label_of(self, class_id: int) -> str:
        """What the source called a class."""
        return self.folders.get(class_id, f"class {class_id}")

    @property
    def passed_over(self) -> dict[str, int]:
        """As in `ImageSource`."""
        return self.passed_over_before

    def __iter__(self) -> Iterator[Item]:
        """The candidates in pool order, under the names of their files."""
        assert self.pool is not None
        rows = zip(super().__iter__(), self.pool.labels, self.pool.candidate_ids, strict=True)
        for item, class_id, candidate in rows:
            name = self.files.get(int(candidate), item.name)
            yield replace(item, label=self.label_of(int(class_id)), name=name)


def _files(ws: Workspace) -> dict[int, str]:
    """The file of each candidate, as the import noted it; {} where that list is gone."""
    path = ws.root / "pool" / FILES
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows: Any = list(csv.reader(file))[1:]
    return {int(row[0]): row[1] for row in rows if row and row[0].isdecimal()}
