"""The accordion "Studies": a study runs as a job, its figure and lines follow, its two files can be fetched."""

from __future__ import annotations

from html import unescape

import pytest
from serving import refusal

from psr_studio.core.errors import JobError, ModelError, RecipeError
from psr_studio.studies.report import report_paths
from psr_studio.studies.table import STUDIES
from psr_studio.ui.panels.studies import StudiesPanel


@pytest.fixture
def panel(evaluate_tab) -> StudiesPanel:
    """The one of the Evaluate tab, whose job card shows its job."""
    assert evaluate_tab.studies in evaluate_tab.panes()
    return evaluate_tab.studies


def test_it_begins_with_the_first_study_and_what_it_asks(panel):
    chosen, words, plot, table = panel.values()
    assert chosen == "selectors" and STUDIES["selectors"].title in words and "0 of 21 cells" in words
    assert (plot.visible, table) == (False, "") and len(panel.outputs) == 4
    assert panel.version() == panel.version()
    _, *shown = [panel.shown, *panel.on_show("kl")]
    assert panel.values()[0] == "kl" and "Figure 6" in shown[0]


def test_a_study_runs_as_a_job_and_its_files_can_be_fetched(panel, screen, client):
    screen.studio.set({"evaluate.n_seeds": 1})
    before = panel.version()
    panel.on_run("labels", "1", [])
    job = screen.worker.wait(screen.worker.latest("study").id, timeout=120)
    assert (job.state, job.done, job.total) == ("done", 21, 21), job.problem
    assert panel.version() != before
    chosen, words, plot, table = panel.values()
    assert chosen == "labels" and "All 2 cells of this study are finished." in words and plot.visible
    assert {"teacher labels", "hard labels", "generate-and-use", "random real"} <= set(
        unescape(table).replace("<td>", "</td>").split("</td>")
    )
    for path in report_paths(screen.studio.workspace, STUDIES["labels"]):
        assert path.name in words
        answer = client.get(f"/psr/study/{path.name}")
        assert answer.content == path.read_bytes()
        assert "attachment" in answer.headers["content-disposition"], "it is no page of the studio"
    assert StudiesPanel(screen, panel.jobs).shown == "labels", (
        "a page opened later shows the study that ran last"
    )


def test_what_cannot_be_is_refused_before_it_is_queued(panel, screen):
    with pytest.raises(RecipeError) as err:
        panel.on_run("labels", "1, ten", [])
    assert err.value.problem == '"study.budgets" is "1, ten", but whole numbers are needed.'
    with pytest.raises(RecipeError):
        panel.on_run("labels", "0", [])
    with pytest.raises(ModelError):
        panel.on_run("labels", "1", ["no such student"])
    assert screen.worker.latest("study") is None


def test_one_study_at_a_time(panel, screen):
    panel.on_run("labels", "2", [])
    with pytest.raises(JobError):
        panel.on_run("kl", "2", [])
    number = screen.worker.latest("study").id
    screen.worker.stop_now(number)
    assert screen.worker.wait(number, 60).state == "cancelled"
    assert "to go on from there: what is finished stays" in unescape(str(panel.jobs.values()[0].value))


@pytest.mark.parametrize("name", ["labels.html", "labels.exe", "selector.html", "..%2Fstudio.sqlite"])
def test_nothing_but_a_report_is_given_out(client, name):
    answer = client.get(f"/psr/study/{name}")
    assert 400 <= answer.status_code < 500
    if name.startswith(("labels", "selector")):
        problem, fix = refusal(answer)
        assert problem.startswith("There is no ") and fix
