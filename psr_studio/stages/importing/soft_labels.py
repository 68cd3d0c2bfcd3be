"""Soft labels that come along with the pictures of a source and are used instead of the teacher's.

Shape letters: n rows of a file, N pictures of the source, K columns of a file, C classes of the task.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from psr_studio.core.pictures import SUFFIXES
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.texts import TextError, read_text
from psr_studio.core.words import plural, printable
from psr_studio.stages.class_orders import best_order, fits_better
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.folders import files_in
from psr_studio.stages.importing.items import ImageSource, Item, LabelRows, PoolImportError
from psr_studio.stages.importing.lists import PATH_NAMES
from psr_studio.stages.importing.tensors import TENSORS, is_tensor_file, loaded, plain_name, tensors_of

LOGIT_KEYS = ("logits", "logit", "teacher_logits", "outputs", "output")
PROBABILITY_KEYS = ("soft_labels", "soft_label", "probabilities", "probs", "label_syn", "labels", "targets")
NAME_KEYS = ("names", "files", "paths", "keys", *PATH_NAMES)
PER_PICTURE = (*TENSORS, ".tar")  # of FKD: a file per picture, as `torch.save` writes it
SUM_SLACK = 0.01  # of a row of probabilities, from half precision
SMALLEST = 1e-8  # probability that a logit is kept of
LOGITS, PROBABILITIES = "logits", "probabilities"
BY_NAME, IN_ORDER = "by file name", "in order"
READ = "an .npz, .pt, .safetensors or CSV file, or a folder with a file per picture"
AS_IT_WAS = "The pool is as it was."
SHOWN = 3


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
    return matched(_read(path, classes), source, classes, temperature, printable(path.name))


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


# Reading


def _read(path: Path, classes: ClassNames) -> LabelRows:
    if path.is_dir():
        return _of_folder(path, classes)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _of_list(path, classes)
    if is_tensor_file(path):
        return _of_tensors(path, classes)
    raise PoolImportError(f'"{path.name}" is no file of labels that is read.', f"Name {READ}.")


def _of_tensors(path: Path, classes: ClassNames) -> LabelRows:
    """The logits of a file of tensors, else its distributions; with the names of the pictures where it holds them."""
    found = {name: np.asarray(values.float()) for name, values in tensors_of(path).items()}
    able = {name: v for name, v in found.items() if v.ndim in (2, 3) and _fits(classes, v.shape[-1])}
    known = {plain_name(name): name for name in reversed(list(able))}
    name = next((known[key] for key in (*LOGIT_KEYS, *PROBABILITY_KEYS) if key in known), None)
    if name is None and len(able) == 1:
        name = next(iter(able))
    if name is None:
        shapes = ", ".join(f'"{key}" {values.shape}' for key, values in found.items())
        raise PoolImportError(
            f'"{path.name}" holds no single tensor with a column for each class; it holds {shapes or "none"}.',
            f'Save logits or probabilities of the shape (pictures, classes) as "{LOGIT_KEYS[0]}" or '
            f'"{PROBABILITY_KEYS[0]}".',
        )
    values = able[name] if able[name].ndim == 2 else able[name].mean(axis=1)
    return LabelRows(values, _names_in(path, len(values)))


def _names_in(path: Path, n: int) -> tuple[str, ...]:
    """The names of the pictures in an .npz; () where it holds none."""
    if path.suffix.lower() != ".npz":
        return ()
    with np.load(path, allow_pickle=False) as read:
        words = [key for key in read.files if plain_name(key) in NAME_KEYS and read[key].dtype.kind in "US"]
        found = read[words[0]] if words else np.zeros(0, np.str_)
        texts = (
            text.decode(errors="replace") if isinstance(text, bytes) else text for text in found.tolist()
        )
        return tuple(texts) if len(found) == n else ()


def _of_folder(path: Path, classes: ClassNames) -> LabelRows:
    """A file for each picture, as FKD keeps them: the last of its tensors with a column per class, crops averaged."""
    values, names = [], []
    for name in sorted(files_in(path), key=lambda file: file.parts):
        if name.suffix.lower() not in PER_PICTURE:
            continue
        stop_if_asked()
        inside = name.relative_to(path).as_posix()
        able = [v for v in _arrays(loaded(name)) if v.ndim and _fits(classes, v.shape[-1])]
        if not able:
            raise PoolImportError(
                f'"{inside}" in "{path.name}" holds no tensor with a column for each class.',
                "Name a folder whose files are called as the pictures and hold their logits.",
            )
        values.append(able[-1].reshape(-1, able[-1].shape[-1]).mean(axis=0))
        names.append(inside)
    if not values or len({row.shape for row in values}) > 1:
        what = "no file of labels" if not values else "rows of different lengths"
        raise PoolImportError(f'"{path}" holds {what}.', f"Name {READ}.")
    return LabelRows(np.stack(values), tuple(names))


def _of_list(path: Path, classes: ClassNames) -> LabelRows:
    """A CSV: a name of a picture in each row, or none, and a column of numbers for each class."""
    try:
        text = read_text(path)
    except TextError as err:
        raise PoolImportError(f'"{path.name}" is {err}.', err.fix) from err
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if line]
    if not lines:
        raise PoolImportError(f'"{path.name}" is empty.', f"Name {READ}.")
    head = lines.pop(0) if _is_head(lines[0]) else []
    width = len(head or lines[0])
    if odd := next((i for i, line in enumerate(lines, 1 + bool(head)) if len(line) != width), None):
        n = len(lines[odd - 1 - bool(head)])
        raise PoolImportError(
            f'Line {odd} of "{path.name}" has {plural(n, "column")}, the first has {width}.',
            "Correct that line.",
        )
    known = next((i for i, cell in enumerate(head) if cell.strip().lower() in NAME_KEYS), None)
    if not head and lines and _number(lines[0][0]) is None:
        known = 0
    at = _label_columns(head, width, known, classes)
    names = tuple(line[known].strip() for line in lines) if known is not None else ()
    values = np.array([[_number(line[i]) for i in at] for line in lines], dtype=object)
    if bad := next((tuple(place) for place in np.argwhere(values == None)), None):  # noqa: E711  (by element)
        raise PoolImportError(
            f'Line {bad[0] + 1 + bool(head)} of "{path.name}" holds "{lines[bad[0]][at[bad[1]]]}" where a number of '
            "a class is needed.",
            "Correct it, or leave in the file only names of pictures and a column for each class.",
        )
    columns = tuple(head[i].strip() for i in at) if head else ()
    return LabelRows(
        values.astype(np.float32).reshape(len(lines), len(at)), names if any(names) else (), columns
    )


def _arrays(found: Any) -> list[np.ndarray]:
    """The tensors of a file, whatever holds them, in their order."""
    import torch

    if isinstance(found, Mapping):
        found = list(found.values())
    held = found if isinstance(found, list | tuple) else [found]
    return [np.asarray(values.float()) for values in held if isinstance(values, torch.Tensor)]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _is_head(line: Sequence[str]) -> bool:
    """Whether a first line names columns: any word but a name of a picture in its first cell, or 0, 1, 2 and on."""
    rest = line[1:] if line[0].strip().lower() in NAME_KEYS else line
    numbers = [_number(cell) for cell in rest]
    return any(n is None for n in numbers[1:]) or numbers == list(range(len(numbers)))


def _label_columns(head: Sequence[str], width: int, name: int | None, classes: ClassNames) -> list[int]:
    """The columns of numbers: those called as classes; else logit_0, logit_1 and on, or another word; else all."""
    if of_class := [i for i, cell in enumerate(head) if i != name and _class_of(classes, cell) is not None]:
        return of_class
    groups: dict[str, dict[int, int]] = {}
    for i, cell in enumerate(head):
        if match := re.fullmatch(r"(.*?)[\W_]*(\d+)", cell.strip()):
            groups.setdefault(match[1].lower(), {})[int(match[2])] = i
    whole = {
        word: at
        for word, at in groups.items()
        if sorted(at) == list(range(len(at))) and _fits(classes, len(at))
    }
    for word in sorted(whole, key=lambda word: (not word.startswith("logit"), list(whole).index(word))):
        return [whole[word][k] for k in range(len(whole[word]))]
    return [i for i in range(width) if i != name]


# Columns


def _fits(classes: ClassNames, k: int) -> bool:
    """Whether so many columns can be those of the classes."""
    return k == len(classes) or _holds_rows(classes, k)


def _holds_rows(classes: ClassNames, k: int) -> bool:
    """Whether so many columns hold the rows of ImageNet-1K that the classes are."""
    return classes.rows is not None and k > max(classes.rows)


def _class_columns(rows: LabelRows, classes: ClassNames, name: str) -> tuple[list[int], str]:
    """The column of each class, and what says so."""
    k = rows.values.shape[1]
    by_name: dict[int, list[int]] = {}
    for i, column in enumerate(rows.columns):
        if (class_id := _class_of(classes, column)) is not None:
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
    if _holds_rows(classes, k):
        assert classes.rows is not None
        return list(classes.rows), "by row of ImageNet-1K"
    raise PoolImportError(
        f'"{name}" has {plural(k, "column")} of labels, but the task has {plural(len(classes), "class", "classes")}.',
        f"Name labels with one column for each class. {AS_IT_WAS}",
    )


def _class_of(classes: ClassNames, column: str) -> int | None:
    """The class that a column is called as; numbers are no names here."""
    name = column.strip()
    try:
        return None if name.isdecimal() or not name else classes.find(name)
    except PoolImportError:  # names that differ by case only
        return None


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
