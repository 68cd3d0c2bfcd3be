"""The parts of the page that need no browser: the map, names of controls, settings, curves, escaping."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import plotly.graph_objects as go
import pytest

import psr_studio.ui
from psr_studio.app.jobs import JobState
from psr_studio.core.errors import RecipeError, StudioError
from psr_studio.recipe.keys import keys
from psr_studio.recipe.objectives import OBJECTIVES
from psr_studio.recipe.schema import Recipe
from psr_studio.stages import speeds
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.table import STAGES
from psr_studio.ui.curate.maps import MapService, map_key
from psr_studio.ui.curate.projection import pca, to_axes
from psr_studio.ui.curate.sprites import SheetCache, sheet_columns, tile_size
from psr_studio.ui.curate.umap_process import N_NEIGHBORS, fit
from psr_studio.ui.curate.workbench import waiting_words
from psr_studio.ui.markup import error, job_card, table, tree
from psr_studio.ui.one_file import one_script
from psr_studio.ui.panels.controls import Settings
from psr_studio.ui.panels.estimate import cost_text, todo_text
from psr_studio.ui.plots.curves import (
    HEIGHT,
    TEXT,
    Curve,
    accuracy_figure,
    live_curves,
    loss_figure,
    running_mean,
    styled,
    training_figure,
)
from psr_studio.ui.tabs.refine import BY_ALL, OBJECTIVE, OWN
from psr_studio.ui.words import LABELS, on_screen

NASTY = "<img src=x onerror=alert(1)>${alert(2)}{{this}}"


def clusters(n: int = 90, d: int = 20, k: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(k, d))[np.arange(n) % k] * 8 + rng.normal(size=(n, d))).astype(np.float32)


def test_the_fast_projection_agrees_with_the_exact_one():
    """Both axes are those of the SVD, up to the sign of an axis and the common scale."""
    data = clusters()
    left, values, _ = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    found = pca(data)
    for axis in range(2):
        assert abs(np.corrcoef(found[:, axis], left[:, axis])[0, 1]) > 0.9999
    spread = found.std(axis=0)
    assert spread[0] / spread[1] == pytest.approx(values[0] / values[1], rel=1e-3)


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (2, 4), (5, 1), (3, 200)])
def test_a_map_of_few_points_is_still_a_map(shape):
    found = pca(np.random.default_rng(1).normal(size=shape))
    assert found.shape == (shape[0], 2) and np.isfinite(found).all()


def test_axes_keep_angles_and_fill_the_square():
    xy = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(to_axes(xy), [[-1, -0.25], [1, -0.25], [-1, 0.25]])
    np.testing.assert_array_equal(to_axes(np.ones((3, 2))), np.zeros((3, 2)))


def test_a_crash_of_the_map_process_leaves_the_first_map(tmp_path: Path, caplog):
    data = clusters()
    maps = MapService(tmp_path)
    first = maps.layout(data, improve=True)
    assert first.kind == "pca" and not first.final
    maps.umap_worker.kill()
    deadline = time.monotonic() + 10
    while not (after := maps.layout(data)).final and time.monotonic() < deadline:
        time.sleep(0.02)
    maps.stop()
    assert after.kind == "pca" and after.final
    assert "the map stays PCA: its process has ended with code -9" in caplog.text
    np.testing.assert_array_equal(after.xy, first.xy)
    assert not list(tmp_path.glob(".tmp-*")), "what was handed over is cleared away"


def test_the_log_tells_why_no_better_map_comes(tmp_path: Path, monkeypatch, caplog):
    """A process that cannot warm up: umap-learn is not here, or has no folder for what it compiles."""
    (tmp_path / "umap.py").write_text("raise RuntimeError('no locator available')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    data, maps = clusters(), MapService(tmp_path)
    deadline = time.monotonic() + 20
    while not maps.layout(data, improve=True).final and time.monotonic() < deadline:
        time.sleep(0.02)
    maps.stop()
    assert "the map stays PCA: RuntimeError: no locator available" in caplog.text


def test_a_finished_map_is_kept_and_a_damaged_one_is_not_used(tmp_path: Path):
    data = clusters()
    path = tmp_path / f"umap-{map_key(data)}.npy"
    np.save(path, np.random.default_rng(2).normal(size=(len(data), 2)))
    assert MapService(tmp_path).layout(data).kind == "umap"
    path.write_bytes(path.read_bytes()[:40])
    assert MapService(tmp_path).layout(data).kind == "pca"
    assert map_key(data) != map_key(data[::-1]) and map_key(data) == map_key(data.copy())


def test_a_pool_that_grows_by_a_few_keeps_its_map_and_places_them_in_it(tmp_path: Path):
    """Candidates that join are wherever their class ends; what was on the map stays where it stood."""
    data = clusters()
    xy = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 3.0]], len(data) // 3, axis=0).reshape(3, -1, 2)
    xy = xy.transpose(1, 0, 2).reshape(-1, 2) + np.random.default_rng(3).normal(
        scale=0.1, size=(len(data), 2)
    )
    np.save(tmp_path / f"umap-{map_key(data)}.npy", xy)
    maps = MapService(tmp_path)
    before = maps.layout(data)
    new = data[[3, 4]] + np.float32(1e-3)
    grown = np.insert(data, [10, len(data)], new, axis=0)
    after = maps.layout(grown)
    assert after.kind == "umap" and after.final and maps.umap_worker is None
    np.testing.assert_array_equal(np.delete(after.xy, [10, len(grown) - 1], axis=0), before.xy)
    for at, like in ((10, 3), (len(grown) - 1, 4)):
        assert np.abs(after.xy[at] - before.xy[like]).max() < 0.2, "amid those that it is like"
    again = MapService(tmp_path).layout(grown)
    assert again.kind == "umap", "it is kept"
    np.testing.assert_allclose(again.xy, after.xy, atol=1e-6)
    another = np.random.default_rng(4).permutation(grown)[: len(data)] + np.float32(1)
    assert maps.layout(another).kind == "pca", "of another pool nothing is known"


def test_a_pool_of_fewer_than_two_neighbourhoods_stays_on_its_first_map(tmp_path: Path):
    maps = MapService(tmp_path)
    assert maps.layout(clusters(2 * N_NEIGHBORS - 1), improve=True).final and maps.umap_worker is None
    assert not maps.layout(clusters(2 * N_NEIGHBORS)).final


@pytest.mark.slow
def test_umap_keeps_clusters_together_and_is_repeatable():
    """Of well separated clusters every point's nearest neighbour on the map is of its own cluster."""
    data = clusters()
    xy = fit(data)
    distances = ((xy[:, None] - xy[None]) ** 2).sum(axis=-1) + np.diag(np.full(len(xy), np.inf))
    np.testing.assert_array_equal(distances.argmin(axis=1) % 3, np.arange(len(xy)) % 3)
    np.testing.assert_array_equal(fit(data), xy)


