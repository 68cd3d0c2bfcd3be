"""The panes of the workbench in a real browser: what drives what, pictures at large, drags, and windows of every size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import STATE, browser_page, idle, picks, selected
from running import running_app

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(tmp_path_factory, scored_workspace) -> Iterator[str]:
    """A studio on a copy of the scored workspace: 3 classes of 6 candidates, 2 images per class."""
    root = tmp_path_factory.mktemp("panes") / "ws"
    shutil.copytree(scored_workspace, root)
    with running_app(root) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browser_page() as page:
        yield page
        assert not page.complaints, page.complaints


@pytest.fixture
def bench(browser, url) -> Any:
    """The Curate tab, freshly opened."""
    browser.goto("about:blank")
    browser.goto(url)
    idle(browser)
    return browser


def box_all(page: Any) -> None:
    """Draw a box over the whole map but the legend's corner."""
    page.keyboard.press("b")
    box = page.locator(".psr-points").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] - 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 4, steps=4)
    page.mouse.up()


def listed(page: Any) -> list[int]:
    tiles = page.locator(".psr-tile").all()
    return [int(tile.get_attribute("data-position")) for tile in tiles]


def test_a_region_drawn_on_the_map_is_what_the_grid_lists_until_its_chip_is_pressed(bench):
    before = listed(bench)
    assert sorted(before) == sorted(picks(bench))
    bench.locator(".psr-legend-color").select_option("picked")
    bench.get_by_title("Not picked: select these. Shift adds, Alt removes").click()
    others = selected(bench)
    assert others and listed(bench) == others, "the legend lists what it takes"
    assert bench.locator(".psr-status-counts").inner_text().startswith(f"{len(others)} lassoed, 0 picked")
    box_all(bench)
    assert sorted(listed(bench)) == selected(bench) and len(selected(bench)) > len(others)
    chip = bench.locator(".psr-filters button")
    assert chip.inner_text() == f"Lassoed {len(selected(bench))}"
    assert bench.locator(".psr-filters").inner_text().endswith(f"{len(before)} picked")
    chip.click()
    assert listed(bench) == before and bench.locator(".psr-filters").is_hidden()
    assert selected(bench) == []
