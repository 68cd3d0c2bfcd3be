"""A pool of crops of real images: no generator, a source for each candidate, the same bytes however it is made."""

from __future__ import annotations

import shutil
from html import unescape

import gradio as gr
import numpy as np
import pytest
import torch
from steps import bytes_of
from tiny import TRAIN_PER_CLASS, finish, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import RecipeError
from psr_studio.method.realism import cut, padded, realism_loss
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.stages.generate.crops import check, draw_windows
from psr_studio.stages.importing.stage import has_seeds
from psr_studio.ui.panels.estimate import cost_note, cost_text
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.pool import PoolTab

CUT = {"pool__source": CROPS, "pool__pool_size": 6}
FOUR = {"pool__source": CROPS, "pool__crops__factor": 2, "pool__pool_size": 3, "select__ipc": 2}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    """What is kept for all workspaces is kept for those of one test."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


def studio(root, bundle, **changes) -> Studio:
    return Studio(root, tiny_recipe(bundle, **{**CUT, **changes}), replace_recipe=True)


@pytest.mark.parametrize("changes", [CUT, FOUR], ids=["one crop", "four crops"])
def test_a_candidate_is_made_of_the_most_realistic_crops_and_says_which(tmp_path, tiny_bundle, changes):
    """Every crop of every image of a class judged anew: best of each image, best images first."""
    with studio(tmp_path / "ws", tiny_bundle, **changes) as made:
        said = [event.message for event in finish(made.generate())]
        recipe, bundle, pool = made.recipe, load_bundle(tiny_bundle), made.pool
        assert f"Cost: {3 * TRAIN_PER_CLASS * 5} crops of real images to score" in " ".join(said)
        images, labels = bundle.train_subset
        own, factor = images[labels == 1], recipe.pool.crops.factor
        side, (height, width, _) = bundle.image_shape[0] // factor, bundle.image_shape
        windows = draw_windows(recipe, bundle, 1, np.arange(len(own)))
        crops = np.stack([cut(image, some, side, side) for image, some in zip(own, windows, strict=True)])
        teacher = bundle.teacher(torch.device("cpu"))
        fill = round(float(teacher.mean.flatten()[0]) * 255)
        shown = padded(crops.reshape(-1, *crops.shape[2:]), height, width, fill)
        logits, _ = teacher.predict(torch.from_numpy(shown))
        losses = realism_loss(logits, np.ones(len(shown), int)).reshape(len(own), 5)
        best = np.argsort(losses.min(axis=1), kind="stable")
        first = int(np.flatnonzero(pool.labels == 1)[0])
        for i in range(recipe.pool.pool_size):
            ranks = best[i * factor**2 : (i + 1) * factor**2]
            wanted = "; ".join(f"image {k + 1}, crop {losses[k].argmin() + 1}" for k in ranks)
            assert pool.origin_at(first + i) == wanted
            corner = pool.images_at([first + i])[0][:side, :side]
            assert np.array_equal(corner, crops[ranks[0], losses[ranks[0]].argmin()])
        assert not pool.has_latents and not has_seeds(made.workspace)
        assert made.status()["pool"].state == "fresh"


def test_resumes_and_workers_give_the_same_bytes(tmp_path, tiny_bundle):
    with studio(tmp_path / "whole", tiny_bundle) as made:
        finish(made.generate())
    wanted = bytes_of(tmp_path / "whole" / "pool")
    resumed = shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    (resumed / "pool" / "class=1" / "part-00001.parquet").unlink()
    with studio(resumed, tiny_bundle) as made:
        finish(made.generate())
    assert bytes_of(resumed / "pool") == wanted
    with Studio(tmp_path / "shared", tiny_recipe(tiny_bundle, **CUT)) as made:
        made.workers = ThreadWorkers(2)
        finish(made.generate())
    assert bytes_of(tmp_path / "shared" / "pool") == wanted


def test_other_settings_make_the_pool_stale_and_it_goes_on_to_a_selection(tmp_path, tiny_bundle):
    with studio(tmp_path / "ws", tiny_bundle) as made:
        for step in (made.generate, made.score, made.select):
            finish(step())
        before = made.pool.images_at(None)
    for changes in ({"pool__crops__crops": 4}, {"pool__seed": 5}, {"pool__source": "generator"}):
        with studio(tmp_path / "ws", tiny_bundle, **changes) as made:
            assert made.status()["pool"].state == "stale", changes
    with studio(tmp_path / "ws", tiny_bundle, pool__pool_size=4) as made:
        finish(made.generate())
        kept = [i for i in range(18) if i % 6 < 4]
        assert np.array_equal(made.pool.images_at(None), before[kept]), "the best stand first, however many"


def test_a_folder_that_cannot_be_written_to_keeps_no_crops_from_being_made(
    tmp_path, tiny_bundle, monkeypatch, caplog
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "file" / "home"))
    with studio(tmp_path / "ws", tiny_bundle) as made:
        finish(made.generate())
        assert len(made.pool) == 18
    assert any("is not kept for other workspaces" in record.message for record in caplog.records)


def test_what_cannot_be_cut_is_named(tmp_path, tiny_bundle):
    """The source of a crop is an image that is there, and pictures divide by the crops side by side."""
    four = 'Lower "pool.pool_size" to 3 or less, or set "pool.crops.factor" to 1.'
    five = 'Lower "pool.pool_size" to 5 or less, or raise "pool.crops.images".'
    for changes, problem, fix in (
        ({**FOUR, "pool__pool_size": 4}, "12 real images to cut from, 4 for each candidate, but 4 candidates", four),
        ({"pool__crops__images": 5}, "5 real images to cut from, but 6 candidates are asked for", five),
    ):  # fmt: skip
        with studio(tmp_path / "ws", tiny_bundle, **changes) as made, pytest.raises(RecipeError) as err:
            finish(made.generate())
        assert problem in err.value.problem and err.value.fix == fix
    three = Recipe().with_values({"pool.source": CROPS, "pool.crops.factor": 3})
    with pytest.raises(RecipeError) as err:
        check(three, load_bundle("fashion-mnist"), {0: 150}, [2] * 10)
    assert err.value.problem == '"pool.crops.factor" is 3, but pictures of 28 x 28 px do not divide by it.'


def test_the_pool_tab_offers_crops_where_there_is_no_generator(tmp_path, tiny_bundle):
    """The line of the cost says what would be done, and the settings of crops show."""
    with studio(tmp_path / "ws", tiny_bundle) as made:
        screen = Screen(made)
        tab = PoolTab(screen)
        words = cost_text(made.workspace, made.recipe, made.bundle)
        first = "First real images are read, which is not counted: what that costs is said when it begins."
        assert words == f"Makes 18 candidates, from 5 crops of each real image. {first}"
        larger = made.recipe.with_values({"pool.pool_size": 13})
        said = unescape(cost_note(screen, larger))
        assert 'Class "boot" has 12 real images to cut from, but 13 candidates are asked for.' in said
        assert 'data-field="Pool size"' in said and "Makes" not in said
        with gr.Blocks():
            tab.build()
        assert tab.settings.controls["pool.crops.factor"].parent.parent.visible and tab.generate.interactive
        assert any("(RDED)" in title for title, _ in tab.settings.controls["pool.source"].choices)
        screen.close()
