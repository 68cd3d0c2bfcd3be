"""Lists of pictures: a CSV or JSON Lines file with a path and a label in every row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from psr_studio.core.errors import did_you_mean
from psr_studio.core.pictures import MAX_BYTES, PictureError, is_picture
from psr_studio.core.texts import TextError, parse_json, read_text
from psr_studio.core.words import printable
from psr_studio.stages.importing.folders import PictureFiles
from psr_studio.stages.importing.items import PoolImportError, too_large
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.tables import IMAGE_NAMES, LABEL_NAMES

LISTS = (".csv", ".tsv", ".jsonl")
PATH_NAMES = ("file_name", "file", "path", "filename", "filepath", "image_path", "img_path", *IMAGE_NAMES)
CLASS_NAMES = ("label", "class_name", *LABEL_NAMES[1:])
TWICE = "listed twice"


def is_list(path: Path) -> bool:
    """Whether a file is a list by its name."""
    return path.suffix.lower() in LISTS


@dataclass
class ListSource(PictureFiles):
    """Pictures in the order of a list, each with the label of its row; paths are below the folder of the list."""

    root: Path = field(default_factory=Path)

    @classmethod
    def find(cls, path: Path, reading: Reading) -> ListSource:
        """Read the list; pictures are not looked for yet.

        Raises:
            PoolImportError: no text, no such columns, a path that leads out, one picture with two labels.
        """
        rows = _rows(path)
        head = list(rows[0]) if rows else []
        file = _column("picture", reading.columns.image, PATH_NAMES, head, path)
        label = _column("label", reading.columns.label, CLASS_NAMES, head, path)
        names: dict[str, str] = {}
        others: dict[str, str] = {}
        for number, row in enumerate(rows, 1):
            name, value = _inside(row.get(file), path, number), _word(row.get(label))
            if not value:
                others[f"row {number}, {name}"] = "rows without a label"
            elif name not in names:
                names[name] = value
            elif names[name] == value:
                others[f"row {number}, {name}"] = TWICE
            else:
                raise PoolImportError(
                    f'"{path.name}" gives "{name}" two labels, "{names[name]}" and "{value}".',
                    "Correct one of them.",
                )
        counts = dict(Counter(printable(value) for value in names.values()))
        if not counts:
            raise PoolImportError(
                f'"{path.name}" lists no picture with a label.',
                "Name a list with a path and a label in every row.",
            )
        taken = {"pictures": f'the column "{file}"', "labels": f'the column "{label}"'}
        return cls(path, "list", counts, taken=taken, others=others, names=names, root=path.parent)

    def read(self, name: str) -> bytes:
        """As in `PictureFiles`."""
        file = self.root / name
        if not file.is_file():
            raise PictureError("the list names it, but there is no such file")
        if not file.resolve().is_relative_to(self.root.resolve()):
            raise PictureError("it is a link that leads out of the folder of the list")
        if (size := file.stat().st_size) > MAX_BYTES:
            raise too_large(name, size)
        return file.read_bytes()


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = read_text(path)
        if path.suffix.lower() == ".jsonl":
            found = [parse_json(line) for line in text.splitlines() if line.strip()]
            if not all(isinstance(row, dict) for row in found):
                raise PoolImportError(
                    f'"{path.name}" holds lines that are no tables.', "Write one table a line."
                )
            return found
    except TextError as err:
        raise PoolImportError(f'"{path.name}" is {err}.', err.fix) from err
    lines = list(
        csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    )
    lines = [line for line in lines if line]
    if lines and any(is_picture(cell) for cell in lines[0]):  # no head: the first row is a picture already
        lines.insert(0, [PATH_NAMES[0], CLASS_NAMES[0]])
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _column(kind: str, wanted: str | None, usual: Sequence[str], head: Sequence[str], path: Path) -> str:
    """The column that is asked for, or the first that is called as such columns are.

    Raises:
        PoolImportError: there is none.
    """
    flag = f'"{kind.capitalize()} column" (--{"image" if kind == "picture" else "label"}-column)'
    plain = {name.lower(): name for name in reversed(head)}
    found = wanted if wanted in head else next((plain[name] for name in usual if name in plain), None)
    if wanted is not None and found != wanted:
        found = None
    if found is None:
        said = (
            f'no column "{wanted}"'
            if wanted is not None
            else f"no column of {kind}s that is known by its name"
        )
        raise PoolImportError(
            f'"{path.name}" has {said}; its columns are {", ".join(map(str, head)) or "none"}.',
            f"{did_you_mean(wanted or usual[0], head)}Set {flag} to one of them.",
        )
    return found


def _inside(value: Any, path: Path, number: int) -> str:
    """A path of a row as a name below the folder of the list."""
    text = value.replace("\\", "/") if isinstance(value, str) else ""
    name = PurePosixPath(text)
    if not text or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
        raise PoolImportError(
            f'Row {number} of "{path.name}" names "{text}", which is no path below the folder of the list.',
            "Write paths as seen from that folder, and keep the list above its pictures.",
        )
    return name.as_posix()


def _word(value: Any) -> str:
    """A label as a word; "" for none."""
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
