"""What results say of each other: sets against their controls, seed by seed, and the scores of DD-Ranking."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from psr_studio.core.words import plural, text_table
from psr_studio.method.metrics import ars, hlr, ior, lrs
from psr_studio.method.protocols import HARD
from psr_studio.stages.evaluate.arms import FULL, OWN, RANDOM_REAL, TEACHER
from psr_studio.stages.evaluate.stage import Row

PAIRED = (
    "Points ahead, seed by seed: mean of the paired differences after the last epoch, with its 95 % interval, which "
    "takes three seeds at least and differences that vary by a test image at least."
)
INTERVAL, VERDICT = "95 % interval", "The set is"
DIFFERENCE_HEAD = ("Set", "Against", "Points", INTERVAL, "n", VERDICT)
RANKING_HEAD = ("Set", "Labels", "Protocol", "Student", "HLR", "IOR", "LRS", "ARS", "Still to train")
CONFIDENCE = 0.95
ROUNDING = 1e-12  # of equal differences of fractions
FEWEST = 3  # pairs from which a spread is estimated
MOST = 1000  # students beyond which nobody goes


@dataclass(frozen=True)
class Difference:
    """What one way is ahead of another over n pairs, such as students of the same seeds; shares, not points.

    Attributes:
        low, high: the 95 % interval of the mean by Student's t; infinite where the spread is not estimated.
        needed: pairs after which an interval of this spread would leave out 0; None where more than `MOST` would be.
    """

    n: int
    mean: float
    low: float
    high: float
    needed: int | None

    @property
    def estimated(self) -> bool:
        """Whether the pairs say how far the difference varies, so that there is an interval."""
        return math.isfinite(self.low)

    @property
    def verdict(self) -> str:
        """ "better", "worse", or "cannot tell with n = 3; about 9 more seeds would"."""
        if self.low > 0:
            return "better"
        if self.high < 0:
            return "worse"
        said = f"cannot tell with n = {self.n}"
        if self.n < FEWEST:
            return f"{said}; {FEWEST} at least would begin to"
        if not self.estimated:
            return f"{said}; the differences vary by less than a test image, too little to judge by"
        if self.needed is None:
            return f"{said}; over {MOST:,} seeds would not"
        return f"{said}; about {plural(max(1, self.needed - self.n), 'more seed')} would"


def paired_difference(first: Sequence[float], second: Sequence[float], n_tested: int = 0) -> Difference:
    """Difference of pairs of accuracies, first minus second.

    Student's t takes the spread from the pairs alone. An accuracy on T test images comes in steps of 1/T, so that equal
    differences, and a standard deviation below one step, are what the steps leave of a spread and no measure of it
    (the resolution of an instrument, GUM, JCGM 100:2008, F.2.2.1: identical readings do not show that there is no
    uncertainty); and of two pairs the deviation is a single number, which is near 0 by chance. So a spread counts as
    estimated from `FEWEST` pairs on, where it is 1/T at least. Otherwise there is no interval, and nothing is told.

    Args:
        n_tested: test images T behind each accuracy; 0 where that is not known, and only equal differences are refused.

    Raises:
        ValueError: no pair, two lengths.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values make no pairs.")
    apart = [a - b for a, b in zip(first, second, strict=True)]
    n, mean = len(apart), statistics.fmean(apart)
    spread = statistics.stdev(apart) if n >= FEWEST else 0.0
    step = 1 / n_tested if n_tested else 0.0
    if spread < max(step - ROUNDING, ROUNDING):
        return Difference(n, mean, -math.inf, math.inf, None)
    from scipy.special import stdtrit

    sizes = np.arange(n, max(n, MOST) + 1)
    halves = stdtrit(sizes - 1, (1 + CONFIDENCE) / 2) * spread / np.sqrt(sizes)
    enough = sizes[halves < abs(mean)]
    half = float(halves[0])
    return Difference(n, mean, mean - half, mean + half, int(enough[0]) if len(enough) else None)


@dataclass(frozen=True)
class Comparison:
    """A set against a row beside it, over the seeds that both have."""

    row: Row
    other: Row
    difference: Difference

    @property
    def cells(self) -> tuple[str, ...]:
        """Under `DIFFERENCE_HEAD`: points of a hundred, with sign."""
        d = self.difference
        interval = f"{100 * d.low:+.1f} to {100 * d.high:+.1f}" if d.estimated else "-"
        against = f"{self.other.name}, {self.other.label_regime}"
        return self.row.name, against, f"{100 * d.mean:+.1f}", interval, str(d.n), d.verdict


def comparisons(rows: Sequence[Row]) -> list[Comparison]:
    """Every set of a table against each row that is a control, or another set that stands above it."""
    sets = [row for row in rows if row.selection]
    controls = [row for row in rows if not row.selection]
    return [found for place, row in enumerate(sets) for found in against(row, (*sets[:place], *controls))]


def against(row: Row, others: Sequence[Row]) -> list[Comparison]:
    """One row against others, as far as the same students were trained on both."""
    return [found for other in others if (found := _compared(row, other)) is not None]


