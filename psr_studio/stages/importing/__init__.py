"""Import: pictures made elsewhere become the pool."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="import",
    verb="Import",
    title="Importing",
    help="Make pictures from elsewhere the pool of a workspace.",
    tab="pool",
    code=f"{__name__}.stage",
    unit="images",
)
