"""Numbers that follow the budget: each counts as its number, follows K, and keeps its rule in files."""

from __future__ import annotations

import json
import pickle

import pytest
from tiny import tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import RecipeError
from psr_studio.recipe.load import load_recipe, parse_assignment, presets, recipe_from_toml
from psr_studio.recipe.rules import ByRule
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml

FOLLOWING = {"pool.pool_size": "2K", "evaluate.epochs": "minimax"}
PAPERS = [name for name in presets() if "-dit" in name and name != "tiny-dit"]


@pytest.mark.parametrize("ipc", [1, 10, 50, 100])
@pytest.mark.parametrize("name", PAPERS)
def test_presets_of_the_papers_hold_at_every_budget(name, ipc):
    """M is 2K as PSR has it, 5K as DGS has it, K as DAG and MGD3 do; the epochs are Minimax's, but for ImageNet-1K."""
    recipe = load_recipe(name).with_values({"select.ipc": ipc})
    assert recipe.pool.pool_size == {"dgs": 5, "dag": 1, "mgd3": 1}.get(name.rpartition("-")[2], 2) * ipc
    minimax = {1: 3000, 10: 2000, 50: 1500, 100: 1000}[ipc]
    assert recipe.evaluate.epochs == (300 if "1k" in name else minimax)


def test_the_epochs_of_the_protocol_by_images_per_class():
    """Each row of the table holds from one image more than the row before up to its own."""
    ends = {1: 3000, 2: 2000, 10: 2000, 11: 1500, 50: 1500, 51: 1000, 200: 1000, 201: 500, 500: 500, 501: 300}
    for ipc, epochs in ends.items():
        assert Recipe().with_values({**FOLLOWING, "select.ipc": ipc}).evaluate.epochs == epochs


def test_the_pool_holds_the_class_that_gets_most():
    recipe = Recipe().with_values({**FOLLOWING, "select.budgets": (3, 25)})
    assert recipe.pool.pool_size == 50 and recipe.evaluate.epochs == 2000


def test_a_number_by_rule_is_that_number():
    size = Recipe().with_values(FOLLOWING).pool.pool_size
    assert size == 20 and f"{size}" == repr(size) == json.dumps(size) == "20"
    assert hash(size) == hash(20) and type(size + 1) is int
    again = pickle.loads(pickle.dumps(size))
    assert isinstance(again, ByRule) and (again, again.rule) == (20, "2K")


def test_a_file_keeps_the_rule_and_a_number_replaces_it(tmp_path):
    recipe = Recipe().with_values({**FOLLOWING, "select.ipc": 7})
    text = to_toml(recipe)
    assert 'pool_size = "2K"' in text and 'epochs = "minimax"' in text
    read = recipe_from_toml(text, tmp_path / "r.toml")
    assert read == recipe and read.with_values({"select.ipc": 8}).pool.pool_size == 16
    fixed = read.with_values({"pool.pool_size": 14, "select.ipc": 5})
    assert fixed.pool.pool_size == 14 and "pool_size = 14" in to_toml(fixed)


@pytest.mark.parametrize("name, count", [("dag", "centers"), ("mgd3", "modes")])
def test_a_steered_pool_has_a_target_for_each_image_at_every_budget(name, count):
    key = f"pool.{name}.{count}"
    recipe = load_recipe(f"imagenette-dit-{name}").with_values({"select.ipc": 50})
    assert recipe.value(key) == recipe.pool.steering.read(50)[count] == 50
    assert f'{count} = "1K"' in to_toml(recipe) and pickle.loads(pickle.dumps(recipe)) == recipe
    other = recipe.of_this_pool(recipe.select.changed({"ipc": 7}))
    assert other.pool_numbers()[key] == 50 == other.pool.pool_size  # the pool that is there has 50
    assert other.with_values({"select.ipc": 3}).value(key) == 50
    with pytest.raises(
        RecipeError, match=rf'"{key}" is "100000K", which is 1,000,000 at 10 images per class'
    ):
        load_recipe("fashion-mnist").with_values({key: "100000K"})


def test_a_rule_that_is_none_of_the_setting_is_refused():
    for key, value, example in (
        ("pool.pool_size", "2X", "2K"),
        ("pool.pool_size", "0K", "2K"),
        ("pool.pool_size", "minimax", "2K"),
        ("evaluate.epochs", "2K", "minimax"),
    ):
        with pytest.raises(RecipeError) as caught:
            Recipe().with_values({key: value})
        assert caught.value.problem == (
            f'"{key}" is "{value}", but it must be a whole number, or a rule such as "{example}".'
        )
    with pytest.raises(RecipeError, match=r"must be a whole number\.\n"):
        Recipe().with_values({"pool.steps": "2K"})


def test_a_rule_beyond_the_range_names_rule_and_number():
    with pytest.raises(RecipeError) as caught:
        Recipe().with_values({**FOLLOWING, "select.ipc": 600_000})
    assert caught.value.problem == (
        '"pool.pool_size" is "2K", which is 1,200,000 at 600,000 images per class, '
        "but it must be from 1 to 1000000."
    )


def test_commands_take_a_rule_and_show_its_number(tmp_path, capsys):
    assert Recipe().with_values(dict([parse_assignment("pool.pool_size=3K")])).pool.pool_size == 30
    assert main(["presets", "imagewoof-dit"]) == 0
    shown = capsys.readouterr().out
    assert 'pool_size = 20  # by the rule "2K"' in shown and 'epochs = 2000  # by the rule "minimax"' in shown
    path = tmp_path / "shown.toml"
    path.write_text(shown, encoding="utf-8")
    assert load_recipe(path) == load_recipe("imagewoof-dit")
    assert main(["presets", "imagewoof-dit", "--keys"]) == 0
    assert (
        'pool.pool_size = 20 images/class  (1 to 1000000, or a rule such as "2K")' in capsys.readouterr().out
    )


def test_a_workspace_follows_its_rule_until_a_number_is_set(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, pool__pool_size="3K", select__ipc=2)) as studio:
        assert studio.recipe.pool.pool_size == 6
        studio.set({"select.ipc": 3})
        assert studio.recipe.pool.pool_size == 9
        studio.set({"pool.pool_size": 9})
    with Studio(tmp_path / "ws") as studio:
        studio.set({"select.ipc": 4})
        assert studio.recipe.pool.pool_size == 9, "the number had replaced the rule, though it was the same"


def test_choosing_from_a_pool_does_not_make_another_one_due(tmp_path, tiny_bundle):
    """Another budget on the sliders, saved, leaves the pool that it was chosen from as it is."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, pool__pool_size="3K")) as studio:
        for step in (studio.generate, studio.score):
            assert list(step())
        studio.curation.save("as-recipe")
        assert isinstance(studio.recipe.pool.pool_size, ByRule), "the same budget keeps the rule"
        studio.curation.set(ipc=1)
        studio.curation.save("one")
        assert studio.recipe.select.ipc == 1 and studio.recipe.pool.pool_size == 6
        assert studio.status()["pool"].state == "fresh"
