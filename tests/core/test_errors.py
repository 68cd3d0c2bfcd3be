"""An error is two sentences: the problem and the fix."""

import pytest

from psr_studio.core import errors
from psr_studio.core.errors import RecipeError, StudioError, did_you_mean


def test_text_is_problem_then_fix():
    err = StudioError("The port 7860 is in use.", "Choose another with --port.")
    assert (err.problem, err.fix) == ("The port 7860 is in use.", "Choose another with --port.")
    assert str(err) == "The port 7860 is in use.\nChoose another with --port."


@pytest.mark.parametrize(
    "name", ["RecipeError", "WorkspaceError", "ModelError", "SelectionError", "JobError", "ExportError"]
)
def test_every_kind_is_a_studio_error(name):
    err = getattr(errors, name)("P.", "F.")
    assert isinstance(err, StudioError) and str(err) == "P.\nF."


def test_recipe_error_keeps_its_key():
    assert RecipeError("P.", "F.", "select.ipc").key == "select.ipc"


def test_nearest_name_is_offered_only_when_it_is_near():
    assert did_you_mean("fashion-mnst", ["fashion-mnist", "imagenette"]) == 'Did you mean "fashion-mnist"? '
    assert did_you_mean("zzz", ["fashion-mnist"]) == ""
    assert did_you_mean("x", []) == ""


def test_near_names_that_are_equally_near_are_all_named_and_words_count_before_letters():
    """All words of "seeds" are in "n_seeds" (0.9), eight of nine letters in "seed": a tie; "size" is in two."""
    assert did_you_mean("seeds", ["seed", "n_seeds", "epochs"]) == 'Did you mean "n_seeds" or "seed"? '
    assert (
        did_you_mean("size", ["pool_size", "scale", "part_size"])
        == 'Did you mean "pool_size" or "part_size"? '
    )
    assert did_you_mean("learning rate", ["n_steps", "lr"], {"Learning rate": "lr"}) == 'Did you mean "lr"? '
