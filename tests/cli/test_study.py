"""`psr-studio study`: the list, a run, the same command again, and what is refused."""

from __future__ import annotations

import pytest
from commands import problem_and_fix

from psr_studio.cli.main import main
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.table import STUDIES


def test_without_a_name_all_are_listed(capsys):
    assert main(["study"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(STUDIES) and "Figure 4" in lines[0]


def test_a_study_from_nothing_and_the_same_command_again(call, tmp_path):
    """The pool it needs is more than the preset's, and the preset named again does not make it smaller."""
    ask = ("labels", "--budgets", "1", "4", "--seeds", "1", "--epochs", "1", "-q")
    status, dry, err = call("study", *ask, "--dry-run")
    assert (status, err) == (0, "") and dry.count("not chosen yet") == 4 and not (tmp_path / "ws").exists()
    assert "0 of 4 cells are finished; it was not run here yet. To do: 27 candidates, " in dry
    to_train = int(dry.rpartition(" student")[0].rpartition(" ")[2])
    status, out, err = call("study", *ask)
    with Workspace.open(tmp_path / "ws") as ws:
        assert len(ws.ledger.evaluations()) == to_train
    assert (status, err) == (0, "") and "labels.html" in out and "random real" in out
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "ws" / "pool").rglob("*.parquet")}
    assert len(made) == 9, "8 candidates a class in parts of 3"
    status, again, _ = call("study", *ask)
    assert status == 0 and again == out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "ws" / "pool").rglob("*.parquet")} == made
    status, dry, _ = call("study", *ask, "--dry-run")
    assert dry.count(": finished") == 4 and dry.startswith("teacher labels, 1 a class, convnet-3: finished")
    assert dry.endswith("\nAll 4 cells of this study are finished.\n")
    saved = (tmp_path / "ws" / "recipe.toml").read_bytes()
    status, dry, _ = call("study", *ask, "--dry-run", "--epochs", "2")
    assert f"0 of 4 cells are finished; run the study again to go on. To do: {to_train} students" in dry
    assert (tmp_path / "ws" / "recipe.toml").read_bytes() == saved, "who only looks saves nothing"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("selektors",), 'There is no study "selektors".'),
        (("labels", "--budgets", "0"), '"study.budgets" is 0'),
        (("labels", "--seeds", "0"), '"evaluate.n_seeds" is 0'),
        (("labels", "--students", "mlp"), 'There is no student "mlp".'),
    ],
)
def test_bad_input_is_refused_in_two_sentences(call, flags, problem):
    status, out, err = call("study", *flags, "-q")
    assert (status, out) == (2, "") and problem_and_fix(err)[0].startswith(problem), err
