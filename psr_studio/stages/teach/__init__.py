"""Teach: a teacher of one's own classes, a calibrated linear head on the features of a network that is there."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "teach", "Teach", "Teaching", "Make a teacher of your own classes from your own pictures.",
    tab="pool", code=f"{__name__}.stage", unit="pictures",
)  # fmt: skip
