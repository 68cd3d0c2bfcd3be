"""What the files of a workspace are called. A file counts by its exact name only: sync programs and file
managers lay copies beside it, such as "part-00000 (1).parquet", which are never read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

ENDING = ".parquet"
BEGINNING = re.compile(r"part-\d{5,}|class=\d+")


def class_folder(class_id: int) -> str:
    """The folder of a class."""
    return f"class={class_id}"


def part_name(part: int) -> str:
    """The file of a part."""
    return f"part-{part:05d}{ENDING}"


def class_number(name: str) -> int | None:
    """The class of a folder, or of a file without its ending; None where no class is called so."""
    digits = name.removeprefix("class=")
    return int(digits) if digits.isdecimal() and name == class_folder(int(digits)) else None


def part_number(name: str) -> int | None:
    """The number of a part; None where no part is called so."""
    digits = name.removeprefix("part-").removesuffix(ENDING)
    return int(digits) if digits.isdecimal() and name == part_name(int(digits)) else None


def part_files(folder: Path, classes: Sequence[int] | None = None) -> list[Path]:
    """The parts in the folders of all or some classes, by class, then part."""
    pattern = f"part-*{ENDING}"
    if classes is None:
        paths = list(folder.glob(f"class=*/{pattern}"))
    else:
        paths = [path for c in classes for path in (folder / class_folder(c)).glob(pattern)]
    ours = [path for path in paths if _place_of(path) is not None]
    return sorted(ours, key=lambda path: _place_of(path) or (0, 0))


def _place_of(part: Path) -> tuple[int, int] | None:
    class_id, number = class_number(part.parent.name), part_number(part.name)
    return None if class_id is None or number is None else (class_id, number)


def class_files(folder: Path) -> dict[int, Path]:
    """The files of a folder that has one per class, by class."""
    found = [(class_number(path.stem), path) for path in folder.glob(f"class=*{ENDING}")]
    return dict(sorted((class_id, path) for class_id, path in found if class_id is not None))


def strays(paths: Collection[Path], root: Path, is_whole: Callable[[Path], bool]) -> str:
    """What lies among these files and is none by its name, said once; "" when nothing does.

    Args:
        root: where the paths that are said begin.
        is_whole: whether a file is there and can be read through.
    """
    folders = {path.parent for path in paths}
    files = [path for folder in folders for path in folder.glob(f"*{ENDING}") if not _is_ours(path)]
    above = {folder.parent for folder in folders if class_number(folder.name) is not None}
    odd = [path for folder in above for path in folder.glob("class=*") if class_number(path.name) is None]
    if not files and not odd:
        return ""
    first, *rest = sorted([*files, *odd])
    return f'"{first.relative_to(root).as_posix()}"{_why(first, is_whole)}' + (
        f" {len(rest)} more are not read either." if rest else ""
    )


def _is_ours(path: Path) -> bool:
    return part_number(path.name) is not None or class_number(path.stem) is not None


def _why(stray: Path, is_whole: Callable[[Path], bool]) -> str:
    """Why it is not read, and what may be done about it: never away with what may be the only one."""
    meant = BEGINNING.match(stray.name)
    original = stray.with_name(f"{meant[0]}{ENDING}") if meant and stray.suffix == ENDING else None
    if original is None:
        return " is not read: nothing of a workspace is called so."
    if is_whole(original):
        return (
            f' is not read: by its name it is a copy of "{original.name}", as sync programs make them. '
            "That one is whole, so the copy may be moved away."
        )
    return f' is not read: give it the name "{original.name}" if it is that one, of which there is no other.'
