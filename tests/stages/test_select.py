"""Select: the budget spent as the papers say, marks honoured, and every shortfall said aloud."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from steps import logits_with_eligible, rescore
from tiny import TRAIN_PER_CLASS, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import RecipeError, SelectionError, WorkspaceError
from psr_studio.method.difficulty import smoothed
from psr_studio.method.selection import greedy_select, ipc_preset
from psr_studio.method.signals import is_consistent, min_max, predictive_entropy, reliability
from psr_studio.recipe.load import load_recipe
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.select.choice import select
from psr_studio.stages.select.figures import distributions
from psr_studio.stages.select.stage import inputs

EQUAL = {"alpha": 1, "beta": 1, "gamma": 1}


def test_signals_are_those_of_the_method(studio):
    scored, logits, labels = studio.curation.scored, studio.scores.logits, studio.pool.labels
    now = scored.signals(1.5)
    assert np.array_equal(now.reliability, reliability(logits, labels, 1.5))
    assert np.array_equal(now.entropy, predictive_entropy(logits, 1.5))
    assert np.array_equal(scored.eligible, is_consistent(logits, labels))
    assert np.allclose(now.soft_labels.sum(axis=1), 1)
    assert np.allclose(now.soft_labels[4][labels[4]], now.reliability[4])
    for c in range(3):
        own = labels == c
        assert np.array_equal(now.rel_n[own], min_max(now.reliability[own], over=scored.eligible[own]))
    warmer = scored.signals(3.0).soft_labels[0]
    assert warmer.max() < now.soft_labels[0].max(), "a higher temperature flattens the label"


def test_a_scored_pool_is_never_changed(studio):
    """A selection at another temperature says nothing to who asks at the first one; no array can be written to."""
    scored = studio.curation.scored
    before = scored.signals(1.5)
    studio.curation.select(temperature=3.0, selector="dgs")
    assert scored.signals(1.5) is before and studio.curation.scored is scored
    arrays = [scored.labels, scored.eligible, scored.difficulty, scored.predicted, before.reliability]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    with pytest.raises(FrozenInstanceError):
        scored.logits = None


@pytest.mark.parametrize("ipc", [1, 2, 5])
def test_the_live_selection_is_the_greedy_of_every_class(studio, ipc):
    """Whole pool at once equals one `greedy_select` per class on that class alone."""
    scored = studio.curation.scored
    result = select(
        scored, studio.curation.rules().changed({"alpha": 1.0, "beta": 0.5, "gamma": 2.0, "ipc": ipc})
    )
    for c in range(3):
        own = np.flatnonzero(scored.labels == c)
        alone = greedy_select(
            result.signals.reliability[own],
            result.signals.entropy[own],
            scored.embeddings[own],
            ipc,
            1.0,
            0.5,
            2.0,
            scored.eligible[own],
        )
        assert result.picks[c].tolist() == own[alone.indices].tolist()
        assert np.allclose(result.scores[c], alone.scores) and np.allclose(result.terms[c], alone.terms)
    assert len(result.positions) == 3 * ipc


def test_the_weights_follow_the_budget_until_they_are_set(studio):
    assert studio.curation.select(ipc=2).weights == ipc_preset(2) == (3.0, 1.0, 0.5)
    finish(studio.select(gamma=2.0))
    assert studio.selection().settings["gamma"] == 2.0 and studio.selection().settings["alpha"] == 3.0


def test_diversity_is_zero_at_picks_and_at_most_one_among_eligible(studio):
    result = studio.curation.select(ipc=2)
    assert (result.diversity[result.positions] == 0).all()
    assert 0 <= result.diversity[studio.curation.scored.eligible].max() <= 1


def test_a_smaller_budget_is_a_prefix(studio):
    five = studio.curation.select(**EQUAL, ipc=5)
    two = studio.curation.select(**EQUAL, ipc=2)
    assert all(a[:2].tolist() == b.tolist() for a, b in zip(five.picks, two.picks, strict=True))


def test_pins_come_first_and_vetoes_never(studio):
    curation = studio.curation
    first = curation.select(ipc=2).picks[0]
    other = [p for p in range(6) if p not in first]
    studio.curation.mark([int(curation.scored.candidate_ids[other[0]])], "pin")
    studio.curation.mark([int(curation.scored.candidate_ids[first[0]])], "veto", "blurred")
    result = curation.select(ipc=2)
    assert result.picks[0][0] == other[0] and first[0] not in result.picks[0]
    assert curation.why(other[0]) == 'Pick 1 of 2 in "boot": you pinned it.'
    assert curation.why(int(first[0])) == "Not picked: you vetoed it."
    studio.curation.undo()
    studio.curation.undo()
    assert curation.select(ipc=2).picks[0].tolist() == first.tolist()


def test_marks_on_candidates_of_another_pool_are_left_alone(studio):
    studio.curation.mark([5_000_000], "pin")
    studio.curation.mark([2_000_099], "veto")
    assert len(studio.curation.select(ipc=2).positions) == 6


def test_pick_info_and_why_agree_with_the_result(studio):
    result = studio.curation.select(**EQUAL, ipc=3)
    second = int(result.picks[1][1])
    info = result.pick_info(second)
    assert info is not None and info.rank == 1
    assert info.score == pytest.approx(sum(info.terms)) == pytest.approx(result.scores[1][1])
    why = studio.curation.why(second)
    assert why.startswith('Pick 2 of 3 in "T-shirt/top": its score ')
    assert why.endswith("by diversity, each scaled within the class and weighted."), (
        "the signals themselves are other numbers"
    )
    assert "the most reliable one of its class" in studio.curation.why(int(result.picks[1][0]))
    left = next(p for p in np.flatnonzero(result.scored.eligible) if p not in result.positions)
    assert result.pick_info(int(left)) is None and studio.curation.why(int(left)).startswith(
        "Not picked: its score"
    )


def test_neighbours_are_the_nearest_of_the_class(studio):
    scored = studio.curation.scored
    own = np.flatnonzero(scored.labels == 1)
    distance = ((scored.embeddings[own].astype(np.float64) - scored.embeddings[8]) ** 2).sum(axis=1)
    wanted = [int(p) for p in own[np.argsort(distance, kind="stable")] if p != 8]
    assert scored.neighbours(8, k=3) == wanted[:3] and 8 not in scored.neighbours(8)


def test_distances_between_candidates_are_1_on_average_inside_their_classes(studio):
    """In the mean over all pairs of a class, and over the classes, their squares are 1: that is the unit."""
    scored = studio.curation.scored
    apart = np.stack([scored.apart(e) for e in scored.embeddings]).astype(np.float64)
    pairs = np.triu_indices(6, 1)
    inside = [np.square(apart[own, own])[pairs].mean() for own in map(scored.members, range(3))]
    assert np.mean(inside) == pytest.approx(1, rel=1e-5)
    assert (apart.diagonal() == 0).all() and np.allclose(apart, apart.T)


def test_a_candidate_leans_to_another_class_than_its_own(studio):
    scored = studio.curation.scored
    assert (scored.leans != scored.labels).all()
    wrong = scored.predicted != scored.labels
    assert wrong.any() and (scored.leans[wrong] == scored.predicted[wrong]).all()
    for position in np.flatnonzero(~wrong):
        logits = scored.logits[position]
        assert logits[scored.leans[position]] == np.sort(logits)[-2], "the second, or one as large"


def test_random_and_generate_and_use(studio):
    finish(studio.select(selector="generate-and-use", name="first"))
    assert studio.selection("first").candidate_ids.tolist() == [
        0,
        1,
        1_000_000,
        1_000_001,
        2_000_000,
        2_000_001,
    ]
    finish(studio.select(selector="random", name="a"))
    finish(studio.select(selector="random", name="b"))
    finish(studio.select(selector="random", seed=1, name="c"))
    a, b, c = (studio.selection(name).candidate_ids.tolist() for name in "abc")
    assert a == b != c
    assert "drawn at random" in studio.curation.why(int(studio.selection("c").positions[0]))


def test_the_saved_selection_is_the_live_one(studio):
    finish(studio.select(ipc=3, name="mine"))
    saved, live = studio.selection("mine"), studio.curation.select(ipc=3)
    assert saved.positions.tolist() == live.positions.tolist()
    assert saved.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert np.allclose(saved.scores, np.concatenate(live.scores))
    assert np.allclose(saved.soft_labels, live.signals.soft_labels[saved.positions])
    assert saved.settings["ipc"] == 3 and studio.recipe.select.name == "mine"


def test_too_few_eligible_are_filled_and_said(studio):
    """Class 0 has 1 eligible of 6 and K is 3: two slots are filled, best reliability first, and reported."""
    rescore(studio, logits_with_eligible(studio, {0: 1}))
    events = finish(studio.select(ipc=3))
    said = 'Too few eligible candidates: "boot" has 1 of 3 (2 filled with the most reliable others).'
    assert said in events[-1].message and events[-1].metrics["shortfall"] == 2
    saved = studio.selection()
    assert saved.filled[:3].tolist() == [False, True, True] and saved.shortfall == {0: 2, 1: 0, 2: 0}
    rel = studio.curation.scored.signals(1.5).reliability
    rest = sorted((p for p in range(1, 6)), key=lambda p: -rel[p])
    assert saved.positions[1:3].tolist() == rest[:2]
    assert 'in which too few are eligible; the teacher sees "T-shirt/top"' in studio.curation.why(rest[0])


def test_too_few_eligible_leave_the_class_short_when_asked(studio):
    rescore(studio, logits_with_eligible(studio, {0: 1}))
    events = finish(studio.select(ipc=3, on_shortage="short"))
    assert '"boot" has 1 of 3 (2 left empty)' in events[-1].message
    assert studio.selection().labels.tolist() == [0, 1, 1, 1, 2, 2, 2]


def test_a_class_without_one_eligible_candidate(studio):
    """With "fill" it is filled and said; with "short" it would be empty: an error, and nothing is saved."""
    rescore(studio, logits_with_eligible(studio, {1: 0}))
    finish(studio.select(ipc=2, name="filled"))
    assert studio.selection("filled").filled[2:4].all()
    with pytest.raises(SelectionError) as err:
        finish(studio.select(ipc=2, on_shortage="short", name="short"))
    assert err.value.problem == (
        'No candidate of class "T-shirt/top" is eligible: the teacher sees another class in all 6, '
        "or they are vetoed."
    )
    assert err.value.fix.startswith('Set "select.psr.on_shortage" to "fill", pin a candidate of this class')
    with pytest.raises(SelectionError):
        studio.selection("short")


def test_more_images_than_candidates(studio):
    studio.set({"pool.pool_size": 50})
    with pytest.raises(SelectionError) as err:
        finish(studio.select(ipc=50))
    assert err.value.problem == 'Class "boot" has 6 candidates, but 50 images per class are asked for.'
    assert err.value.fix == (
        'Lower "Images per class" to 6 or less, or raise "Pool size" on the Pool tab to at least 50.'
    )


def test_a_class_without_candidates(tmp_path, tiny_bundle):
    """The pool of some classes can be looked at; it is saved only when it holds what the recipe names."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, pool__classes=[0, 2])) as studio:
        finish(studio.generate())
        finish(studio.score())
        assert [len(picks) for picks in studio.curation.select(ipc=2).picks] == [2, 0, 2]
        finish(studio.select())
        assert studio.selection().labels.tolist() == [0, 0, 2, 2]
        studio.set({"pool.classes": None})
        with pytest.raises(SelectionError, match='Class "T-shirt/top" has 0 candidates, but 2 images'):
            finish(studio.select())


