"""Soft labels that come along with the pictures of a source and are used instead of the teacher's.

Shape letters: n rows of a file, N pictures of the source, K columns of a file, C classes of the task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from psr_studio.core.pictures import SUFFIXES
from psr_studio.core.words import plural, printable
from psr_studio.stages.class_orders import best_order, fits_better
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.items import ImageSource, Item, LabelRows, PoolImportError
from psr_studio.stages.importing.label_files import PER_PICTURE, read_rows

SUM_SLACK = 0.01  # of a row of probabilities, from half precision
SMALLEST = 1e-8  # probability that a logit is kept of
LOGITS, PROBABILITIES = "logits", "probabilities"
BY_NAME, IN_ORDER = "by file name", "in order"
AS_IT_WAS = "The pool is as it was."


@dataclass(frozen=True)
class SoftLabels:
    """Labels for the pictures of a source, as logits l: softmax(l / tau) is the label at temperature tau.

    Attributes:
        logits: (n, C) float32, columns in the order of the classes.
        row_of: the row of each picture by the name of its file; None where they are in order.
        about: for the manifest: "file", "numbers", "rows", "columns".
    """

    logits: np.ndarray
    row_of: Mapping[str, int] | None
    about: dict[str, str] = field(default_factory=dict)

    def of(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items of the source, in its order, each with its row."""
        for place, item in enumerate(items):
            row = place if self.row_of is None else self.row_of[item.file]
            yield replace(item, logits=self.logits[row])

    def agreeing(self, counts: np.ndarray, class_names: Sequence[str]) -> dict[str, str]:
        """`about`, with the share of pictures whose largest label is their class; see `check_columns`."""
        return {**self.about, "agreement": f"{check_columns(self, counts, class_names):.0%}"}

    @property
    def in_class_order(self) -> bool:
        """Whether only the place of a column says its class."""
        return self.about["columns"] == IN_ORDER


