"""A workspace opened with its recipe and its bundle: what the Python face stands on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

from psr_studio.app.replacement import check_preset
from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.devices import in_words, pick_device
from psr_studio.core.disk import writing
from psr_studio.core.files import absolute_path, check_path
from psr_studio.recipe.keys import full_key
from psr_studio.recipe.load import DEFAULT_PRESET, load_recipe
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml
from psr_studio.storage.changes import Change
from psr_studio.storage.lock import OPEN_AGAIN
from psr_studio.storage.workspace import Workspace
from psr_studio.workers.request import WorkerRequest


class OpenWorkspace:
    """See `Studio`, whose arguments these are.

    A preset that would have the steps make anew what the workspace holds is refused (`replacing`), unless
    `replace_recipe` says that this is meant.
    """

    def __init__(
        self, workspace: str | Path, preset: str | Path | Recipe | None, overrides: Mapping[str, Any], create: bool,
        demo: bool, replace_recipe: bool, keep: bool, workers: WorkerRequest | None,
    ) -> None:  # fmt: skip
        self.workers = workers
        values = _settings(overrides)
        root = absolute_path(workspace)
        given = preset if preset is None or isinstance(preset, Recipe) else load_recipe(preset)
        first = load_recipe(DEFAULT_PRESET) if given is None and _is_new(root) else given
        first = first and first.with_values(values)  # a mistake in them should leave no folder behind
        given = given and first
        _check(values if first is None else {**values, "evaluate.student": first.evaluate.student})
        if first is not None:  # nor should a bundle that is not there
            _check_given(values, first, load_bundle(first.bundle))
        self.workspace = Workspace.open(root, create=create)
        try:
            if given is not None and not replace_recipe:
                check_preset(self.workspace, given, values)
            saved = self.workspace.recipe if given is None else None
            self.recipe: Recipe = (given or saved or load_recipe(DEFAULT_PRESET)).with_values(values)
            self._bundle: tuple[str, Bundle] | None = None
            self._lock = threading.RLock()
            if demo and _is_new(root) and self.bundle.demo is not None:
                copy_demo(self.bundle.demo, self.workspace, self.recipe)
            elif keep and (given is not None or values or saved is None):
                _check_given(values, self.recipe, self._opened(self.recipe.bundle))
                self.workspace.save_recipe(self.recipe)
        except BaseException:
            self.workspace.close()
            raise

    def close(self) -> None:
        """Let the next process in, and the networks go; may be called twice."""
        self.workspace.close()
        self._bundle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Settings

    @property
    def bundle(self) -> Bundle:
        """The bundle of the recipe; its networks are opened on first use and kept."""
        with self._lock:
            return self._opened(self.recipe.bundle)

    def _opened(self, name: str) -> Bundle:
        """The bundle of that name; ModelError when there is none, and the one before stays."""
        if self._bundle is None or self._bundle[0] != name:
            self._bundle = (name, load_bundle(name))
        return self._bundle[1]

    @property
    def device_words(self) -> str:
        """Where the networks run, in words; StudioError when that GPU is not there."""
        return in_words(pick_device(self.recipe.device))

    def set(self, values: Mapping[str, Any]) -> None:
        """Change settings, such as {"select.ipc": 5}, and save the recipe.

        Raises:
            RecipeError, ModelError, DiskError: a value, the bundle or the disk refuses; nothing has changed then.
        """
        with self._lock:
            given = _settings(values)
            changed = self.recipe.with_values(given)
            _check(given)
            if to_toml(changed) != to_toml(self.recipe):  # a rule and the number it gives are equal
                _check_given(given, changed, self._opened(changed.bundle))
                self.workspace.save_recipe(changed)
                self.recipe = changed

    def set_with(self, change: Change, values: Mapping[str, Any]) -> Recipe:
        """Change settings together with what else a change puts in place; the studio has them from its commit on."""
        changed = self.recipe.with_values(values)
        self.workspace.beside(change).save_recipe(changed)
        change.then(partial(setattr, self, "recipe", changed))
        return changed


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their dotted keys; a bundle of the user's own by a path that holds in every folder."""
    values = {full_key(key): value for key, value in given.items()}
    named = values.get("bundle")
    if not isinstance(named, str) or "/" not in named and not named.endswith(".toml"):
        return values
    path = check_path(named)
    return {**values, "bundle": str(absolute_path(path))} if path.exists() else values


def _check(values: Mapping[str, Any]) -> None:
    """Raise ModelError on values that a recipe cannot judge: a GPU that is not there, a student that nobody knows."""
    if "device" in values:
        pick_device(values["device"])
    if "evaluate.student" in values:
        from psr_studio.stages.evaluate.stage import check_student

        check_student(values["evaluate.student"])


def _check_given(values: Mapping[str, Any], recipe: Recipe, bundle: Bundle) -> None:
    """Raise PoolImportError on sets and test images that are named now and cannot be evaluated."""
    if {"evaluate.sets", "evaluate.test_images"} & values.keys():
        from psr_studio.stages.evaluate.given import check_given

        check_given(recipe.evaluate, bundle)


def copy_demo(demo: Path, ws: Workspace, recipe: Recipe) -> None:
    """Copy the pre-generated pool into a new workspace, together with its recipe, all or nothing."""
    with writing(ws.root / "pool", again=OPEN_AGAIN), ws.change() as change:
        for source in sorted(path for path in demo.rglob("*") if path.is_file()):
            target = change.new / source.relative_to(demo)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        ws.beside(change).save_recipe(recipe)
        with change.commit():
            pass


def _is_new(root: Path) -> bool:
    return not any((root / name).exists() for name in ("pool", "recipe.toml"))
