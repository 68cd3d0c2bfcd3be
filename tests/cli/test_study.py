"""`psr-studio study`: the list, a run, the same command again, and what is refused."""

from __future__ import annotations

import pytest
from commands import problem_and_fix

from psr_studio.cli.main import main
from psr_studio.studies.table import STUDIES


def test_without_a_name_all_are_listed(capsys):
    assert main(["study"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(STUDIES) and "Figure 4" in lines[0]


def test_a_study_from_nothing_and_the_same_command_again(call, tmp_path):
    """The pool it needs is more than the preset's, and the preset named again does not make it smaller."""
    ask = ("labels", "--budgets", "1", "4", "--seeds", "1", "--epochs", "1", "-q")
    status, dry, err = call("study", *ask, "--dry-run")
    assert status == 2 and problem_and_fix(err)[0].startswith("There is no workspace")
    assert not (tmp_path / "ws").exists()
    status, out, err = call("study", *ask)
    assert (status, err) == (0, "") and "labels.html" in out and "random real" in out
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "ws" / "pool").rglob("*.parquet")}
    assert len(made) == 9, "8 candidates a class in parts of 3"
    status, again, _ = call("study", *ask)
    assert status == 0 and again == out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "ws" / "pool").rglob("*.parquet")} == made
    status, dry, _ = call("study", *ask, "--dry-run")
    assert dry.count("finished") == 4 and dry.startswith("teacher labels, 1 a class, convnet-3: finished")


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
