"""Helped: the row of which picks helped in the table of stages; its code stands beside that of the students."""

from __future__ import annotations

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "helped", "Judge picks", "Judging picks",
    "Say which picks helped the students of the selection, by gradients and by leaving them out.",
    tab="evaluate", code="psr_studio.stages.evaluate.influence", unit="epochs", resumes=True,
)  # fmt: skip
