"""CaO2: candidates that the teacher classifies rightly, by its confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector

ORDERS = ("by budget", "surest", "least sure")


class CaO2(Parameters):
    """Which of the right ones come first."""

    searched: ClassVar[Mapping[str, tuple]] = {"order": ORDERS}
    order: str = setting(
        "by budget",
        "Surest first, as for small budgets, or least sure first, as suggested for 50 per class; "
        "by budget changes over at 50.", choices=ORDERS,
    )  # fmt: skip


def _choose(pool: ClassPool, params: CaO2, ask: Ask) -> Selection:
    from psr_studio.method.baselines import cao2

    return cao2(
        pool.difficulty, ask.ipc, order=params.order, eligible=pool.eligible, pinned=ask.pinned,
        vetoed=ask.vetoed,
    )  # fmt: skip


def _confidence(chosen: Chosen) -> float:
    return float(1 - chosen.pool.difficulty[chosen.at])


SELECTOR = Selector(
    "cao2", 100, "CaO2",
    "Keeps candidates that the teacher classifies rightly, by its confidence.",
    source="CaO2, Wang et al. 2025",
    taken=lambda chosen: (
        f"the teacher sees its class with confidence {_confidence(chosen):.3f}, and CaO2 goes by that"
    ),
    left=lambda chosen: (
        f"the teacher's confidence in its class is {_confidence(chosen):.3f}; others came first"
    ),
    one_class=_choose, parameters=CaO2, eligible_first=True, reads_difficulty=True,
)  # fmt: skip
