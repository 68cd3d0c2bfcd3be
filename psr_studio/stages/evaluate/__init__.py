"""Evaluate: students are trained on the set and on its controls."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "evaluate", "Evaluate", "Training students",
    "Train students on the selection and its controls, and print the table.",
    tab="evaluate", code=f"{__name__}.stage", unit="epochs", shared=True, resumes=True,
)  # fmt: skip

GENERATE_AND_USE = "generate-and-use"  # the control that takes the first K of the pool
