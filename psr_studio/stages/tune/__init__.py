"""Tune: selector and weights are searched by a cheap proxy."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="tune",
    verb="Tune",
    title="Tuning",
    help="Search selector and weights by a proxy, print the trials.",
    tab="curate",
    code=f"{__name__}.stage",
    unit="trials",
    resumes=True,
)
