"""Refine: the chosen latents move under the teacher's soft labels."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "refine", "Refine", "Refining", "Refine the latents of the selection.",
    tab="refine", code=f"{__name__}.stage", unit="images", shared=True, resumes=True,
)  # fmt: skip
