"""The Python face: settings, demo, curating with undo, and what a new workspace is."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import finish, tiny_recipe

import psr_studio
from psr_studio.app.opening import full_key
from psr_studio.app.studio import Studio
from psr_studio.core.errors import DiskError, ModelError, RecipeError, StudioError, WorkspaceError
from psr_studio.recipe.load import load_recipe
from psr_studio.stages.table import PIPELINE


def test_studio_is_the_name_of_the_package():
    assert psr_studio.Studio is Studio


def test_all_steps_in_a_row(tmp_path, tiny_bundle):
    """Every step real, on networks of a few thousand parameters."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, evaluate__n_seeds=1)) as studio:
        for stage in PIPELINE:
            events = finish(studio.runs[stage.name]())
            assert events and events[-1].done == events[-1].total and events[-1].stage == stage.name
            seconds = [e.seconds for e in events]
            assert seconds == sorted(seconds)
        assert {s.state for s in studio.status().values()} == {"fresh"}
        assert (studio.workspace.export_path("set") / "labels.csv").is_file()
        assert len(studio.table()) == 5


def test_a_new_workspace_takes_the_default_preset_and_keeps_its_recipe(tmp_path, tiny_bundle):
    with Studio(tmp_path / "a") as studio:
        assert studio.recipe == load_recipe("fashion-mnist")
    with Studio(tmp_path / "a", "fashion-mnist", ipc=3) as studio:
        assert studio.recipe.select.ipc == 3
    with Studio(tmp_path / "a") as studio:
        assert studio.recipe.select.ipc == 3, "without a preset the workspace's own recipe counts"
    with Studio(tmp_path / "a", "fashion-mnist") as studio:
        assert studio.recipe.select.ipc == 10, "with a preset the preset counts"


def test_settings_by_bare_name_where_it_is_unique(tmp_path):
    with Studio(tmp_path / "ws", "fashion-mnist", pool_size=20, device="cpu", **{"refine.seed": 4}) as studio:
        assert (studio.recipe.pool.pool_size, studio.recipe.device, studio.recipe.refine.seed) == (
            20,
            "cpu",
            4,
        )


def test_a_bare_name_of_several_tables():
    with pytest.raises(RecipeError) as err:
        full_key("batch_size")
    assert err.value.problem == '"batch_size" is in several tables.'
    assert "pool.batch_size" in err.value.fix and "refine.batch_size" in err.value.fix


def test_a_name_of_no_table():
    with pytest.raises(RecipeError) as err:
        full_key("pool_sise")
    assert err.value.problem.startswith('unknown key "pool_sise". Tables: pool, score,')
    assert err.value.fix.startswith('Did you mean "pool_size"?')


def test_a_mistake_leaves_no_folder_behind(tmp_path):
    for preset, values in (("fashion-mnst", {}), ("fashion-mnist", {"ipc": 0})):
        with pytest.raises(RecipeError):
            Studio(tmp_path / "ws", preset, **values)
    assert not (tmp_path / "ws").exists()


def test_a_mistake_without_a_preset_leaves_no_folder_behind(tmp_path):
    with pytest.raises(RecipeError):
        Studio(tmp_path / "ws", ipc=600)
    assert not (tmp_path / "ws").exists()


def test_a_mistake_in_a_step_changes_nothing(studio):
    before = studio.recipe
    with pytest.raises(RecipeError, match='"select.ipc" is 0'):
        studio.select(ipc=0)
    with pytest.raises(RecipeError, match='unknown key "select.ipk"'):
        studio.select(ipk=1)
    assert studio.recipe == before == studio.workspace.recipe


def test_step_settings_are_kept(studio):
    finish(studio.select(ipc=1, name="one"))
    assert studio.recipe.select.ipc == 1 and studio.workspace.recipe == studio.recipe
    assert len(studio.selection()) == 3 and len(studio.selection("current")) == 6


def test_a_bundle_that_is_not_there_is_neither_opened_nor_saved(tmp_path, studio):
    with pytest.raises(ModelError, match='There is no bundle "fashion-mnst"') as err:
        Studio(tmp_path / "ws", bundle="fashion-mnst")
    assert 'Did you mean "fashion-mnist"?' in err.value.fix and not (tmp_path / "ws").exists()
    before, saved = studio.recipe, (studio.workspace.root / "recipe.toml").read_bytes()
    for change in (lambda: studio.set({"bundle": "nope"}), lambda: studio.generate(bundle="nope")):
        with pytest.raises(StudioError):
            change()
        assert studio.recipe is before and (studio.workspace.root / "recipe.toml").read_bytes() == saved
    root = studio.workspace.root
    studio.close()
    with pytest.raises(ModelError):
        Studio(root, bundle="nope")
    assert (root / "recipe.toml").read_bytes() == saved
    Studio(root).close()


