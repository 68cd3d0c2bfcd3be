"""Whole numbers that follow the budget: a pool of "2K" candidates per class, a protocol's epochs and batch."""

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


class OfProtocol(ByRule):
    """A number that a protocol gives by images per class; the rule is the name of the protocol."""

    UP_TO: ClassVar[tuple[tuple[int, int], ...]]  # most images per class, the number
    BEYOND: ClassVar[int]  # the number for every larger budget

    @classmethod
    def is_rule(cls, text: str) -> bool:
        """The name of the protocol."""
        return text == cls.example

    @classmethod
    def number(cls, rule: str, ipc: int, most: int) -> int:
        """That of the first budget that is no smaller."""
        return next((number for last, number in cls.UP_TO if ipc <= last), cls.BEYOND)


class EpochsByBudget(OfProtocol):
    """Epochs of the Minimax protocol by images per class, for sets of ten classes.

    Source: vimar-gu/MinimaxDiffusion, argument.py; for just 100 classes it takes two thirds, which this does not.
    """

    example = "minimax"
    UP_TO = ((1, 3000), (10, 2000), (50, 1500), (200, 1000), (500, 500))
    BEYOND = 300


class BatchByBudget(OfProtocol):
    """Images per gradient step of RDED by images per class, for sets of ten classes; the last for every larger budget.

    Source: LINs-lab/RDED, argument.py, which names 1, 10 and 50 only and doubles them for 100 classes and more; this
    does not.
    """

    example = "rded"
    UP_TO = ((1, 10), (10, 50))
    BEYOND = 100
