"""Weights: the networks of a bundle that lie elsewhere are fetched, when a person asks for it and never else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from psr_studio.bundles.sources import WEIGHTS
from psr_studio.stages.stage import Stage

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.core.progress import Progress
    from psr_studio.recipe.schema import Recipe
    from psr_studio.storage.workspace import Workspace

STAGE = Stage(
    name=WEIGHTS,
    verb="Download weights",
    title="Downloading",
    help="Fetch the weights that are not on this machine.",
    tab="pool",
    code=__name__,
    unit="MiB",
)


def run(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Iterator[Progress]:
    """Fetch what the bundle lacks and the Hugging Face hub has; see `sources.download`."""
    return bundle.download()
