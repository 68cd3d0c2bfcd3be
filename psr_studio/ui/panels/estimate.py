"""How long a pool will take, from the speed that was last measured in this workspace."""

from __future__ import annotations

from pathlib import Path

from psr_studio.app.jobs import JobState
from psr_studio.bundles.bundle import Bundle
from psr_studio.core.errors import ModelError, RecipeError
from psr_studio.core.remembered import keep_if_possible, recall
from psr_studio.core.words import duration, plural
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.generate.targets import need_real_images
from psr_studio.stages.importing import stage as importing
from psr_studio.storage.workspace import Workspace

SHORTEST_RUN = 2.0  # seconds; below that a speed is mostly the opening of the networks


class Speeds:
    """Denoising steps per second by device, kept in `<workspace>/cache/speeds.json`.

    Args:
        workers: who does the work, in words, where it is not this process alone.
    """

    def __init__(self, folder: Path, workers: str = "") -> None:
        self._path = folder / "speeds.json"
        self._workers = workers

    def note(self, job: JobState, recipe: Recipe, bundle: Bundle) -> None:
        """Learn from a finished generation; a speed that cannot be kept is only a missing estimate."""
        if (
            job.stage != pool.STAGE.name
            or job.seconds < SHORTEST_RUN
            or job.rate <= 0
            or recipe.pool.source == CROPS
        ):
            return
        speed = job.rate * passes(recipe, bundle)
        keep_if_possible(self._path, {**recall(self._path, {}), self._who(recipe): speed})

    def seconds(self, recipe: Recipe, bundle: Bundle, n_images: int) -> float | None:
        """Seconds to generate so many images, None while no speed is known on this device."""
        speed = recall(self._path, {}).get(self._who(recipe))
        if not isinstance(speed, int | float) or speed <= 0:
            return None
        return n_images * passes(recipe, bundle) / speed

    def _who(self, recipe: Recipe) -> str:
        who, steering = " by ".join(filter(None, (recipe.device, self._workers))), recipe.pool.steering
        slower = steering is not None and steering.gradients(recipe.pool.steps)
        return f"{who} with {recipe.pool.guidance}" if slower else who


def passes(recipe: Recipe, bundle: Bundle) -> float:
    """Passes through the generator per image: a guided step takes two."""
    settings, unguided = recipe.pool, pool.scale(recipe, bundle) == 1
    taken = 1 - settings.skipped / settings.steps
    share = 0.0 if unguided else max(0.0, min(settings.guided_to, taken) - settings.guided_from)
    return settings.steps * (taken + share)


def cost_text(workspace: Workspace, recipe: Recipe, bundle: Bundle, speeds: Speeds) -> str:
    """What "Generate" would do with this recipe: how many images, and how long, where that is known."""
    try:
        pool.require_source(workspace, recipe, bundle)
    except (ModelError, RecipeError) as err:
        return f"{err.problem} {err.fix}"
    if (imported := importing.manifest(workspace)) is not None:
        return f'This pool was imported from "{imported["source"]}"; "Generate" leaves it alone.'
    work = pool.left(workspace, recipe, bundle)
    total, missing = work.total, work.total - work.found
    if not missing:
        return f"All {total:,} candidates of these settings are there."
    what = (
        f"Makes {missing:,} of {total:,} candidates"
        if missing < total
        else f"Makes {plural(total, 'candidate')}"
    )
    steering = recipe.pool.steering
    cropped = recipe.pool.source == CROPS
    if steering is not None:
        what += f", {steering.told(recipe.pool.steps)}"
    if cropped:
        what += f", from {recipe.pool.crops.crops} crops of each real image"
    if (steering is not None or cropped) and not pool.identity_of_targets(workspace, recipe, bundle):
        try:
            need_real_images(bundle)
        except ModelError as err:
            return f"{err.problem} {err.fix}"
    gone = pool.replaced(workspace, work)
    what += f", in the place of {gone:,} that are here" if gone > 0 else ""
    if cropped:
        return f"{what}."
    seconds = speeds.seconds(recipe, bundle, missing)
    if seconds is None:
        return f"{what}. How long it takes is known after the first run here."
    return f"{what}, about {duration(seconds)} at the speed last measured here."
