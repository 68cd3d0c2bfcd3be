"""The lab's panels in a real browser: selectors, a drawn target, budgets, locks, one class alone, sufficiency."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import STATE, answered, idle, picks, set_keys

pytestmark = pytest.mark.browser
N_CLASSES, POOL_SIZE, IPC = 3, 6, 2  # of the tiny workspace
SELECTOR = "select[aria-label='Selector']"


@pytest.fixture(scope="module")
def lab(browser: Any, url: str) -> Any:
    """A page with the lab open, on a workspace of its own; tests take back what they change."""
    browser.goto(url)
    idle(browser)
    set_keys(browser, dock="lab")
    browser.wait_for_selector(".psr-lab-selector")
    return browser


def state(page: Any, expression: str) -> Any:
    """A value of the store, once nothing is under way."""
    idle(page)
    return page.evaluate(f"(() => {{ const s = {STATE}; return {expression}; }})()")


def until(page: Any, expression: str) -> None:
    page.wait_for_function(f"(() => {{ const s = {STATE}; return {expression}; }})()")
    idle(page)


def by_class(page: Any) -> list[list[int]]:
    return state(page, "s.picks.byClass")


def choose(page: Any, selector: str) -> None:
    page.locator(SELECTOR).select_option(selector)
    until(page, f"s.settings.selector === '{selector}'")


def enter(box: Any, text: str) -> None:
    box.fill(text)
    box.press("Enter")


def undo_until(page: Any, expression: str) -> None:
    """Ctrl+Z is the user's way back; a few presses at most."""
    for _ in range(12):
        if state(page, expression):
            return
        with answered(page):
            page.get_by_role("button", name="Undo", exact=True).click()
    raise AssertionError(f"undo did not bring back {expression}")


def test_every_selector_is_offered_and_one_is_chosen_and_undone(lab):
    names = state(lab, "s.info.selectors.map((x) => x.name)")
    assert lab.locator(f"{SELECTOR} option").count() == len(names) >= 10
    before = picks(lab)
    choose(lab, "dgs")
    assert lab.locator(".psr-slider[data-key='alpha']").is_hidden(), "DGS reads no weights by default"
    assert lab.locator(".psr-controls-note").is_visible()
    assert lab.locator("[data-key='drawn']").is_hidden(), "bars belong to the drawn target"
    assert len(picks(lab)) == len(before)
    lab.locator("[data-key='within_bin'] select").select_option("psr")
    until(lab, "s.settings.within_bin === 'psr'")
    assert lab.locator(".psr-slider[data-key='alpha']").is_visible(), "PSR inside the bins reads them"
    undo_until(lab, "s.settings.selector === 'psr'")
    assert picks(lab) == before
    assert lab.locator(SELECTOR).input_value() == "psr"


def test_each_selector_keeps_its_own_weights(lab):
    """A weight goes out under the name of its selector, and another selector brings its own to the sliders."""
    box = lab.locator(".psr-slider[data-key='gamma'] input[type='number']")
    assert box.get_attribute("max") == "5", "where the server says that a slider ends"
    box.fill("2")
    box.press("Enter")
    until(lab, "s.settings.gamma === 2")
    choose(lab, "dgs")
    lab.locator("[data-key='within_bin'] select").select_option("psr")
    until(lab, "s.settings.within_bin === 'psr' && s.settings.gamma === 0.5 && s.weights.gamma === 0.5")
    box.fill("4")
    box.press("Enter")
    until(lab, "s.settings.gamma === 4")
    choose(lab, "psr")
    until(lab, "s.settings.gamma === 2 && s.weights.gamma === 2")
    undo_until(lab, "s.settings.gamma === 0.5 && s.settings.selector === 'psr'")
    choose(lab, "dgs")
    assert state(lab, "s.settings.within_bin") == "random" and lab.locator(SELECTOR).input_value() == "dgs"
    undo_until(lab, "s.settings.selector === 'psr'")


