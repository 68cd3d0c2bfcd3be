"""Tune: a seeded search that a stop does not change, judged on images that no control sees."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from tiny import HELD_OUT, TRAIN_PER_CLASS, finish

from psr_studio.core.errors import RecipeError, SelectionError
from psr_studio.core.resources import resource_dir
from psr_studio.method.selectors import psr
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.schema import SelectRecipe, TuneRecipe
from psr_studio.stages.evaluate.arms import random_real
from psr_studio.stages.tune import correlation
from psr_studio.stages.tune import space as tune_space
from psr_studio.stages.tune import stage as tune
from psr_studio.stages.tune.correlation import Correlation, trust
from psr_studio.stages.tune.proxies import open_proxy, vote

FAST = {"selectors": ["psr", "random", "herding"], "trials": 8}


def told(trials) -> list[tuple]:
    """What was tried and found, without times."""
    return [(t.number, t.params, t.value, t.settings) for t in sorted(trials, key=lambda t: t.number)]


def test_as_many_trials_as_asked_for_best_first(studio):
    events = finish(studio.tune(**FAST))
    found = studio.trials()
    assert [e.done for e in events if e.part_done] == list(range(1, 9)) and events[-1].fraction == 1
    assert [t.value for t in found] == sorted((t.value for t in found), reverse=True)
    assert {t.number for t in found} == set(range(8))
    assert all(0 <= t.value <= 1 and t.n_images == 6 for t in found)
    assert events[-1].metrics["best"] == found[0].value and len(events[-1].previews) == 6
    assert studio.tune_status().state == "fresh"


def test_a_search_that_was_stopped_tries_what_it_would_have_tried(studio):
    """The law of resuming: 3 trials, then the rest, are the 8 trials of one go; so is another run's seed 0."""
    finish(studio.tune(**FAST))
    whole = told(studio.trials())
    with sqlite3.connect(studio.workspace.ledger.path) as ledger:
        ledger.execute("DELETE FROM trials")
    events = studio.tune()
    for event in events:
        if event.part_done and event.done == 3:
            events.close()
            break
    assert studio.tune_status().reason == "3 of 8 settings are tried."
    resumed = finish(studio.tune())
    assert told(studio.trials()) == whole and resumed[-1].resumed == 3


def test_another_seed_tries_other_weights(studio):
    searched = {}
    for seed in (0, 1):
        finish(studio.tune(selectors=["psr"], trials=5, **{"tune.seed": seed}))
        searched[seed] = [t.settings["alpha"] for t in sorted(studio.trials(), key=lambda t: t.number)]
    assert searched[0][0] == searched[1][0] == 3.0, "what stands on the sliders is tried first"
    assert searched[0][1:] != searched[1][1:]


def test_more_trials_go_on_and_other_rules_are_another_search(studio):
    finish(studio.tune(**FAST))
    finish(studio.tune(trials=9))
    assert len(studio.trials()) == 9
    studio.set({"tune.proxy": "student"})
    assert studio.tune_status().state == "stale" and len(studio.trials()) == 9, (
        "the last search stays in sight"
    )
    studio.set({"tune.proxy": "knn"})
    studio.curation.mark([studio.curation.scored.candidate_ids[0]], "veto")
    assert studio.tune_status().state == "stale"
    studio.curation.undo()
    assert studio.tune_status().state == "fresh"


def test_the_same_images_are_judged_once(studio):
    """A second search over the same selectors only reads values: no epoch of a student is trained."""
    short = {"selectors": ["random", "herding"], "proxy": "student", "student_epochs": 2, "trials": 2}
    trained = finish(studio.tune(**short))
    again = finish(studio.tune(selectors=["herding", "random"]))
    steps = [sum(not e.part_done for e in events) for events in (trained, again)]
    assert steps == [2 + 2 * 2, 2], "opening and cost, and two epochs for each of two"
    first, second = (sorted(e.metrics["proxy"] for e in events if e.part_done) for events in (trained, again))
    assert first == second


