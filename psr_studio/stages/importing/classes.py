"""Which class of the task a folder or a label stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from psr_studio.core.errors import did_you_mean
from psr_studio.stages.importing.items import PoolImportError

SHOWN = 3  # unknown labels that are named in a message


def match_classes(
    labels: Sequence[str],
    class_names: Sequence[str],
    wordnet_ids: Sequence[str] = (),
    class_rows: Sequence[int] | None = None,
    skip_unknown: bool = False,
    where: str = "the source",
) -> dict[str, int]:
    """Map labels to the task's classes 0 to C - 1.

    A label is a class name (case, spaces, hyphens and underscores do not count; of "tench, Tinca tinca" the first
    name does), a WordNet id, one of both behind a number as exports name their folders ("03_Dress"), or a number.
    Numbers are in label order; only where they are too large for that are they rows of ImageNet-1K.

    Raises:
        PoolImportError: a label that is no class, with the nearest one; two labels for one class; or none at all.
    """
    table = _table(class_names, wordnet_ids)
    if all(label.isdecimal() for label in labels):
        found = _numbers(labels, len(class_names), class_rows)
    else:
        found = {label: table[key] for label in labels if (key := _key(label, table)) is not None}
    unknown = [label for label in labels if label not in found]
    if unknown and (not skip_unknown or not found):
        raise _unknown(unknown, class_names, wordnet_ids, where)
    taken: dict[int, str] = {}
    for label, class_id in found.items():
        if class_id in taken:
            raise PoolImportError(
                f'"{taken[class_id]}" and "{label}" both stand for the class "{class_names[class_id]}".',
                "Keep one of them, or put their pictures together.",
            )
        taken[class_id] = label
    return found


def _simple(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def _table(class_names: Sequence[str], wordnet_ids: Sequence[str]) -> Mapping[str, int]:
    table: dict[str, int] = {}
    for names in (class_names, wordnet_ids):
        table |= {_simple(name): class_id for class_id, name in enumerate(names)}
    return table


def _key(label: str, table: Mapping[str, int]) -> str | None:
    behind_number = re.sub(r"^\d+[\W_]+", "", label)
    tries = (label, label.partition(",")[0], behind_number)
    return next((key for text in tries if (key := _simple(text)) in table), None)


def _numbers(labels: Sequence[str], n_classes: int, rows: Sequence[int] | None) -> dict[str, int]:
    numbers = {label: int(label) for label in labels}
    if max(numbers.values()) < n_classes or rows is None:
        return {label: number for label, number in numbers.items() if number < n_classes}
    place = {row: class_id for class_id, row in enumerate(rows)}
    return {label: place[number] for label, number in numbers.items() if number in place}


def _unknown(
    unknown: Sequence[str], class_names: Sequence[str], wordnet_ids: Sequence[str], where: str
) -> PoolImportError:
    shown = ", ".join(f'"{label}"' for label in unknown[:SHOWN])
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    verb = "is no class" if len(unknown) == 1 else "are no classes"
    plain = {name.lower(): name for name in (*class_names, *wordnet_ids)}
    hint = did_you_mean(_simple(unknown[0]), plain)
    for low, name in plain.items():
        hint = hint.replace(f'"{low}"', f'"{name}"')
    some = ", ".join(class_names[:SHOWN]) + (" and so on" if len(class_names) > SHOWN else "")
    return PoolImportError(
        f"{shown}{more} in {where} {verb} of the task, which has {len(class_names)}: {some}.",
        f"{hint}Rename the folder, or leave out what is no class with --skip-unknown.",
    )
