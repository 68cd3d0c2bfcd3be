"""Export: the set leaves as a folder that any training script reads."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="export",
    verb="Export",
    title="Exporting",
    help="Write the set out as a folder.",
    tab="export",
    code=f"{__name__}.stage",
)
