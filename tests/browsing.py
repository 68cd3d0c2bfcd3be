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
    "--disable-gpu-rasterization", "--disable-gpu-compositing",  # the processor draws all but the map faster itself
]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
POLICY = "Content Security Policy"
PATIENCE_MS = 180_000  # a machine that does much else; an idle one needs a twentieth of it
# The workbench says on its element that it stands there: `window.workbench` is ours, the page itself has no global.
CATCH_WORKBENCH = "document.addEventListener('psr-mounted', (event) => { window.workbench = event.detail; });"
STATE = "window.workbench.store.data"


@contextmanager
def headless_browser() -> Iterator[Any]:
    """One Chromium, for any number of pages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = os.environ.get("PSR_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed, and PSR_CHROMIUM is not set")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def browser_page(browser: Any, width: int = 1366, height: int = 768) -> Iterator[Any]:
    """A page that shares nothing with others, as in a profile of its own.

    `page.complaints` collects what its scripts threw and what its policy forbade.
    """
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(CATCH_WORKBENCH)
        page.complaints = []
        page.on("pageerror", lambda err: page.complaints.append(str(err)))
        page.on("console", lambda m: page.complaints.append(m.text) if POLICY in m.text else None)
        yield page


def open_tab(page: Any, name: str) -> None:
    """Open a tab of the page by its id, and wait until it is drawn."""
    page.click(f"#psr-tab-{name}-button")
    page.wait_for_selector(f"#psr-tab-{name}[data-drawn]", state="attached")


def idle(page: Any) -> None:
    """Wait until the workbench has drawn what it asked for; say what it shows when it does not."""
    ready = f"{STATE}.phase === 'ready' && {STATE}.picks && window.workbench.actions.idle"
    try:
        page.wait_for_function(f"window.workbench && {ready}")
    except Exception as err:
        words = ", ".join(f"{STATE}.{key}" for key in ("phase", "message", "notice"))
        shown = page.evaluate(f"window.workbench ? JSON.stringify([{words}]) : 'nothing'")
        raise AssertionError(f"the workbench shows {shown}; {page.complaints}") from err


@contextmanager
def answered(page: Any) -> Iterator[None]:
    """Wait, after what is done in the block, until the studio has answered it with a selection."""
    idle(page)
    page.evaluate(f"window.shownBefore = {STATE}.picks")
    yield
    page.wait_for_function(f"{STATE}.picks !== window.shownBefore")
    idle(page)


def picks(page: Any) -> list[int]:
    """Positions of the picks, class by class in pick order."""
    idle(page)
    return page.evaluate(f"Array.from({STATE}.picks.order)")


def selected(page: Any) -> list[int]:
    """Positions marked out on the map or in the grid, ascending."""
    return page.evaluate(f"Array.from({STATE}.selection.list)")


def mark_out(page: Any, positions: list[int]) -> None:
    """Mark candidates out without the mouse."""
    page.evaluate(
        f"""(positions) => {{
          const {{ selection: {{ mask }} }} = {STATE};
          const wanted = Uint8Array.from(mask, (_, i) => Number(positions.includes(i)));
          const list = Uint32Array.from(positions).sort();
          window.workbench.store.set({{ selection: {{ mask: wanted, list, count: list.length }} }});
        }}""",
        positions,
    )


def focus_on(page: Any, position: int | None) -> None:
    """Show a candidate in the inspector, none for None."""
    page.evaluate("position => window.workbench.actions.focus(position)", position)


def set_keys(page: Any, **keys: Any) -> None:
    """Set keys of the workbench's store."""
    page.evaluate("keys => window.workbench.store.set(keys)", keys)


def screen_of(page: Any, position: int) -> list[float]:
    """Where a candidate stands on the map, in pixels from its corner."""
    return page.evaluate("position => window.workbench.map.screenOf(position)", position)
