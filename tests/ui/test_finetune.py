"""Fine-tuning on the Pool tab, without a browser: a job with the curves of its losses, and a choice of generators."""

from __future__ import annotations

import gradio as gr
from tiny import tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.stages.table import stages_of
from psr_studio.ui.panels.controls import Setting
from psr_studio.ui.panels.finetune import FinetunePanel
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.pool import PoolTab


def test_fine_tuning_is_a_job_with_curves_and_its_generator_can_be_chosen(tmp_path, tiny_bundle, monkeypatch):
    """The choice of generators is drawn anew, and what it gives is the recipe's: none for the bundle's own."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    screen = Screen(Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)))
    try:
        panel, tab = FinetunePanel(screen, JobPanel(screen, stages_of("pool"))), PoolTab(screen)
        with gr.Blocks():
            panel.jobs.build()
            panel.build()
            tab.build()
        (choice,) = [part for part in tab.settings.parts() if part.key == "pool.generator"]
        assert isinstance(choice, Setting) and choice.values()[0].choices == [("The bundle's own", "")]
        assert not choice.control.visible and not choice.values()[0].visible, "one is no choice"
        assert not panel.values()[0].visible
        before, drawn = panel.version(), choice.version()
        values = {**panel.settings.shown(), "finetune.epochs": 3, "finetune.name": "mine"}
        panel.on_finetune(*values.values())
        job = screen.worker.wait(screen.worker.newest().id, 60)
        assert (job.state, job.stage, job.done) == ("done", "finetune", 12) and panel.version() != before
        figure = panel.values()[0]
        assert figure.visible
        for name in ("loss", "noise", "representativeness", "diversity"):
            assert f'"{name}"' in figure.value["plot"].replace("\\", "")
        assert screen.studio.recipe.finetune.epochs == 3
        assert choice.version() != drawn
        assert choice.values()[0].choices[1] == ("mine, fine-tuned here", "mine")
        assert choice.values()[0].visible
        given = [{**tab.settings.shown(), "pool.generator": name} for name in ("", "mine")]
        read = [tab.settings.read(list(one.values()))["pool.generator"] for one in given]
        assert read == [None, "mine"]
    finally:
        screen.close()


def test_without_real_images_the_panel_says_how_to_get_them(tmp_path, monkeypatch):
    """Before anything is pressed, and until their folder is named."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    screen = Screen(Studio(tmp_path / "ws", "imagewoof-minimax"))
    try:
        panel = FinetunePanel(screen, JobPanel(screen, stages_of("pool")))
        with gr.Blocks():
            panel.build()
            panel.build_figure()
        told, before = panel.needed.value, panel.version()
        assert panel.needed.visible and "The images folder of" in told
        assert "Name its folder under &quot;Weights&quot; on the Pool tab.</p>" in told
        assert len(panel.outputs) == len(panel.values())
        for split in ("train", "val"):
            (tmp_path / "real" / split).mkdir(parents=True)
        screen.studio.bundle.remember("images", tmp_path / "real")
        assert panel.version() != before and not panel.values()[1].visible
    finally:
        screen.close()
