"""The page over pictures only: a project is looked at and made there, and what is off says why."""

from __future__ import annotations

import html

import gradio as gr
import pytest
from own_pictures import QUICK, write_description, write_pictures, write_teacher
from tiny import finish

from psr_studio.app.new_project import make, plan
from psr_studio.app.recent import recent
from psr_studio.app.studio import Studio
from psr_studio.core.errors import ModelError, StudioError
from psr_studio.stages.table import stages_of
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.new_project import NewProjectPanel
from psr_studio.ui.panels.teach import TeachPanel
from psr_studio.ui.panels.topbar import TopBar
from psr_studio.ui.panels.weights import WeightsPanel
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.pool import PoolTab
from psr_studio.ui.tabs.refine import RefineTab


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The page's own side of a workspace of pictures only, without a pool."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    write_pictures(tmp_path / "set", 4)
    described = write_description(tmp_path / "colours.toml", write_teacher(tmp_path / "teacher"))
    screen = Screen(Studio(tmp_path / "runs" / "ws", bundle=str(described), **QUICK))
    yield screen
    screen.close()


def drawn(part):
    with gr.Blocks():
        part.build()
    return part


def test_a_project_is_looked_at_and_made_beside_this_one(opened, tmp_path):
    panel = drawn(NewProjectPanel(opened))
    given = ["colours", str(tmp_path / "set"), None, "", None, 0, str(tmp_path / "teacher")]
    assert "12 pictures of 3 classes, 4 of each" in panel.on_look(*given)
    made = tmp_path / "runs" / "colours"
    assert not made.exists() and panel.nothing_here()
    *_, last = panel.on_make(*given)
    assert "Imported 12 pictures" in last and "Sizes" not in last and f"psr-studio app -w {made}" in last
    assert 'the list under "ws" at the top' in html.unescape(last) and made in [
        found.path for found in recent()
    ]
    with Studio(made, create=False) as studio:
        finish(studio.score())
        assert len(studio.pool) == 12 and len(opened.studio.pool) == 0


def test_settings_of_generation_are_folded_with_the_reason_where_nothing_generates(opened, screen):
    """Folded over pictures only; as they always were over a bundle with a generator."""
    for page, n in ((opened, 1), (screen, 0)):
        with gr.Blocks() as blocks:
            tab = PoolTab(page)
            tab.build()
        folds = [block for block in blocks.blocks.values() if block.elem_id == "psr-generation"]
        assert len(folds) == n and all(not fold.open for fold in folds)
        inside = {block for fold in folds for block in _below(fold)}
        assert (tab.settings.controls["pool.steps"] in inside) is (n == 1) and tab.score not in inside
        assert not folds or any("has no generator" in str(getattr(block, "value", "")) for block in inside)


def _below(block):
    """All that lies in a block of the page."""
    for child in getattr(block, "children", ()):
        yield child
        yield from _below(child)


def test_the_panel_of_the_teacher_is_open_while_the_project_waits_for_one(opened, tmp_path):
    real = write_pictures(tmp_path / "real", 8, first=50)
    finish(make(plan(tmp_path / "waits", tmp_path / "set", real=real)))
    waiting = Screen(Studio(tmp_path / "waits", create=False))
    try:
        for screen, is_open in ((opened, False), (waiting, True)):
            with gr.Blocks() as page:
                jobs = JobPanel(screen, stages_of("pool"))
                jobs.build()
                TeachPanel(screen, jobs).build()
            (panel,) = [block for block in page.blocks.values() if block.elem_id == "psr-teach"]
            assert panel.open is is_open
            (images,) = [block for block in page.blocks.values() if block.elem_id == "psr-teach-images"]
            assert images.value == (str(real) if is_open else ""), "its real pictures are there to be taught"
            chips = dict(TopBar(screen).names()["chips"])
            assert (chips["teacher"] == "none yet") is is_open
            with gr.Blocks() as page:
                WeightsPanel(screen, jobs).build()
            (weights,) = [block for block in page.blocks.values() if block.elem_id == "psr-weights"]
            assert not weights.open, "a teacher is taught, and nothing else is missing"
    finally:
        waiting.close()


def test_curate_says_that_a_teacher_is_missing_and_leads_to_where_one_is_taught(tmp_path, opened):
    finish(make(plan(tmp_path / "waits", tmp_path / "set")))
    waiting = Screen(Studio(tmp_path / "waits", create=False))
    try:
        state = waiting.workbench.state()
        assert state["message"].startswith(
            "12 candidates without scores: the teacher of this project is not there"
        )
        assert 'under "Teacher of your own classes" on the Pool tab' in state["message"]
        assert (state["mend"], state["unscored"]) == ("pool", 0), "a link, and no button that cannot do it"
    finally:
        waiting.close()


def test_curate_says_why_the_last_scoring_stopped(opened, tmp_path):
    finish(opened.studio.import_pool(tmp_path / "set"))
    assert opened.workbench.state()["trouble"] == "" and opened.workbench.state()["unscored"] == 12
    (opened.studio.workspace.root / "scores").write_text("a file where a folder should be")
    opened.worker.wait(opened.submit("score", {}), 60)
    job = opened.worker.latest("score")
    assert job.state == "failed"
    assert opened.workbench.state()["trouble"].startswith(job.problem)
    assert opened.workbench.now()["trouble"] == opened.workbench.state()["trouble"]


@pytest.mark.parametrize(
    ("name", "pictures", "said"),
    [
        ("", "set", "no name"),
        ("x", "", "no pictures"),
        ("../x", "set", "project"),
        ("x", "nowhere", "nothing at"),
    ],
)
def test_what_is_left_out_or_wrong_is_said_and_nothing_is_made(opened, tmp_path, name, pictures, said):
    panel = drawn(NewProjectPanel(opened))
    given = [name, pictures and str(tmp_path / pictures), None, "", None, 0, ""]
    with pytest.raises(StudioError, match=said):
        panel.plan_of(*given)
    with pytest.raises(gr.Error):
        list(panel.on_make(*given))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["ws"]


def test_generate_and_refine_are_off_and_say_what_would_turn_them_on(opened, tmp_path):
    pool, refine = drawn(PoolTab(opened)), drawn(RefineTab(opened))
    assert not pool.generate.interactive and not refine.run.interactive and pool.score.interactive
    _, cost, sheet, *_ = pool.values()
    assert "has no generator" in cost and "Name the folder of a generator" in cost and "Import" in sheet
    state, *_ = refine.values()
    assert 'data-state="off"' in state and "Name the folder of a generator" in state
    assert 'Press "Refine"' not in refine.on_class(0)[0]
    finish(opened.studio.import_pool(tmp_path / "set"))
    opened.forget_status()
    assert "has no generator" in pool.values()[1]
    finish(opened.studio.score())
    with pytest.raises(ModelError, match="has no generator"):
        opened.generate_more([0], 50)
    assert "teacher" in pool.weights.parts_table() and "generator" in opened.studio.bundle.parts_to_name
