"""The class order of an imported pool, held against the teacher; another one is offered, and taken only when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.core.errors import StudioError, WorkspaceError
from psr_studio.core.words import plural, text_table
from psr_studio.method.class_order import agreement_matrix
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.class_orders import best_order, fits_better
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.score import stage as score
from psr_studio.stages.task import in_task
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

SHOWN = 12  # classes whose matrix is printed whole


@dataclass(frozen=True)
class ClassOrder:
    """How the classes of a pool agree with the teacher, as they are and in the order that fits best.

    Attributes:
        classes: of the pool, ascending. names: of these. labels: of the source that were taken for them.
        agreement: (C, C) share of the pictures of each class that the teacher takes for each.
        order: the best permutation of `classes`, by place. n: pictures.
        known_as: what the order is known as, such as "the order of their names"; "" where it is none that is known.
    """

    classes: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    agreement: np.ndarray
    order: tuple[int, ...]
    n: int
    known_as: str

    @property
    def as_it_is(self) -> float:
        """Mean agreement of the classes."""
        return float(np.diag(self.agreement).mean())

    @property
    def at_best(self) -> float:
        """The same in the best order."""
        return float(self.agreement[np.arange(len(self.order)), list(self.order)].mean())

    @property
    def is_offered(self) -> bool:
        """Whether the best order fits so much better that the pool is likely to be numbered by it."""
        return fits_better(self.agreement, np.array(self.order), self.n)

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        """Label of the source, class it was taken for, class that the teacher sees; those that differ."""
        places = enumerate(self.order)
        return [(self.labels[i], self.names[i], self.names[to]) for i, to in places if i != to]

    @property
    def text(self) -> str:
        """In words: how well the order fits, and what is offered."""
        if not self.is_offered:
            return f"The teacher agrees with {self.as_it_is:.0%} of the pictures; no other order fits much better."
        first = self.moves[0]
        known = f" It is {self.known_as}." if self.known_as else ""
        return (
            f"The classes look like another order: the teacher agrees with {self.as_it_is:.0%} as they are, and with "
            f"{self.at_best:.0%} when {plural(len(self.moves), 'class', 'classes')} change places, such as "
            f'"{first[0]}", taken for "{first[1]}", which looks like "{first[2]}".{known}'
        )

    @property
    def table(self) -> str:
        """The matrix in percent where it is small, otherwise the classes that would change places."""
        if len(self.classes) > SHOWN:
            return text_table(("folder", "taken for", "looks like"), self.moves)
        rows = [
            (name, *(f"{100 * share:.0f}" for share in self.agreement[i]))
            for i, name in enumerate(self.names)
        ]
        return text_table(("folder \\ teacher", *self.names), rows)


def class_order(ws: Workspace, recipe: Recipe, bundle: Bundle) -> ClassOrder:
    """The order of an imported pool as its scored candidates have it.

    Raises:
        WorkspaceError: the pool is not imported, or not scored.
    """
    about = importing.manifest(ws)
    if about is None:
        raise WorkspaceError(
            "The pool was not imported, so its classes are those that it was generated for.",
            "Use this for pictures from elsewhere.",
        )
    scored = score.status(ws, recipe, bundle)
    if scored.state != "fresh":
        raise WorkspaceError(
            f"The pictures are not all scored by this teacher: {scored.reason}",
            'Press "Score" (or run `psr-studio score`) first.',
        )
    pool = ws.pool()
    logits = ws.teacher_logits(bundle.teacher_id, pool)
    classes = np.unique(pool.labels)
    agreement = agreement_matrix(logits[:, classes], in_task(pool.labels, classes))
    order = tuple(int(place) for place in best_order(agreement))
    of_class = {name: label for label, name in about.get("classes", {}).items()}
    names = tuple(bundle.class_names[c] for c in classes)
    labels = tuple(of_class.get(name, name) for name in names)
    ids, rows = (_of(bundle, key, classes) for key in ("wordnet_ids", "class_indices"))
    known_as = other_names(order, names, ids, rows)
    return ClassOrder(tuple(classes.tolist()), names, labels, agreement, order, len(pool), known_as)


def offered(ws: Workspace, recipe: Recipe, bundle: Bundle) -> ClassOrder | None:
    """Another order where one fits much better; None where none does, or where that cannot be said."""
    try:
        found = class_order(ws, recipe, bundle)
    except StudioError:  # generated, not scored yet, or damaged: the stages themselves say so
        return None
    return found if found.is_offered else None


def _of(bundle: Bundle, key: str, classes: np.ndarray) -> list[str | int]:
    values = bundle.index.get(key)
    return [values[c] for c in classes] if values else []


def other_names(
    order: Sequence[int], names: Sequence[str], wordnet_ids: Sequence[str | int], rows: Sequence[str | int]
) -> str:
    """What an order is known as: folder i holds the class that is i-th by name, WordNet id or row of ImageNet-1K."""
    lists = {
        "the order of their names": [name.casefold() for name in names],
        "the order of their WordNet ids": wordnet_ids,
        "the order of their rows in ImageNet-1K": rows,
    }
    for words, values in lists.items():
        if values and list(order) == sorted(range(len(order)), key=lambda i: values[i]):  # type: ignore[arg-type]
            return words
    return ""
