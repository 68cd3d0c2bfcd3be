"""More like this, pressed on the page: variations join the pool, are scored, and lead back to their parent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from browsing import STATE, focus_on, idle, selected
from serving import client_of, refusal, serving, told

LAB = "/psr/curate"
PARENT = 8  # the third candidate of class 1


@pytest.fixture(scope="module")
def url(tmp_path_factory, scored_workspace) -> Iterator[str]:
    root = tmp_path_factory.mktemp("variations") / "ws"
    shutil.copytree(scored_workspace, root)
    with serving(root) as address:
        yield address


@pytest.mark.browser
def test_a_press_makes_variations_that_say_what_they_changed_and_whose_they_are(bench):
    focus_on(bench, PARENT)
    bench.get_by_role("button", name="More like this").click()
    bench.get_by_label("How many variations").fill("5")
    bench.get_by_label("Strength of the noise").fill("0.4")
    bench.get_by_label("Strength of the noise").press("Enter")
    bench.wait_for_selector("text=makes 5 variations and has them scored")
    words = bench.locator(".psr-variations + p").bounding_box()
    room = bench.locator(".psr-inspector-body").bounding_box()
    assert words["y"] + words["height"] <= room["y"] + room["height"] + 1, "scrolled to where they are seen"
    bench.wait_for_function(f"{STATE}.info.n === 23")
    idle(bench)
    assert bench.evaluate(f"{STATE}.info.counts") == [6, 11, 6]
    assert bench.evaluate(f"{STATE}.info.before !== null"), (
        "what they changed is said against what was before"
    )
    bench.wait_for_function(f"{STATE}.focus === {PARENT}")  # it stays in focus
    bench.get_by_role("button", name="show the 5").click()
    varied = selected(bench)
    assert varied == list(range(12, 17)) and bench.locator(".psr-tile").count() == 5
    assert bench.locator(".psr-badge.is-variation").count() == 5
    assert "variation of candidate 1000002" in bench.locator("#psr-tile-12").get_attribute("title")
    bench.get_by_label("Filter candidates by a query").fill("parent 1000002, variation")
    bench.get_by_label("Filter candidates by a query").press("Enter")
    bench.wait_for_function(f"{STATE}.found !== null")
    assert selected(bench) == varied
    focus_on(bench, varied[-1])
    bench.wait_for_selector(".psr-inspector dt:text-is('Variation of')")
    facts = bench.inner_text(".psr-facts")
    assert "1000002" in facts and "0.4" in facts
    bench.get_by_role("button", name="Show the parent").click()
    bench.wait_for_function(f"{STATE}.focus === {PARENT}")
    assert "Variation of" not in bench.inner_text(".psr-facts")


def test_the_button_is_off_where_a_pool_has_nothing_to_begin_at_and_says_why(screen, tmp_path):
    """The pool is imported: no generator adds to it, and the route refuses in the same words."""
    with client_of(screen) as client:
        assert told(client.get(f"{LAB}/state"))["no_variations"] == ""
        for _ in screen.studio.export(refined=False, zip=False):
            pass
        folder = screen.studio.workspace.export_path(screen.studio.recipe.export.name)
        for step in (screen.studio.import_pool(folder, replace=True), screen.studio.score()):
            for _ in step:
                pass
        why = told(client.get(f"{LAB}/state"))["no_variations"]
        assert why.startswith("The pool was imported from ") and why.endswith("in another workspace.")
        asked = {"position": 0, "count": 2, "strength": 0.5}
        assert " ".join(refusal(client.post(f"{LAB}/variations", json=asked))) == why