def test_more_pins_than_images(studio):
    studio.curation.mark([0, 1, 2], "pin")
    with pytest.raises(SelectionError) as err:
        studio.curation.select(ipc=2)
    assert err.value.problem == (
        'Class "boot" has 3 pinned candidates, but 2 images per class are asked for.'
    )
    assert err.value.fix == 'Raise "Images per class" to 3 or more, or unpin some of them.'


def test_no_image_at_all(studio):
    with pytest.raises(RecipeError, match='"select.ipc" is 0, but it must be from 1 to 1000000 images/class'):
        finish(studio.select(ipc=0))


def test_a_pool_without_scores(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.generate())
        with pytest.raises(WorkspaceError) as err:
            finish(studio.select())
    assert err.value.problem == "18 of 18 candidates have no teacher scores, such as 0, 1, 2 and 15 more."
    assert err.value.fix == "Run the score step: it scores only what is missing."


def test_status_names_what_changed(studio):
    assert studio.status()["select"].state == "fresh"
    studio.set({"select.psr.gamma": 2.0})
    assert studio.status()["select"].reason == '"current" was made with other settings.'
    studio.set({"select.psr.gamma": None})
    studio.curation.mark([1], "veto")
    assert studio.status()["select"].reason == '"current" was made from another pool or other marks.'
    studio.curation.undo()
    assert studio.status()["select"].state == "fresh"
    studio.set({"select.name": "other"})
    assert studio.status()["select"].reason == 'There is no selection "other".'


