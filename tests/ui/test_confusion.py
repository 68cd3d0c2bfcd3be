"""From a mistake of the students to the candidates that look like it, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from browsing import STATE, idle, open_tab, selected
from serving import serving
from tiny import CLASS_NAMES, finish, tiny_recipe

from psr_studio.app.studio import Studio

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def finished(tmp_path_factory, scored_workspace, tiny_bundle) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """A studio on an evaluated copy of the scored workspace, and what queries find in it."""
    root = tmp_path_factory.mktemp("confusion") / "ws"
    shutil.copytree(scored_workspace, root)
    recipe = tiny_recipe(tiny_bundle, evaluate__n_seeds=1)
    with Studio(root, recipe) as studio:
        finish(studio.refine())
        finish(studio.evaluate())
        scored = studio.curation.scored
        found = {
            f"class {own}, {'predicted' if own == seen else 'leans'} {seen}": [
                p
                for p in range(scored.n)
                if scored.labels[p] == i and (scored.predicted if i == j else scored.leans)[p] == j
            ]
            for i, own in enumerate(CLASS_NAMES)
            for j, seen in enumerate(CLASS_NAMES)
        }
    with serving(root) as address:
        yield address, found


def test_a_cell_of_the_matrix_lists_the_candidates_that_lean_so(browser, finished):
    url, queries = finished
    browser.goto(f"{url}#tab=evaluate")
    plot = browser.locator("#psr-confusion .nsewdrag")
    for true, predicted in ((0, 2), (1, 1), (2, 0)):
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        at = (box["width"] * (predicted + 0.5) / 3, box["height"] * (true + 0.5) / 3)
        plot.hover(position={"x": at[0], "y": at[1]})
        plot.click(position={"x": at[0], "y": at[1]})
        what = "predicted" if true == predicted else "leans"
        query = f"class {CLASS_NAMES[true]}, {what} {CLASS_NAMES[predicted]}"
        browser.wait_for_function(f"query => window.workbench && {STATE}.found === query", arg=query)
        idle(browser)
        assert selected(browser) == queries[query]
        open_tab(browser, "evaluate")
    link = browser.locator("#psr-by-class td a[href*='find=']").first
    link.click()
    browser.wait_for_function(f"{STATE}.found?.includes('leans')")
    assert sum(map(len, queries.values())) > 0 and selected(browser) in queries.values()
