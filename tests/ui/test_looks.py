"""What everyone can see and reach: contrast in light and dark, lists over the page, the keyboard from tab to tab."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import focus_on, idle, open_tab, picks
from contrast import faint

pytestmark = pytest.mark.browser
TABS = ("pool", "curate", "refine", "evaluate", "export")
# Press the heads of what is folded, also of what comes to light so, until none is left.
UNFOLDED = """(tab) => {
  const folded = document.querySelectorAll(`#psr-tab-${tab} .psr-side .gr-accordion > .label-wrap:not(.open)`);
  for (const head of folded) head.click();
  return !folded.length;
}"""
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
# Outline, shadow or border of the focused control or of the box around it, and whether losing the focus changes them.
SHOWS_FOCUS = """() => {
  const node = document.activeElement;
  const around = [node, node.closest('.wrap:has(> .wrap-inner)'), node.closest('label')].filter(Boolean);
  const look = () => around.map((n) => {
    const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(n);
    return [outlineStyle === 'none' ? '' : outlineWidth, boxShadow, borderColor].join();
  }).join();
  const before = look();
  node.blur();
  const after = look();
  node.focus({ focusVisible: true, preventScroll: true });
  return before !== after;
}"""
# A list fades in by a script, which STILL does not stop.
OPEN_LIST = """() => {
  const list = document.querySelector('#psr-export-selection .options');
  return list && getComputedStyle(list).opacity === '1';
}"""
NAME = """() => {
  const node = document.activeElement;
  const words = node.getAttribute('aria-label') ?? node.textContent;
  return node === document.body ? '' : `${node.localName} ${words} in #${node.closest('[id]')?.id}`;
}"""


def opened(browser: Any, url: str, theme: str) -> Any:
    browser.goto("about:blank")
    browser.goto(f"{url}?__theme={theme}#tab=curate")
    browser.add_style_tag(content=STILL)
    idle(browser)
    return browser


@pytest.fixture(scope="module", params=["light", "dark"])
def themed(request: Any, browser: Any, url: str) -> Any:
    return opened(browser, url, request.param)


@pytest.fixture(scope="module")
def page(browser: Any, url: str) -> Any:
    return opened(browser, url, "light")


@pytest.mark.parametrize("tab", TABS)
def test_all_words_and_all_edges_of_fields_stand_out_from_their_ground(themed, tab):
    open_tab(themed, tab)
    themed.wait_for_function(UNFOLDED, arg=tab)
    assert faint(themed) == []


def test_panels_of_curate_and_what_opens_over_it_stand_out_from_their_ground(themed):
    open_tab(themed, "curate")
    focus_on(themed, picks(themed)[0])
    themed.get_by_text("Soft label of the teacher").wait_for()
    for panel in themed.locator(".psr-rail-button").all():
        panel.click()
        assert faint(themed) == [], panel.inner_text()
        panel.click()
    for opener, opened in (
        (".psr-top-project", ".psr-menu.is-left"),
        ("button[aria-label='Keyboard shortcuts']", ".psr-keys"),
    ):
        themed.locator(opener).click()
        themed.wait_for_selector(opened)
        assert faint(themed) == [], opened
        themed.keyboard.press("Escape")


def test_an_open_list_has_an_edge_and_a_shadow(themed):
    open_tab(themed, "export")
    themed.locator("#psr-export-selection input").click()
    themed.wait_for_function(OPEN_LIST)
    styles = "(node) => [getComputedStyle(node).borderTopWidth, getComputedStyle(node).boxShadow]"
    width, shadow = themed.locator("#psr-export-selection .options").evaluate(styles)
    assert width == "1px" and shadow.endswith("20px 0px")
    assert faint(themed) == []
    themed.keyboard.press("Escape")
    themed.locator("#psr-export-selection .options").wait_for(state="hidden")


@pytest.mark.parametrize("tab", TABS)
def test_the_keyboard_goes_through_a_tab_in_sight_and_comes_out_of_it(page, tab):
    open_tab(page, tab)
    page.locator(".psr-top-project").focus()
    seen = [page.evaluate(NAME)]
    for _ in range(120):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(NAME))
        if not seen[-1]:
            break
        assert page.evaluate(SHOWS_FOCUS), seen[-1]
    assert not seen[-1], f"no way out: {seen[-3:]}"


def test_arrow_keys_go_through_the_names_of_the_tabs_and_enter_opens_one(page):
    open_tab(page, "curate")
    page.locator("#psr-tab-curate-button").focus()
    for key, wanted in (
        ("ArrowRight", "refine"),
        ("End", "export"),
        ("ArrowRight", "pool"),
        ("ArrowLeft", "export"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == f"psr-tab-{wanted}-button"
    page.keyboard.press("Enter")
    page.wait_for_selector("#psr-tab-export-button[aria-selected='true']")


@pytest.mark.parametrize(
    ("opener", "menu"),
    [(".psr-top-project", ".psr-menu.is-left"), (".psr-views-holder > button", ".psr-view-menu")],
)
def test_escape_closes_a_menu_of_the_workbench_and_gives_the_focus_back(page, opener, menu):
    open_tab(page, "curate")
    page.locator(opener).press("Enter")
    page.locator(menu).wait_for()
    assert page.evaluate("(menu) => document.querySelector(menu).contains(document.activeElement)", menu)
    page.keyboard.press("Escape")
    page.locator(menu).wait_for(state="hidden")
    assert page.evaluate("(opener) => document.activeElement === document.querySelector(opener)", opener)


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080)])
def test_export_is_as_high_as_the_window(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    open_tab(page, "export")
    page.click("#psr-dry-run")
    page.wait_for_selector("#psr-summary .psr-tree")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for edge in page.locator("#psr-tab-export .psr-halves > .psr-box").all():
        box = edge.bounding_box()
        assert box["y"] + box["height"] <= height
    page.set_viewport_size({"width": 1366, "height": 768})