def test_every_label_belongs_to_a_setting_and_errors_use_them():
    assert set(LABELS) <= set(keys())
    with pytest.raises(RecipeError) as caught:
        Recipe().with_values({"refine.kl_steps": 200})
    assert on_screen(caught.value.problem) == '"Label steps" is 200, more than "Steps", which is 100.'
    assert on_screen('"select.ipc" and "no.such"') == '"Images per class" and "no.such"'


def test_what_a_step_says_names_controls_of_the_page_not_flags_or_values_of_the_recipe():
    assert on_screen('Set "evaluate.controls" to false.') == 'Untick "Controls".'
    assert on_screen('Or set "tune.weights" to true.') == 'Or tick "Search the weights".'
    assert (
        on_screen('Take fewer with "At most per class" (--limit).') == 'Take fewer with "At most per class".'
    )
    assert on_screen('Press "Score" (or run `psr-studio score`) first.') == 'Press "Score" first.'
    job = JobState(1, "score", "done", message="See it (or run `psr-studio reorder`).")
    for state in ("done", "running"):
        assert "See it." in job_card(replace(job, state=state), "")
    only = "Put a backup in its place, or run `psr-studio doctor --rescue -w runs`."
    assert on_screen(only) == only, "what has no control"
    said = [
        node.value
        for path in (Path(psr_studio.__file__).parent / "stages").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    flag = re.compile(r"(?<![\w`-])--[a-z][a-z-]+")
    named = [text for text in said if flag.search(on_screen(text)) and "psr-studio" not in text]
    assert named == [" --teacher "], "a part of a command line"


def test_settings_read_back_what_they_show():
    recipe = Recipe().with_values({"pool.classes": (2, 0), "evaluate.compare": ("a",)})
    shown = [key for key in LABELS if recipe.value(key) is not None]
    with gr.Blocks():
        names = [("x", 0), ("y", 1), ("z", 2)]
        owner = SimpleNamespace(recipe=recipe)
        settings = Settings(owner, {"pool.classes": names, "evaluate.compare": ["a"]})
        settings.add(*shown)
    values = settings.read(list(settings.shown().values()))
    assert Recipe().with_values(values) == recipe
    emptied = [[] if key == "pool.classes" else value for key, value in values.items()]
    assert settings.read(emptied)["pool.classes"] is None, "an empty choice of classes is all of them"
    assert settings.unused(list(settings.shown().values()), "Run") == ""
    other = {**settings.shown(), "refine.lr": None, "pool.classes": [1]}
    line = settings.unused(list(other.values()), "Run", "Pool")
    assert "Pool: changed" in line and "fresh" not in line
    assert "Not used yet: &quot;Classes&quot;, &quot;Step size&quot;. Press &quot;Run&quot;" in line


@pytest.mark.parametrize(
    "key, own, none",
    [
        ("pool.source", {"crops": ["pool.crops.factor"]}, "generator"),
        ("pool.guidance", {"mgd3": ["pool.mgd3.strength"], "dag": ["pool.dag.strength"]}, "none"),
    ],
)
def test_only_the_settings_of_the_chosen_value_show(studio, key, own, none):
    """One part alone is where Gradio takes a list of one answer for its value."""
    settings = Settings(studio)
    with gr.Blocks() as page:
        settings.add_choice(key, own)
    (event,) = page.fns.values()
    parts = [settings.controls[name].parent.parent for (name,) in own.values()]  # of its form
    assert [part.visible for part in parts] == [False] * len(own)
    for chosen in (*own, none):
        with ThreadPoolExecutor(1) as thread:  # a browser that other tests hold open runs a loop in this one
            told = thread.submit(asyncio.run, page.process_api(event, [chosen])).result()["data"]
        assert [part["visible"] for part in told] == [name == chosen for name in own]


def test_under_an_objective_just_the_settings_that_count_are_shown(studio):
    """Those that decide what becomes of latents, the batch size where there is one, and a line on the objective."""
    with gr.Blocks() as page:
        settings = Settings(studio)
        lines = {name: one.help for name, one in OBJECTIVES.items()}
        settings.add_choice(OBJECTIVE, OWN, *BY_ALL, about=lines)
    (event,) = page.fns.values()
    for chosen in OBJECTIVES:
        with ThreadPoolExecutor(1) as thread:
            told = thread.submit(asyncio.run, page.process_api(event, [chosen])).result()["data"]
        seen = [part for part, now in zip(event.outputs, told, strict=True) if now["visible"]]
        assert OBJECTIVES[chosen].help in unescape(str(seen[0].value))
        below = {key for key, one in settings.controls.items() if any(part in _around(one) for part in seen)}
        counting = studio.recipe.with_values({OBJECTIVE: chosen}).refine.read().keys() - {"objective"}
        assert {key.rpartition(".")[2] for key in below | set(BY_ALL)} == counting
    assert ("batch_size" in counting, chosen) == (False, "match")


def _around(block: gr.blocks.Block) -> list[gr.blocks.Block]:
    return [] if block.parent is None else [block.parent, *_around(block.parent)]


def test_an_emptied_field_is_named_as_on_screen():
    with gr.Blocks():
        settings = Settings(SimpleNamespace(recipe=Recipe()))
        settings.add("pool.steps", "pool.sampler", "export.name", "pool.guidance_scale")
    with pytest.raises(RecipeError) as caught:
        settings.read([None, "ddpm", "set", None])
    assert caught.value.problem == '"Steps" is empty.'
    assert caught.value.fix == 'Enter a number from 1 to 1000 in "Steps".'
    with pytest.raises(RecipeError, match='Enter a name in "Folder name"'):
        settings.read([5, "ddpm", "", None])
    assert settings.read([5, "ddpm", "set", None])["pool.guidance_scale"] is None, "this one may be left out"


def test_a_setting_left_to_the_bundle_shows_the_bundles_value():
    with gr.Blocks():
        settings = Settings(SimpleNamespace(recipe=Recipe()), own={"pool.guidance_scale": 1.5})
        settings.add("pool.guidance_scale")
    assert settings.controls["pool.guidance_scale"].value == 1.5 and settings.shown() == {
        "pool.guidance_scale": 1.5
    }
    assert settings.read([1.5]) == {"pool.guidance_scale": None}, "what was only shown stays left out"
    assert settings.read([2.0]) == {"pool.guidance_scale": 2.0}
    assert settings.read([None]) == {"pool.guidance_scale": None}, (
        "an emptied field is the bundle's own again"
    )


def test_a_cost_is_said_only_when_a_speed_is_known(studio):
    ws, bundle = studio.workspace, studio.bundle
    (ws.root / "cache" / "speeds.json").unlink(
        missing_ok=True
    )  # of a pool that took long enough to teach something
    recipe = studio.recipe.with_values({"pool.seed": 9})
    text = cost_text(ws, recipe, bundle)
    assert text == f"Makes 18 candidates, in the place of 18 that are here. {speeds.UNKNOWN}"
    speeds.learn(ws, "pool", recipe, pool.size(ws, recipe, bundle), 6.0)
    assert cost_text(ws, recipe, bundle).endswith("are here, about 6 s at the speed last measured here.")
    assert speeds.UNKNOWN in cost_text(ws, recipe, bundle, "2 workers")
    words = cost_text(ws, studio.recipe.with_values({"pool.steps": 5, "pool.pool_size": 4}), bundle)
    assert words.startswith("Makes 12 candidates, in the place of 18 that are here")
    assert cost_text(ws, studio.recipe, bundle) == "All 18 candidates of these settings are there."
    for steered in ({"pool.source": "crops"}, {"pool.guidance": "mgd3"}):
        words = cost_text(ws, studio.recipe.with_values({**steered, "pool.seed": 9}), bundle)
        first = "First real images are read, which is not counted: what that costs is said when it begins."
        assert words.endswith(first), "what is found in the real images has a cost of its own"
    words = cost_text(ws, studio.recipe.with_values({"pool.guidance": "igd", "pool.igd.epochs": 7}), bundle)
    assert "First real images are read and a surrogate is trained in 7 passes, which is not counted" in words


def test_what_is_computed_again_beside_new_candidates_is_said_and_not_shown(studio):
    """A part of 3 and one of 1 share a batch of 4: one candidate more in each of 3 classes computes 3 again in each."""
    larger = studio.recipe.with_values({"pool.pool_size": 7})
    words = cost_text(studio.workspace, larger, studio.bundle)
    assert words.startswith("Makes 3 of 21 candidates, and computes 9 again that share their batches")
    assert words.endswith(" A pool size of 9 makes 9 and computes none again.")
    whole = studio.recipe.with_values({"pool.pool_size": 9})
    assert "again" not in cost_text(studio.workspace, whole, studio.bundle)
    denoised = [e for e in studio.generate(pool_size=7) if e.message.startswith("Denoising")]
    assert all("4 candidates of" in e.message and "3 of them here already." in e.message for e in denoised)
    assert {len(e.previews) for e in denoised} == {0, 1}, "what is here is not shown as if it were made"


def test_the_tabs_say_what_is_left_and_how_long_it_takes_by_the_last_run(studio):
    """Refine, Evaluate and Tune: the seconds of the page are those that the step says when it begins."""
    ws, bundle = studio.workspace, studio.bundle
    for name, unit in (("refine", "picture"), ("evaluate", "student"), ("tune", "trial")):
        stage = STAGES[name]
        studio.set({"evaluate.arms": ["selected"]})
        size = stage.size(ws, studio.recipe, bundle)
        text = todo_text(ws, studio.recipe, bundle, stage, unit)
        assert text == f"To do: {size.items} {unit}s. {speeds.UNKNOWN}"
        speeds.learn(ws, name, studio.recipe, size, 300.0)
        text = todo_text(ws, studio.recipe, bundle, stage, unit)
        assert text == f"To do: {size.items} {unit}s, about 5 min 00 s at the speed last measured here."
        assert studio.estimate(name).seconds == pytest.approx(300.0)


def test_live_curves_are_those_of_the_student_in_training():
    curves = {"top1/a": ((1, 0.1), (2, 0.2), (1, 0.3)), "top1/b": ((1, 0.5),), "loss/a": ((1, 9.0),)}
    assert live_curves(curves) == {"a": [(1, 0.3)], "b": [(1, 0.5)]}


def test_figures_hold_what_they_are_given():
    traces = np.array([[4.0, 2.0], [2.0, np.nan]])
    figure = loss_figure(traces, kl_steps=1, title="t")
    np.testing.assert_allclose(figure.data[-1].y, [3.0, 2.0])
    assert accuracy_figure([], "t").data == ()
    np.testing.assert_allclose(running_mean(np.arange(5.0), 2), [0, 0.5, 1.5, 2.5, 3.5])


@pytest.mark.parametrize(
    ("last", "step"), [(1, 1), (3, 1), (12, 1), (13, 2), (40, 5), (300, 50), (3000, 500)]
)
def test_ticks_of_epochs_are_whole_and_few(last, step):
    figure = accuracy_figure([Curve("a", [(epoch, 0.5) for epoch in range(1, last + 1)], False)], "t")
    losses = loss_figure(np.ones((1, last)), kl_steps=0, title="t")
    trained = training_figure({"loss": [(epoch, 1.0) for epoch in range(1, last + 1)]})
    for drawn in (figure, losses, trained):
        assert drawn.layout.xaxis.dtick == step and drawn.layout.xaxis.tick0 == 0


@pytest.mark.parametrize("height", [200, HEIGHT, 900])
def test_the_legend_begins_below_the_title_of_the_axis(height):
    """It hangs from a place that is counted in pixels from the axis, and grows away from it."""
    layout = styled(go.Figure(), height).layout
    room = -layout.legend.y * (height - layout.margin.t - layout.margin.b)
    ticks_and_title = 3 * TEXT + layout.xaxis.title.standoff
    assert (
        layout.legend.yanchor == "top" and layout.legend.yref in (None, "paper") and room >= ticks_and_title
    )


def test_words_from_files_are_escaped():
    job = JobState(1, "pool", "failed", message=NASTY, problem=NASTY, fix=NASTY)
    for markup in (
        job_card(job, NASTY),
        error(NASTY, NASTY),
        table([NASTY], [[NASTY]]),
        tree(NASTY, [NASTY]),
    ):
        assert "<img" not in markup and "&lt;img" in markup


def test_sheets_stay_drawable_and_the_cache_bounded():
    assert [sheet_columns([]), sheet_columns([60, 3]), tile_size((28, 28, 1), 8)] == [1, 8, 28]
    assert tile_size((256, 256, 3), 1000) * 1000 <= 4096
    cache = SheetCache(limit=10)
    for key in range(5):
        cache.put((key,), b"12345")
    assert cache.get((0,)) is None and cache.get((4,)) == b"12345" and cache.get((3,)) == b"12345"


def test_a_step_that_does_not_exist_is_refused(studio):
    from psr_studio.ui.screen import Screen

    screen = Screen(studio)
    try:
        with pytest.raises(StudioError) as caught:
            screen.submit("scores", {})
        assert caught.value.fix == 'Did you mean "score"? Name one of them.'
    finally:
        screen.close()


def test_a_workspace_that_is_closed_while_its_first_map_is_made_leaves_no_traceback(studio, monkeypatch):
    from psr_studio.ui import screen as module

    complaints: list[object] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.0)
    screen = module.Screen(studio)
    with studio.curation.lock:  # a warm-up that takes longer than closing waits for it
        screen.warm_up()
        (warming,) = (thread for thread in threading.enumerate() if thread.name == "psr-warm-up")
        screen.close()
    warming.join()
    assert not complaints


