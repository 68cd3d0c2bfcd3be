"""Whole numbers that follow the budget, such as a pool of "2K" candidates per class."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self


class ByRule(int, ABC):
    """The number that a rule gives. It counts, is shown and is hashed as that number; a file keeps the rule.

    Until a `Recipe` says how many images per class there are, it is the number at one.

    Attributes:
        rule: as it is written, such as "2K".
    """

    example: ClassVar[str]
    rule: str

    def __new__(cls, rule: str, ipc: int = 1, most: int = 1) -> Self:
        """The number of a rule at a budget of `ipc` images per class, `most` of the largest class."""
        made = super().__new__(cls, cls.number(rule, ipc, most))
        made.rule = rule
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), int(self), self.rule)

    @classmethod
    def read(cls, value: Any) -> Self | None:
        """The rule that a value is or is written as; None of anything else."""
        if isinstance(value, cls):
            return value
        return cls(value) if isinstance(value, str) and cls.is_rule(value) else None

    def at(self, ipc: int, most: int) -> Self:
        """The same rule at a budget of `ipc` images per class, `most` of the largest class."""
        return type(self)(self.rule, ipc, most)

    @classmethod
    @abstractmethod
    def is_rule(cls, text: str) -> bool:
        """Whether a text is a rule of this kind."""

    @classmethod
    @abstractmethod
    def number(cls, rule: str, ipc: int, most: int) -> int:
        """What a rule gives."""


def _made(kind: type[ByRule], number: int, rule: str) -> ByRule:
    made = int.__new__(kind, number)
    made.rule = rule
    return made


class TimesBudget(ByRule):
    """So many times the images of the class that gets most: "2K" of a pool as PSR has it, "5K" as DGS has it."""

    example = "2K"

    @classmethod
    def is_rule(cls, text: str) -> bool:
        """A whole number from 1 and a K."""
        return re.fullmatch(r"[1-9]\d{0,6}K", text) is not None

    @classmethod
    def number(cls, rule: str, ipc: int, most: int) -> int:
        """The multiple."""
        return int(rule[:-1]) * most


class PerImage(TimesBudget):
    """The same of what there is mostly one of for each image, such as the targets of a guidance."""

    example = "1K"
