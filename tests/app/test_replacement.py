"""A preset named on a workspace that holds something: nothing there is made anew without being asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import RecipeError
from psr_studio.recipe.toml import to_toml

Open = Callable[..., Studio]


@pytest.fixture
def root(tmp_path: Path, scored_workspace: Path) -> Path:
    """A closed workspace with a scored pool of 6 per class in parts of 3, and the selection "current"."""
    return Path(shutil.copytree(scored_workspace, tmp_path / "ws"))


@pytest.fixture
def with_preset(root: Path, tiny_bundle: Path) -> Open:
    """Open it with the preset it was made with, changed as told ("__" for the dot)."""

    def open_it(values: dict[str, Any] | None = None, replace: bool = False, **changes: Any) -> Studio:
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        preset = tiny_recipe(tiny_bundle).with_values(dotted)
        return Studio(root, preset, replace_recipe=replace, **(values or {}))

    return open_it


def recipe_of(root: Path) -> str:
    return (root / "recipe.toml").read_text(encoding="utf-8")


def test_the_same_preset_again_goes_on(with_preset):
    for _ in range(2):
        with with_preset() as studio:
            assert studio.status()["pool"].state == studio.status()["select"].state == "fresh"


def test_a_preset_of_another_pool_is_refused_and_changes_nothing(with_preset, root):
    before = recipe_of(root)
    with pytest.raises(RecipeError) as caught:
        with_preset(pool__steps=4, pool__seed=9)
    assert caught.value.problem == (
        f'The preset "recipe" is not the recipe of the workspace "{root}": pool.seed is 9 instead of 0, '
        "pool.steps is 4 instead of 3. It would make 18 of 18 candidates of the pool anew."
    )
    for way in ("Leave out the preset", "another folder", "--replace-recipe", "replace_recipe=True"):
        assert way in caught.value.fix
    assert recipe_of(root) == before
    with Studio(root) as studio:  # and the folder is let go of
        assert studio.status()["pool"].state == "fresh"


def test_whoever_asks_for_it_gets_the_preset(with_preset):
    with with_preset(replace=True, pool__steps=4) as studio:
        assert studio.recipe.pool.steps == 4 and studio.status()["pool"].state == "stale"


def test_a_setting_named_by_itself_is_meant(with_preset):
    with with_preset({"steps": 4, "ipc": 1}) as studio:
        assert (studio.recipe.pool.steps, studio.recipe.select.ipc) == (4, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluate__epochs": 9, "pool__batch_size": 2, "device": "auto", "name": "other"},
        {"pool__pool_size": 9},  # three parts more, the others stay
        {"refine__n_steps": 9, "export__zip": False},  # nothing is refined or exported yet
        {"select__gamma": 9.0},  # and selecting again takes no time
    ],
)
def test_what_makes_nothing_anew_is_taken_over(with_preset, changes):
    with with_preset(**changes) as studio:
        for key, value in changes.items():
            assert studio.recipe.value(key.replace("__", ".")) == value


@pytest.mark.parametrize(
    ("changes", "n"),
    [({"pool__pool_size": 5}, 9), ({"pool__classes": [0, 1]}, 6), ({"bundle": "tiny-dit"}, 18)],
)
def test_parts_that_would_go_count_too(with_preset, changes, n):
    with pytest.raises(RecipeError, match=f"make {n} of 18 candidates of the pool anew"):
        with_preset(**changes)


def test_refined_pictures_and_an_export_are_named(with_preset, root):
    with with_preset() as studio:
        finish(studio.refine())
        finish(studio.export())
    with pytest.raises(RecipeError) as caught:
        with_preset(select__gamma=9.0, refine__n_steps=9, export__zip=False)
    assert "select.psr.gamma is 9.0 instead of none, refine.n_steps is 9 instead of 4" in caught.value.problem
    lost = 'the refined pictures of "current" and the export "set"'
    assert caught.value.problem.endswith(f"It would make {lost} anew.")
    with with_preset(refine__batch_size=2, **{"refine__match.lr": 0.5}) as studio:
        assert studio.recipe.refine.match.lr == 0.5, "it counts under another objective"


def test_refined_pictures_go_with_their_selection_and_one_by_hand_is_not_made_again(with_preset):
    with with_preset() as studio:
        finish(studio.refine())
        studio.curation.save_candidates("mine", studio.curation.scored.candidate_ids[:2].tolist())
    with pytest.raises(RecipeError, match='make the refined pictures of "current" anew'):
        with_preset(select__gamma=9.0)
    with with_preset(select__gamma=9.0, select__name="second") as studio:
        assert studio.recipe.select.name == "second"
    with pytest.raises(RecipeError, match='make the selection "mine" anew'):
        with_preset(select__name="mine")


def test_a_damaged_recipe_is_mended_by_naming_a_preset(with_preset, root):
    (root / "recipe.toml").write_text("[select]\nipk = 3\n", encoding="utf-8")
    with with_preset(pool__steps=4) as studio:
        assert studio.recipe.pool.steps == 4


def test_the_command_line_says_so_and_takes_the_flag(root, tiny_bundle, tmp_path, capsys):
    preset = tmp_path / "other.toml"
    preset.write_text(to_toml(tiny_recipe(tiny_bundle, pool__steps=4)), encoding="utf-8")
    command = ["status", "-w", str(root), "-p", str(preset)]
    assert main(command) == 2
    assert "pool.steps is 4 instead of 3" in capsys.readouterr().err
    assert main([*command, "--replace-recipe"]) == 0
    assert "pool      stale" in capsys.readouterr().out