def _compared(row: Row, other: Row) -> Comparison | None:
    """Over the seeds of both; None where the same student was not trained on both in the same way."""
    same = (row.student, row.protocol, row.ipc) == (other.student, other.protocol, other.ipc)
    seeds = sorted(row.by_seed.keys() & other.by_seed.keys())
    if not seeds or not (same or other.arm == FULL):
        return None
    first, second = ([one.by_seed[seed] for seed in seeds] for one in (row, other))
    n_tested = min(row.n_tested, other.n_tested)
    return Comparison(row, other, paired_difference(first, second, n_tested))


def differences(rows: Sequence[Row]) -> tuple[Sequence[str], list[Sequence[str]], str]:
    """The comparisons of a table as head and cells, and what is said of all of them in place of in each row.

    That is the verdict where it is the same for all, and none has an interval.
    """
    found = comparisons(rows)
    verdicts = {comparison.difference.verdict for comparison in found}
    cells = [comparison.cells for comparison in found]
    if len(found) < 2 or len(verdicts) > 1 or any(one.difference.estimated for one in found):
        return DIFFERENCE_HEAD, [*cells], ""
    kept = [i for i, name in enumerate(DIFFERENCE_HEAD) if name not in (INTERVAL, VERDICT)]
    said = f"Of all of these: {verdicts.pop()}."
    return [DIFFERENCE_HEAD[i] for i in kept], [[row[i] for i in kept] for row in cells], said


def format_comparisons(rows: Sequence[Row]) -> str:
    """The comparisons of a table as text, "" where there are none."""
    head, cells, said = differences(rows)
    return "\n".join(filter(None, (_as_text(head, cells), said)))


@dataclass(frozen=True)
class Ranking:
    """The scores of DD-Ranking (arXiv 2505.13300) of a set, of fractions; None where a row for it is missing.

    Attributes:
        hlr: accuracy of all real images minus that of the set, both with hard labels: less is better.
        ior: of the set minus that of random real images, in the set's own way: more is better.
        lrs, ars: label and augmentation robust score, in [0, 1].
        missing: what would have to be trained for the others, in words.
    """

    row: Row
    hlr: float | None
    ior: float | None
    lrs: float | None
    ars: float | None
    missing: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Under `RANKING_HEAD`; HLR and IOR in points of a hundred."""
        row = self.row
        points = ["-" if x is None else f"{100 * x:+z.1f}" for x in (self.hlr, self.ior)]
        scores = ["-" if x is None else f"{x:.3f}" for x in (self.lrs, self.ars)]
        return row.name, row.label_regime, row.protocol, row.student, *points, *scores, self.missing


def rankings(rows: Sequence[Row]) -> list[Ranking]:
    """The scores of every set that was trained with augmentation, from all results of a workspace."""
    return [_ranked(row, rows) for row in rows if row.selection and row.augmented]


def _ranked(row: Row, rows: Sequence[Row]) -> Ranking:
    plain = _newest(rows, row, augmented=False)
    beside, plain_beside = _random(rows, row), plain and _random(rows, plain)
    hard = row if row.label_regime == HARD else _newest(rows, row, label_regime=HARD)
    full = hard and _last([r for r in rows if r.arm == FULL and _alike(r, hard, TESTED)])
    gain = ior(row.last_mean, beside.last_mean) if beside else None
    loss = hlr(full.last_mean, hard.last_mean) if hard and full else None
    plain_gain = ior(plain.last_mean, plain_beside.last_mean) if plain and plain_beside else None
    lacking = {
        "the set with hard labels": hard,
        "all real images": full or hard is None,
        "random real images": beside,
        "both without augmentation": plain_gain is not None,
    }
    return Ranking(
        row,
        loss,
        gain,
        None if loss is None or gain is None else lrs(loss, gain),
        None if gain is None or plain_gain is None else ars(gain, plain_gain),
        ", ".join(words for words, there in lacking.items() if not there),
    )


TESTED = ("student", "trained_by", "augmented", "task", "n_tested")
WAY = (*TESTED, "ipc", "epochs", "label_regime")
SET = (*WAY, "arm", "selection", "pictures_hash")


def _newest(rows: Sequence[Row], row: Row, **changed: object) -> Row | None:
    """The last result of the same set in the same way, but for what is changed."""
    kept = [name for name in SET if name not in changed]
    found = [r for r in rows if _alike(r, row, kept) and all(getattr(r, k) == v for k, v in changed.items())]
    return _last(found)


def _random(rows: Sequence[Row], row: Row) -> Row | None:
    """Random real images in the way of a row, as many; beside labels that came with a set, those of the teacher.

    Real images have no labels of the set's own kind; DD-Ranking gives them soft labels of its teacher likewise.
    """
    regimes = (row.label_regime, row.label_regime.replace(OWN, TEACHER))
    way = [name for name in WAY if name != "label_regime"]
    return _last(
        [r for r in rows if r.arm == RANDOM_REAL and r.label_regime in regimes and _alike(r, row, way)]
    )


def _last(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: row.trained, default=None)


def _alike(row: Row, other: Row, names: Sequence[str]) -> bool:
    return all(getattr(row, name) == getattr(other, name) for name in names)


def format_rankings(rows: Sequence[Row]) -> str:
    """The scores of DD-Ranking as text, "" where there is no set."""
    return _as_text(RANKING_HEAD, [ranking.cells for ranking in rankings(rows)])


def _as_text(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    return text_table([word if word.isupper() else word.lower() for word in head], cells) if cells else ""
