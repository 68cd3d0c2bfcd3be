"""Fine-tuned generators of a workspace: one file each, which holds what differs from the bundle's generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psr_studio.bundles.embedded import current_sha256
from psr_studio.core.errors import ModelError, RecipeError, did_you_mean
from psr_studio.core.words import classes_listed
from psr_studio.recipe.errors import check_folder_name
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from psr_studio.bundles.bundle import Bundle

FOLDER = "generators"
KEY = "fine_tuned"  # in what a pool was made from


def path(ws: Workspace, name: str) -> Path:
    """Where a fine-tuned generator lies."""
    check_folder_name("the generator", name)
    return ws.root / FOLDER / f"{name}.safetensors"


def names(ws: Workspace) -> list[str]:
    """Those there are."""
    return sorted(
        file.stem for file in (ws.root / FOLDER).glob("*.safetensors") if not file.name.startswith(".")
    )


def identity(file: Path) -> str:
    """A hash of its content, "" where it is not there."""
    return current_sha256(file)[:16] if file.is_file() else ""


def made_from(ws: Workspace, recipe: Recipe) -> str:
    """The hash of the fine-tuned generator that the recipe names, "" without one, and a word where it is not there."""
    name = recipe.pool.generator
    return "" if name is None or recipe.pool.source == CROPS else identity(path(ws, name)) or "absent"


def require(ws: Workspace, recipe: Recipe) -> None:
    """Raise RecipeError where the recipe names a fine-tuned generator that is not there."""
    name = recipe.pool.generator
    if name is None or recipe.pool.source == CROPS or path(ws, name).is_file():
        return
    known = names(ws)
    there = f"it has {', '.join(known)}" if known else "it has none yet"
    raise RecipeError(
        f'This workspace has no fine-tuned generator "{name}": {there}.',
        f'{did_you_mean(name, known)}To make it, press "Fine-tune" on the Pool tab (or run `psr-studio finetune`). Or '
        'set "pool.generator" to none, which takes the bundle\'s own.',
        "pool.generator",
    )


def opened(
    ws: Workspace, bundle: Bundle, device: torch.device, dtype: torch.dtype, made_by: str,
    classes: Sequence[int] = (),
) -> Any:  # fmt: skip
    """The generator of the bundle, fine-tuned by the file of that hash; as it is where the hash is "".

    Args:
        classes: that it is to make.

    Raises:
        ModelError: no such file, one of another bundle, or one that learned none of a class.
    """
    generator = bundle.generator(device, dtype)
    if not made_by:
        return generator
    from psr_studio.models.generator import Generator
    from psr_studio.models.tuning import read_delta, unfit

    file = next((one for one in (path(ws, name) for name in names(ws)) if identity(one) == made_by), None)
    if file is None:
        raise ModelError(
            f"The fine-tuned generator that made this pool is not in {ws.root / FOLDER} any more.",
            "Put its file back there, or generate the pool again.",
        )
    delta, base = read_delta(file), bundle.identity("generator")
    if delta.facts.get("base") != base or not isinstance(generator, Generator):
        raise unfit(file.stem, f"it was made from generator {delta.facts.get('base')}, this one is {base}")
    unseen = [bundle.class_names[c] for c in classes if c not in delta.facts["classes"]]
    if unseen:
        raise ModelError(
            f'The generator "{file.stem}" was fine-tuned without images of {classes_listed(unseen)}.',
            'Fine-tune one with these classes by "Fine-tune" on the Pool tab (or run `psr-studio finetune`), or leave '
            'them out of "pool.classes".',
        )
    return generator.tuned(delta, file.stem)
