"""Variations of a candidate as a recipe names them: "12 x 8 at 0.5", eight of candidate 12 by half of the steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

CANDIDATES_PER_CLASS = 1_000_000  # a candidate's number is class * 1,000,000 + index
FIRST_VARIATION = 900_000  # index of the first one of a class: a pool that grows leaves them alone
MOST_VARIATIONS = CANDIDATES_PER_CLASS - FIRST_VARIATION  # of a class
WRITTEN = re.compile(r"\s*(\d{1,18})\s*x\s*(\d{1,6})\s+at\s+(\d?\.?\d{1,9})\s*")


@dataclass(frozen=True)
class Variations:
    """Variations of one candidate.

    Attributes:
        parent: the candidate's number. count: how many, 1 or more.
        strength: share of the denoising steps that are taken from the parent on, above 0 to 1.
    """

    parent: int
    count: int
    strength: float

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What a text says; None where it is written otherwise or a number is out of its range."""
        found = WRITTEN.fullmatch(text)
        if found is None:
            return None
        parent, count, strength = int(found[1]), int(found[2]), float(found[3])
        fits = 1 <= count <= MOST_VARIATIONS and 0 < strength <= 1
        return cls(parent, count, strength) if fits else None

    @property
    def class_id(self) -> int:
        """The class of the parent, which is theirs."""
        return self.parent // CANDIDATES_PER_CLASS

    def __str__(self) -> str:
        return f"{self.parent} x {self.count} at {self.strength:g}"
