"""A preset named on a workspace that holds something: refused while it would make anything there anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import RecipeError
from psr_studio.core.texts import toml_value
from psr_studio.core.words import plural
from psr_studio.recipe.keys import keys
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.saved import BY_HAND
from psr_studio.storage.workspace import Workspace

HARMLESS = {"name", "device", "pool.batch_size", "pool.compiled", "refine.batch_size"}  # make nothing else
SHOWN = 4  # differing settings that are named
WAYS_OUT = (
    "Leave out the preset to go on with the recipe of the workspace, name another folder, or add "
    "--replace-recipe (replace_recipe=True in Python) to take the preset all the same."
)


def check_preset(ws: Workspace, given: Recipe, values: Mapping[str, Any]) -> None:
    """Raise RecipeError where `given` would have the next steps replace what the workspace's recipe made.

    Args:
        given: the preset with `values` in it.
        values: settings that were named one by one, by dotted key: whoever names them means them.
    """
    saved = _saved(ws, values)
    if saved is None:
        return
    changed = [key for key in keys() if key not in HARMLESS and saved.value(key) != given.value(key)]
    lost = dict(_lost(ws, saved, given, changed)) if changed else {}
    if not lost:
        return
    guilty = [key for key in changed if key.partition(".")[0] in {"bundle", *lost}]
    listed = [f"{key} is {_shown(given, key)} instead of {_shown(saved, key)}" for key in guilty[:SHOWN]]
    more = f" and {plural(len(guilty) - SHOWN, 'more setting')} differ" if len(guilty) > SHOWN else ""
    raise RecipeError(
        f'The preset "{given.name}" is not the recipe of the workspace "{ws.root}": '
        f"{', '.join(listed)}{more}. It would make {' and '.join(dict.fromkeys(lost.values()))} anew.",
        WAYS_OUT,
        guilty[0],
    )


def _saved(ws: Workspace, values: Mapping[str, Any]) -> Recipe | None:
    """The recipe of the workspace with what was named one by one; None where it has none that can be read."""
    try:
        saved = ws.recipe
    except RecipeError:  # naming a preset is how a damaged recipe is mended
        return None
    try:
        return saved and saved.with_values(values)
    except RecipeError:  # the values go with the preset only
        return saved


def _lost(ws: Workspace, saved: Recipe, given: Recipe, changed: list[str]) -> Iterator[tuple[str, str]]:
    """Table of the recipe and, in words, what stands on the disk that its changed settings would replace."""
    tables = {key.partition(".")[0] for key in changed}
    if tables & {"bundle", "pool"} and (n := _lost_candidates(ws, saved, given)):
        yield "pool", f"{n:,} of {plural(len(ws.pool()), 'candidate')} of the pool"
    name = given.select.name
    refined = f'the refined pictures of "{name}"'
    is_refined = bool(ws.refined_files(name))
    records = {record.name: record for record in ws.ledger.selections()}
    if "select" in tables and name in records:
        kept, wanted = records[name].settings, select.settings(given)
        settings = {key: value for key, value in kept.items() if key not in (select.POOL_HASH, select.LOCKED)}
        if kept["selector"] == BY_HAND:
            yield "select", f'the selection "{name}"'
        elif settings != wanted and is_refined:  # a rule alone selects again in no time
            yield "select", refined
    if is_refined and refine.how(saved) != refine.how(given):
        yield "refine", refined
    if "export" in tables and ws.export_path(given.export.name).is_dir():
        yield "export", f'the export "{given.export.name}"'


def _lost_candidates(ws: Workspace, saved: Recipe, given: Recipe) -> int:
    """How many candidates are in parts that the workspace's recipe made and the preset makes otherwise, or not."""
    found = ws.pool()
    if not len(found) or importing.manifest(ws) is not None:  # an imported pool is left alone
        return 0
    if saved.bundle != given.bundle:
        return len(found)
    bundle = load_bundle(given.bundle)
    before, after = (pool.expected(ws, recipe, bundle) for recipe in (saved, given))
    made_from = found.inputs_hashes()
    lost = {path for path, known in made_from.items() if before.get(path) == known != after.get(path)}
    return sum(len(part.candidate_ids) for part in found.parts() if part.path in lost)


def _shown(recipe: Recipe, key: str) -> str:
    value = recipe.value(key)
    return "none" if value is None else toml_value(value)
