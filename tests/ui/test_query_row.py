"""The filter above the grid and the tags of candidates, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import STATE, answered, focus_on, idle, picks, selected

pytestmark = pytest.mark.browser
FIELD = "Filter candidates by a query"


def ask(page: Any, query: str) -> None:
    page.get_by_label(FIELD).fill(query)
    page.keyboard.press("Enter")


def found(page: Any, query: str, n: int) -> None:
    """Wait until a query is in force, and finds so many."""
    page.wait_for_function(
        f"([query, n]) => {STATE}.found === query && {STATE}.selection.count === n", arg=[query, n]
    )


def listed(page: Any) -> list[int]:
    return sorted(int(tile.get_attribute("data-position")) for tile in page.locator(".psr-tile").all())


def test_the_grid_lists_what_a_query_finds_and_a_mistake_loses_nothing(bench):
    before, chosen = listed(bench), picks(bench)
    bench.keyboard.press("/")
    bench.keyboard.type("not picked")
    bench.keyboard.press("Enter")
    found(bench, "not picked", 12)
    assert listed(bench) == selected(bench) == sorted(set(range(18)) - set(chosen))
    chip = bench.locator(".psr-filters button")
    assert chip.inner_text() == "12 of 18 found"
    assert bench.locator(".psr-status-counts").inner_text().startswith("12 found, 0 picked")
    ask(bench, "pickd")
    said = bench.get_by_role("alert").filter(has_text='"pickd" is no clause of a query.')
    said.get_by_text('Did you mean "picked"?').wait_for()
    assert chip.inner_text() == "12 of 18 found" and len(listed(bench)) == 12
    assert bench.get_by_label(FIELD).input_value() == "pickd"
    chip.click()
    assert listed(bench) == before and selected(bench) == [] and said.is_hidden()
    assert bench.get_by_label(FIELD).input_value() == ""


def test_a_link_opens_its_query_and_the_query_follows_the_picks(bench):
    ask(bench, "not picked, class boot")
    found(bench, "not picked, class boot", 4)
    bench.wait_for_function("location.hash.includes('find=')")
    link = bench.url
    assert "marked=" not in link
    bench.goto("about:blank")
    bench.goto(link)
    idle(bench)
    found(bench, "not picked, class boot", 4)
    assert bench.get_by_label(FIELD).input_value() == "not picked, class boot"
    with answered(bench):
        bench.evaluate("window.workbench.actions.select({ ipc: 1 })")
    found(bench, "not picked, class boot", 5)
    with answered(bench):
        bench.evaluate("window.workbench.actions.undo()")
    found(bench, "not picked, class boot", 4)


def test_the_server_offers_what_a_query_can_go_on_with(bench):
    bench.get_by_label(FIELD).fill("picked, cl")
    offered = "Array.from(document.querySelectorAll('#psr-clauses option'), (option) => option.value)"
    bench.wait_for_function(f"{offered}.length === 3")
    assert bench.evaluate(offered)[0] == "picked, class boot"


def test_what_lies_near_a_candidate_or_a_picture_is_listed_with_a_way_back(bench):
    focus_on(bench, 8)
    number = bench.evaluate(f"{STATE}.info && Number({STATE}.points.label[8])") * 1_000_000 + 2
    neighbours = bench.locator(".psr-section", has_text="Nearest of its class").locator(".psr-neighbour")
    neighbours.nth(4).wait_for()
    assert neighbours.count() == 5 and neighbours.first.locator(".psr-distance").inner_text()
    bench.get_by_role("button", name="Nearest in all classes").click()
    found(bench, f"near {number}", 18)
    first = bench.locator(".psr-tile").first
    assert first.get_attribute("data-position") == "8", "the nearest first, in the nearest class"
    bench.get_by_role("button", name="Compare with real images").click()
    bench.locator(".psr-real-image").nth(7).wait_for()
    picture = bench.request.get(bench.locator(".psr-real-image").first.get_attribute("src")).body()
    named = {"name": "of mine.png", "mimeType": "image/png", "buffer": picture}
    bench.locator(".psr-query-row input[type=file]").set_input_files(named)
    bench.wait_for_function(f"{STATE}.found?.startsWith('near picture-')")
    bench.wait_for_function("document.querySelector('.psr-near-picture').naturalWidth === 12")
    bench.locator(".psr-query-row input[type=file]").set_input_files({**named, "buffer": b"none"})
    bench.get_by_role("alert").filter(has_text="That file cannot be looked near to").wait_for()
    bench.locator(".psr-filters button").click()
    assert selected(bench) == [] and bench.evaluate(f"{STATE}.apart") is None


def test_tags_are_added_offered_searched_and_taken_back(bench):
    first = picks(bench)[0]
    focus_on(bench, first)
    field = bench.get_by_label("Add a tag to this candidate")
    field.fill("blurry")
    field.press("Enter")
    chip = bench.get_by_role("button", name='Take the tag "blurry" from this candidate')
    chip.wait_for()
    assert field.input_value() == "" and field.evaluate("node => node === document.activeElement")
    ask(bench, "class dress")
    found(bench, "class dress", 6)
    bench.get_by_role("button", name="Tag… the 6 found candidates").click()
    dialog = bench.locator("dialog[open]")
    assert dialog.locator("option").get_attribute("value") == "blurry"
    with answered(bench):
        dialog.get_by_label("Name").fill("blurry")
        dialog.get_by_role("button", name="Tag", exact=True).click()
    assert bench.evaluate(f"[{STATE}.undo, {STATE}.tags]") == ['tag 6 candidates "blurry"', {"blurry": 7}]
    said = bench.locator(".psr-result-text").inner_text()
    assert said == 'Tagged 6 candidates "blurry": Same picks as before'
    assert bench.locator(".psr-tile .psr-badge.is-tag").count() == 6
    assert "tagged blurry" in bench.locator(".psr-tile").first.get_attribute("title")
    ask(bench, "tag blurry")
    found(bench, "tag blurry", 7)
    bench.evaluate("window.workbench.actions.undo()")
    found(bench, "tag blurry", 1)
    chip.click()
    found(bench, "tag blurry", 0)
    chip.wait_for(state="detached")
    assert chip.count() == 0
    bench.get_by_text("No candidate has all of that.").wait_for()
    bench.evaluate("document.activeElement.blur()")
    bench.keyboard.press("h")
    history = bench.get_by_role("list", name="Actions, the newest first")
    history.get_by_text("untag candidate").first.wait_for()
    bench.keyboard.press("Escape")
    assert bench.evaluate(f"{STATE}.found") is None and len(listed(bench)) == 6
