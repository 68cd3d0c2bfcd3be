"""The page: a bar, the tabs, and timers that redraw what has changed. It holds no state of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Protocol

import gradio as gr

from psr_studio.ui.api import ScriptApi
from psr_studio.ui.guard.opening import Gate, OpeningError
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.picker import SelectionPicker
from psr_studio.ui.panels.topbar import TopBar
from psr_studio.ui.press import build_mark, show_on
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.curate import CurateTab
from psr_studio.ui.tabs.evaluate import EvaluateTab
from psr_studio.ui.tabs.export import ExportTab
from psr_studio.ui.tabs.pool import PoolTab
from psr_studio.ui.tabs.refine import RefineTab
from psr_studio.ui.words import QUIET, as_error

BUSY_SECONDS, IDLE_SECONDS = 1.0, 5.0
# On the element of a tab: until then it is out of sight, see css/page.css.
DRAWN = "() => {{ document.getElementById('{}').dataset.drawn = ''; }}"


class Pane(Protocol):
    """A part of the page that can say whether it has changed, and what it shows now."""

    @property
    def outputs(self) -> list[gr.components.Component]:
        """The components that `values` fills."""

    def version(self) -> Hashable:
        """Cheap; equal as long as the values are."""

    def values(self) -> list[Any]:
        """One value per output."""


class Tab(Protocol):
    """A tab of the page."""

    @property
    def id(self) -> str:
        """As its stages carry it in their table."""

    @property
    def picker(self) -> SelectionPicker | None:
        """Of a tab that works on a saved selection."""

    def build(self) -> None:
        """Draw it here."""

    def connect(self, tabs: gr.Tabs, pickers: Sequence[SelectionPicker]) -> None:
        """Add the events, once all tabs are drawn."""

    def panes(self) -> list[Pane]:
        """Itself and its parts, to be kept drawn."""


TABS: tuple[Callable[[Screen], Tab], ...] = (PoolTab, CurateTab, RefineTab, EvaluateTab, ExportTab)


class StudioPage(gr.Blocks):
    """Answers events as long as its workspace is open."""

    def __init__(self, gate: Gate, **given: Any) -> None:
        super().__init__(**given)
        self._gate = gate

    async def process_api(self, block_fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer an event. While another workspace is being opened, which the page hears of by itself, what only looks,
        such as a timer, is told that nothing has changed.

        Raises:
            gr.Error: another workspace is being opened.
        """
        try:
            with self._gate.entered():
                return await super().process_api(block_fn, *args, **kwargs)
        except OpeningError as err:
            if QUIET.items() <= vars(block_fn).items():
                return {"data": [gr.skip()] * len(block_fn.outputs), "is_generating": False}
            raise as_error(err) from err


def build_page(screen: Screen) -> gr.Blocks:
    """Build the whole page over one screen."""
    bar, tabs = TopBar(screen), [make(screen) for make in TABS]
    with StudioPage(
        screen.gate, title="PSR Studio", fill_width=True, analytics_enabled=False, elem_classes="psr-page"
    ) as page:
        mark = build_mark()
        bar.build()
        home = "curate" if len(screen.studio.pool) else "pool"
        with gr.Tabs(selected=home) as row:
            items = [_item(tab) for tab in tabs]
        pickers = [tab.picker for tab in tabs if tab.picker]
        for tab in tabs:
            tab.connect(row, pickers)
        _keep_drawn(screen, items, [[bar, *tab.panes()] for tab in tabs])
        ScriptApi(screen).build()
        show_on(mark, page)
    return page


def _item(tab: Tab) -> gr.Tab:
    with gr.Tab(tab.id.capitalize(), id=tab.id, elem_id=f"psr-tab-{tab.id}") as item:
        tab.build()
    return item


def _keep_drawn(screen: Screen, items: Sequence[gr.Tab], panes: Sequence[Sequence[Pane]]) -> None:
    """Draw each tab from the disk and the worker when it is opened, and what changes as long as it is in front.

    Nothing is filled before: whatever an event has filled once, Gradio goes through again at every later event.
    """
    timers = [gr.Timer(IDLE_SECONDS, active=False) for _ in items]
    for number, (item, own, timer) in enumerate(zip(items, panes, timers, strict=True)):
        seen = gr.State({})
        outputs = [seen, timer, *(component for pane in own for component in pane.outputs)]
        draw = partial(_draw, screen, own)
        item.select(None, None, timers, js=_only(number, len(timers)), **QUIET)
        opened = item.select(draw, seen, outputs, **QUIET)
        for over in (opened.then, opened.failure):
            over(None, js=DRAWN.format(item.elem_id), **QUIET)
        timer.tick(draw, seen, outputs, **QUIET)
        for pane in own:
            if isinstance(pane, JobPanel):
                pane.redrawn_by(draw, seen, outputs)


def _only(number: int, n: int) -> str:
    """Let one of n timers run; in the browser, where tabs are opened one after the other."""
    updates = [{"__type__": "update", "active": k == number} for k in range(n)]
    return f"() => {json.dumps(updates)}"


def _draw(screen: Screen, panes: Sequence[Pane], known: dict[int, str]) -> list[Any]:
    """What has changed since `known`."""
    now, values = dict(known), []
    for number, pane in enumerate(panes):
        version = repr(pane.version())
        drawn = known.get(number) == version or (not known and getattr(pane, "draws_itself_first", False))
        now[number] = version
        values += [gr.skip()] * len(pane.outputs) if drawn else pane.values()
    pause = BUSY_SECONDS if screen.worker.active() else IDLE_SECONDS
    return [now, gr.Timer(pause), *values]
