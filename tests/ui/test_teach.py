"""Teaching on the Pool tab, without a browser: a job like an import, a report with its warning, one press to use it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny import CLASS_NAMES, SIZE, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.shipped import shipped_teachers
from psr_studio.bundles.sources import locate
from psr_studio.core.errors import StudioError
from psr_studio.models.teacher import TeacherConfig, create_backbone
from psr_studio.stages.table import stages_of
from psr_studio.stages.teach.report import Report
from psr_studio.stages.teach.stage import backbone_source
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.teach import TeachPanel
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.pool import PoolTab


@pytest.fixture
def opened(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    screens = []

    def make(recipe, **changes):
        screen = Screen(Studio(tmp_path / "ws", recipe, **changes))
        screens.append(screen)
        jobs = JobPanel(screen, stages_of("pool"))
        panel = TeachPanel(screen, jobs)
        with gr.Blocks():
            jobs.build()
            panel.build()
            panel.connect()
        return screen, panel

    yield make
    for screen in screens:
        screen.close()


def done(screen):
    return screen.worker.wait(screen.worker.newest().id, 60)


def write_pictures(root, names, size, channels, spread):
    """Ten pictures of each class; with a small `spread` they look alike."""
    rng = np.random.default_rng(0)
    for i, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for k in range(10):
            pixels = 60 + spread * i + rng.integers(0, 30, (size, size, channels))
            Image.fromarray(pixels.astype(np.uint8).squeeze()).save(root / name / f"{k}.png")
    return root


def test_a_teacher_is_a_job_and_its_report_stays(opened, tmp_path, tiny_bundle):
    screen, panel = opened(tiny_recipe(tiny_bundle))
    assert "No teacher is taught" in panel.values()[0]
    with pytest.raises(StudioError, match="No pictures to teach on are named"):
        panel.on_teach(" ", False, "", False)
    with pytest.raises(StudioError, match="Both a folder and the pool are named"):
        panel.on_teach("somewhere", True, "", False)
    panel.on_teach("", True, "", False)
    assert done(screen).problem == "There is no pool to teach a teacher on."
    names = [name.replace("/", " ") for name in CLASS_NAMES]
    alike = write_pictures(tmp_path / "alike", names, SIZE, 1, spread=0)
    before = panel.version()
    panel.on_teach(str(alike), False, str(tiny_bundle / "teacher"), False)
    job = done(screen)
    assert (
        job.state == "done"
        and "right, calibration error" in job.message
        and panel.jobs.job().stage == "teach"
    )
    assert panel.version() != before
    told, use = panel.values()
    assert "Too weak to judge" in told and "T-shirt/top" in told and "cross-fitted" in told
    assert not use.visible and "this bundle brings its own teacher" in told


def test_a_taught_teacher_is_used_by_one_press(opened, tmp_path):
    """Of a described bundle: its teacher is the one taught from then on, and scores of before are of another."""
    names = ["amber", "blue"]
    backbone = tmp_path / "backbone"
    backbone.mkdir()
    config = {
        "architecture": "convnext_atto", "num_classes": 2, "label_names": names,
        "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
        "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0},
    }  # fmt: skip
    (backbone / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    network = create_backbone(TeacherConfig.from_timm_folder(backbone, None))
    save_file(network.state_dict(), backbone / "model.safetensors")
    (tmp_path / "mine.toml").write_text(
        f'class_names = ["amber", "blue"]\nimage_shape = [32, 32, 3]\nmean = 0.5\nstd = 0.5\n'
        f'[teacher]\nsource = "{backbone}"\n[generator]\nsource = "none/none"\n'
    )
    screen, panel = opened("fashion-mnist", bundle=str(tmp_path / "mine.toml"))
    before = screen.studio.bundle.teacher_id
    real = write_pictures(tmp_path / "real", names, 32, 3, spread=120)
    panel.on_teach(str(real), False, str(backbone), False)
    assert done(screen).state == "done"
    told, use = panel.values()
    assert use.visible and "100.0 % right" in told and "psr-error" not in told
    told, use = panel.on_use()
    assert "and in use" in told and not use.visible
    assert screen.studio.bundle.teacher_id != before
    logits, _ = screen.studio.bundle.teacher(torch.device("cpu"))(torch.full((1, 3, 32, 32), 0.5))
    assert logits.shape == (1, 2) and logits.argmax() == 1


def test_a_teacher_that_ships_is_replaced_for_one_bundle_alone(opened, tmp_path):
    """Other bundles that name it, and the backbone of the next teacher, are still what ships."""
    text = Path(load_bundle("imagenette-photos").path).read_text()
    (tmp_path / "mine.toml").write_text(text)
    names = load_bundle("imagenette-photos").class_names
    taught = tmp_path / "ws" / "teachers" / "teacher-1"
    shutil.copytree(shipped_teachers()["imagenet-teacher"], taught)
    screen, panel = opened("imagenette-photos")
    Report("pool", 50, 50, 0.9, 0.0, 0.0, tuple((n, 5, 4) for n in names), "x", 0.1, 1.0).write(taught)
    told, use = panel.on_use()
    assert "and in use" in told and "Its labels come from the pool itself" in told and not use.visible
    assert screen.studio.bundle.folder("teacher") == taught
    ships = shipped_teachers()["imagenet-teacher"]
    for other in ("imagewoof-photos", tmp_path / "mine.toml"):
        assert load_bundle(other).folder("teacher") == ships
    assert locate(backbone_source("imagenet-teacher")) == ships


def test_the_pool_tab_has_it_below_the_import(opened, tiny_bundle):
    screen, _ = opened(tiny_recipe(tiny_bundle))
    with gr.Blocks() as page:
        tab = PoolTab(screen)
        tab.build()
    assert tab.teach in tab.panes()
    folded = [block for block in page.blocks.values() if isinstance(block, gr.Accordion)]
    ids = [block.elem_id for block in folded if block.elem_id]
    assert ids.index("psr-teach") == ids.index("psr-import") + 1