def test_dgs_spreads_over_difficulty_joined_with_uncertainty(studio, tmp_path, monkeypatch):
    """A share of 0 is kept as if there were no such setting; one of 1 has bins over entropies alone."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    finish(studio.select(selector="dgs"))
    before = studio.selection()
    assert "uncertainty" not in before.settings
    scored, logits = studio.curation.scored, studio.scores.logits
    assert scored.measure(0.0) is scored.difficulty
    unsure = predictive_entropy(logits, 1.0)
    assert np.array_equal(scored.measure(1.0), unsure)
    found = scored.smoothed(1, 0.5, 1.0)
    own = smoothed(unsure[studio.pool.labels == 1], scored.original_measure(1, 1.0), 0.5)
    assert np.array_equal(found.pool, own.pool) and np.array_equal(found.original, own.original)
    assert len(found.original) == TRAIN_PER_CLASS
    finish(studio.select(**{"select.dgs.uncertainty": 1.0}))
    assert studio.selection().settings["uncertainty"] == 1.0
    bars = distributions(studio.curation.shown(), 1)
    assert bars["n"] == {"original": TRAIN_PER_CLASS, "pool": 6, "picked": 2}
    finish(studio.select(**{"select.dgs.uncertainty": 0.0}))
    assert studio.selection().candidate_ids.tolist() == before.candidate_ids.tolist()


def test_a_selection_of_another_pool_is_not_used(studio):
    finish(studio.generate(guidance=3.0))
    finish(studio.score())
    with pytest.raises(SelectionError) as err:
        studio.selection()
    assert err.value.problem == 'The selection "current" was made from another pool or by another teacher.'
    assert err.value.fix == 'Select again under the name "current", or restore the pool it was made from.'


def test_a_selection_nobody_made(studio):
    with pytest.raises(SelectionError) as err:
        studio.selection("curent")
    assert err.value.fix.startswith('Did you mean "current"?')


def test_the_scored_pool_is_kept_until_pool_or_scores_change(studio):
    scored = studio.curation.scored
    studio.set({"select.ipc": 3})
    assert studio.curation.scored is scored and len(studio.curation.select().positions) == 9
    shown = studio.curation.shown()
    rescore(studio, logits_with_eligible(studio, {}))
    assert studio.curation.scored is not scored and studio.curation.shown() is not shown


def test_a_recipe_says_whose_weights_follow_the_budget(studio):
    """Of one and the same weights nothing else changes: they are said themselves in every hash."""
    paper = inputs(studio.workspace, studio.recipe, studio.bundle)["settings"]
    assert "weights" not in paper and (paper["alpha"], paper["gamma"]) == (3.0, 0.5)
    studio.set({"select.psr.weights": "held-out"})
    assert studio.curation.select(ipc=2).weights == (1.0, 0.0, 3.0)
    found = studio.curation.tables()
    assert found["ipc_presets"][0]["weights"] == {"alpha": 1.0, "beta": 0.0, "gamma": 3.0}
    assert "did best on held-out images" in found["weights_about"]
    studio.set({"select.psr.alpha": 3.0, "select.psr.beta": 1.0, "select.psr.gamma": 0.5})
    assert inputs(studio.workspace, studio.recipe, studio.bundle)["settings"] == paper
    assert load_recipe("fashion-mnist").select.weights == (1.0, 0.0, 3.0)
    assert Recipe().select.weights == (3.0, 1.0, 0.5)