def test_both_proxies_judge_the_held_out_images_alone(studio, monkeypatch):
    """The test split is never opened: it would raise."""
    monkeypatch.setattr(type(studio.bundle), "test_set", property(lambda self: pytest.fail("the test split")))
    for proxy in ("knn", "student"):
        finish(studio.tune(selectors=["psr"], trials=2, proxy=proxy, student_epochs=1))
        steps = {round(t.value * 3 * HELD_OUT, 6) for t in studio.trials()}
        assert steps <= set(range(3 * HELD_OUT + 1)), "shares of the held-out images"


def test_no_control_sees_a_held_out_image(studio):
    held = {image.tobytes() for image in studio.bundle.held_out[0]}
    others = {image.tobytes() for image in studio.bundle.train_subset[0]}
    assert len(held) == 3 * HELD_OUT and len(others) == 3 * TRAIN_PER_CLASS and not held & others
    rows = random_real(studio.bundle, (0, 1, 2), TRAIN_PER_CLASS, seed=0)
    assert not held & {image.tobytes() for image in studio.bundle.train_subset[0][rows]}


def test_taking_a_trial_selects_its_images_and_can_be_undone(studio):
    finish(studio.tune(**FAST))
    before = studio.curation.settings()
    for trial in studio.trials():
        studio.curation.take(trial)
        result = studio.curation.select()
        search = tune.Search(studio.workspace, studio.recipe, studio.bundle)
        assert np.array_equal(result.positions, search.pick(trial.params).positions)
    herding = next(t for t in studio.trials() if t.settings["selector"] == "herding")
    studio.curation.take(studio.trials()[0])
    while studio.curation.settings() != before:
        assert studio.curation.undo()
    assert studio.curation.take(herding) == "selector psr to herding", "only what differs is changed"
    assert studio.curation.take(herding) is None and studio.curation.settings()["selector"] == "herding"
    studio.curation.undo()
    assert studio.curation.settings() == before


def test_a_search_from_the_sliders_has_their_budget(studio):
    studio.curation.set(ipc=3)
    finish(studio.tune(sliders=True, **FAST))
    assert {t.n_images for t in studio.trials(sliders=True)} == {9}
    assert studio.recipe.select.ipc == 2


def test_marks_that_change_meanwhile_stop_it(studio):
    events = studio.tune(**FAST)
    for event in events:
        if event.done == 2:
            break
    studio.curation.mark([studio.curation.scored.candidate_ids[0]], "pin")
    with pytest.raises(SelectionError) as err:
        finish(events)
    assert err.value.problem == "Pins, vetoes or locks were changed while settings were tried."
    assert 'Press "Tune" again' in err.value.fix


def test_the_page_keeps_its_own_selection(studio):
    shown = studio.curation.select(selector="random")
    finish(studio.tune(**FAST))
    assert studio.curation.last is shown


# The space


def test_weights_are_on_the_plane_of_the_presets_and_exact_on_a_slider():
    base = SelectRecipe()
    for diversity, entropy in ((0.0, 0.0), (1.0, 0.3), (0.37, 0.81)):
        params = {"selector": "psr", f"psr.{psr.DIVERSITY}": diversity, f"psr.{psr.ENTROPY}": entropy}
        weights = np.array(tune_space.rules_of(params, base).weights)
        assert weights.min() >= 0 and abs(weights.sum() - psr.WEIGHTS_SUM) < 0.02
        np.testing.assert_array_equal(weights, weights.round(psr.DECIMALS))


def test_what_stands_now_is_tried_first_then_each_selector_once():
    chosen = TuneRecipe()
    base = SelectRecipe().changed({"alpha": 1.0, "beta": 1.0, "gamma": 2.5})
    points = tune_space.starts(chosen, base)
    first = tune_space.rules_of(points[0], base)
    assert first.weights == (1.0, 1.0, 2.5)
    assert [p["selector"] for p in points] == ["psr", *SELECTORS]
    assert len(tune_space.starts(chosen, SelectRecipe())) == len(SELECTORS), "the preset is tried once"


