"""Select: the budget of K images per class is spent, live or saved under a name."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    name="select",
    verb="Select",
    title="Selecting",
    help="Choose K images per class and save the selection.",
    tab="curate",
    code=f"{__name__}.stage",
)
