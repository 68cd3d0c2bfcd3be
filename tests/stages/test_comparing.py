"""Sets against their controls seed by seed, and the scores of DD-Ranking from the results of a workspace."""

from __future__ import annotations

import math

import pytest
from tiny import finish

from psr_studio.cli.main import main
from psr_studio.stages.evaluate.comparing import comparisons, format_comparisons, paired_difference, rankings
from psr_studio.stages.evaluate.stage import history


def test_every_set_is_compared_with_each_control_seed_by_seed(studio):
    finish(studio.select(selector="random", name="by chance"))
    finish(studio.select(selector="psr", name="current"))
    finish(studio.evaluate(arms=["selected"], compare=["by chance"], n_seeds=3))
    rows = studio.table()
    found = comparisons(rows)
    assert [(c.row.selection, c.other.name) for c in found] == [
        ("current", "random real"), ("current", "generate-and-use"), ("current", "random real"),
        ("by chance", 'selected "current"'), ("by chance", "random real"), ("by chance", "generate-and-use"),
        ("by chance", "random real"),
    ]  # fmt: skip
    known = {
        (r.arm, r.selection, r.label_regime, r.seed): r.last for r in studio.workspace.ledger.evaluations()
    }
    soft = "teacher, tau 1.5"
    own, real = (
        [known[(arm, name, soft, seed)] for seed in range(3)]
        for arm, name in (("selected", "current"), ("random real", ""))
    )
    n_tested = len(studio.bundle.test_set[0])
    assert {row.n_tested for row in rows} == {n_tested}
    assert found[0].difference == paired_difference(own, real, n_tested) and found[0].difference.n == 3
    text = format_comparisons(rows)
    assert found[0].difference.verdict in text and "random real, hard" in text


def test_only_seeds_of_both_are_paired(studio):
    finish(studio.evaluate(arms=["selected"], n_seeds=1))
    finish(studio.select(selector="random", name="current"))
    finish(studio.evaluate(n_seeds=2))
    finish(studio.select(selector="psr", name="current"))
    rows = studio.table()
    assert [row.n for row in rows] == [1, 2, 2, 2]
    assert {c.difference.n for c in comparisons(rows)} == {1}


def test_ranking_of_a_set_follows_from_the_rows_that_are_there(studio):
    """HLR = full - set, hard; IOR = set - random; LRS and ARS from (e^x - e^-1) / (e - e^-1) of fractions."""
    finish(studio.evaluate(arms=["selected"], n_seeds=2))
    (score,) = rankings(history(studio.workspace))
    rows = {row.name + row.label_regime: row for row in studio.table()}
    own, real = rows['selected "current"teacher, tau 1.5'], rows["random realteacher, tau 1.5"]
    assert score.ior == pytest.approx(own.last_mean - real.last_mean)
    assert (score.hlr, score.lrs, score.ars) == (None, None, None)
    assert score.missing == "the set with hard labels, both without augmentation"
    finish(studio.evaluate(labels="hard", full=True))
    hard = {row.name: row for row in studio.table()}
    finish(studio.evaluate(labels="protocol", full=False, augment=False))
    plain = {row.name + row.label_regime: row for row in studio.table()}
    assert plain['selected "current"teacher, tau 1.5'].protocol == "psr-kd, not augmented"
    score = next(r for r in rankings(history(studio.workspace)) if r.row.label_regime != "hard")
    loss = hard["all real"].last_mean - hard['selected "current"'].last_mean
    gain = own.last_mean - real.last_mean
    plain_gain = (
        plain['selected "current"teacher, tau 1.5'].last_mean - plain["random realteacher, tau 1.5"].last_mean
    )

    def score_of(x: float) -> float:
        return (math.exp(x) - math.exp(-1)) / (math.e - math.exp(-1))

    assert score.hlr == pytest.approx(loss) and score.lrs == pytest.approx(score_of((gain - loss) / 2))
    assert score.ars == pytest.approx(score_of((gain + plain_gain) / 2)) and score.missing == ""
    assert len(rankings(history(studio.workspace))) == 2, "what was not augmented has no line of its own"


def test_the_command_prints_both(studio, capsys):
    finish(studio.evaluate(arms=["selected"], n_seeds=2))
    root = str(studio.workspace.root)
    studio.close()
    assert main(["evaluate", "-w", root, "-q"]) == 0
    assert "the set is" not in (out := capsys.readouterr().out) and "95 % interval" not in out
    assert out.count("cannot tell with n = 2; 3 at least would begin to") == 1, "once for all"
    assert main(["evaluate", "-w", root, "-q", "--all"]) == 0
    assert "HLR" in (out := capsys.readouterr().out) and "the set with hard labels" in out


def test_ranking_takes_no_other_set_task_or_test_images_for_the_same(studio):
    """Picks chosen anew under one name are another set, and all images of another task are another column."""
    finish(studio.evaluate(arms=["selected"], n_seeds=1, labels="hard", full=True))
    finish(studio.select(selector="random", name="current"))
    finish(studio.evaluate(labels="teacher", full=False))
    (soft,) = (r for r in rankings(history(studio.workspace)) if r.row.label_regime != "hard")
    assert soft.hlr is None and soft.missing.startswith("the set with hard labels")
    finish(studio.evaluate(labels="hard"))
    (soft,) = (r for r in rankings(history(studio.workspace)) if r.row.label_regime != "hard")
    assert soft.hlr is not None
    finish(studio.evaluate(labels="teacher", test_set="random"))
    found = [r for r in rankings(history(studio.workspace)) if r.row.test_set == "random"]
    assert [r.hlr for r in found] == [None], "all real images were tested on others"
    studio.set({"pool.classes": [0, 2]})
    finish(studio.select(name="two"))
    finish(studio.evaluate(labels="hard", test_set="original"))
    two = next(r for r in rankings(history(studio.workspace)) if r.row.selection == "two")
    assert two.hlr is None and "all real images" in two.missing
