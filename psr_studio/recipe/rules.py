"""Whole numbers that follow the budget: those that a protocol gives, its epochs and its batch."""

from __future__ import annotations

from typing import ClassVar

from psr_studio.method.selectors.rules import ByRule, TimesBudget

__all__ = ["BatchByBudget", "ByRule", "EpochsByBudget", "TimesBudget"]


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
