"""More like this: variations of a candidate, which begin at its latent with noise on it (SDEdit, arXiv 2108.01073)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psr_studio.core.errors import RecipeError, StudioError, WorkspaceError
from psr_studio.core.words import plural
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.recipe.variations import MOST_VARIATIONS, Variations
from psr_studio.stages.generate.stage import expected, require_generated, require_source
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


def asked_for(
    ws: Workspace, recipe: Recipe, bundle: Bundle, parent: int, count: int, strength: float
) -> tuple[str, ...]:
    """The setting "pool.variations" with those of one more candidate in it.

    Args:
        parent: the candidate's number. count, strength: see `Variations`.

    Raises:
        StudioError: no such candidate, see `check`, or candidates of its class that would be made anew with them.
    """
    check(ws, recipe, bundle)
    pool = ws.pool()
    if parent not in pool.candidate_ids:
        raise WorkspaceError(
            f"Candidate {parent} is not in the pool of {plural(len(pool), 'candidate')}.",
            "Name one that is: `psr-studio candidates` lists them.",
        )
    asked = Variations(parent, count, strength)
    _check_numbers(asked)
    made_from, wanted = pool.inputs_hashes(), expected(ws, recipe, bundle)
    own = [part for part in pool.parts() if part.class_id == asked.class_id]
    if lost := sum(len(p.candidate_ids) for p in own if wanted.get(p.path) != made_from[p.path]):
        raise WorkspaceError(
            f'{plural(lost, "candidate")} of "{bundle.class_names[asked.class_id]}" came of other settings of the '
            "pool: variations by those of now would replace them.",
            "Set these settings back on the Pool tab, or generate the pool again first.",
        )
    return (*recipe.pool.variations, str(asked))


def _check_numbers(asked: Variations) -> None:
    """Raise RecipeError where a number is out of its range, in the words of whoever is asked for it alone."""
    if not 1 <= asked.count <= MOST_VARIATIONS:
        raise RecipeError(
            f"{asked.count:,} variations are asked for, but 1 to {MOST_VARIATIONS:,} can be made.",
            f'Set "How many" (--count) to a number from 1 to {MOST_VARIATIONS:,}.',
        )
    if not 0 < asked.strength <= 1:
        raise RecipeError(
            f"The strength is {asked.strength:g}, but it must be above 0, and 1 at most.",
            'Set "Strength" (--strength) to a number above 0, up to 1.',
        )


def check(ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
    """Raise StudioError where no candidate of this pool can have variations."""
    require_source(ws, recipe, bundle)
    require_generated(ws)
    if recipe.pool.source == CROPS:
        raise WorkspaceError(
            "The candidates of this pool are crops of real images, which have no latents to begin at.",
            'Generate a pool with "Filled by" set to the generator.',
        )


def why_not(ws: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    """Why no candidate of this pool can have variations, in two sentences; "" where they can."""
    try:
        check(ws, recipe, bundle)
    except StudioError as err:
        return f"{err.problem} {err.fix}"
    return ""