def test_settings_that_cannot_be_saved_are_not_taken(studio):
    before = studio.recipe
    path = studio.workspace.root / "recipe.toml"
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    with pytest.raises(DiskError):
        studio.set({"select.ipc": 1})
    assert studio.recipe is before


def test_the_demo_fills_a_new_workspace_only(tmp_path, tiny_bundle):
    recipe = tiny_recipe(tiny_bundle)
    with Studio(tmp_path / "demo", recipe, demo=True) as studio:
        assert studio.status()["pool"].state == studio.status()["score"].state == "fresh"
        assert len(studio.curation.select(ipc=2).positions) == 6
    (tmp_path / "used" / "pool").mkdir(parents=True)
    with Studio(tmp_path / "used", recipe, demo=True) as studio:
        assert len(studio.pool) == 0
    with Studio(tmp_path / "plain", recipe) as studio:
        assert len(studio.pool) == 0


def test_one_workspace_one_process(studio):
    with pytest.raises(WorkspaceError, match="is already open in this process"):
        Studio(studio.workspace.root)


def test_a_closed_studio_lets_the_next_one_in(tmp_path, tiny_bundle):
    studio = Studio(tmp_path / "ws", tiny_recipe(tiny_bundle))
    studio.close()
    studio.close()
    Studio(tmp_path / "ws").close()


def test_an_error_on_opening_lets_go_of_the_folder(tmp_path, tiny_bundle):
    Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)).close()
    (tmp_path / "ws" / "recipe.toml").write_text("[select]\nipk = 3\n")
    with pytest.raises(RecipeError, match="recipe.toml"):
        Studio(tmp_path / "ws")
    Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)).close()


def test_arrays_are_plain_and_aligned(studio):
    chosen = studio.selection()
    assert np.array_equal(chosen.indices, chosen.positions)
    n = len(chosen)
    for name, shape in {
        "candidate_ids": (n,), "positions": (n,), "labels": (n,), "scores": (n,), "terms": (n, 3),
        "filled": (n,), "soft_labels": (n, 3),
    }.items():  # fmt: skip
        assert isinstance(getattr(chosen, name), np.ndarray) and getattr(chosen, name).shape == shape
    assert np.array_equal(studio.pool.candidate_ids[chosen.positions], chosen.candidate_ids)
    assert np.allclose(chosen.terms.sum(axis=1), chosen.scores)
    assert "pool_hash" not in chosen.settings


def test_sliders_marks_and_undo(studio):
    assert studio.curation.settings() == {
        "alpha": 3.0, "beta": 1.0, "gamma": 0.5, "ipc": 2, "temperature": 1.5, "selector": "psr",
        "scaling": "pool", "target": "scale", "drawn": [1.0] * 10, "within_bin": "random", "lam": 0.5,
        "uncertainty": 0.0, "variant": "paper", "width": 1.0, "quality": 0.0, "cutoff": 0.3, "strata": 50,
        "groups": 5, "near_real": 0.4, "apart": 0.9,
        "order": "by budget", "allocation": "even", "floor": None, "ceiling": None, "budgets": None,
    }  # fmt: skip
    studio.curation.set(gamma=2.0, merge_within=0)
    studio.curation.set(ipc=3, merge_within=0)
    studio.curation.mark([4], "pin", "sharp")
    assert studio.curation.settings()["gamma"] == 2.0 and studio.curation.settings()["ipc"] == 3
    assert studio.curation.undo() == "pin candidate 4" and studio.workspace.ledger.pinned() == []
    studio.curation.undo()
    assert studio.curation.settings()["ipc"] == 2
    studio.curation.redo()
    assert studio.curation.settings()["ipc"] == 3
    studio.curation.set(gamma=None)
    assert studio.curation.settings()["gamma"] == 0.5, "None follows the preset of the budget again"


def test_weights_follow_the_preset_of_the_slider(studio):
    studio.curation.set(ipc=20)
    assert [studio.curation.settings()[k] for k in ("alpha", "beta", "gamma")] == [1.0, 1.0, 1.0]


def test_a_slider_that_is_none_and_a_value_out_of_range(studio):
    with pytest.raises(RecipeError, match='"lr" has no slider'):
        studio.curation.set(lr=1)
    with pytest.raises(RecipeError, match='"select.ipc" is 0'):
        studio.curation.set(ipc=0)
    assert studio.workspace.ledger.settings() == {}


def test_saving_the_sliders_makes_them_the_recipe(studio):
    studio.curation.set(gamma=2.0, ipc=3)
    live = studio.curation.select()
    record = studio.curation.save("by hand")
    assert record.candidate_ids == live.candidate_ids
    assert studio.recipe.select.name == "by hand" and studio.recipe.value("select.psr.gamma") == 2.0
    assert studio.status()["select"].state == "fresh"
