"""Evaluate: students are trained on the set and on its controls."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="evaluate",
    verb="Evaluate",
    title="Training students",
    help="Train students on the selection and its controls, and print the table.",
    tab="evaluate",
    code=f"{__name__}.stage",
    unit="epochs",
    resumes=True,
)
