"""The live selection in words: why a candidate was taken or not, and which classes came short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from psr_studio.stages.select.result import LiveResult, PickInfo
    from psr_studio.stages.select.scored import ScoredPool

NAMED_CLASSES = 3


def why(result: LiveResult, position: int, mark: str | None) -> str:
    """One sentence on the candidate at a position of the pool: why it is in the selection, or why not."""
    scored = result.scored
    class_id = int(scored.labels[position])
    name = scored.class_names[class_id]
    pick = result.pick_info(position)
    if pick is None:
        return _why_not(scored, result, position, mark)
    place = f'Pick {pick.rank + 1} of {len(result.picks[class_id])} in "{name}"'
    if class_id in result.locked:
        return f"{place}: the class is locked and keeps its picks."
    if mark == "pin":
        return f"{place}: you pinned it."
    if pick.filled and result.selector != "dgs":
        seen = scored.class_names[int(scored.predicted[position])]
        return f'{place}: it fills up the class, in which too few are eligible; the teacher sees "{seen}".'
    return f"{place}: {TAKEN[result.selector](scored, result, position, pick)}."


def _why_not(scored: ScoredPool, result: LiveResult, position: int, mark: str | None) -> str:
    class_id = int(scored.labels[position])
    if not scored.counts[class_id]:
        return f'Not picked: "{scored.class_names[class_id]}" is not among the classes of the task.'
    if class_id in result.locked:
        return "Not picked: the class is locked and keeps its picks."
    if mark == "veto":
        return "Not picked: you vetoed it."
    if mark == "pin":
        return "Not picked in the selection shown, which is older than your pin."
    if not scored.eligible[position] and result.selector in ("psr", "cao2"):
        seen = scored.class_names[int(scored.predicted[position])]
        return f'Not picked: the teacher sees "{seen}", so it is not eligible.'
    return f"Not picked: {LEFT[result.selector](scored, result, position)}."


# Why a pick was taken, by selector.


def _psr_taken(scored: ScoredPool, result: LiveResult, position: int, pick: PickInfo) -> str:
    if pick.rank == 0:
        return f"the most reliable one of its class ({result.signals.reliability[position]:.3f})"
    rel, ent, div = pick.terms
    total = f"reliability {rel:.2f} - entropy {abs(ent):.2f} + diversity {div:.2f} = {pick.score:.2f}"
    return f"{total}, the highest score of those left at that point"


def _dgs_taken(scored: ScoredPool, result: LiveResult, position: int, pick: PickInfo) -> str:
    how = "drawn" if result.rules.within_bin == "random" else "the first by the PSR order"
    if pick.filled:
        return f"a substitute {how} from {_bin(result, position)}, since a bin nearby ran short"
    return f'{how} from {_bin(result, position)}, which the target "{result.rules.target}" asks for'


def _k_center_taken(scored: ScoredPool, result: LiveResult, position: int, pick: PickInfo) -> str:
    if pick.rank == 0:
        return "the most central one of its class"
    earlier = result.picks[int(scored.labels[position])][: pick.rank]
    away = _distance(scored, position, earlier)
    return f"the farthest from the {pick.rank} taken before it (distance {away:.2f})"


def _k_medoids_taken(scored: ScoredPool, result: LiveResult, position: int, pick: PickInfo) -> str:
    own = scored.members(int(scored.labels[position]))
    picks = result.picks[int(scored.labels[position])]
    near = scored.distances.block(int(scored.labels[position]))[:, picks - own.start].argmin(axis=1)
    served = int((near == pick.rank).sum())
    return f"a medoid: {served} candidate{'s' if served != 1 else ''} of the class lie nearest to it"


def _herding_taken(scored: ScoredPool, result: LiveResult, position: int, pick: PickInfo) -> str:
    return f"with it the mean of the first {pick.rank + 1} picks lies nearest to the mean of the class"


def _cao2_taken(scored: ScoredPool, result: LiveResult, position: int, pick: PickInfo) -> str:
    sure = 1 - scored.difficulty[position]
    return f"the teacher sees its class with confidence {sure:.3f}, and CaO2 goes by that"


TAKEN: dict[str, Callable[[ScoredPool, LiveResult, int, PickInfo], str]] = {
    "psr": _psr_taken,
    "dgs": _dgs_taken,
    "random": lambda scored, result, position, pick: "drawn at random",
    "generate-and-use": lambda scored, result, position, pick: "among the first of the pool",
    "top-confidence": lambda scored, result, position, pick: (
        f"number {pick.rank + 1} by reliability ({result.signals.reliability[position]:.3f})"
    ),
    "lowest-entropy": lambda scored, result, position, pick: (
        f"number {pick.rank + 1} by low entropy ({result.signals.entropy[position]:.3f})"
    ),
    "k-center": _k_center_taken,
    "k-medoids": _k_medoids_taken,
    "herding": _herding_taken,
    "cao2": _cao2_taken,
}

# Why a candidate was left, by selector.


def _psr_left(scored: ScoredPool, result: LiveResult, position: int) -> str:
    a, b, g = result.weights
    score = (
        a * result.signals.rel_n[position]
        - b * result.signals.ent_n[position]
        + g * result.diversity[position]
    )
    scores = result.scores[int(scored.labels[position])]
    last = f"; the last pick had {scores[-1]:.2f}" if len(scores) else ""
    return f"its score beside the present picks is {score:.2f}{last}"


def _dgs_left(scored: ScoredPool, result: LiveResult, position: int) -> str:
    own = result.picks[int(scored.labels[position])]
    assert result.bins is not None, "dgs gives bins"
    n = int((result.bins[own] == result.bins[position]).sum())
    return f"{_bin(result, position)} gave its {n} image{'s' if n != 1 else ''}, and this was not among them"


def _covered(scored: ScoredPool, result: LiveResult, position: int) -> str:
    """The coverage radius: how far the worst served candidate is from its nearest pick."""
    class_id = int(scored.labels[position])
    own, picks = scored.members(class_id), result.picks[class_id]
    if not len(picks):
        return "its class has no pick"
    block = scored.distances.block(class_id)[:, picks - own.start]
    radius = float(np.sqrt(block.min(axis=1).max()))
    away = _distance(scored, position, picks)
    return f"a pick lies {away:.2f} away; no candidate of the class is farther from one than {radius:.2f}"


def _by_rank(signal: str, word: str) -> Callable[[ScoredPool, LiveResult, int], str]:
    def left(scored: ScoredPool, result: LiveResult, position: int) -> str:
        values = getattr(result.signals, signal)
        picks = result.picks[int(scored.labels[position])]
        last = f"; the last pick has {values[picks[-1]]:.3f}" if len(picks) else ""
        return f"its {word} is {values[position]:.3f}{last}"

    return left


LEFT: dict[str, Callable[[ScoredPool, LiveResult, int], str]] = {
    "psr": _psr_left,
    "dgs": _dgs_left,
    "random": lambda scored, result, position: "this selector does not look at scores",
    "generate-and-use": lambda scored, result, position: "this selector does not look at scores",
    "top-confidence": _by_rank("reliability", "reliability"),
    "lowest-entropy": _by_rank("entropy", "entropy"),
    "k-center": _covered,
    "k-medoids": _covered,
    "herding": lambda scored, result, position: (
        "others kept the mean of the picks nearer to that of the class"
    ),
    "cao2": lambda scored, result, position: (
        f"the teacher's confidence in its class is {1 - scored.difficulty[position]:.3f}; others came first"
    ),
}


def _bin(result: LiveResult, position: int) -> str:
    """The bin of smoothed difficulty in words: "the bin 0.2 to 0.3"."""
    assert result.bins is not None, "dgs gives bins"
    k = int(result.bins[position])
    return f"the bin of difficulty {k / 10:.1f} to {(k + 1) / 10:.1f}"


def _distance(scored: ScoredPool, position: int, others: np.ndarray) -> float:
    """Distance to the nearest of some candidates of the same class."""
    class_id = int(scored.labels[position])
    start = scored.members(class_id).start
    return float(np.sqrt(scored.distances.block(class_id)[position - start, others - start].min()))


def shortage_text(
    class_names: Sequence[str],
    selector: str,
    shortfall: Mapping[int, int],
    filled: Mapping[int, Sequence[bool]] | Sequence[Sequence[bool] | np.ndarray],
) -> str:
    """Which classes came short and what was done about it, "" when none did: from what each lacks and which fill up."""
    short = [c for c, missing in shortfall.items() if missing]
    if not short:
        return ""
    others = "from the nearest bins" if selector == "dgs" else "with the most reliable others"
    named = short[:NAMED_CLASSES]
    listed = ", ".join(_one_class(class_names[c], shortfall[c], filled[c], others) for c in named)
    more = f" and {len(short) - NAMED_CLASSES} more classes" if len(short) > NAMED_CLASSES else ""
    what = "Too few candidates in some bins" if selector == "dgs" else "Too few eligible candidates"
    return f"{what}: {listed}{more}."


def _one_class(name: str, missing: int, filled: Sequence[bool] | np.ndarray, others: str) -> str:
    """'"coat" has 3 of 10 (7 filled with others)' with what was found, asked for and done."""
    n_filled = int(np.sum(filled))
    found, empty = len(filled) - n_filled, missing - n_filled
    done = [f"{n_filled} filled {others}"] if n_filled else []
    done += [f"{empty} left empty"] if empty else []
    return f'"{name}" has {found} of {found + missing} ({", ".join(done)})'
