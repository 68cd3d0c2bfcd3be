"""Import: pictures made elsewhere become the pool."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "import", "Import", "Importing", "Make pictures from elsewhere the pool of a workspace.",
    tab="pool", code=f"{__name__}.stage", unit="images",
)  # fmt: skip
