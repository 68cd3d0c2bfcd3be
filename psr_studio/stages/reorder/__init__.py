"""Reorder: the folders of an imported pool get the classes that the teacher sees in them."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "reorder", "Reorder", "Reordering the classes",
    "Say whether an imported pool is numbered in another order than the classes, and put it right.",
    tab="pool", code=f"{__name__}.stage", unit="images",
)  # fmt: skip
