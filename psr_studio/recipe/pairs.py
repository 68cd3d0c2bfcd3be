"""Rules of a recipe that join two values; each names both, and which one to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psr_studio.core.errors import RecipeError
from psr_studio.recipe.tables import RefineRecipe, SelectRecipe

if TYPE_CHECKING:
    from psr_studio.recipe.recipe import Recipe


def check_pairs(recipe: Recipe) -> None:
    """Raise RecipeError where two values do not go together."""
    pool_size = recipe.pool.pool_size
    _check_budget(recipe.select.ipc, pool_size, "select.ipc")
    sizes = recipe.pool.sizes or ()
    for class_id, budget in enumerate(recipe.select.budgets or ()):
        own = sizes[class_id] if class_id < len(sizes) else 0
        _check_budget(budget, max(pool_size, own), "select.budgets")
    _check_allocation(recipe.select)
    _check_drawn(recipe.select)
    _check_refine(recipe.refine)


def _check_budget(n_images: int, pool_size: int, key: str) -> None:
    if n_images > pool_size:
        raise RecipeError(
            f'Each class gets {pool_size} candidates ("pool.pool_size"), '
            f'but {n_images} images per class are asked for ("{key}").',
            f'Lower "{key}" to {pool_size} or less, or raise "pool.pool_size" to at least {n_images}.',
            key,
        )


def _check_allocation(select: SelectRecipe) -> None:
    """The budget of all classes must fit between floor and ceiling, as K does: their mean is K."""
    if select.allocation != "gain":
        return
    if select.floor > select.ipc:
        raise RecipeError(
            f'"select.floor" is {select.floor}, more than "select.ipc", which is {select.ipc}.',
            f'Lower "select.floor" to {select.ipc} or less: the classes get {select.ipc} on average.',
            "select.floor",
        )
    if select.ceiling is not None and select.ceiling < select.ipc:
        raise RecipeError(
            f'"select.ceiling" is {select.ceiling}, less than "select.ipc", which is {select.ipc}.',
            f'Raise "select.ceiling" to {select.ipc} or more: the classes get {select.ipc} on average.',
            "select.ceiling",
        )


def _check_drawn(select: SelectRecipe) -> None:
    if not any(select.drawn):
        raise RecipeError(
            'All bars of "select.drawn" are 0, but at least one must be above 0.',
            'Raise a bar of "select.drawn", or leave it out to have all alike.',
            "select.drawn",
        )


def _check_refine(refine: RefineRecipe) -> None:
    if refine.kl_steps > refine.n_steps:
        raise RecipeError(
            f'"refine.kl_steps" is {refine.kl_steps}, more than "refine.n_steps", which is {refine.n_steps}.',
            f'Lower "refine.kl_steps" to {refine.n_steps} or less.',
            "refine.kl_steps",
        )
    if refine.w_min > refine.w_max:
        raise RecipeError(
            f'"refine.w_min" is {refine.w_min}, more than "refine.w_max", which is {refine.w_max}.',
            f'Lower "refine.w_min" to {refine.w_max} or less.',
            "refine.w_min",
        )
