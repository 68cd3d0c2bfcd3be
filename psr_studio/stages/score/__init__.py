"""Score: what the teacher says of every candidate, kept."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="score",
    verb="Score",
    title="Scoring",
    help="Score the pool with the teacher.",
    tab="pool",
    code=f"{__name__}.stage",
    unit="images",
    shared=True,
    resumes=True,
)
