"""A field keeps what is typed into it, on a page that is busy and while answers of the studio arrive."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import STATE, answered, idle, open_tab
from serving import serving

pytestmark = pytest.mark.browser
FEWEST = {"pool": 9, "refine": 8, "evaluate": 8}  # number fields of a tab and its folded settings
# All keys of a chunk come in one task, as they do when the page has been busy; then it draws.
PRESS = """async (field, chunks) => {
  field.focus();
  field.select();
  for (const keys of chunks) {
    for (const key of keys)
      document.execCommand(key === '<' ? 'delete' : 'insertText', false, key);
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 20)));
  }
  return field.value;
}"""

# Types into a field as soon as it is in sight: an input comes before what waits for a timer or a frame.
TYPE_AT_ONCE = """(label) => {
  new MutationObserver((_, observer) => {
    const labels = [...document.querySelectorAll('label')].filter((l) => l.textContent.includes(label));
    const field = labels[0]?.querySelector('input, textarea');
    if (!field?.checkVisibility({ visibilityProperty: true })) return;
    observer.disconnect();
    scheduler.postTask(() => {
      field.focus();
      field.select();
      document.execCommand('insertText', false, '0');
    }, { priority: 'user-blocking' });
  }).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, scored_workspace: Path) -> Path:
    """A workspace of its own: 3 classes of 6 candidates, 2 images per class."""
    return Path(shutil.copytree(scored_workspace, tmp_path_factory.mktemp("typed") / "ws"))


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    with serving(root) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser: Any, url: str) -> Any:
    browser.goto(f"{url}#tab=curate")
    idle(browser)
    return browser


def field(page: Any, label: str) -> Any:
    return page.locator(f"input[type=number][aria-label='{label}']:visible")


def enter(page: Any, box: Any, text: str) -> None:
    """Replace what stands in a field, key by key."""
    box.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text, delay=50)


@pytest.mark.parametrize("tab", FEWEST)
def test_keys_that_come_while_the_page_is_busy_keep_their_point(page, tab):
    open_tab(page, tab)
    for more in page.get_by_role("button", name="More settings").locator("visible=true").all():
        more.click()
    fields = page.locator("input[type=number]:visible")
    fields.nth(FEWEST[tab] - 1).wait_for()
    for one in fields.element_handles():
        typed = page.evaluate(f"([field, chunks]) => ({PRESS})(field, chunks)", [one, ["<0.", "0", "1"]])
        assert typed == "0.01", one.get_attribute("aria-label")


def test_an_answer_between_two_keys_waits_and_the_recipe_holds_what_was_typed(page, url, root):
    from gradio_client import Client

    page.reload()
    open_tab(page, "refine")
    step_size = field(page, "Step size")
    enter(page, step_size, "0.")
    changed = {"export.refined": False, "refine.lr": 0.5, "refine.kl_steps": 1}
    Client(url, verbose=False).predict("export", changed, api_name="/run")
    page.wait_for_function("document.querySelector(\"input[aria-label='Label steps']\").value === '1'")
    page.keyboard.type("01", delay=50)
    assert step_size.input_value() == "0.01"
    page.click("#psr-refine")
    page.wait_for_selector("#psr-job-refine .psr-job[data-state='done']")
    assert step_size.input_value() == "0.01"
    assert tomllib.loads((root / "recipe.toml").read_text(encoding="utf-8"))["refine"]["lr"] == 0.01


def test_a_weight_is_typed_while_an_answer_moves_its_slider(page):
    open_tab(page, "curate")
    idle(page)
    slider = page.locator(".psr-slider[data-key='alpha']")
    with answered(page):
        slider.locator("input[type=range]").fill("2")
    box = slider.locator("input[type=number]")
    enter(page, box, "0.")
    with answered(page):
        page.evaluate("window.workbench.actions.undo()")
    assert page.evaluate(f"{STATE}.weights.alpha") != 2
    page.keyboard.type("25", delay=50)
    with answered(page):
        page.keyboard.press("Enter")
    assert page.evaluate(f"{STATE}.weights.alpha") == 0.25 and box.input_value() == "0.25"
    with answered(page):
        page.evaluate("window.workbench.actions.undo()")
    page.evaluate("document.activeElement.blur()")
    shown = page.evaluate(f"{STATE}.weights.alpha.toFixed(2)")
    assert box.input_value() == shown != "0.25", "left alone, it shows what is so"


def test_ctrl_z_in_a_number_field_takes_back_what_was_typed_and_no_selection(page):
    open_tab(page, "curate")
    with answered(page):
        page.locator(".psr-slider[data-key='gamma'] input[type=range]").fill("4")
    box = page.locator(".psr-slider[data-key='beta'] input[type=number]")
    stood = box.input_value()
    enter(page, box, "2.5")
    with answered(page):
        page.keyboard.press("Enter")
    weights = page.evaluate(f"{STATE}.weights")
    for _ in "2.5":
        page.keyboard.press("Control+z")
    assert box.input_value() == stood
    idle(page)
    assert page.evaluate(f"{STATE}.weights") == weights


def test_enter_in_the_name_field_saves(page):
    open_tab(page, "curate")
    page.locator("#psr-save-name input").fill("by enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#psr-curate-status :text('by enter')")


def test_what_is_typed_into_a_tab_that_has_just_been_opened_stays_and_is_used(page, url):
    page.goto("about:blank")
    page.goto(f"{url}#tab=curate")
    idle(page)
    page.evaluate(TYPE_AT_ONCE, "Epochs")
    open_tab(page, "evaluate")
    epochs = field(page, "Epochs")
    epochs.wait_for()
    page.wait_for_timeout(500)  # in which Gradio gives the fields of the tab their values once more
    assert epochs.input_value() == "0"
    refused = '"Epochs" is 0, but it must be from 1 to'
    page.locator("#psr-tab-evaluate .psr-side .psr-error").get_by_text(refused).wait_for()
    page.click("#psr-evaluate")
    page.locator(".toast-wrap").get_by_text(refused).wait_for()
    epochs.fill("17")
    line = page.locator(".psr-status:visible")
    line.get_by_text('Not used yet: "Epochs".').wait_for()
    assert line.get_attribute("data-state") == "stale"


def test_refined_pictures_are_proposed_when_the_tab_is_opened_and_ticked_by_nobody_but_the_user(page):
    """What is shown is what would leave, whatever a refinement has made meanwhile."""
    open_tab(page, "curate")
    with answered(page):
        page.locator(".psr-slider[data-key='ipc'] input[type=range]").fill("1")
    page.locator("#psr-save-name input").fill("small")
    page.click("#psr-save")
    tick = page.get_by_label("Refined pictures")
    shown = """([words, refined]) =>
      document.querySelector('#psr-export-selection input').value.endsWith(words) &&
      document.querySelector('#psr-set img')?.src.includes('/refined/') === refined"""
    open_tab(page, "export")
    page.wait_for_function(shown, arg=[", not refined", False])
    assert not tick.is_checked()
    open_tab(page, "refine")
    page.click("#psr-refine")
    open_tab(page, "export")
    page.wait_for_function(shown, arg=["images, refined", False])
    assert not tick.is_checked()
    tick.check()
    page.wait_for_function(shown, arg=["images, refined", True])
    page.reload()
    open_tab(page, "export")
    page.wait_for_function(shown, arg=["images, refined", True])
    assert tick.is_checked()
