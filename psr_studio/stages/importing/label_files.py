"""Files of soft labels: tensors, a CSV, or a folder with a file per picture, as rows of numbers.

Shape letters: n rows of a file, K columns of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.texts import TextError, read_text
from psr_studio.core.words import plural
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.folders import files_in
from psr_studio.stages.importing.items import LabelRows, PoolImportError
from psr_studio.stages.importing.lists import PATH_NAMES
from psr_studio.stages.importing.tensors import TENSORS, is_tensor_file, loaded, plain_name, tensors_of

LOGIT_KEYS = ("logits", "logit", "teacher_logits", "outputs", "output")
PROBABILITY_KEYS = ("soft_labels", "soft_label", "probabilities", "probs", "label_syn", "labels", "targets")
NAME_KEYS = ("names", "files", "paths", "keys", *PATH_NAMES)
PER_PICTURE = (*TENSORS, ".tar")  # of FKD: a file per picture, as `torch.save` writes it
READ = "an .npz, .pt, .safetensors or CSV file, or a folder with a file per picture"


def read_rows(path: Path, classes: ClassNames) -> LabelRows:
    """What a file or folder of labels holds; the classes say which tensors and columns can be labels.

    Raises:
        PoolImportError: another kind of file, a damaged one, or no labels for these classes in it.
    """
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
    able = {name: v for name, v in found.items() if v.ndim in (2, 3) and classes.fit(v.shape[-1])}
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
        able = [v for v in _arrays(loaded(name)) if v.ndim and classes.fit(v.shape[-1])]
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
    if of_class := [i for i, cell in enumerate(head) if i != name and classes.of_column(cell) is not None]:
        return of_class
    groups: dict[str, dict[int, int]] = {}
    for i, cell in enumerate(head):
        if match := re.fullmatch(r"(.*?)[\W_]*(\d+)", cell.strip()):
            groups.setdefault(match[1].lower(), {})[int(match[2])] = i
    whole = {
        word: at for word, at in groups.items() if sorted(at) == list(range(len(at))) and classes.fit(len(at))
    }
    for word in sorted(whole, key=lambda word: (not word.startswith("logit"), list(whole).index(word))):
        return [whole[word][k] for k in range(len(whole[word]))]
    return [i for i in range(width) if i != name]