def test_a_search_without_weights_ends_when_all_is_tried(studio):
    """dgs has 5 targets times 2 ways inside a bin, herding one point: 11 of the 30 that are asked for."""
    chosen = TuneRecipe(selectors=("dgs", "herding"))
    assert tune_space.size(chosen) == 11 and tune_space.size(TuneRecipe()) is None
    finish(studio.tune(selectors=["cao2", "herding"], trials=30))
    assert len({json.dumps(t.params) for t in studio.trials()}) == 4 == len(studio.trials())
    assert studio.tune_status().reason == "4 settings are tried."


def test_nothing_to_search(studio):
    with pytest.raises(RecipeError) as err:
        finish(studio.tune(selectors=["herding"]))
    assert err.value.problem.startswith('There is nothing to search: "herding" is the only selector')
    with pytest.raises(RecipeError) as err:
        finish(studio.tune(selectors=[]))
    assert err.value.problem == 'No selector is to be tried: "tune.selectors" is empty.'


def test_a_selector_nobody_knows(studio):
    with pytest.raises(RecipeError) as err:
        studio.tune(selectors=["herdin"])
    assert 'Did you mean "herding"?' in err.value.fix


def test_trials_in_words():
    settings = tune_space.settings_of(SelectRecipe().changed({"alpha": 2.5, "beta": 0.0, "gamma": 2.0}))
    assert tune.describe(settings) == "psr, alpha 2.5, beta 0, gamma 2"
    settings = tune_space.settings_of(SelectRecipe().changed({"selector": "dgs", "target": "hill"}))
    assert tune.describe(settings) == "dgs, target hill, within_bin random"
    with pytest.raises(SelectionError) as err:
        tune.format_table([])
    assert err.value.fix == "Run the tune step first."


# The proxies and what they are worth


def test_the_vote_is_that_of_the_nearest():
    references = np.array([[0.0], [1.0], [10.0]], np.float32)
    labels = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(vote(np.array([[0.4], [9.0]]), references, labels, 1), labels[[0, 2]])
    np.testing.assert_allclose(vote(np.array([[0.0]]), references, labels, 2), [[0.5, 0.5, 0]])
    np.testing.assert_allclose(vote(np.array([[7.0]]), references, labels, 9), np.full((1, 3), 1 / 3))


def test_the_same_picks_have_the_same_value(studio):
    studio.set({"tune.proxy": "student", "tune.student_epochs": 2})
    proxy = open_proxy(studio.recipe, studio.bundle)
    chosen = studio.curation.select()
    *progress, value = proxy(chosen)
    assert progress == [None] and value == list(proxy(chosen))[-1]


def test_a_low_correlation_is_said_in_plain_words():
    found = Correlation("knn", 0.31, -0.2, 0.7, 14, "b", 10, "IPC 10, 2 seeds")
    assert "is 0.31 (n = 14 settings, 95 % interval -0.20 to 0.70; IPC 10, 2 seeds)." in found.sentence(10)
    assert "That is low: the best trial may well not be the best set." in found.sentence(10)
    assert found.sentence(50).endswith("At 50 images per class it is not measured.")
    better = replace(found, rho=0.8, low=0.6)
    assert "low:" not in better.sentence(10) and "wide" in replace(better, low=0.3).sentence(10)


def test_another_bundle_is_not_measured(studio):
    assert trust(studio.bundle, "knn", 10) == (
        'How well the proxy "knn" ranks settings is not measured for this bundle ("tiny"): '
        "evaluate several of the best trials before you rely on one."
    )


def test_the_shipped_numbers_have_their_conditions():
    for entry in json.loads((resource_dir("assets") / correlation.FILE).read_text()):
        assert set(entry["identity"]) == set(correlation.PARTS) and entry["ipc"] == 10 and entry["conditions"]
        for found in entry["proxies"].values():
            assert found["n"] >= 12 and found["low"] <= found["rho"] <= found["high"]
