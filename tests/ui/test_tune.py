"""The accordion "Tune": trials appear, one is taken with a click, the workbench follows, undo takes it back."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest
from tiny import finish

from psr_studio.app.curation import SelectChange
from psr_studio.stages.tune.stage import describe
from psr_studio.ui.panels.tune import EMPTY, OLDER, TunePanel
from psr_studio.ui.plots.tune import trials_figure

SEARCH = {"selectors": ["psr", "random", "herding"], "trials": 6}


@pytest.fixture
def panel(screen) -> TunePanel:
    made = TunePanel(screen)
    with gr.Blocks():
        made.build()
        made.connect(gr.HTML())
    return made


def test_it_begins_empty_and_says_what_to_press(panel):
    trust, plot, table = panel.values()
    assert EMPTY.replace('"', "&quot;") in table and plot.visible is False
    assert "not measured for this bundle" in trust
    assert len(panel.outputs) == len(panel.values()) and panel.version() == panel.version()


def test_the_worker_tunes_from_the_sliders_and_the_table_follows(panel, screen):
    screen.workbench.select(SelectChange.model_validate({"ipc": 3}))
    before = repr(panel.version())
    job = screen.submit("tune", {f"tune.{key}": value for key, value in SEARCH.items()}, sliders=True)
    state = screen.worker.wait(job, timeout=120)
    assert (state.state, state.done, state.total) == ("done", 6, 6)
    assert {"proxy", "best"} <= set(state.curves) and state.previews
    _, plot, table = panel.values()
    assert repr(panel.version()) != before and table.count("<tr>") == 7
    assert {trial.n_images for trial in screen.studio.trials(sliders=True)} == {9}
    assert "6 of 6" in str(panel.jobs.values()[0].value)


def test_taking_a_trial_moves_the_workbench_and_can_be_undone(panel, screen):
    finish(screen.studio.tune(sliders=True, **SEARCH))
    shown = (
        screen.workbench.candidate_ids()
        or screen.workbench.select(SelectChange.model_validate({}))
        and screen.workbench.candidate_ids()
    )
    trial = next(t for t in screen.studio.trials() if t.settings["selector"] == "herding")
    event = SimpleNamespace(_data={"study": trial.study, "trial": trial.number})
    table, island = panel.on_take(event)
    assert screen.studio.curation.settings()["selector"] == "herding" and "on the sliders" in table
    assert set(screen.workbench.candidate_ids()) != set(shown) and island["token"] == screen.token
    screen.workbench.undo()
    assert screen.studio.curation.settings()["selector"] == "psr"
    assert set(screen.workbench.candidate_ids()) == set(shown)


def test_trials_of_another_budget_are_said_to_be_so(panel, screen):
    finish(screen.studio.tune(sliders=True, **SEARCH))
    assert OLDER not in panel.values()[2]
    screen.workbench.select(SelectChange.model_validate({"ipc": 1}))
    assert OLDER in panel.values()[2]


def test_a_trial_that_is_gone(panel):
    with pytest.raises(gr.Error) as err:
        from psr_studio.ui.words import said

        said(panel.on_take)(SimpleNamespace(_data={"study": "x", "trial": 3}))
    assert "not in this workspace any more" in str(err.value)


def test_the_figure_has_every_trial_and_a_best_that_never_falls(screen):
    finish(screen.studio.tune(**SEARCH))
    found = screen.studio.trials()
    best, *groups = trials_figure(found, 30).data
    assert list(best.y) == sorted(best.y) and max(best.y) == 100 * found[0].value
    assert sum(len(group.x) for group in groups) == 6
    assert {group.name for group in groups} == {"psr", "random", "herding"}
    assert describe(found[0].settings) in {text for group in groups for text in group.text}
