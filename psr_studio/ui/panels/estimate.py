"""What a step would do and how long it takes, as its tab says it before it is started."""

from __future__ import annotations

from psr_studio.bundles.bundle import Bundle
from psr_studio.core.errors import ModelError, RecipeError, StudioError
from psr_studio.core.words import plural
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.stages import speeds
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.generate.targets import first, uncounted
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.stage import Stage
from psr_studio.storage.workspace import StageStatus, Workspace
from psr_studio.ui.markup import note, refusal, status_line, warning
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import on_screen

BUSY = {"partial": "in work"}


def todo_text(ws: Workspace, recipe: Recipe, bundle: Bundle, stage: Stage, unit: str, who: str = "") -> str:
    """What a step would do, "" where that is nothing or cannot be said: the state of the step says why."""
    assert stage.size is not None
    try:
        size = stage.size(ws, recipe, bundle)
    except StudioError:
        return ""
    return speeds.sentence(ws, stage.name, recipe, size, unit, who)


def todo_note(screen: Screen, stage: Stage, unit: str, recipe: Recipe | None = None) -> str:
    """The same as a pane shows it, with the recipe of the studio unless there is another.

    Nothing while a job does it, which says what is left by its own pace.
    """
    if screen.works_on(stage.name):
        return ""
    studio, who = screen.studio, screen.who if stage.shared else ""
    todo = todo_text(studio.workspace, recipe or studio.recipe, studio.bundle, stage, unit, who)
    return note(todo) if todo else ""


def state_line(screen: Screen, stage: Stage, found: StageStatus | None = None, title: str = "") -> str:
    """The state of a step, or `found` in its place; while a job does it, that one does."""
    if screen.works_on(stage.name):
        return status_line(StageStatus("partial", "The card of its job says how far it is."), title, BUSY)
    return status_line(found or screen.status()[stage.name], title)


def empty_note(screen: Screen, stage: Stage, idle: str, busy: str) -> str:
    """What stands where a step has no results yet: what to press, or, while a job does it, what is being made."""
    return note(busy if screen.works_on(stage.name) else idle)


def cost_note(screen: Screen, recipe: Recipe) -> str:
    """What "Generate" would do with this recipe, as a pane shows it; nothing while a job does it."""
    studio, busy = screen.studio, screen.works_on(pool.STAGE.name)
    if busy:
        return note("")
    try:
        words = note(cost_text(studio.workspace, recipe, studio.bundle, screen.who))
    except StudioError as err:
        return refusal(err)
    return words + (warning(on_screen(recipe.pool.idle)) if recipe.pool.idle else "")


def cost_text(workspace: Workspace, recipe: Recipe, bundle: Bundle, who: str = "") -> str:
    """What "Generate" would do with this recipe: how many images, and how long, where that is known.

    Raises:
        StudioError: real images that do not suffice for it.
    """
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
    before = ""
    if (steering is not None or cropped) and not pool.identity_of_targets(workspace, recipe, bundle):
        before = f" {uncounted(first(recipe))}: what that costs is said when it begins."
    try:
        pool.require_real_images(workspace, recipe, bundle)
    except ModelError as err:
        return f"{err.problem} {err.fix}"
    gone = pool.replaced(workspace, work)
    what += f", in the place of {gone:,} that are here" if gone > 0 else ""
    if cropped:
        return f"{what}.{before}"
    again = pool.again_of(recipe, bundle, work)
    what += f", and computes {again:,} again that share their batches" if again else ""
    size = pool.size_of(recipe, bundle, work)
    what += speeds.words(speeds.seconds(workspace, pool.STAGE.name, recipe, size, who))
    return what + before + (_whole_parts(workspace, recipe, bundle) if again else "")


def _whole_parts(workspace: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    """The next pool size by which nothing is computed again, if it is the next of whole parts; "" otherwise."""
    step = recipe.pool.part_size
    size = (recipe.pool.pool_size // step + 1) * step
    larger = recipe.with_values({"pool.pool_size": size})
    work = pool.left(workspace, larger, bundle)
    if pool.again_of(larger, bundle, work):
        return ""
    return f" A pool size of {size} makes {work.total - work.found:,} and computes none again."