def read_soft_labels(
    path: str | Path, source: ImageSource, classes: ClassNames, temperature: float
) -> SoftLabels:
    """Read labels and match them to the pictures of a source.

    Args:
        temperature: that probabilities were softened at: they stay as they are at it.

    Raises:
        PoolImportError: nothing that is read, columns that are not the classes', rows that are not the pictures'.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise PoolImportError(f'There is nothing at "{path}".', 'Check the path of "Soft labels" (--labels).')
    return matched(read_rows(path, classes), source, classes, temperature, printable(path.name))


def matched(
    rows: LabelRows, source: ImageSource, classes: ClassNames, temperature: float, name: str
) -> SoftLabels:
    """Rows of labels as logits of the classes, with the row of each picture; errors as `read_soft_labels`."""
    if not np.isfinite(rows.values).all():
        bad = int((~np.isfinite(rows.values).all(axis=1)).sum())
        raise PoolImportError(
            f'"{name}" holds values that are not finite numbers, in {bad:,} of {plural(len(rows.values), "row")}.',
            f"Save it anew. {AS_IT_WAS}",
        )
    columns, said = _class_columns(rows, classes, name)
    row_of = _row_of(rows, source, name)
    probable = is_probabilities(rows.values)
    values = rows.values[:, columns]
    logits = temperature * np.log(np.maximum(values, SMALLEST)) if probable else values
    about = {
        "file": name,
        "numbers": PROBABILITIES if probable else LOGITS,
        "rows": IN_ORDER if row_of is None else BY_NAME,
        "columns": said,
    }
    return SoftLabels(np.ascontiguousarray(logits, np.float32), row_of, about)


def is_probabilities(values: np.ndarray) -> bool:
    """Whether all rows (n, K) are distributions: no number below 0, and a sum of 1. All else is taken for logits."""
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1) - 1) <= SUM_SLACK).all())


def check_columns(labels: SoftLabels, counts: np.ndarray, class_names: Sequence[str]) -> float:
    """The share of pictures whose largest label is their class.

    Args:
        counts: (C, C), pictures of each class by the column of their largest label.

    Raises:
        PoolImportError: only the order of the columns says their classes, and another order fits much better.
    """
    present = np.flatnonzero(counts.sum(axis=1))
    agreement = counts[np.ix_(present, present)] / counts[present].sum(axis=1, keepdims=True)
    order = best_order(agreement)
    share = float(np.trace(counts) / counts.sum())
    if labels.in_class_order and fits_better(agreement, order, int(counts.sum())):
        at = next(i for i, to in enumerate(order) if i != to)
        best = agreement[np.arange(len(order)), order].mean()
        raise PoolImportError(
            f'The largest label of "{labels.about["file"]}" is the class of {share:.0%} of the pictures, and of '
            f"{best:.0%} with the columns in another order: column {present[order[at]] + 1} looks like "
            f'"{class_names[present[at]]}".',
            "Put the columns into the order of the classes, or name them by class in the head of a CSV file. "
            + AS_IT_WAS,
        )
    return share


def largest_labels(
    items: Iterable[Item], classes: Mapping[str, int], n_classes: int, limit: int | None = None
) -> np.ndarray:
    """(C, C), pictures of each class by the column of their largest label, of the first `limit` of each class."""
    counts = np.zeros((n_classes, n_classes), np.int64)
    for item in items:
        class_id = classes.get(item.label)
        if class_id is not None and item.logits is not None and (not limit or counts[class_id].sum() < limit):
            counts[class_id, int(item.logits.argmax())] += 1
    return counts


# Columns


def _class_columns(rows: LabelRows, classes: ClassNames, name: str) -> tuple[list[int], str]:
    """The column of each class, and what says so."""
    k = rows.values.shape[1]
    by_name: dict[int, list[int]] = {}
    for i, column in enumerate(rows.columns):
        if (class_id := classes.of_column(column)) is not None:
            by_name.setdefault(class_id, []).append(i)
    odd = next((c for c in range(len(classes)) if len(by_name.get(c, ())) != 1), None)
    if by_name and odd is not None:
        n = len(by_name.get(odd, ()))
        raise PoolImportError(
            f'"{name}" has {plural(n, "column")} for the class "{classes.names[odd]}", which needs one.',
            f"Write one column for each of the {len(classes)} classes. {AS_IT_WAS}",
        )
    if by_name:
        return [by_name[c][0] for c in range(len(classes))], "by class name"
    if k == len(classes):
        return list(range(k)), IN_ORDER
    if classes.within_rows(k):
        assert classes.rows is not None
        return list(classes.rows), "by row of ImageNet-1K"
    raise PoolImportError(
        f'"{name}" has {plural(k, "column")} of labels, but the task has {plural(len(classes), "class", "classes")}.',
        f"Name labels with one column for each class. {AS_IT_WAS}",
    )


# Rows


def _row_of(rows: LabelRows, source: ImageSource, name: str) -> dict[str, int] | None:
    """The row of each picture by the name of its file; None where file or source has no names: then the order counts.

    Raises:
        PoolImportError: another number of rows than of pictures, pictures without a row, or a doubt.
    """
    files = [item.file for item in source] if rows.names else []
    if not any(files):
        if len(rows.values) != source.n_items:
            raise PoolImportError(
                f'"{name}" has {plural(len(rows.values), "row")} of labels, but there are {source.n_items:,} pictures, '
                "and it does not say which is whose.",
                f"Give it a row for each picture, or name the picture of each row. {AS_IT_WAS}",
            )
        return None
    found: dict[str, int] = {}
    depth = 1 + max(len(_parts(file)) for file in files)
    while not found and depth > 1:  # as much of the paths as pictures and rows have alike
        depth -= 1
        place = {_key(given, depth): row for row, given in enumerate(rows.names)}
        found = {file: place[key] for file in files if (key := _key(file, depth)) in place}
    if lacking := [file for file in files if file not in found]:
        raise PoolImportError(
            f'{len(lacking):,} of {plural(len(files), "picture")} have no row in "{name}", such as "{lacking[0]}"; its '
            f'first row is of "{printable(rows.names[0])}".',
            f"Name the pictures as their files are called, or drop the names where the rows are in order. {AS_IT_WAS}",
        )
    several = {key for key, n in Counter(_key(given, depth) for given in rows.names).items() if n > 1}
    several |= {key for key, n in Counter(_key(file, depth) for file in files).items() if n > 1}
    if doubtful := next((file for file in files if _key(file, depth) in several), None):
        raise PoolImportError(
            f'"{name}" leaves a doubt which row is whose: "{doubtful}" shares its name with other pictures or rows.',
            f"Write the names with their class folders, one row for each picture. {AS_IT_WAS}",
        )
    return found


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _key(name: str, depth: int) -> tuple[str, ...]:
    """The last parts of a path, without the endings of pictures and tensors."""
    *folders, file = _parts(name)[-depth:] or ("",)
    stem = PurePosixPath(file)
    while stem.suffix.lower() in (*SUFFIXES, *PER_PICTURE):
        stem = stem.with_suffix("")
    return *folders, stem.name


def labels_text(about: Mapping[str, Any] | None) -> str:
    """What a manifest says of the soft labels that pictures came with; "" where the teacher makes them."""
    found = (about or {}).get("soft_labels")
    if not found:
        return ""
    return (
        f'soft labels from "{found["file"]}" ({found["numbers"]}, rows {found["rows"]}, columns {found["columns"]}), '
        f"whose largest is the class of {found['agreement']} of the pictures"
    )
