"""One walk through all five tabs in a real browser, from an empty folder to an opened zip, without a network.

Set PSR_WALK_SHOTS to a folder to keep the screenshots: every tab, light and dark, each at two sizes.

What the walk does not pass by stands in tests beside it. What must not happen:

- a tab saves or refines another set than it shows
    ui/test_two_pages.py::test_a_page_that_has_not_followed_yet_saves_and_pins_nothing
    ui/test_tabs.py::test_a_step_never_works_on_what_another_page_saved_under_the_name_since
- the workbench goes while candidates wait for scores; new ones are scored unasked and the strip says what they changed
    ui/test_two_pages.py::test_the_workbench_stays_in_sight_while_the_pool_grows
    ui/test_lab_routes.py::test_the_workbench_stays_while_new_candidates_wait_and_then_says_what_they_changed
    ui/test_import.py::test_an_import_is_a_job_that_the_tab_shows
- a scored pool is replaced unasked, or a fraction rounded; the old one can be kept as another workspace
    ui/test_tabs.py::test_a_pool_is_replaced_only_when_that_is_said
    storage/test_copying.py::test_a_copy_is_whole_and_of_its_own
- a number loses its point while it is typed; a refinement that diverges runs on
    ui/test_typed_fields.py::test_keys_that_come_while_the_page_is_busy_keep_their_point
    ui/test_typed_fields.py::test_an_answer_between_two_keys_waits_and_the_recipe_holds_what_was_typed
    stages/test_refine.py::test_a_refinement_that_diverges_is_named
- a button looks dead, or an old error stays
    ui/test_presses.py::test_a_press_shows_before_the_studio_answers_and_the_page_stays_where_it_is
    ui/test_presses.py::test_what_a_press_was_refused_with_goes_when_a_job_starts
- a pane is off the screen at some size, or a control over another
    ui/test_workbench_panes.py::test_every_window_has_all_panes_in_it_and_no_control_over_another

What its peers have:

- the lasso drives the grid, with a way back
    ui/test_workbench_panes.py::test_a_region_drawn_on_the_map_is_what_the_grid_lists_until_its_chip_is_pressed
- large pictures, arrow keys, tiles up to the pane's width
    ui/test_workbench_panes.py::test_a_picture_at_large_fits_the_panes_and_goes_through_the_list
    ui/test_workbench_panes.py::test_enter_and_space_open_the_focused_picture_and_tiles_grow_to_the_width_of_the_pane
- names, zoom and colours of classes on the map, PCA or UMAP, contours, ramps
    ui/test_workbench_panes.py::test_the_map_opens_by_class_names_the_classes_and_zooms_to_one
    ui/test_workbench_panes.py::test_pca_and_umap_are_a_switch_that_a_reload_keeps
    ui/test_workbench_panes.py::test_the_map_has_a_signal_on_three_scales_and_lines_of_density_and_they_are_seen
- queries, tags that survive and reach the command line, saved views, counts
    ui/test_query_row.py::test_the_grid_lists_what_a_query_finds_and_a_mistake_loses_nothing
    ui/test_query_row.py::test_tags_are_added_offered_searched_and_taken_back
    ui/test_views.py::test_a_view_comes_back_by_its_name_after_a_reload_and_the_picks_stay
    ui/test_lab_panels.py::test_the_legend_counts_and_selects_and_a_burst_of_moves_asks_once
- a queue with order and cancel, a stop within seconds, costs said once
    ui/test_queue.py::test_jobs_stand_in_order_and_each_can_be_cancelled
    ui/test_queue.py::test_the_pill_opens_the_queue_and_evaluate_stops_in_time
    app/test_stopping.py::test_a_job_that_tells_nothing_for_long_is_stopped_in_time
    stages/test_cost.py::test_the_next_estimate_is_what_the_last_run_took
    ui/test_parts.py::test_the_tabs_say_what_is_left_and_how_long_it_takes_by_the_last_run
- workspaces opened, switched and made on screen
    ui/test_switching.py::test_a_page_opens_another_workspace_and_the_other_page_is_told
    ui/test_new_project.py::test_a_project_is_looked_at_and_made_beside_this_one
- results by class lead to candidates
    ui/test_confusion.py::test_a_cell_of_the_matrix_lists_the_candidates_that_lean_so
- more like this: variations, the nearest real images, a picture of one's own
    ui/test_variations.py::test_a_press_makes_variations_that_say_what_they_changed_and_whose_they_are
    ui/test_query_routes.py::test_the_nearest_real_images_of_a_candidate_are_pictures
    ui/test_query_row.py::test_what_lies_near_a_candidate_or_a_picture_is_listed_with_a_way_back
- picks follow a drag
    ui/test_workbench_panes.py::test_a_drag_picks_on_its_way_and_is_one_change_and_one_undo
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from browsing import STATE, browser_page, focus_on, open_tab, picks
from PIL import Image
from running import running_app
from tiny import SETTINGS, write_bundle

from psr_studio.bundles.embedded import bundles
from psr_studio.recipe.load import load_recipe
from psr_studio.recipe.toml import to_toml

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SIZES = ((1366, 768), (1920, 1080))
THEMES = ("light", "dark")
TABS = ("pool", "curate", "refine", "evaluate", "export")
JOB_PATIENCE_MS = 900_000
SMALL = {
    "pool.classes": [0, 1, 2], "pool.pool_size": 8, "pool.part_size": 8, "pool.steps": 8,
    "pool.batch_size": 40, "select.ipc": 3, "refine.n_steps": 3,
    "evaluate.epochs": 2, "evaluate.n_checks": 1, "evaluate.n_seeds": 1, "evaluate.test_set": "random",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(chromium: Any) -> Iterator[Any]:
    with browser_page(chromium, *SIZES[0]) as found:
        yield found


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded models with small settings; the tiny bundle where they are not there."""
    folder = tmp_path_factory.mktemp("walk")
    if "fashion-mnist" in bundles():
        recipe = load_recipe("fashion-mnist").with_values({"name": "walk", **SMALL})
    else:
        bundle = write_bundle(folder / "bundle")
        recipe = load_recipe("fashion-mnist").with_values({"name": "walk", "bundle": str(bundle), **SETTINGS})
        recipe = recipe.with_values({"pool.pool_size": 8, "select.ipc": 3})
    path = folder / "walk.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    return path


