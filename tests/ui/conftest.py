"""One page of a browser for the tests of a file, opened on its own `url`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import browser_page, idle


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browser_page() as page:
        yield page
        assert not page.complaints, page.complaints


@pytest.fixture
def bench(browser: Any, url: str) -> Any:
    """The Curate tab, freshly opened."""
    browser.goto("about:blank")
    browser.goto(url)
    idle(browser)
    return browser
