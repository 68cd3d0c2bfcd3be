"""How a source of pictures is read, where it leaves a choice."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from psr_studio.stages.importing.items import PoolImportError

CLASS_MARK = "{class}"


class Scale(NamedTuple):
    """How numbers become pixels in [0, 1]: times `std`, plus `mean`, each a number or one per channel."""

    mean: Any
    std: Any


VALUES: dict[str, Scale | None] = {  # None: by the mean and standard deviation of the bundle
    "0..1": Scale(0.0, 1.0),
    "0..255": Scale(0.0, 1 / 255),
    "-1..1": Scale(0.5, 0.5),
    "normalised": None,
    "imagenet": Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": Scale((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": Scale((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}


@dataclass(frozen=True)
class Columns:
    """Columns by name; None where the table itself says which."""

    image: str | None = None
    label: str | None = None


def no_class(name: str) -> bool:
    """For a source of which no class is known yet."""
    return False


@dataclass(frozen=True)
class Reading:
    """What is said of a source beside its path.

    Attributes:
        split: of a source that has several. is_class: whether a folder's name stands for a class of the task.
        columns: of a table or list. rule: how file names say their class, see `label_by_rule`; None: folders say it.
        values: what the numbers of a tensor are, one of `VALUES`; None where their range says it.
        normalisation: mean and standard deviation that pixels may be normalised by: numbers, or (ch, 1, 1).
    """

    split: str | None = None
    is_class: Callable[[str], bool] = no_class
    columns: Columns = Columns()
    rule: str | None = None
    values: str | None = None
    normalisation: tuple[Any, Any] | None = None


def label_by_rule(rule: str, name: str, is_class: Callable[[str], bool]) -> str | None:
    """The class that a file's name says, such as "cat" of "a/cat_01.png" by "{class}_*"; None where it says none.

    In a rule, "{class}" is the class, "*" anything, "#" digits, all else itself. It is held against the name without
    its ending, or against as many folders as it has, too. Of several ways to read a name, the first whose class is one
    of the task counts, then the shortest.

    Raises:
        PoolImportError: the rule does not hold "{class}" once.
    """
    if rule.count(CLASS_MARK) != 1:
        raise PoolImportError(
            f'The naming rule "{rule}" must hold "{CLASS_MARK}" once.',
            f'Write it as the names are, such as "{CLASS_MARK}_*": "*" is anything, "#" digits.',
        )
    parts = PurePosixPath(name).with_suffix("").parts[-len(PurePosixPath(rule).parts) :]
    found = [
        match["label"]
        for form in (".+?", ".+")
        if (match := re.fullmatch(_pattern(rule, form), "/".join(parts), re.DOTALL))
    ]
    return next((label for label in found if is_class(label)), next(iter(found), None))


def _pattern(rule: str, form: str) -> str:
    before, after = (
        re.escape(text).replace(r"\*", ".*").replace(r"\#", r"\d+") for text in rule.split(CLASS_MARK)
    )
    return f"{before}(?P<label>{form}){after}"