def run_step(page: Any, button: str, stage: str, card: str) -> None:
    """Press a button and wait until its job is done; a failed one says why."""
    page.click(button)
    finished(page, stage, card)


def finished(page: Any, stage: str, card: str) -> None:
    job = f"#psr-job-{card} .psr-job[data-stage='{stage}']"
    page.wait_for_selector(f"{job}[data-state='done'], {job}[data-state='failed']", timeout=JOB_PATIENCE_MS)
    text = page.locator(job).inner_text()
    assert page.locator(job).get_attribute("data-state") == "done", text


def curate(page: Any) -> None:
    """Move a slider, take it back, pin a candidate, save."""
    before = picks(page)
    slider = page.locator(".psr-slider[data-key='gamma'] input[type=range]")
    slider.fill("4")
    page.wait_for_function(f"{STATE}.weights.gamma === 4")
    moved = picks(page)
    assert len(moved) == len(before)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function(f"{STATE}.weights.gamma !== 4")
    assert picks(page) == before
    outsider = next(p for p in range(10_000) if p not in before)
    focus_on(page, outsider)
    page.get_by_role("button", name="Pin this candidate").click()
    page.wait_for_function(f"position => {STATE}.pinned.has(position)", arg=outsider)
    after = picks(page)
    assert outsider in after and len(after) == len(before), "a pin counts against the budget"
    page.click("#psr-save")
    page.wait_for_selector("#psr-curate-status [data-state='fresh']")


