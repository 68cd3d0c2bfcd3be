"""The table of all stages. A row stands with its stage; what lists stages anywhere reads it from here."""

from __future__ import annotations

from psr_studio.stages import (
    evaluate,
    export,
    finetune,
    generate,
    helped,
    importing,
    refine,
    reorder,
    score,
    select,
    study,
    teach,
    tune,
    weights,
)
from psr_studio.stages.stage import Stage

# What a run does, in this order.
PIPELINE: tuple[Stage, ...] = (
    generate.STAGE,
    score.STAGE,
    select.STAGE,
    refine.STAGE,
    evaluate.STAGE,
    export.STAGE,
)
# All of them by name; a run is the pipeline alone.
STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        *PIPELINE,
        tune.STAGE,
        study.STAGE,
        helped.STAGE,
        importing.STAGE,
        reorder.STAGE,
        weights.STAGE,
        teach.STAGE,
        finetune.STAGE,
    )
}


def stages_of(tab: str) -> tuple[Stage, ...]:
    """The stages of a tab of the page."""
    return tuple(stage for stage in STAGES.values() if stage.tab == tab)
