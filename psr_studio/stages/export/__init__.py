"""Export: the set leaves as a folder that any training script reads."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "export", "Export", "Exporting", "Write the set out as a folder.",
    tab="export", code=f"{__name__}.stage",
)  # fmt: skip
