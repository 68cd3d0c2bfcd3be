"""Log-determinant: the picks that are most unlike each other together, as the greedy search of a k-DPP finds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import Ask, Chosen, ClassPool, Selection, Selector


class LogDeterminant(Parameters):
    """What counts as alike, and how much the teacher's trust counts beside it."""

    searched: ClassVar[Mapping[str, tuple]] = {"width": (0.1, 4.0), "quality": (0.0, 4.0)}
    width: float = setting(
        1.0, "How far likeness reaches, in mean squared distances of the class.", "", 0.01, 100.0, slider=4.0
    )  # fmt: skip
    quality: float = setting(
        0.0, "How much reliability counts beside unlikeness; 0 is unlikeness alone.", "", 0.0, 100.0, slider=4.0
    )  # fmt: skip


def _choose(pool: ClassPool, params: LogDeterminant, ask: Ask) -> Selection:
    from psr_studio.method.coresets import log_determinant

    return log_determinant(
        None, ask.ipc, distances=pool.distances(), reliability=pool.reliability, width=params.width,
        quality=params.quality, pinned=ask.pinned, vetoed=ask.vetoed,
    )  # fmt: skip


def _taken(chosen: Chosen) -> str:
    if chosen.rank == 0:
        return "the first: alone, no candidate is less like a pick" + (
            ", and the teacher trusts it most" if chosen.params.quality else ""
        )
    away = chosen.distance(chosen.picks[: chosen.rank])
    return f"the least explained by the {chosen.rank} taken before it (distance to the nearest {away:.2f})"


SELECTOR = Selector(
    "log-determinant", 120, "Log-determinant",
    "Adds the candidate that widens the volume of the picks most, the greedy search of a k-DPP.",
    source="Kulesza & Taskar 2011; greedy: Chen et al. 2018", taken=_taken, left=Chosen.covered,
    one_class=_choose, parameters=LogDeterminant,
)  # fmt: skip
