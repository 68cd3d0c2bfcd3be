"""The live selection in words: why a candidate was taken or not, and which classes came short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import Chosen
from psr_studio.stages.select.result import LiveResult, PickInfo
from psr_studio.stages.select.scored import ScoredPool

NAMED_CLASSES = 3


def why(live: ScoredPool, result: LiveResult, position: int) -> str:
    """One sentence on the candidate at a position of the pool."""
    class_id = int(live.labels[position])
    name = live.class_names[class_id]
    mark = live.ws.ledger.marks().get(int(live.candidate_ids[position]))
    pick = result.pick_info(position)
    if pick is None:
        return _why_not(live, result, position, mark)
    place = f'Pick {pick.rank + 1} of {len(result.picks[class_id])} in "{name}"'
    if class_id in result.locked:
        return f"{place}: the class is locked and keeps its picks."
    if mark == "pin":
        return f"{place}: you pinned it."
    selector = SELECTORS[result.selector]
    if pick.filled and selector.eligible_first:
        seen = live.class_names[int(live.predicted[position])]
        return f'{place}: it fills up the class, in which too few are eligible; the teacher sees "{seen}".'
    return f"{place}: {selector.taken(_chosen(live, result, position, pick))}."


def _why_not(live: ScoredPool, result: LiveResult, position: int, mark: str | None) -> str:
    class_id = int(live.labels[position])
    if not live.counts[class_id]:
        return f'Not picked: "{live.class_names[class_id]}" is not among the classes of the task.'
    if class_id in result.locked:
        return "Not picked: the class is locked and keeps its picks."
    if mark == "veto":
        return "Not picked: you vetoed it."
    if mark == "pin":
        return "Not picked in the selection shown, which is older than your pin."
    selector = SELECTORS[result.selector]
    if not live.eligible[position] and selector.eligible_first:
        seen = live.class_names[int(live.predicted[position])]
        return f'Not picked: the teacher sees "{seen}", so it is not eligible.'
    return f"Not picked: {selector.left(_chosen(live, result, position))}."


def _chosen(live: ScoredPool, result: LiveResult, position: int, pick: PickInfo | None = None) -> Chosen:
    """What a sentence of a selector may read."""
    class_id = int(live.labels[position])
    start = live.members(class_id).start
    return Chosen(
        live.class_pool(class_id),
        result.rules.parameters(),
        result.picks[class_id] - start,
        result.scores[class_id],
        result.terms[class_id],
        position - start,
        *((pick.rank, pick.filled) if pick else ()),
    )


def shortage_text(
    class_names: Sequence[str],
    selector: str,
    shortfall: Mapping[int, int],
    filled: Mapping[int, Sequence[bool]] | Sequence[Sequence[bool] | np.ndarray],
) -> str:
    """Which classes came short and what was done about it, "" when none did.

    Args:
        shortfall: what each class lacks. filled: which of its picks fill up.
    """
    short = [c for c, missing in shortfall.items() if missing]
    if not short:
        return ""
    what, others = SELECTORS[selector].shortage
    named = short[:NAMED_CLASSES]
    listed = ", ".join(_one_class(class_names[c], shortfall[c], filled[c], others) for c in named)
    more = f" and {len(short) - NAMED_CLASSES} more classes" if len(short) > NAMED_CLASSES else ""
    return f"{what}: {listed}{more}."


def _one_class(name: str, missing: int, filled: Sequence[bool] | np.ndarray, others: str) -> str:
    """'"coat" has 3 of 10 (7 filled with others)' with what was found, asked for and done."""
    n_filled = int(np.sum(filled))
    found, empty = len(filled) - n_filled, missing - n_filled
    done = [f"{n_filled} filled {others}"] if n_filled else []
    done += [f"{empty} left empty"] if empty else []
    return f'"{name}" has {found} of {found + missing} ({", ".join(done)})'
