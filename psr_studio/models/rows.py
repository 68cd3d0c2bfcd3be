"""Rows of a larger class table that are the classes of a task."""

from __future__ import annotations

from collections.abc import Sequence

from psr_studio.core.errors import ModelError


def check_rows(what: str, rows: Sequence[int] | None, n_rows: int) -> None:
    """Raise ModelError where a table of `n_rows` classes lacks one of `rows`, or one of them is there twice."""
    for row in rows or ():
        if not 0 <= row < n_rows:
            raise ModelError(
                f"{what} has {n_rows} classes, but row {row} of them is asked for; rows count from 0.",
                'Correct "class_indices", or name one with these classes.',
            )
    if rows is not None and len(set(rows)) < len(rows):
        twice = next(row for i, row in enumerate(rows) if row in rows[:i])
        raise ModelError(
            f'"class_indices" names row {twice} twice, so that two classes would be the same one.',
            "Correct one of them.",
        )
