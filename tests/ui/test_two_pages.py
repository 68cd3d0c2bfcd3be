"""Two browsers on one studio: each follows the other, and none saves or changes what it does not show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import STATE, answered, browser_page, idle, picks
from serving import serving

pytestmark = pytest.mark.browser
HOLD = "**/psr/curate/state"  # what a page asks when it is told of a change


@pytest.fixture
def pages(tmp_path: Path, scored_workspace: Path, chromium: Any) -> Iterator[tuple[Any, Any]]:
    root = tmp_path / "ws"
    shutil.copytree(scored_workspace, root)
    with serving(root) as url, browser_page(chromium) as first, browser_page(chromium) as second:
        for page in (first, second):
            page.goto(url)
            idle(page)
        yield first, second
        assert not first.complaints, first.complaints


def set_ipc(page: Any, ipc: int) -> None:
    with answered(page):
        page.locator(".psr-slider[data-key='ipc'] input[type=range]").fill(str(ipc))


def test_a_page_follows_what_another_did_and_says_so(pages):
    first, second = pages
    set_ipc(second, 1)
    wanted = picks(second)
    first.wait_for_function(f"{STATE}.ipc === 1 && {STATE}.diff?.path === 'followed'")
    assert picks(first) == wanted
    assert first.locator(".psr-result-text").inner_text().startswith("On another page: ")
    assert picks(second) == wanted and second.evaluate(f"{STATE}.diff.path") == "select", "no echo"


def test_a_page_that_has_not_followed_yet_saves_and_pins_nothing(pages):
    first, second = pages
    before = picks(first)
    first.route(HOLD, lambda route: None)  # it hears of the other page, and cannot look yet
    set_ipc(second, 1)
    first.fill("#psr-save-name input, #psr-save-name textarea", "mine")
    first.click("#psr-save")
    first.get_by_text("Another page has changed the selection").first.wait_for()
    assert picks(first) == before
    assert "mine" not in [row["name"] for row in second.evaluate(f"{STATE}.saved")]
    first.unroute(HOLD)
    first.evaluate("position => window.workbench.actions.mark('pin', '', [position])", before[0])
    first.wait_for_function(
        f"{STATE}.notice?.problem.startsWith('Another page has changed') && {STATE}.ipc === 1"
    )
    assert picks(first) == picks(second) and first.evaluate(f"{STATE}.pinned.size") == 0
    first.click("#psr-save")
    second.wait_for_function(f"{STATE}.ipc === 1")
    first.wait_for_function(f"{STATE}.saved.some(({{ name }}) => name === 'mine')")


def test_the_workbench_stays_in_sight_while_the_pool_grows(pages):
    """Generate without scores: the old pool is curated on, says what waits, and "Score now" brings the rest."""
    page, other = pages
    page.click("#psr-tab-pool-button")
    page.locator("#psr-tab-pool").get_by_label("Pool size").fill("9")
    page.get_by_label("Score when generated").uncheck()
    page.click("#psr-generate")
    page.click("#psr-tab-curate-button")
    for shown in (page, other):
        shown.wait_for_function(f"{STATE}.waiting.startsWith('9 new candidates wait')")
        assert shown.evaluate(f"{STATE}.info.n") == 18
    page.set_viewport_size({"width": 1200, "height": 700})
    set_ipc(page, 4)
    page.locator(".psr-waiting").get_by_role("button", name="Score now").click()
    for shown in (page, other):
        shown.wait_for_function(f"{STATE}.info?.n === 27 && {STATE}.diff?.path === 'grown'")
        assert shown.locator(".psr-result-text").inner_text().startswith("With the new candidates: ")
        assert shown.locator(".psr-waiting").is_hidden()
