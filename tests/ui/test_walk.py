"""One walk through all five tabs in a real browser, from an empty folder to an opened zip, without a network.

Set PSR_WALK_SHOTS to a folder to keep the screenshots: every tab, light and dark, each at two sizes.
"""

from __future__ import annotations

import io
import os
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
    "pool.batch_size": 40, "select.ipc": 3, "refine.n_steps": 4, "refine.kl_steps": 1,
    "evaluate.epochs": 2, "evaluate.n_checks": 1, "evaluate.n_seeds": 1,
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
