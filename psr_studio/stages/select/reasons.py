"""The live selection in words: why a candidate was taken or not, and which classes came short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from psr_studio.core.words import more_classes
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import Chosen
from psr_studio.stages.select.class_pools import class_pool
from psr_studio.stages.select.result import LiveResult, PickInfo

NAMED_CLASSES = 3


def why(result: LiveResult, position: int, mark: str | None) -> str:
    """One sentence on the candidate at a position of the pool: why it is in the selection, or why not."""
    scored, selector = result.scored, SELECTORS[result.selector]
    class_id = int(scored.labels[position])
    name = scored.class_names[class_id]
    pick = result.pick_info(position)
    if pick is None:
        return _why_not(result, position, mark)
    place = f'Pick {pick.rank + 1} of {len(result.picks[class_id])} in "{name}"'
    if class_id in result.locked:
        return f"{place}: the class is locked and keeps its picks."
    if mark == "pin":
        return f"{place}: you pinned it."
    if pick.filled and selector.eligible_first:
        seen = scored.class_names[int(scored.predicted[position])]
        return f'{place}: it fills up the class, in which too few are eligible; the teacher sees "{seen}".'
    return f"{place}: {selector.taken(_chosen(result, position, pick))}."


def _why_not(result: LiveResult, position: int, mark: str | None) -> str:
    scored, selector = result.scored, SELECTORS[result.selector]
    class_id = int(scored.labels[position])
    if not scored.counts[class_id]:
        return f'Not picked: "{scored.class_names[class_id]}" is not among the classes of the task.'
    if class_id in result.locked:
        return "Not picked: the class is locked and keeps its picks."
    if not result.budgets[class_id]:
        return "Not picked: the budget of the class is 0."
    if mark == "veto":
        return "Not picked: you vetoed it."
    if mark == "pin":
        return "Not picked in the selection shown, which is older than your pin."
    if not scored.eligible[position] and selector.eligible_first:
        seen = scored.class_names[int(scored.predicted[position])]
        return f'Not picked: the teacher sees "{seen}", so it is not eligible.'
    return f"Not picked: {selector.left(_chosen(result, position))}."


def _chosen(result: LiveResult, position: int, pick: PickInfo | None = None) -> Chosen:
    """What a sentence of a selector may read."""
    class_id = int(result.scored.labels[position])
    start = result.scored.members(class_id).start
    return Chosen(
        class_pool(result.scored, class_id, result.rules.temperature),
        result.rules.parameters(),
        result.picks[class_id] - start,
        result.scores[class_id],
        result.terms[class_id],
        position - start,
        *((pick.rank, pick.filled) if pick else ()),
    )


def short_because(selector: str) -> str:
    """Why a class gets fewer images than its budget, in a few words."""
    return SELECTORS[selector].short


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
    return f"{what}: {listed}{more_classes(len(short) - len(named))}."


def _one_class(name: str, missing: int, filled: Sequence[bool] | np.ndarray, others: str) -> str:
    """'"coat" has 3 of 10 (7 filled with others)' with what was found, asked for and done."""
    n_filled = int(np.sum(filled))
    found, empty = len(filled) - n_filled, missing - n_filled
    done = [f"{n_filled} filled {others}"] if n_filled else []
    done += [f"{empty} left empty"] if empty else []
    return f'"{name}" has {found} of {found + missing} ({", ".join(done)})'
