"""The live selection in words: why a candidate was taken or not, and which classes came short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from psr_studio.stages.live import LiveResult, LiveSelection, PickInfo

NAMED_CLASSES = 3
BASELINE_WORDS = {"random": "drawn at random", "generate-and-use": "among the first of the pool"}


def why(live: LiveSelection, result: LiveResult, position: int) -> str:
    """One sentence on the candidate at a position of the pool."""
    class_id = int(live.labels[position])
    name = live.class_names[class_id]
    mark = live.ws.ledger.marks().get(int(live.candidate_ids[position]))
    pick = result.pick_info(position)
    if pick is None:
        return _why_not(live, result, position, mark)
    place = f'Pick {pick.rank + 1} of {len(result.picks[class_id])} in "{name}"'
    if mark == "pin":
        return f"{place}: you pinned it."
    if pick.filled:
        seen = live.class_names[int(live.predicted[position])]
        return f'{place}: it fills up the class, in which too few are eligible; the teacher sees "{seen}".'
    if result.selector != "psr":
        return f"{place}: {BASELINE_WORDS[result.selector]}."
    if pick.rank == 0:
        return f"{place}: the most reliable one of its class ({live.reliability[position]:.3f})."
    return f"{place}: {_sum(pick)}, the highest score of those left at that point."


def _sum(pick: PickInfo) -> str:
    rel, ent, div = pick.terms
    return f"reliability {rel:.2f} - entropy {abs(ent):.2f} + diversity {div:.2f} = {pick.score:.2f}"


def _why_not(live: LiveSelection, result: LiveResult, position: int, mark: str | None) -> str:
    if mark == "veto":
        return "Not picked: you vetoed it."
    class_id = int(live.labels[position])
    if mark == "pin":
        return "Not picked in the selection shown, which is older than your pin."
    if result.selector != "psr":
        return "Not picked: this selector does not look at scores."
    if not live.eligible[position]:
        seen = live.class_names[int(live.predicted[position])]
        return f'Not picked: the teacher sees "{seen}", so it is not eligible.'
    a, b, g = result.weights
    score = a * live.rel_n[position] - b * live.ent_n[position] + g * result.diversity[position]
    last = f"; the last pick had {result.scores[class_id][-1]:.2f}" if len(result.scores[class_id]) else ""
    return f"Not picked: its score beside the present picks is {score:.2f}{last}."


def shortage_message(live: LiveSelection, result: LiveResult) -> str:
    """Which classes came short and what was done about it; "" when none did."""
    short = [c for c, missing in enumerate(result.shortfall) if missing]
    if not short:
        return ""
    listed = ", ".join(_one_class(live, result, c) for c in short[:NAMED_CLASSES])
    more = f" and {len(short) - NAMED_CLASSES} more classes" if len(short) > NAMED_CLASSES else ""
    return f"Too few eligible candidates: {listed}{more}."


def _one_class(live: LiveSelection, result: LiveResult, class_id: int) -> str:
    """'"coat": 3 of 10, 7 filled with others' with what was found, asked for and done."""
    missing, filled = result.shortfall[class_id], int(np.sum(result.filled[class_id]))
    empty = result.ipc - len(result.picks[class_id])
    done = [f"{filled} filled with the most reliable others"] if filled else []
    done += [f"{empty} left empty"] if empty else []
    return f'"{live.class_names[class_id]}" has {result.ipc - missing} of {result.ipc} ({", ".join(done)})'
