"""Named views of the map and the grid, in a real browser."""

from __future__ import annotations

import pytest
from browsing import STATE, answered, idle, mark_out, picks, screen_of, selected, set_keys

pytestmark = pytest.mark.browser


def save(page, name):
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Save this view…").click()
    page.locator("dialog[open] input").fill(name)
    page.locator("dialog[open]").get_by_role("button", name="Save", exact=True).click()
    page.wait_for_function(f"{STATE}.said.includes('is saved')")


def show(page, name):
    page.get_by_role("button", name="Views").click()
    page.locator(".psr-view-name", has_text=name).click()


def test_a_view_comes_back_by_its_name_after_a_reload_and_the_picks_stay(bench, url):
    bench.get_by_label("Filter candidates by a query").fill("not picked")
    bench.keyboard.press("Enter")
    bench.wait_for_function(f"{STATE}.found === 'not picked'")
    set_keys(bench, colorBy="entropy", rampScale="quantile", contours="all", show="filter")
    bench.evaluate("window.workbench.map.setView([0.3, -0.2, 2.5])")
    seen = screen_of(bench, 3)
    save(bench, "hard, far away")
    bench.goto("about:blank")
    bench.goto(url)
    idle(bench)
    mark_out(bench, [1, 4])
    save(bench, "two")
    with answered(bench):
        bench.evaluate("window.workbench.actions.select({ ipc: 1 })")
    chosen = picks(bench)
    show(bench, "hard, far away")
    bench.wait_for_function(f"{STATE}.found === 'not picked' && {STATE}.selection.count === 15")
    drawn = ("colorBy", "rampScale", "contours", "show")
    assert [bench.evaluate(f"{STATE}.{key}") for key in drawn] == ["entropy", "quantile", "all", "filter"]
    assert screen_of(bench, 3) == pytest.approx(seen, abs=0.5) and picks(bench) == chosen
    show(bench, "two")
    bench.wait_for_function(f"{STATE}.found === null && {STATE}.selection.count === 2")
    assert selected(bench) == [1, 4]
    assert [bench.evaluate(f"{STATE}.{key}") for key in drawn] == ["class", "linear", "none", "highlight"]
    bench.wait_for_function("window.workbench.map.camera.isHome")


def test_a_view_is_deleted_when_that_is_meant(bench):
    save(bench, "short lived")
    bench.get_by_role("button", name="Views").click()
    bench.get_by_role("button", name='Delete the view "short lived"').click()
    bench.locator("dialog[open]").get_by_role("button", name="Delete", exact=True).click()
    bench.wait_for_function("!document.querySelector('dialog[open]')")
    bench.get_by_role("button", name="Views").click()
    bench.locator(".psr-view-name", has_text="two").wait_for()
    assert bench.locator(".psr-view-name", has_text="short lived").count() == 0
    bench.keyboard.press("Escape")


def test_the_lassoed_of_another_pool_stay_away_and_are_named(bench, url):
    """A place in the order of one pool is another picture in the next."""
    bench.goto("about:blank")
    bench.goto(f"{url}#tab=curate&class=1&marked=0-2&pool=another")
    idle(bench)
    bench.get_by_text("Not in this workspace: what was lassoed, of another pool.").wait_for()
    assert selected(bench) == [] and bench.evaluate(f"{STATE}.solo") == 1
