"""One browser for all tests of a process, and one page of it for those of a file, opened on its own `url`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browser_page, headless_browser, idle
from serving import serving


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with headless_browser() as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    with browser_page(chromium) as page:
        yield page
        assert not page.complaints, page.complaints


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, scored_workspace: Path) -> Iterator[str]:
    """A studio on a copy of the scored workspace: 3 classes of 6 candidates, 2 images per class."""
    with serving(shutil.copytree(scored_workspace, tmp_path_factory.mktemp("page") / "ws")) as address:
        yield address


@pytest.fixture
def bench(browser: Any, url: str) -> Any:
    """The Curate tab, freshly opened."""
    browser.goto("about:blank")
    browser.goto(url)
    idle(browser)
    return browser


@pytest.fixture
def evaluate_tab(screen: Any) -> Any:
    """The Evaluate tab, drawn."""
    import gradio as gr

    from psr_studio.ui.tabs.evaluate import EvaluateTab

    tab = EvaluateTab(screen)
    with gr.Blocks():
        tab.build()
    return tab