def refused(page: Any) -> None:
    """A value out of range is refused in the words on the screen, and nothing runs."""
    epochs = page.get_by_label("Epochs")
    before = epochs.input_value()
    epochs.fill("0")
    page.click("#psr-evaluate")
    page.get_by_text('"Epochs" is 0, but it must be from 1 to').first.wait_for()
    epochs.fill(before)


def download(page: Any) -> zipfile.ZipFile:
    with page.expect_download() as saved:
        page.click(".psr-download")
    return zipfile.ZipFile(io.BytesIO(Path(saved.value.path()).read_bytes()))


def test_the_tests_that_stand_beside_the_walk_are_there():
    named = re.findall(r"^ +(\S+\.py)::(test_\w+)$", __doc__, re.M)
    tests = Path(__file__).parents[1]
    lost = [
        f"{file}::{name}" for file, name in named if f"def {name}(" not in (tests / file).read_text("utf-8")
    ]
    assert len(named) > 30 and not lost


def test_a_walk_from_an_empty_folder_to_an_opened_zip(page, preset, tmp_path):
    outside: list[str] = []
    page.on("request", lambda r: None if local(r.url) else outside.append(r.url))
    with running_app(tmp_path / "ws", "--preset", preset) as url:
        page.goto(f"{url}#tab=pool")  # not "Curate": the map of the demo pool would take a core
        open_tab(page, "pool")
        page.click("#psr-generate")
        if "fashion-mnist" in bundles():  # its demo pool is here
            page.get_by_text("Replace the pool? These settings make other candidates: 600 of 600").wait_for()
            page.click("#psr-replace-yes")
        page.wait_for_selector("#psr-job-pool .psr-job")
        page.reload()  # a closed or reloaded tab loses nothing: the job is found again
        open_tab(page, "pool")
        finished(page, "score", "pool")
        page.wait_for_selector("#psr-sheet img")
        open_tab(page, "curate")
        page.wait_for_function(
            f"{STATE}.phase === 'ready' && {STATE}.info.counts[0] === 8"
        )  # of the new pool
        curate(page)
        n_picks = len(picks(page))
        open_tab(page, "refine")
        run_step(page, "#psr-refine", "refine", "refine")
        page.wait_for_selector("#psr-pairs .psr-pair img")
        open_tab(page, "evaluate")
        refused(page)
        run_step(page, "#psr-evaluate", "evaluate", "evaluate")
        results = page.locator("#psr-results table").first.locator("tbody tr")
        results.nth(4).wait_for()
        assert results.count() == 5, "two forms of the selection, three controls"
        open_tab(page, "export")
        page.click("#psr-dry-run")
        page.wait_for_selector("#psr-summary .psr-tree")
        run_step(page, "#psr-export", "export", "export")
        with download(page) as packed:
            pictures = [name for name in packed.namelist() if name.endswith(".png")]
            assert len(pictures) == n_picks
            assert Image.open(io.BytesIO(packed.read(pictures[0]))).size[0] > 0
            assert {"manifest.json", "labels.csv", "README.md"} <= {
                n.rpartition("/")[2] for n in packed.namelist()
            }
        kept = os.environ.get("PSR_WALK_SHOTS")
        looks = product(THEMES, SIZES) if kept else zip(THEMES, SIZES, strict=True)
        screenshots(page, url, Path(kept or tmp_path / "shots"), looks)
    assert not outside, f"requests left this machine: {outside}"
    assert not page.complaints, page.complaints


def local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def screenshots(page: Any, url: str, folder: Path, looks: Iterable[tuple[str, tuple[int, int]]]) -> None:
    """Every tab in some themes and sizes; nothing may be wider than the window."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme, (width, height) in looks:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{url}?__theme={theme}")
        for tab in TABS:
            open_tab(page, tab)
            page.wait_for_timeout(500)
            page.screenshot(path=folder / f"{tab}-{theme}-{width}.png")
            wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert wide, (tab, width)
