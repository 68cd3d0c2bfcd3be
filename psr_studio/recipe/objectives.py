"""What refinement can lower: each objective in words, with the settings that count under it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """An objective of refinement.

    Attributes:
        title: a few words. help: what is done, in a sentence or two.
        shared: settings of [refine] that count under it, by name. Others of its own stand in the table of its name.
    """

    title: str
    help: str
    shared: tuple[str, ...]


OBJECTIVES = {
    "psr": Objective(
        "noise error and the teacher's labels",
        "Each latent is moved by the denoising loss of the generator alone, until the last few steps (shaded in the "
        "chart of losses): there the divergence between the teacher's label now and its label at the start is added, "
        "with a weight between the least and the greatest label weight, set by the teacher's confidence.",
        ("n_steps", "kl_steps", "lr", "optimizer", "lam", "w_min", "w_max", "batch_size", "seed"),
    ),
    "cao2": Objective(
        "noise error at small noise levels",
        "Each latent is moved by the generator's mean squared noise error and its largest element, at few, small noise "
        "levels and with one noise of its own, as CaO2 has it. The teacher's labels pull at nothing.",
        ("n_steps", "batch_size", "seed"),
    ),
    "match": Objective(
        "mean features of real images",
        "The latents of a class are moved together, whole, until random networks see the same mean features in their "
        "pictures as in real images of the class. It needs real images.",
        ("n_steps", "seed"),
    ),
}
