"""Curating: every selector, uneven budgets, locks and swaps, all undoable, all restored by name."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from steps import logits_with_eligible, rescore
from tiny import finish

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import RecipeError, SelectionError, WorkspaceError
from psr_studio.method.metrics import vendi_score
from psr_studio.method.selectors.dgs import DGS
from psr_studio.method.selectors.psr import PSR
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import CURATED, SELECT_KEYS, check_value
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.select.choice import select
from psr_studio.stages.select.class_pools import class_pool
from psr_studio.stages.select.figures import distributions
from psr_studio.stages.select.saved import restored_settings, settings_of
from psr_studio.storage.copying import copy_workspace
from psr_studio.storage.records import SelectionRecord


def ids_of(studio, result) -> list[list[int]]:
    return [studio.curation.scored.candidate_ids[picks].tolist() for picks in result.picks]


def on_screen(studio):
    return studio.curation.select()


def test_selectors_in_plain_words_are_what_the_recipe_takes(studio):
    found = studio.curation.selectors()
    assert [row["name"] for row in found] == list(SELECTORS)
    for row in found:
        assert row["title"] and row["help"].endswith(".") and row["source"]
        for parameter in row["parameters"]:
            key = f"{row['name']}.{parameter['name']}"
            assert key in CURATED
            check_value(f"select.{key}", parameter["default"])


@pytest.mark.parametrize("selector", list(SELECTORS))
def test_every_selector_spends_the_budget_on_pins_first_and_never_on_vetoes(studio, selector):
    pin, veto = 3, 1_000_002
    studio.curation.mark([pin], "pin")
    studio.curation.mark([veto], "veto")
    studio.curation.set(selector=selector, ipc=3)
    first, again = on_screen(studio), on_screen(studio)
    picks = ids_of(studio, first)
    assert [len(p) for p in picks] == [3, 3, 3] and picks == ids_of(studio, again), "as the seed says"
    assert picks[0][0] == pin and all(veto not in p for p in picks)
    assert studio.curation.why(int(first.picks[1][1])).startswith('Pick 2 of 3 in "T-shirt/top": ')
    left = np.setdiff1d(np.arange(18), first.positions)
    assert all(studio.curation.why(int(p)).startswith("Not picked") for p in left)


def alone(result) -> list[list[int]]:
    """The picks of each class by the selector of the rules, given that class and nothing else."""
    scored, rules, found = result.scored, result.rules, []
    for c in scored.present:
        seed, pool = candidate_seed(rules.seed, c, 0), class_pool(scored, c, rules.temperature)
        one = SELECTORS[rules.selector].choose(pool, rules.ipc, rules.parameters(), seed)
        found.append((one.indices + scored.members(c).start).tolist())
    return found


@pytest.mark.parametrize(
    "selector", sorted({*SELECTORS} - {"s3"})
)  # s3 weighs the classes against each other
def test_the_live_selection_is_that_of_each_class_alone(studio, selector):
    result = studio.curation.select(selector=selector, ipc=3)
    assert [picks.tolist() for picks in result.picks] == alone(result)


@pytest.mark.parametrize("ipc", [10, 20])
def test_dgs_by_the_psr_score_is_one_rule_in_large_classes(tmp_path, ipc):
    """One greedy over a class in which a full bin is closed: not the order of the whole class, bin by bin."""
    with Studio(tmp_path / "ws", "fashion-mnist", demo=True) as studio:
        assert studio.curation.scored.counts.min() >= 60
        result = studio.curation.select(selector="dgs", within_bin="psr", ipc=ipc)
        assert [picks.tolist() for picks in result.picks] == alone(result)


def test_budgets_by_hand_are_met_and_taken_from_nobody(studio):
    assert studio.curation.set_own_budgets({1: 4}) == 'budget of "T-shirt/top" 4'
    result = on_screen(studio)
    assert [len(p) for p in result.picks] == [2, 4, 2] and result.budgets.tolist() == [2, 4, 2]
    plain = studio.curation.select(ipc=4, budgets=None)
    assert result.picks[1].tolist() == plain.picks[1].tolist(), "PSR: a smaller budget is a prefix"
    assert result.picks[0].tolist() == plain.picks[0][:2].tolist()
    studio.curation.set_own_budgets({1: None})
    assert studio.curation.own_budgets() == {} and on_screen(studio).budgets.tolist() == [2, 2, 2]
    studio.curation.undo()
    assert studio.curation.own_budgets() == {1: 4}


def test_a_budget_of_0_empties_a_class_and_none_gives_it_back(studio):
    """What is saved is then a set of the other classes, in every step behind."""
    studio.set({"evaluate.epochs": 1, "export.zip": False, "export.refined": False})
    assert studio.curation.set_own_budgets({1: 0}) == 'budget of "T-shirt/top" 0'
    assert studio.curation.own_budgets() == {1: 0}
    gain = {"allocation": "gain"}
    for how in ({}, {"selector": "dgs"}, gain, {**gain, "selector": "k-center"}):
        result = studio.curation.select(**how)
        n = [len(p) for p in result.picks]
        assert n[1] == 0 and n[0] + n[2] == 4 and min(n[0], n[2]) >= 1 and n == result.budgets.tolist(), how
    assert studio.curation.why(7) == "Not picked: the budget of the class is 0."
    said = 'No image of "T-shirt/top": a saved set is one of the other classes.'
    assert on_screen(studio).spread == said
    studio.curation.save("current")
    assert studio.recipe.select.budgets == (0, -1, 0) and said in finish(studio.select())[-1].message
    assert studio.curation.distributions()["n"]["picked"] == 4
    record = studio.workspace.ledger.selection("current")
    assert [len(ids) for ids in record.picks.values()] == [2, 2]
    assert studio.status()["select"].state == "fresh"
    finish(studio.refine()), finish(studio.evaluate()), finish(studio.export())
    exported = studio.workspace.export_path(studio.recipe.export.name)
    assert len(list(exported.rglob("*.png"))) == 4
    studio.curation.set_own_budgets({1: None})
    assert studio.curation.own_budgets() == {} and on_screen(studio).budgets.tolist() == [2, 2, 2]


def test_budgets_of_nothing_and_of_less_are_refused(studio):
    studio.curation.set_own_budgets({0: 0, 1: 0, 2: 0})
    with pytest.raises(SelectionError, match="Every class has a budget of 0, and a selection needs"):
        on_screen(studio)
    studio.curation.undo()
    with pytest.raises(SelectionError, match='The budget of "boot" is -1, but it must be 0 or more'):
        studio.curation.set_own_budgets({0: -1})
    studio.curation.mark([1_000_002], "pin")
    studio.curation.set_own_budgets({1: 0})
    with pytest.raises(SelectionError) as err:
        on_screen(studio)
    assert err.value.problem.endswith("has 1 pinned candidate, but 0 images of it are asked for.")
    assert err.value.fix == 'Raise the budget of "T-shirt/top" to 1 or more, or unpin some of them.'


def test_more_by_hand_than_there_is(studio):
    studio.curation.set_own_budgets({1: 9})
    with pytest.raises(SelectionError) as err:
        on_screen(studio)
    assert err.value.problem == 'Class "T-shirt/top" has 6 candidates, but 9 images of it are asked for.'
    with pytest.raises(SelectionError, match="There is no class 7"):
        studio.curation.set_own_budgets({7: 1})


def test_budgets_of_another_number_of_classes(studio):
    studio.set({"select.budgets": [1, 2]})
    with pytest.raises(SelectionError) as err:
        on_screen(studio)
    assert err.value.problem == '"select.budgets" names 2 classes, but there are 3.'


@pytest.mark.parametrize("selector", ["psr", "k-center", "dgs"])
@pytest.mark.parametrize(("floor", "ceiling"), [(1, None), (2, 4), (3, 3)])
def test_the_allocation_by_gain_spends_the_same_total(studio, floor, ceiling, selector):
    settings = {"allocation": "gain", "floor": floor, "ceiling": ceiling, "ipc": 3, "selector": selector}
    result = studio.curation.select(**settings)
    assert result.budgets.sum() == 9 == len(result.positions)
    assert result.budgets.min() >= floor and result.budgets.max() <= (ceiling or 6)
    assert [len(p) for p in result.picks] == result.budgets.tolist()


def test_by_gain_a_class_keeps_half_of_k_unless_told_and_one_image_is_said(studio):
    rescore(studio, logits_with_eligible(studio, {0: 1}))
    assert studio.curation.select(allocation="gain", ipc=4).budgets[0] == 2
    bare = studio.curation.select(allocation="gain", ipc=4, floor=1)
    assert bare.budgets[0] == 1
    assert bare.spread == 'By gain, "boot" got 1 image: "At least" gives more.'
    assert studio.curation.select(allocation="gain", ipc=1).spread == "", "as many as were asked for"


def test_an_allocation_that_does_not_fit_says_the_room(studio):
    studio.curation.mark([0, 1, 2, 3], "pin")
    with pytest.raises(SelectionError) as err:
        studio.curation.select(allocation="gain", ceiling=3)
    assert err.value.problem == 'Class "boot" should get 4 images or more, but 3 is the most it can get.'


def test_gain_follows_the_eligible(studio):
    """Class 0 has two eligible candidates: what it cannot use goes to the others."""
    rescore(studio, logits_with_eligible(studio, {0: 2}))
    result = studio.curation.select(allocation="gain", ipc=3)
    assert result.budgets[0] <= 2 and result.budgets.sum() == 9


def test_a_locked_class_keeps_its_picks(studio):
    before = ids_of(studio, on_screen(studio))
    assert studio.curation.set_locked([1]) == 'lock "T-shirt/top"' and studio.curation.locked() == [1]
    studio.curation.mark(before[1][:1], "veto")
    studio.curation.set(selector="random", ipc=4)
    after = on_screen(studio)
    assert ids_of(studio, after)[1] == before[1] and after.budgets.tolist() == [4, 2, 4]
    assert after.locked == (1,)
    assert "the class is locked" in studio.curation.why(int(after.picks[1][0]))
    for _ in range(3):
        studio.curation.undo()
    assert studio.curation.locked() == [] and ids_of(studio, on_screen(studio)) == before


def test_locks_and_marks_of_another_pool_are_left_alone(studio):
    studio.workspace.ledger.change({}, {"locked": {"1": [1_000_099]}}, "lock")
    assert on_screen(studio).locked == () and on_screen(studio).budgets.tolist() == [2, 2, 2]


def test_a_swap_is_one_action(studio):
    out = ids_of(studio, on_screen(studio))[0][0]
    into = next(c for c in range(6) if c not in ids_of(studio, on_screen(studio))[0])
    assert studio.curation.swap(out, into) == f"swap candidate {out} for {into}"
    picks = ids_of(studio, on_screen(studio))[0]
    assert out not in picks and picks[0] == into
    studio.curation.undo()
    assert studio.workspace.ledger.marks() == {} and out in ids_of(studio, on_screen(studio))[0]
    with pytest.raises(SelectionError, match="a swap takes two candidates of one class"):
        studio.curation.swap(out, 1_000_000)


def test_a_swap_in_a_locked_class_moves_its_lock(studio):
    studio.curation.set_locked([0])
    out, kept = ids_of(studio, on_screen(studio))[0]
    into = next(c for c in range(6) if c not in (out, kept))
    studio.curation.swap(out, into)
    assert ids_of(studio, on_screen(studio))[0] == [into, kept]
    studio.curation.undo()
    assert ids_of(studio, on_screen(studio))[0] == [out, kept]


@pytest.mark.parametrize(
    "settings",
    [
        {"selector": "psr", "gamma": 4.0, "scaling": "frozen"},
        {"selector": "dgs", "target": "drawn", "drawn": [0, 0, 1, 2, 3, 3, 2, 1, 0, 0], "within_bin": "psr"},
        {"selector": "cao2", "order": "least sure"},
        {"selector": "herding", "allocation": "gain", "floor": 2, "ceiling": 4, "ipc": 3},
    ],
)
def test_restoring_a_saved_selection_brings_back_just_its_picks(studio, settings):
    studio.curation.mark([2], "pin")
    studio.curation.mark([1_000_001], "veto")
    studio.curation.set_locked([2])
    studio.curation.set(0.0, **settings)
    record = studio.curation.save("kept", note="the good one")
    assert record.note == "the good one" and record.marks == {"pin": [2], "veto": [1_000_001]}
    studio.curation.mark([2, 1_000_001], None)
    studio.curation.set_locked([])
    studio.curation.set(0.0, selector="random", ipc=2, allocation="even", scaling="pool", gamma=None)
    studio.curation.set_own_budgets({0: 5})
    assert studio.curation.restore("kept") == 'restore "kept"'
    assert ids_of(studio, on_screen(studio)) == [record.picks[c] for c in range(3)]
    assert studio.curation.settings()["selector"] == settings["selector"] and studio.curation.locked() == [2]
    studio.curation.undo()
    assert studio.curation.settings()["selector"] == "random" and studio.curation.own_budgets() == {0: 5}
    assert studio.workspace.ledger.marks() == {} and studio.curation.locked() == []


def test_restored_weights_follow_the_budget_where_they_were_its_preset(studio):
    studio.curation.save("plain")
    studio.curation.set(gamma=7.0)
    studio.curation.restore("plain")
    studio.curation.set(ipc=20)
    assert studio.curation.settings()["gamma"] == 1.0


def test_candidates_chosen_one_by_one(studio):
    record = studio.curation.save_candidates("lasso", [4, 1_000_003, 2], note="odd ones")
    assert record.picks == {0: [4, 2], 1: [1_000_003]} and studio.selection("lasso").settings["ipc"] == 2
    studio.curation.restore("lasso")
    assert ids_of(studio, on_screen(studio))[:2] == [[4, 2], [1_000_003]] and studio.curation.locked() == [
        0,
        1,
    ]
    with pytest.raises(SelectionError, match="No candidate is chosen"):
        studio.curation.save_candidates("none", [])
    with pytest.raises(WorkspaceError, match="are not in the pool"):
        studio.curation.save_candidates("other", [5_000_000])


def test_the_command_makes_the_same_selection(studio, capsys):
    studio.curation.set(
        selector="dgs", target="drawn", drawn=[0, 0, 0, 1, 1, 1, 1, 1, 1, 2], within_bin="psr", ipc=3
    )
    studio.curation.set_own_budgets({2: 4})
    wanted, command, root = (
        ids_of(studio, on_screen(studio)),
        studio.curation.command(),
        studio.workspace.root,
    )
    studio.close()
    words = shlex.split(command)
    assert words[:2] == ["psr-studio", "select"] and main([*words[1:], "-q"]) == 0
    capsys.readouterr()
    with Studio(root) as again:
        record = again.workspace.ledger.selection("from-command")
        assert [record.picks[c] for c in range(3)] == wanted


def test_what_does_not_go_together_is_refused_and_changes_nothing(studio):
    with pytest.raises(RecipeError, match='"select.floor" is 3, more than "select.ipc"'):
        studio.curation.set(allocation="gain", floor=3)
    with pytest.raises(RecipeError, match='"lr" has no slider'):
        studio.curation.set(lr=1)
    assert studio.workspace.ledger.settings() == {}


def test_what_stands_already_is_no_action(studio):
    """The page sends all its sliders when it opens: on a fresh workspace there is nothing to undo."""
    shown = studio.curation.settings()
    sliders = {key: shown[key] for key in ("ipc", "temperature", "selector", "drawn")}
    assert studio.curation.set(0.0, **sliders, alpha=None, beta=None, gamma=None) is None
    assert studio.curation.history() == [] and studio.workspace.ledger.settings() == {}


def test_an_action_says_from_what_to_what(studio):
    assert studio.curation.set(0.0, alpha=3.0, beta=1.0, gamma=2.0) == "gamma 0.5 to 2"
    assert studio.curation.set(0.0, gamma=None) == "gamma 2 to preset"
    assert studio.curation.set(0.0, selector="dgs", lam=0.25) == "selector psr to dgs, lambda 0.5 to 0.25"
    assert studio.curation.set(0.0, drawn=[1.0] * 9 + [2.0]) == "drawn target changed"


def test_history_tells_what_was_done_newest_first(studio):
    studio.curation.mark([4], "pin")
    studio.curation.set(0.0, ipc=3)
    studio.curation.undo()
    rows = studio.curation.history()
    assert [(row["description"], row["undone"]) for row in rows] == [
        ("K 2 to 3", True),
        ("pin candidate 4", False),
    ]
    assert rows[0]["id"] > rows[1]["id"] and len(studio.curation.history(1)) == 1


def test_distributions_count_every_candidate_once(studio):
    studio.curation.set(selector="dgs", target="hill", ipc=3)
    result = on_screen(studio)
    whole = studio.curation.distributions()
    assert whole["n"] == {"original": 15, "pool": 18, "picked": 9} and len(whole["edges"]) == 11
    assert sum(whole["target"]) == 9
    parts = [studio.curation.distributions(c) for c in range(3)]
    for side in ("raw", "smoothed"):
        for kind in ("original", "pool", "picked"):
            summed = np.sum([part[side][kind] for part in parts], axis=0)
            assert whole[side][kind] == summed.tolist() and sum(whole[side][kind]) == whole["n"][kind]
    assert np.sum([part["target"] for part in parts], axis=0).tolist() == whole["target"]
    assert whole["substituted"] == result.substituted
    for c, part in enumerate(parts):
        moved = sum(row["count"] for row in result.substituted if row["class_id"] == c)
        off = np.abs(np.subtract(part["smoothed"]["picked"], part["target"])).sum() / 2
        assert off <= moved and result.shortfall[c] == moved, "the target is met but for what is reported"


def test_a_bundle_without_difficulties_of_real_images(studio):
    scored = replace(studio.curation.scored, has_original=False)
    with pytest.raises(SelectionError) as err:
        select(scored, studio.curation.rules().changed({"selector": "dgs"}))
    assert err.value.fix == 'Choose another target, such as "ground".'
    found = distributions(
        select(scored, studio.curation.rules().changed({"selector": "dgs", "target": "ground"}))
    )
    assert found["raw"]["original"] is None and found["thresholds"]["original"] is None
    assert sum(found["target"]) == 6


def test_near_duplicates_are_the_close_pairs(studio):
    from psr_studio.stages.select.figures import NEAR_DUPLICATE, near_duplicates

    scored = studio.curation.scored
    near = near_duplicates(scored)
    assert near.shape == (18,) and np.median(near[:6]) == pytest.approx(1)
    own = scored.embeddings[:6].astype(np.float64)
    away = np.sqrt(((own[:, None] - own) ** 2).sum(axis=2) + np.diag([np.inf] * 6)).min(axis=1)
    assert near[:6] == pytest.approx(away / np.median(away), rel=1e-3) and 0 < NEAR_DUPLICATE < 1


def test_sufficiency_says_something_of_every_class(studio):
    rows = studio.curation.sufficiency()
    assert [row["class_id"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["verdict"] in ("enough", "more would pay", "too small") and 0 <= row["gain_kept"] <= 1
        assert row["sentence"].startswith(f'"{row["name"]}": ') and row["suggested"] >= 6


def test_two_sets_beside_each_other(studio):
    finish(studio.select(selector="random", name="by chance"))
    found = studio.curation.compare("current", "by chance")
    a, b = studio.selection("current"), studio.selection("by chance")
    shared = set(a.candidate_ids.tolist()) & set(b.candidate_ids.tolist())
    assert found["overlap"] == len(shared) and found["jaccard"] == pytest.approx(
        len(shared) / (12 - len(shared))
    )
    assert np.flatnonzero(found["in_a"]).tolist() == sorted(a.positions.tolist())
    assert sum(row["both"] for row in found["per_class"]) == len(shared)
    assert all(row["only_a"] + row["both"] == 2 for row in found["per_class"])
    assert found["a"]["means"]["reliability"] == pytest.approx(
        studio.curation.scored.signals(1.5).reliability[a.positions].mean()
    )
    features = studio.curation.scored.embeddings[a.positions]
    of_classes = [vendi_score(features[a.labels == c]) for c in range(3)]
    assert found["a"]["vendi"] == pytest.approx(vendi_score(features))
    assert [row["vendi_a"] for row in found["per_class"]] == pytest.approx(of_classes)
    assert found["a"]["vendi_of_class"] == pytest.approx(np.mean(of_classes))
    assert found["a"]["accuracy"] == [] == found["controls"]
    same = studio.curation.compare("live", "live")
    assert same["jaccard"] == 1 and same["a"]["name"] == "live"


def test_accuracies_are_those_of_these_picks_beside_their_controls(studio):
    finish(studio.evaluate(arms=["selected"], n_seeds=1))
    found = studio.curation.compare("current", "live")
    (row,) = found["a"]["accuracy"]
    assert (row["arm"], row["regime"], row["n"], row["std"]) == ("selected", "teacher, tau 1.5", 1, None)
    assert {r["arm"] for r in found["controls"]} == {"random real", "generate-and-use"}
    finish(studio.evaluate(arms=["selected"], n_seeds=1, lr=0.03))
    (row,) = studio.curation.compare("current", "live")["a"]["accuracy"]
    newest = studio.workspace.ledger.evaluations()[4].last
    assert (row["n"], row["mean"], row["epochs"]) == (1, newest, 3), (
        "of two ways of training the last one, no mean"
    )
    studio.curation.set(selector="random")
    studio.curation.save("current")
    again = studio.curation.compare("current", "live")
    assert again["a"]["accuracy"] == [], "those of an older selection of this name do not count"


# The tables of the selectors


def test_another_selector_keeps_the_settings_of_the_first(studio):
    """Each has weights of its own; a name alone is that of the chosen one."""
    studio.curation.set(0.0, gamma=4.0)
    assert studio.curation.set(0.0, selector="dgs", within_bin="psr") is not None
    assert studio.curation.settings()["gamma"] == 0.5, "the preset: dgs has no weight of its own yet"
    assert studio.curation.set(0.0, gamma=7.0) == "gamma 0.5 to 7"
    rules = studio.curation.rules()
    assert (rules.of(PSR).gamma, rules.of(DGS).gamma) == (4.0, 7.0) and rules.weights == (3.0, 1.0, 7.0)
    studio.curation.set(0.0, selector="psr")
    assert studio.curation.settings()["gamma"] == 4.0


def test_sliders_that_an_older_version_has_moved_stand_where_they_stood(studio, caplog):
    """It kept one alpha for all selectors; what is moved now counts more than what it kept."""
    studio.workspace.ledger.set_settings({"selector": "dgs", "alpha": 2.0, "lam": 0.25})
    rules = studio.curation.rules()
    assert (rules.of(PSR).alpha, rules.of(DGS).alpha, rules.of(DGS).lam) == (2.0, 2.0, 0.25)
    studio.curation.rules()
    assert [r.getMessage() for r in caplog.records] == [
        "The sliders: settings of a selector stand in its own table now: "
        "select.alpha is select.psr.alpha and select.dgs.alpha, select.lam is select.dgs.lam."
    ]
    assert studio.curation.set(0.0, alpha=5.0) == "alpha 2 to 5"
    assert studio.curation.rules().of(PSR).alpha == 2.0 and studio.curation.rules().of(DGS).alpha == 5.0
    studio.curation.undo()
    assert studio.curation.rules().of(DGS).alpha == 2.0


RECORDED = [
    {"selector": "psr", "alpha": 2.0, "scaling": "frozen"},
    {"selector": "dgs", "target": "drawn", "drawn": [0.0] * 9 + [1.0], "lam": 0.25},
    {"selector": "dgs", "within_bin": "psr", "gamma": 7.0, "allocation": "gain", "psr.gamma": 2.0},
    {"selector": "dgs", "within_bin": "psr", "scaling": "frozen", "allocation": "gain"},
    {"selector": "cao2", "order": "surest", "allocation": "gain", "psr.alpha": 2.0, "budgets": [1, 0, 2]},
]


@pytest.mark.parametrize("settings", RECORDED)
def test_what_a_record_notes_brings_its_rules_back(settings):
    """`settings_of` and `restored_settings` are inverse on what counts."""
    rules = SelectRecipe().changed(settings)
    back = restored(settings_of(rules))
    assert settings_of(back) == settings_of(rules)
    assert back.resolved().parameters() == rules.resolved().parameters()


def test_a_record_of_before_the_tables_brings_its_rules_back():
    """It noted each name once: the allocation by gain, by the PSR greedy, had the weights of the selector."""
    noted = {"selector": "dgs", "ipc": 10, "temperature": 1.5, "target": "hill", "within_bin": "psr", "lam": 0.5,
             "alpha": 2.0, "beta": 1.0, "gamma": 1.0, "scaling": "frozen", "seed": 0, "allocation": "gain",
             "floor": 1, "ceiling": None, "normalize": True}  # fmt: skip
    back = restored(noted)
    assert settings_of(back) == noted
    assert back.of(PSR).at(10) == back.of(DGS).at(10) == (2.0, 1.0, 1.0)


def restored(noted: dict) -> SelectRecipe:
    record = SelectionRecord("kept", {}, {}, {}, {}, {}, noted, "")
    found = restored_settings(record, [key.removeprefix("select.") for key in SELECT_KEYS])
    return SelectRecipe().changed({key: value for key, value in found.items() if key != "locked"})


def test_what_was_scored_stays_usable_while_new_candidates_wait(studio):
    """A larger pool without scores changes nothing yet; what is saved meanwhile does not pass for a choice of all."""
    before = studio.curation.select()
    finish(studio.generate(sizes=[0, 9, 0]))
    assert studio.curation.scored is before.scored and studio.curation.waiting == 3
    studio.curation.save("meanwhile")
    assert studio.status()["select"].state == "stale"
    with Studio(copied(studio)) as again:
        assert again.curation.scored.n == 18 and again.curation.waiting == 3, "after a restart too"
        assert ids_of(again, again.curation.select()) == ids_of(studio, before)
    finish(studio.score())
    assert (studio.curation.scored.n, studio.curation.waiting) == (21, 0)
    studio.curation.save("meanwhile")
    assert studio.status()["select"].state == "fresh"


def test_a_pool_that_is_made_anew_is_not_curated_by_old_scores(studio):
    studio.curation.select()
    finish(studio.generate(seed=5))
    with pytest.raises(WorkspaceError, match='Press "Score"'):
        studio.curation.scored  # noqa: B018
    finish(studio.score())
    assert studio.curation.scored.n == 18


def copied(studio) -> Path:
    """A copy of an open workspace."""
    root = studio.workspace.root
    return copy_workspace(studio.workspace, root.with_name(f"{root.name}-copy"))