def test_modules_are_joined_in_the_order_they_need_each_other(tmp_path):
    """Also from folder to folder, where two may hold a module of the same name."""
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "top.js").write_text(
        "import { low as deep } from './one/low.js';\nimport {\n  both,\n} from './one/both.js';\n"
        "export async function mount() {\n  return deep + both;\n}\n"
    )
    (tmp_path / "one" / "both.js").write_text(
        "import { low } from './low.js';\nimport { low as far } from '../other/low.js';\n"
        "export const both = low + far;\n"
    )
    (tmp_path / "one" / "low.js").write_text(
        "// export is a word here\nexport class low {}\nconst inside = 1;\n"
    )
    (tmp_path / "other" / "low.js").write_text("export const low = 2;\n")
    joined = one_script(tmp_path, "top")
    assert [line for line in joined.splitlines() if line.startswith("const $")] == [
        "const $one$low = (() => {", "const $other$low = (() => {", "const $one$both = (() => {",
        "const $top = (() => {",
    ]  # fmt: skip
    for line in ("{ low: deep } = $one$low;", "{ both } = $one$both;", "{ low: far } = $other$low;"):
        assert f"const {line}" in joined
    assert "return { low };" in joined and "inside }" not in joined
    assert joined.endswith("export const { mount } = $top;\n")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("import { a } from './a.js';\n", "import each other: a > a"),
        ("export default 1;\n", "export default 1;"),
        ("import b from './b.js';\n", "import b from"),
    ],
)
def test_a_module_that_cannot_be_joined_is_named(tmp_path, text, wrong):
    (tmp_path / "a.js").write_text(text)
    with pytest.raises(ValueError, match=re.escape(wrong)):
        one_script(tmp_path, "a")


