"""Refine: the chosen latents move under the teacher's soft labels."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="refine",
    verb="Refine",
    title="Refining",
    help="Refine the latents of the selection.",
    tab="refine",
    code=f"{__name__}.stage",
    unit="images",
    shared=True,
    resumes=True,
)
