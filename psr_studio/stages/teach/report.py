"""What is told of a taught teacher: how often it is right on pictures it did not see, and whether it can judge.

The gates stand here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from psr_studio.core.errors import ModelError
from psr_studio.core.texts import TextError, parse_json, read_text
from psr_studio.core.words import text_table
from psr_studio.method.metrics import accuracy, calibration_by_chance, expected_calibration_error

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

REPORT = "report.json"  # beside the weights
MIN_ACCURACY = 0.80  # below it a teacher is too weak to judge candidates
MIN_CLASS_ACCURACY = 0.60  # of one class
MAX_ECE = 0.05  # beyond what a calibrated teacher would show by chance on so few pictures
HELD_OUT, CROSS_FITTED, POOL = "held out", "cross-fitted", "pool"
FROM_POOL = (
    "Its labels come from the pool itself: it knows how the generator shows each class, not what the class really "
    "looks like, and a mistake that the generator makes for a whole class is not seen. Each "
    "candidate is scored by a head that did not see it. Teach it on real pictures where you have some."
)
HEAD = ("Class", "Pictures", "Right")


@dataclass(frozen=True)
class Report:
    """How a teacher does on pictures that the head behind each number did not see.

    Attributes:
        how: "held out", "cross-fitted", or "pool" for cross-fitted on a pool.
        n_taught: pictures the saved head is fitted to. n: pictures the numbers below are of.
        accuracy, ece, ece_by_chance: fractions; the last is what a calibrated teacher would show on n pictures.
        per_class: name, pictures, and how many of them it gets right, in label order.
        backbone: the network under the head. penalty, temperature: as they were chosen.
        left_out: what was not used and why, in words; "" for nothing.
    """

    how: str
    n_taught: int
    n: int
    accuracy: float
    ece: float
    ece_by_chance: float
    per_class: tuple[tuple[str, int, int], ...]
    backbone: str
    penalty: float
    temperature: float
    left_out: str = ""

    @classmethod
    def of(cls, logits: Any, labels: np.ndarray, class_names: Sequence[str], **facts: Any) -> Self:
        """From logits (n, C) of unseen pictures and their labels (n,)."""
        right = np.asarray(logits).argmax(axis=1) == labels
        rows = tuple(
            (name, int((labels == c).sum()), int(right[labels == c].sum()))
            for c, name in enumerate(class_names)
        )
        return cls(
            n=len(labels),
            accuracy=accuracy(logits, labels),
            ece=expected_calibration_error(logits, labels),
            ece_by_chance=calibration_by_chance(logits),
            per_class=rows,
            **facts,
        )

    @property
    def warnings(self) -> list[str]:
        """Why it is too weak to judge, a sentence each; empty where it reaches the gates."""
        found = []
        if self.accuracy < MIN_ACCURACY:
            found.append(
                f"Too weak to judge: {percent(self.accuracy)} are right, and {percent(MIN_ACCURACY)} are needed. Its "
                "scores say little; give it more pictures, clearer ones, or a larger backbone."
            )
        if self.ece - self.ece_by_chance > MAX_ECE:
            found.append(
                f"Its confidences are off by {self.ece:.3f} on average, {self.ece - self.ece_by_chance:.3f} more than "
                f"chance explains, and {MAX_ECE} is the most that soft labels stand. Give it more pictures."
            )
        weak = [name for name, n, right in self.per_class if n and right / n < MIN_CLASS_ACCURACY]
        if weak:
            found.append(
                f"It knows {', '.join(weak)} badly: fewer than {percent(MIN_CLASS_ACCURACY)} of the pictures are right."
            )
        return found

    @property
    def headline(self) -> str:
        """One line."""
        ways = {
            HELD_OUT: f"on {self.n} pictures held out",
            CROSS_FITTED: f"on {self.n} pictures, cross-fitted: each judged by a head that did not see it",
            POOL: f"on {self.n} pictures of the pool, cross-fitted: each judged by a head that did not see it",
        }
        return (
            f"{percent(self.accuracy)} right, calibration error {self.ece:.3f} ({self.ece_by_chance:.3f} by chance), "
            f"{ways[self.how]}."
        )

    @property
    def origin(self) -> str:
        """For the card of a set: what it was taught on and how good it is."""
        source = "pictures of the pool itself" if self.how == POOL else "real pictures"
        return f"taught on {self.n_taught:,} {source}: {self.headline}" + (
            f" {FROM_POOL}" if self.how == POOL else ""
        )

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Of the table by class, under `HEAD`."""
        return [
            (name, f"{n:,}", percent(right / n) if n else "none to tell") for name, n, right in self.per_class
        ]

    @property
    def notes(self) -> list[str]:
        """What must be said with the numbers: where the labels are from, the warnings, and what was left out."""
        return [*([FROM_POOL] if self.how == POOL else []), *self.warnings, *filter(None, [self.left_out])]

    def text(self) -> str:
        """All of it, for a terminal."""
        return "\n".join([self.headline, "", text_table(HEAD, self.rows), "", *self.notes]).rstrip()

    def write(self, folder: Path) -> None:
        """report.json and the card."""
        (folder / REPORT).write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", "utf-8")
        lines = [
            "# A teacher of own classes",
            "",
            f"A linear head on the features of {self.backbone}, fitted to {self.n_taught:,} pictures (multinomial "
            f"logistic regression, penalty {self.penalty:g}, temperature {self.temperature:.2f}). "
            "Made by `psr-studio teach`.",
            "",
            self.headline,
            *[f"\n{sentence}" for sentence in self.notes],
            "",
            f"| {' | '.join(HEAD)} |",
            "|---|---|---|",
            *[f"| {' | '.join(row)} |" for row in self.rows],
            "",
            "The licence of the backbone holds for this network too.",
        ]
        (folder / "README.md").write_text("\n".join(lines) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From report.json; ModelError where there is none, or it is damaged."""
        path = folder / REPORT
        try:
            found = parse_json(read_text(path))
            rows = tuple((str(name), int(n), int(right)) for name, n, right in found["per_class"])
            return cls(**{**found, "per_class": rows})
        except (OSError, TextError, KeyError, TypeError, ValueError) as err:
            raise ModelError(f"{path} is no report of a taught teacher.", "Teach it again.") from err


def report_of(bundle: Bundle) -> Report | None:
    """What was told when the teacher of a bundle was taught; None of one that was not, or whose report is gone."""
    folder = next((part.folder for part in bundle.parts() if part.part == "teacher"), "")
    if not folder or not (Path(folder) / REPORT).is_file():
        return None
    with suppress(ModelError):
        return Report.read(Path(folder))
    return None


def percent(share: float) -> str:
    """ "97.3 %"."""
    return f"{100 * share:.1f} %"