def test_the_joined_scripts_hold_each_module_once_and_leave_none_out():
    folder = Path(psr_studio.ui.__file__).parent / "static"
    there = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.js")}
    found = set()
    for top in ("curate", "page"):
        joined = one_script(folder, top)
        held = re.findall(r"^const \$([\w$]+) = \(\(\) => {$", joined, re.MULTILINE)
        assert len(set(held)) == len(held)
        assert len(re.findall(r"^export ", joined, re.MULTILINE)) == 1
        found |= {name.replace("$", "/") for name in held}
    assert found == there


def test_a_number_by_rule_is_shown_and_kept_until_another_is_typed():
    owner = SimpleNamespace(
        recipe=Recipe().with_values({"pool.pool_size": "2K", "evaluate.epochs": "minimax"})
    )
    with gr.Blocks():
        settings = Settings(owner)
        settings.add("pool.pool_size", "evaluate.epochs")
    assert settings.shown() == {"pool.pool_size": 20, "evaluate.epochs": 2000}
    assert 'Follows the images per class ("2K")' in settings.controls["pool.pool_size"].info
    pressed = owner.recipe.with_values(settings.read([20, 500]))
    after = pressed.with_values({"select.ipc": 20})
    assert (after.pool.pool_size, after.evaluate.epochs) == (40, 500)
    size, epochs = settings.parts()
    seen = size.version()
    owner.recipe = after
    assert size.version() != seen and size.values()[0].value == 40
    assert "Follows" not in epochs.values()[0].info


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, ""),
        (1, "1 new candidate waits for its scores and is not shown yet."),
        (1200, "1,200 new candidates wait for their scores and are not shown yet."),
    ],
)
def test_candidates_without_scores_are_said_in_good_grammar(n, words):
    assert waiting_words(n) == words