def test_a_target_is_drawn_with_mouse_and_keys(lab):
    choose(lab, "dgs")
    lab.locator("[data-key='target'] select").select_option("drawn")
    until(lab, "s.settings.target === 'drawn'")
    lab.get_by_role("button", name="cliff", exact=True).click()
    until(lab, "s.settings.drawn[0] > 0.39")
    bars = lab.get_by_role("slider", name="Difficulty")
    assert bars.count() == 10
    plot = lab.locator(".psr-bars-plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    lab.mouse.click(box["x"] + 0.95 * box["width"], box["y"] + 4)  # the hardest bin, pulled to the top
    until(lab, "s.settings.drawn[9] > 0.3")
    drawn = state(lab, "s.settings.drawn")
    assert sum(drawn) == pytest.approx(1, abs=1e-3)
    assert drawn[0] > drawn[1] > drawn[2], "the other bars keep their proportions"
    last = bars.nth(9)
    last.focus()
    lab.keyboard.press("PageDown")
    until(lab, f"s.settings.drawn[9] < {drawn[9] - 0.05}")
    assert float(last.get_attribute("aria-valuenow")) == pytest.approx(
        100 * state(lab, "s.settings.drawn")[9], abs=0.2
    )
    lab.keyboard.press("ArrowLeft")
    assert lab.evaluate("document.activeElement.getAttribute('aria-label')") == "Difficulty 0.8 – 0.9"
    undo_until(lab, "s.settings.selector === 'psr'")


def test_the_chart_counts_pool_target_and_picks(lab):
    lab.wait_for_selector(".psr-chart-box table")
    columns = lab.evaluate(
        """() => {
          const rows = [...document.querySelectorAll('.psr-chart-box table tr')];
          const heads = [...rows[0].children].map((cell) => cell.textContent);
          const sum = (k) => rows.slice(1).reduce((all, row) => all + Number(row.children[k].textContent), 0);
          return Object.fromEntries(heads.slice(1).map((name, k) => [name, sum(k + 1)]));
        }"""
    )
    assert columns["Pool"] == N_CLASSES * POOL_SIZE
    assert columns["Picked"] == N_CLASSES * IPC
    assert columns.get("Target", N_CLASSES * IPC) == N_CLASSES * IPC
    lab.get_by_role("button", name="As measured").click()
    assert "Smoothing moved" in lab.locator(".psr-chart-words").inner_text()
    lab.get_by_role("button", name="Smoothed").click()


def test_budgets_are_set_by_hand_and_taken_back(lab):
    box = lab.get_by_label("Images of boot")
    enter(box, "3")
    until(lab, "s.budgets[0] === 3")
    enter(box, "0")
    until(lab, "s.budgets[0] === 0")
    assert [len(p) for p in by_class(lab)] == [0, IPC, IPC]
    assert lab.get_by_text('No image of "boot"').is_visible() and box.input_value() == "0"
    enter(box, "")
    until(lab, "s.budgets[0] === 2")
    assert box.input_value() == "" and box.get_attribute("placeholder") == "2"
    enter(box, "3")
    until(lab, "s.budgets[0] === 3")
    assert [len(p) for p in by_class(lab)] == [3, IPC, IPC]
    assert lab.get_by_text("1 budget by hand").is_visible()
    lab.get_by_role("button", name="Reset all").click()
    until(lab, "s.budgets[0] === 2")


def test_an_allocation_by_gain_spends_the_same_total(lab):
    lab.get_by_role("button", name="By gain").click()
    until(lab, "s.settings.allocation === 'gain'")
    budgets = state(lab, "s.budgets")
    assert sum(budgets) == N_CLASSES * IPC and min(budgets) >= 1
    assert lab.get_by_text("got 1 image").is_visible() == (1 in budgets)
    enter(lab.get_by_label("Most images of a class"), "2")
    until(lab, "s.settings.ceiling === 2")
    assert state(lab, "s.budgets") == [IPC] * N_CLASSES
    undo_until(lab, "s.settings.allocation === 'even' && s.settings.ceiling === null")


def test_a_locked_class_keeps_its_picks(lab):
    before = by_class(lab)
    lab.get_by_role("button", name="Lock T-shirt/top").click()
    until(lab, "s.locked.has(1)")
    assert lab.get_by_label("Images of T-shirt/top").is_disabled()
    choose(lab, "lowest-entropy")
    choose(lab, "random")
    after = by_class(lab)
    assert sorted(after[1]) == sorted(before[1])
    lab.get_by_role("button", name="Unlock all").click()
    until(lab, "s.locked.size === 0")
    undo_until(lab, "s.settings.selector === 'psr' && s.locked.size === 0")


def test_one_class_alone_on_map_list_and_chart(lab):
    lab.get_by_role("button", name="Show dress alone").click()
    until(lab, "s.solo === 2")
    lab.wait_for_function(
        "document.querySelector('.psr-lab-difficulty .psr-lab-name').textContent === 'dress'"
    )
    lab.get_by_label("Find a class in the list").fill("boo")
    assert lab.locator(".psr-class-row").count() == 1
    lab.get_by_label("Find a class in the list").fill("")
    lab.get_by_role("button", name="Show dress alone").click()
    until(lab, "s.solo === null")


def test_sufficiency_has_a_sentence_for_every_class(lab):
    lab.get_by_role("button", name="Check the pool").click()
    lab.wait_for_function(f"{STATE}.sufficiency")
    rows = state(lab, "[...s.sufficiency.rows.values()]")
    assert [row["class_id"] for row in rows] == [0, 1, 2]
    assert all(row["sentence"].endswith(".") for row in rows)
    assert lab.locator(".psr-class-row .psr-verdict").first.inner_text()


def test_the_legend_counts_and_selects_and_a_burst_of_moves_asks_once(lab):
    lab.get_by_label("Colour points by").select_option("difficulty")
    rows = lab.locator(".psr-legend-row")
    lab.wait_for_function("document.querySelectorAll('.psr-legend-row').length === 5")
    lab.wait_for_function(
        "[...document.querySelectorAll('.psr-legend-row')].reduce("
        f"(n, row) => n + Number(row.lastChild.textContent), 0) === {N_CLASSES * POOL_SIZE}"
    )
    rows.first.click()
    chosen = state(lab, "s.selection.count")
    assert chosen > 0
    lab.wait_for_function(
        f"document.querySelector('.psr-legend-row').lastChild.textContent === '{chosen} / {chosen}'"
    )
    lab.keyboard.press("Escape")
    lab.get_by_label("Colour points by").select_option("total")
    idle(lab)
    asked: list[str] = []
    lab.on("request", lambda request: asked.append(request.url))
    lab.evaluate(
        """() => {
          const range = document.querySelector(".psr-slider[data-key='beta'] input[type=range]");
          for (const value of [0.4, 0.9, 1.4]) {
            range.value = value;
            range.dispatchEvent(new Event('input', { bubbles: true }));
          }
          range.dispatchEvent(new Event('change', { bubbles: true }));
        }"""
    )
    idle(lab)
    assert len([url for url in asked if url.endswith("psr/curate/select")]) == 1, "the newest value alone"
    assert state(lab, "s.weights.beta") == 1.4
