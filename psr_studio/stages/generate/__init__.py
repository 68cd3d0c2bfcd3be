"""Generate: an over-complete pool of candidates per class."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="pool",
    verb="Generate",
    title="Generating",
    help="Generate the missing parts of the pool.",
    tab="pool",
    code=f"{__name__}.stage",
    unit="images",
    shared=True,
    resumes=True,
)
