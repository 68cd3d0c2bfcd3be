"""Fine-tune: the generator, to be representative and diverse; its code stands above, in `training`."""

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "finetune", "Fine-tune", "Fine-tuning", "Fine-tune the generator on real images, as Minimax does.",
    tab="pool", code="psr_studio.training.finetune", unit="steps", resumes=True,
)  # fmt: skip
