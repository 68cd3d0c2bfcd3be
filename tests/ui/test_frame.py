"""The frame of the tabs: settings in a compact column, the work beside it; figures beside the map, not under it."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import idle, open_tab
from own_pictures import write_pictures

pytestmark = pytest.mark.browser
BUTTONS = {
    "pool": "#psr-generate",
    "refine": "#psr-refine",
    "evaluate": "#psr-evaluate",
    "export": "#psr-export",
}
CUT = """(tab) => [...document.querySelectorAll(`#psr-tab-${tab} .psr-side :is(input, [data-testid="block-info"])`)]
  .filter((node) => node.getClientRects().length && node.scrollWidth > node.clientWidth + 1)
  .map((node) => node.value ?? node.textContent)"""
SIZES = [(1366, 768), (1920, 1080), (1024, 768)]


@pytest.fixture(scope="module")
def page(browser: Any, url: str) -> Any:
    browser.goto(url)
    idle(browser)
    return browser


def box(page: Any, selector: str) -> dict[str, float]:
    return page.locator(selector).bounding_box()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_settings_take_a_narrow_column_and_the_work_the_rest_of_the_width(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    for tab, button in BUTTONS.items():
        open_tab(page, tab)
        page.wait_for_selector(button)
        side, work = box(page, f"#psr-tab-{tab} .psr-side"), box(page, f"#psr-tab-{tab} .psr-work")
        assert side["width"] <= 360 and side["width"] + work["width"] > width - 40, tab
        pressed = box(page, button)
        assert 0 < pressed["y"] and pressed["y"] + pressed["height"] <= height, (
            f"{tab}: its button is in view"
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        assert page.evaluate(CUT, tab) == [], f"{tab}: what a setting is and is called can be read"


def test_what_a_setting_means_is_said_beside_it_and_covers_no_field(page):
    page.set_viewport_size({"width": 1366, "height": 768})
    open_tab(page, "refine")
    field = page.get_by_label("Label steps")
    before, side = field.bounding_box(), box(page, "#psr-tab-refine .psr-side")
    meaning = page.locator(".info-text", has_text="in which the teacher's label pulls")
    assert not meaning.is_visible()
    field.hover()
    meaning.wait_for()
    said = meaning.bounding_box()
    assert side["x"] + side["width"] <= said["x"] and field.bounding_box() == before
    assert abs(said["y"] - before["y"]) <= 30 and said["y"] + said["height"] <= 768
    page.mouse.move(1000, 600)
    meaning.wait_for(state="hidden")
    field.focus()
    meaning.wait_for()


IN_VIEW = """(label) => {
  const body = document.querySelector('#psr-tab-pool .psr-side-body').getBoundingClientRect();
  const shown = [...document.querySelectorAll('#psr-tab-pool .psr-side [data-testid="block-info"]')]
    .filter((node) => node.checkVisibility() && node.textContent.trim() === label);
  return shown.every((node) => {
    const { top, bottom } = node.closest('.block').getBoundingClientRect();
    return body.top <= top && bottom <= body.bottom;
  }) && shown.length === 1;
}"""

# Scrolled away, and not brought back by what is still to be drawn.
OUT_OF_VIEW = f"""async (label) => {{
  document.querySelector('#psr-tab-pool .psr-side-body').scrollTo(0, 0);
  await new Promise((done) => setTimeout(done, 300));
  return !({IN_VIEW})(label);
}}"""


def test_the_field_that_an_error_names_comes_into_view(page):
    """The pull of DAG ends at step 3 of 3, which is said; of 2 steps it is refused."""
    page.set_viewport_size({"width": 1366, "height": 620})
    open_tab(page, "pool")
    page.get_by_label("Steered to").click()
    page.get_by_role("option", name="Difficulty (DAG)").click()
    page.get_by_label("Guidance stop").locator("visible=true").fill("3")
    page.locator("#psr-pool-cost .psr-error", has_text="steers nothing").wait_for()
    page.wait_for_function(OUT_OF_VIEW, arg="Guidance stop")
    page.locator("#psr-tab-pool").get_by_label("Steps", exact=True).fill("2")
    page.locator('#psr-pool-cost [data-field="Guidance stop"]').wait_for()
    page.wait_for_function(IN_VIEW, arg="Guidance stop")
    page.locator("#psr-tab-pool").get_by_label("Steps", exact=True).fill("8")
    fold = page.locator("#psr-tab-pool .label-wrap", has_text="More settings")
    fold.click()
    page.get_by_label("Part size").fill("0")
    page.locator('#psr-pool-cost [data-field="Part size"]').wait_for()
    fold.click()
    page.get_by_label("Part size").wait_for(state="hidden")
    page.locator("#psr-generate").click()
    page.wait_for_function(IN_VIEW, arg="Part size")
    page.reload()
    idle(page)


def test_what_is_opened_comes_into_view_and_what_it_finds_stands_in_the_wide_column(page, tmp_path):
    page.set_viewport_size({"width": 1366, "height": 768})
    open_tab(page, "pool")
    page.click("#psr-new > button")
    page.wait_for_function(
        """() => {
          const { top } = document.querySelector('#psr-new').getBoundingClientRect();
          const { bottom } = document.querySelector('#psr-new-make').getBoundingClientRect();
          const foot = document.querySelector('#psr-tab-pool .psr-side-foot').getBoundingClientRect();
          return 0 < top && top < bottom && bottom <= foot.top;
        }"""
    )
    for name, value in (("name", "mine"), ("pictures", write_pictures(tmp_path / "set", 2))):
        page.locator(f"#psr-new-{name} :is(input, textarea)").fill(str(value))
    page.click("#psr-new-look")
    page.locator("#psr-new-found").get_by_text("6 pictures of 3 classes").wait_for()
    assert box(page, "#psr-new-found")["width"] > 1366 / 2


def test_export_shows_the_pictures_that_leave_as_soon_as_it_is_opened(page):
    page.reload()
    open_tab(page, "export")
    page.wait_for_selector("#psr-set img")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_figures_and_the_search_open_beside_the_map_one_at_a_time(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    open_tab(page, "curate")
    idle(page)
    rail = {name: page.locator(".psr-rail-button", has_text=name) for name in ("Figures", "Tune")}
    for name, panel in (("Figures", "#psr-difficulty"), ("Tune", "#psr-tune-panel")):
        rail[name].click()
        page.wait_for_selector(f"{panel} > .label-wrap.open")
        page.wait_for_selector(f".psr-rail-button[aria-expanded='true']:has-text('{name}')")
        shown, plot = box(page, ".psr-beside"), box(page, ".psr-map")
        middle = plot["x"] + plot["width"] / 2
        assert middle < shown["x"] and shown["y"] < height / 2, "beside the map, not under it"
        assert shown["x"] + shown["width"] <= width
        assert page.locator(".psr-beside > .gr-accordion >> visible=true").count() == 1
        assert [button.get_attribute("aria-expanded") for button in rail.values()].count("true") == 1
    rail["Tune"].click()
    page.wait_for_selector(".psr-beside", state="hidden")
    assert box(page, ".psr")["width"] > width - 40, "the workbench has the width again"
