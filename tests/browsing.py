"""A headless browser for tests of the page; they are skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
POLICY = "Content Security Policy"
PATIENCE_MS = 180_000  # a machine that does much else; an idle one needs a twentieth of it


@contextmanager
def browser_page(width: int = 1366, height: int = 768) -> Iterator[Any]:
    """A page of a headless browser; `page.complaints` collects what its scripts threw and what its policy forbade."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = os.environ.get("PSR_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed, and PSR_CHROMIUM is not set")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        page.complaints = []
        page.on("pageerror", lambda err: page.complaints.append(str(err)))
        page.on("console", lambda m: page.complaints.append(m.text) if POLICY in m.text else None)
        yield page
        browser.close()


def idle(page: Any) -> None:
    """Wait until the workbench has drawn what it asked for; say what it shows when it does not."""
    known = "window.psrCurate && window.psrCurate.state"
    try:
        page.wait_for_function(
            f"{known} && {known}.phase === 'ready' && {known}.picks && window.psrCurate.idle"
        )
    except Exception as err:
        shown = page.evaluate(f"JSON.stringify({known} && [{known}.phase, {known}.message, {known}.notice])")
        raise AssertionError(f"the workbench shows {shown}; {page.complaints}") from err


@contextmanager
def answered(page: Any) -> Iterator[None]:
    """Wait, after what is done in the block, until the studio has answered it with a selection."""
    idle(page)
    page.evaluate("window.shownBefore = window.psrCurate.state.picks")
    yield
    page.wait_for_function("window.psrCurate.state.picks !== window.shownBefore")
    idle(page)


def picks(page: Any) -> list[int]:
    """Positions of the picks, class by class in pick order."""
    idle(page)
    return page.evaluate("Array.from(window.psrCurate.state.picks.order)")


def selected(page: Any) -> list[int]:
    """Positions marked out on the map or in the grid, ascending."""
    return page.evaluate("Array.from(window.psrCurate.state.selection.list)")
