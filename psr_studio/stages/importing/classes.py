"""Which class of the task a folder or a label stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from psr_studio.core.errors import did_you_mean
from psr_studio.stages.importing.items import PoolImportError

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

SHOWN = 3  # labels that are named in a message


@dataclass(frozen=True)
class ClassNames:
    """What the classes 0 to C - 1 of the task are called.

    Attributes:
        names: in label order. wordnet_ids: of the same classes, () where they have none.
        rows: of ImageNet-1K, in label order; None where the task is no part of it.
    """

    names: tuple[str, ...]
    wordnet_ids: tuple[str, ...] = ()
    rows: tuple[int, ...] | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> ClassNames:
        """Those of a bundle."""
        rows = bundle.index.get("class_indices")
        ids = tuple(bundle.index.get("wordnet_ids", ()))
        return cls(bundle.class_names, ids, None if rows is None else tuple(rows))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _exact(self) -> Mapping[str, int]:
        return {text: c for names in (self.wordnet_ids, self.names) for c, text in enumerate(names)}

    @cached_property
    def _loose(self) -> Mapping[str, list[int]]:
        """Classes by what is left of a name without case, spaces, hyphens and underscores."""
        table: dict[str, list[int]] = {}
        for names in (self.names, self.wordnet_ids):
            for class_id, name in enumerate(names):
                table.setdefault(_simple(name), []).append(class_id)
        return table

    def find(self, label: str) -> int | None:
        """The class that a name stands for; None when it stands for none.

        Exactly as it is written first, then without case and signs; "03_Dress", as exports name their folders, by
        both; of "tench, Tinca tinca" the first name.

        Raises:
            PoolImportError: names that differ by case or signs only, and the label is written as neither.
        """
        number, rest = re.fullmatch(r"(?:(\d+)[\W_]+)?(.*)", label, re.DOTALL).groups()  # type: ignore[union-attr]
        for text in (label, label.partition(",")[0], rest):
            if text in self._exact:
                return self._exact[text]
            classes = self._loose.get(_simple(text), [])
            if number is not None and int(number) in classes:
                return int(number)
            if len(classes) == 1:
                return classes[0]
            if classes:
                raise PoolImportError(
                    f'"{label}" may be any of {_quoted([self.names[c] for c in classes])}, which differ by case or '
                    "signs only.",
                    "Rename the folder to the name of one of them, exactly as it is written here.",
                )
        return None

    def of_column(self, name: str) -> int | None:
        """The class that a column of a table is called as; None for a number, or a name of none or of several."""
        name = name.strip()
        try:
            return None if name.isdecimal() or not name else self.find(name)
        except PoolImportError:
            return None

    def within_rows(self, n: int) -> bool:
        """Whether so many columns hold the rows of ImageNet-1K that the classes are."""
        return self.rows is not None and n > max(self.rows)

    def fit(self, n: int) -> bool:
        """Whether so many columns can be those of the classes."""
        return n == len(self) or self.within_rows(n)

    def holds(self, label: str) -> bool:
        """Whether a name stands for a class, or for several that differ by case only."""
        try:
            return self.find(label) is not None
        except PoolImportError:
            return True


def match_classes(
    labels: Sequence[str],
    classes: ClassNames,
    skip_unknown: bool = False,
    first_label: int | None = None,
    where: str = "the source",
) -> dict[str, int]:
    """Map labels to the task's classes 0 to C - 1.

    A label is a class name (see `ClassNames.find`), a WordNet id, or a number, where all labels are numbers. Numbers
    are in label order; only where they are too large for that are they rows of ImageNet-1K.

    Args:
        first_label: the number of the first class, 0 or 1; None where the numbers themselves say it.

    Raises:
        PoolImportError: a label that is no class, with the nearest one; two labels for one class; numbers that may
            count from 0 or from 1; or no class at all.
    """
    if all(label.isdecimal() for label in labels):
        matched = _numbers(labels, classes, first_label, where)
    else:
        matched = {label: found for label in labels if (found := classes.find(label)) is not None}
    unknown = [label for label in labels if label not in matched]
    if unknown and (not skip_unknown or not matched):
        raise _unknown(unknown, classes, where)
    taken: dict[int, str] = {}
    for label, class_id in matched.items():
        if class_id in taken:
            raise PoolImportError(
                f'"{taken[class_id]}" and "{label}" both stand for the class "{classes.names[class_id]}".',
                "Keep one of them, or put their pictures together.",
            )
        taken[class_id] = label
    return matched


def mapping_text(matched: Mapping[str, int], class_names: Sequence[str]) -> str:
    """What numbers were taken for, since a number does not say it: '"0" is "boot", "1" is "dress" and 8 more'."""
    numbers = [f'"{label}" is "{class_names[c]}"' for label, c in matched.items() if label.isdecimal()]
    return ", ".join(numbers[:SHOWN]) + _more(len(numbers))


def _simple(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:SHOWN]) + _more(len(names))


def _more(n: int) -> str:
    return f" and {n - SHOWN} more" if n > SHOWN else ""


def _numbers(
    labels: Sequence[str], classes: ClassNames, first_label: int | None, where: str
) -> dict[str, int]:
    numbers = {label: int(label) for label in labels}
    if first_label is None and len(numbers) > 1 and set(numbers.values()) == set(range(1, len(numbers) + 1)):
        n = len(numbers)
        raise PoolImportError(
            f"The labels in {where} are the numbers 1 to {n}; whether 1 is the first class "
            f'("{classes.names[0]}") or the second ("{classes.names[1]}") is not said.',
            'Set "Number of the first class" (--first-label) to 1 or to 0.',
        )
    first = first_label or 0
    if max(numbers.values()) - first < len(classes) or classes.rows is None:
        return {label: n - first for label, n in numbers.items() if 0 <= n - first < len(classes)}
    place = {row: class_id for class_id, row in enumerate(classes.rows)}
    return {label: place[n] for label, n in numbers.items() if n in place}


def _unknown(unknown: Sequence[str], classes: ClassNames, where: str) -> PoolImportError:
    verb = "is no class" if len(unknown) == 1 else "are no classes"
    plain = {name.lower(): name for name in (*classes.names, *classes.wordnet_ids)}
    hint = did_you_mean(_simple(unknown[0]), plain)
    for low, name in plain.items():
        hint = hint.replace(f'"{low}"', f'"{name}"')
    some = ", ".join(classes.names[:SHOWN]) + (" and so on" if len(classes) > SHOWN else "")
    return PoolImportError(
        f"{_quoted(unknown)} in {where} {verb} of the task, which has {len(classes)}: {some}.",
        f'{hint}Rename the folder, or tick "Leave out folders that are no class" (--skip-unknown).',
    )
