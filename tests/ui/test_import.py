"""Import and weights on the Pool tab, without a browser: the buttons do what they say and refuse in two sentences."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from tiny import CLASS_NAMES, SIZE, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import StudioError
from psr_studio.stages.table import STAGES, stages_of
from psr_studio.ui.page import TABS
from psr_studio.ui.panels.import_pool import ImportPanel
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.topbar import TopBar
from psr_studio.ui.panels.weights import WeightsPanel
from psr_studio.ui.screen import Screen


@pytest.fixture
def opened(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    screens = []

    def make(**changes):
        screen = Screen(Studio(tmp_path / "ws", changes.pop("recipe", "tiny-dit"), **changes))
        screens.append(screen)
        jobs = JobPanel(screen, stages_of("pool"))
        panels = ImportPanel(screen, jobs), WeightsPanel(screen, jobs)
        with gr.Blocks():
            jobs.build()
            for panel in panels:
                panel.build()
            panels[0].connect()
        return screen, *panels

    yield make
    for screen in screens:
        screen.close()


def ended(screen, stage):
    """The newest job of a stage, once it is over."""
    return screen.worker.wait(screen.worker.latest(stage).id, 60)


def test_soft_labels_are_named_in_the_panel_and_the_bar_says_whose_they_are(opened, tmp_path, tiny_bundle):
    for name in CLASS_NAMES:
        folder = tmp_path / "set" / name.replace("/", " ")
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(folder / "0.png")
    np.save(tmp_path / "soft.npy", np.eye(3, dtype=np.float32))
    screen, panel, _ = opened(recipe=tiny_recipe(tiny_bundle))
    assert "labels" not in dict(TopBar(screen).names()["chips"])
    given = [str(tmp_path / "set"), None, "", 0, False, False, False, None, "", "", False, "", None]
    np.save(tmp_path / "two.npy", np.eye(2, dtype=np.float32))
    with pytest.raises(StudioError, match="holds no single tensor with a column for each class"):
        panel.on_look(*given, str(tmp_path / "two.npy"))
    found = panel.on_look(*given, str(tmp_path / "soft.npy"))
    agreed = "largest is the class of 33% of the pictures. Nothing is written yet."
    assert (
        "Would import 3 pictures of 3 classes from &quot;set&quot;; soft labels from" in found
        and agreed in found
    )
    assert not len(screen.studio.pool) and not list((tmp_path / "ws" / "pool").glob("**/*.parquet"))
    panel.on_import(*given, str(tmp_path / "none.npy"))
    job = ended(screen, "import")
    assert job.state == "failed" and "There is nothing at" in job.problem
    panel.on_import(*given, str(tmp_path / "soft.npy"))
    job = ended(screen, "import")
    assert job.state == "done" and 'soft labels from "soft.npy" (probabilities, rows in order' in job.message
    assert dict(TopBar(screen).names()["chips"])["labels"] == "came with the pictures"
    screen.submit("score", {})
    assert ended(screen, "score").state == "done"
    shown = screen.workbench.candidate(1)
    assert (
        shown["own_labels"] and shown["predicted"] == 0
    )  # file order: the label of "T-shirt top" came first


def test_an_import_is_a_job_that_the_tab_shows(opened, tmp_path, tiny_bundle):
    for name in CLASS_NAMES:
        folder = tmp_path / "set" / name.replace("/", " ")
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(folder / "0.png")
    screen, panel, _ = opened(recipe=tiny_recipe(tiny_bundle))
    with pytest.raises(StudioError, match="Nothing to import is named"):
        panel.on_import("  ", None, "", 0, False, False, False, None, "", "", True)
    panel.on_import(str(tmp_path / "set"), None, "", 1, False, False, False, None, "", "", True)
    job = ended(screen, "import")
    assert job.state == "done" and "Imported 3 pictures" in job.message
    assert len(screen.studio.pool) == 3 and ended(screen, "score").state == "done"
    card = str(panel.jobs.values()[0].value)
    assert "Importing: done" in card and "Scoring: done" in card, "its closing line stays beside the scores"
    assert sum(map(len, screen.studio.curation.select(ipc=1).picks)) == 3
    before = screen.worker.newest()
    with pytest.raises(StudioError, match='imported from "set", so nothing can be generated into it'):
        screen.generate_more([0], 2)
    assert screen.worker.newest() == before and screen.studio.recipe.pool.sizes is None
    panel.on_import(str(tmp_path / "set"), None, "", 0, False, False, False, None, "", "", True)
    job = ended(screen, "import")
    assert job.state == "failed" and "already holds a pool" in job.problem
    assert ended(screen, "score").state == "cancelled"
    assert panel.jobs.job().stage == "import", "what came after it has fallen"
    bar = TopBar(screen).shown_value()["job"]
    assert bar["tab"] == "pool" and bar["state"] == "failed" and "already holds" in bar["title"]
    assert "Replace the pool" in str(panel.jobs.values()[0].value)
    screen.studio.curation.mark([0], "veto")
    panel.on_import(str(tmp_path / "set"), None, "", 0, True, False, False, None, "", "", True)
    job = ended(screen, "import")
    assert job.state == "done" and "Gone with the pool before: 1 veto." in str(panel.jobs.values()[0].value)
    assert screen.studio.curation.history()[0]["description"] == 'new start with "set"'
    panel.on_import(str(tmp_path / "set"), None, "", 0, True, False, False, None, "", "", False)
    assert ended(screen, "import").state == "done" and screen.worker.newest().stage == "import"


def test_weights_are_hidden_where_nothing_is_needed(opened):
    _, _, panel = opened()
    assert panel.version() == ()
    assert [shown.visible for shown in panel.values()[1:]] == [False, False]


def test_weights_show_size_and_licence_and_wait_for_a_yes(opened, tmp_path):
    screen, _, panel = opened(bundle="imagewoof-dit")
    shown, agreed, button = panel.values()
    for words in ("facebook/DiT-XL-2-256", "about 2.8 GiB", "CC BY-NC 4.0, no commercial use", "not here"):
        assert words in shown
    assert button.value == "Download weights (about 3.4 GiB)" and button.visible and agreed.visible
    with pytest.raises(StudioError, match="licences in the table are not accepted") as err:
        panel.on_download(False)
    assert "I accept these licences" in err.value.fix
    panel.on_download(True)  # there is no network in tests
    job = screen.worker.wait(screen.worker.newest().id, 60)
    assert job.state == "failed" and "could not be fetched" in job.problem
    with pytest.raises(StudioError, match="holds no train"):
        panel.on_use("images", str(tmp_path))
    for split in ("train", "val"):
        (tmp_path / "imagenet" / split).mkdir(parents=True)
    before = panel.version()
    assert str(tmp_path / "imagenet") in panel.on_use("images", str(tmp_path / "imagenet"))[0]
    assert panel.version() != before


def test_the_page_opens_without_the_weights(opened):
    """Whoever starts the papers' setting first sees what is missing, not an error."""
    from psr_studio.ui.page import build_page
    from psr_studio.ui.tabs.pool import PoolTab

    screen, _, _ = opened(bundle="imagewoof-dit")
    assert build_page(screen) is not None
    with gr.Blocks():
        tab = PoolTab(screen)
        tab.build()
    assert "Pool: missing" in tab.values()[0]
    job = screen.worker.wait(screen.submit("pool", {}), 60)
    assert job.state == "failed" and "nothing is downloaded unasked" in job.problem


def test_every_stage_starts_as_a_job_and_has_a_tab_of_the_page(opened):
    """The line at the top names what runs or has failed, whatever it is."""
    screen, *_ = opened()
    assert screen.studio.runs.keys() == STAGES.keys()
    tabs = [tab(screen).id for tab in TABS]
    assert tabs == [*TopBar(screen).names()["tabs"]] and {stage.tab for stage in STAGES.values()} == {*tabs}
