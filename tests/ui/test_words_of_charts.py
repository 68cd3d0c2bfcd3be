"""Charts on the page: words in the colour of the theme, but for numbers on cells; tools that cover nothing."""

from __future__ import annotations

import numpy as np
from browsing import browser_page

from psr_studio.ui.plots.confusion import confusion_figure
from psr_studio.ui.theme import STATIC

FILLS = "name => [...document.querySelectorAll(name)].map((text) => getComputedStyle(text).fill)"


def test_numbers_on_cells_keep_their_colour_and_the_axes_take_the_page_s(chromium):
    figure = confusion_figure(np.eye(2), ("carp", "dog"))
    style = (STATIC / "css" / "page.css").read_text()
    chart = figure.to_html(full_html=False, include_plotlyjs=True)
    with browser_page(chromium) as page:
        page.set_content(f"<style>:root {{ --body-text-color: rgb(1, 2, 3) }}\n{style}</style>{chart}")
        page.wait_for_selector(".heatmap-label text")
        assert set(page.evaluate(FILLS, ".heatmap-label text")) == {"rgb(255, 255, 255)"}
        assert set(page.evaluate(FILLS, ".xtick text")) == {"rgb(1, 2, 3)"}


def test_tools_of_a_chart_show_under_the_pointer_only_and_cover_no_cell(chromium):
    """Even where a chart is told to show them always; their ground is that of the page."""
    chart = confusion_figure(np.eye(2), ("carp", "dog")).to_html(
        full_html=False, include_plotlyjs=True, config={"displayModeBar": True}
    )
    style = (STATIC / "css" / "page.css").read_text()
    with browser_page(chromium) as page:
        page.set_content(f"<style>{style}</style>{chart}<p id=away>Away</p>")
        page.wait_for_selector(".modebar-group")
        page.hover("#away")
        assert page.evaluate("getComputedStyle(document.querySelector('.modebar')).opacity") == "0"
        page.hover(".nsewdrag")
        style = page.evaluate("getComputedStyle(document.querySelector('.modebar-group')).backgroundColor")
        assert style == "rgba(0, 0, 0, 0)"
        tools, cells = (page.locator(what).first.bounding_box() for what in (".modebar", ".heatmaplayer"))
        assert tools["y"] + tools["height"] <= cells["y"]
