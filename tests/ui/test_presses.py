"""A press of a button that starts a job is answered in view, wherever the page is scrolled to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import browser_page, open_tab

pytestmark = pytest.mark.browser
DONE = "#psr-job-refine .psr-job[data-state='done']"
ASKED = re.compile("queue/join|run/predict")
IN_VIEW = """(node) => {
  const { top, bottom, left, right, width } = node.getBoundingClientRect();
  const seen = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return width > 0 && node.contains(seen);
}"""


@pytest.fixture(scope="module")
def page(chromium: Any, url: str) -> Iterator[Any]:
    """A window lower than the settings of a tab."""
    with browser_page(chromium, height=500) as page:
        page.goto(f"{url}#tab=refine")
        page.wait_for_selector("#psr-refine")
        yield page
        assert not page.complaints, page.complaints


def test_a_press_shows_before_the_studio_answers_and_the_page_stays_where_it_is(page):
    open_tab(page, "refine")
    page.locator("#psr-refine").scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 100
    stood = page.locator("#psr-refine").bounding_box()
    held: list[Any] = []
    page.route("**/queue/join*", lambda route: held.append(route))
    page.click("#psr-refine")
    pill = page.locator(".psr-pill")
    pill.get_by_text("Refine …").wait_for()
    assert pill.evaluate(IN_VIEW) and page.locator("#psr-refine").bounding_box() == stood
    for route in held:
        route.continue_()
    page.unroute("**/queue/join*")
    pill.get_by_text("Refining done").wait_for()
    assert pill.evaluate(IN_VIEW) and page.locator("#psr-refine").bounding_box() == stood
    page.wait_for_selector(DONE, state="attached")


@pytest.mark.parametrize(
    ("tab", "pressed"), [("curate", "#psr-save"), ("export", "#psr-dry-run"), ("refine", "#psr-refine")]
)
def test_what_was_pressed_is_busy_until_the_studio_has_answered(page, tab, pressed):
    held: list[Any] = []
    holds = True
    open_tab(page, tab)
    page.wait_for_selector(pressed)
    page.route(ASKED, lambda route: held.append(route) if holds else route.continue_())
    page.click(pressed)
    page.wait_for_selector(f"{pressed}[aria-busy='true']")
    holds = False
    for route in held:
        route.continue_()
    page.unroute(ASKED)
    page.wait_for_selector(f"{pressed}:not([aria-busy])")
    if tab == "refine":
        page.wait_for_selector(DONE)


def test_what_a_press_was_refused_with_goes_when_a_job_starts(page):
    open_tab(page, "refine")
    label_steps = page.get_by_label("Label steps")
    before = label_steps.input_value()
    label_steps.fill("999")
    page.click("#psr-refine")
    refusal = page.locator(".toast-body.error", has_text='"Label steps" is 999')
    refusal.wait_for()
    assert refusal.evaluate(IN_VIEW)
    page.locator(".psr-pill", has_text="…").wait_for(state="detached")
    label_steps.fill(before)
    page.click("#psr-refine")
    refusal.wait_for(state="detached", timeout=10_000)  # by itself it stays for twice as long
    page.wait_for_selector(DONE)


def refused_name(page: Any) -> Any:
    """On Curate, a name that no selection may have."""
    page.locator("#psr-save-name input, #psr-save-name textarea").fill("a/b")
    return page.locator("#psr-save")


def refused_look(page: Any) -> Any:
    """On Pool, a look at no pictures."""
    page.locator("#psr-import > button").click()
    return page.locator("#psr-import-look")


def refused_job(page: Any) -> Any:
    """On Refine, a setting that is out of range."""
    page.get_by_label("Label steps").fill("999")
    return page.locator("#psr-refine")


@pytest.mark.parametrize(
    ("tab", "asked"), [("curate", refused_name), ("pool", refused_look), ("refine", refused_job)]
)
def test_what_is_refused_is_busy_no_longer_than_the_refusal_takes(page, tab, asked):
    open_tab(page, tab)
    page.evaluate("document.querySelectorAll('.toast-close').forEach((closer) => closer.click())")
    pressed = asked(page)
    pressed.click()
    page.locator(".toast-body.error").first.wait_for()
    page.wait_for_function("!document.querySelector('[aria-busy]')", timeout=10_000)


def test_a_tab_pressed_while_the_page_loads_stays_open_against_the_one_in_the_address(page):
    open_tab(page, "evaluate")
    page.wait_for_function("location.hash.includes('tab=evaluate')")
    page.add_init_script("""new MutationObserver((_, observer) => {
      const button = document.querySelector('#psr-tab-export-button');
      if (!button) return;
      observer.disconnect();
      button.click();
    }).observe(document, { childList: true, subtree: true });""")
    page.reload()
    page.wait_for_function("location.hash.includes('tab=export')")
    page.wait_for_timeout(1000)  # as long as the page tries to open the tab of the address
    assert page.locator("#psr-tab-export-button").get_attribute("aria-selected") == "true"
