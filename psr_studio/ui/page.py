"""The page: a bar, the tabs, and one timer that redraws what has changed. It holds no state of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import gradio as gr

from psr_studio.core.errors import JobError
from psr_studio.ui.api import ScriptApi
from psr_studio.ui.guard.opening import Gate
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.picker import SelectionPicker
from psr_studio.ui.panels.topbar import TopBar
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.curate import CurateTab
from psr_studio.ui.tabs.evaluate import EvaluateTab
from psr_studio.ui.tabs.export import ExportTab
from psr_studio.ui.tabs.pool import PoolTab
from psr_studio.ui.tabs.refine import RefineTab
from psr_studio.ui.words import QUIET, as_error

BUSY_SECONDS, IDLE_SECONDS = 1.0, 5.0


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

    async def process_api(self, *args: Any, **kwargs: Any) -> Any:
        """Answer an event.

        Raises:
            gr.Error: another workspace is being opened.
        """
        try:
            with self._gate.entered():
                return await super().process_api(*args, **kwargs)
        except JobError as err:
            raise as_error(err) from err


def build_page(screen: Screen) -> gr.Blocks:
    """Build the whole page over one screen."""
    bar, tabs = TopBar(screen), [make(screen) for make in TABS]
    with StudioPage(
        screen.gate, title="PSR Studio", fill_width=True, analytics_enabled=False, elem_classes="psr-page"
    ) as page:
        bar.build()
        home = "curate" if len(screen.studio.pool) else "pool"
        with gr.Tabs(selected=home) as row:
            for tab in tabs:
                with gr.Tab(tab.id.capitalize(), id=tab.id, elem_id=f"psr-tab-{tab.id}"):
                    tab.build()
        pickers = [tab.picker for tab in tabs if tab.picker]
        for tab in tabs:
            tab.connect(row, pickers)
        _keep_drawn(page, screen, [bar, *(pane for tab in tabs for pane in tab.panes())])
        ScriptApi(screen).build()
    return page


def _keep_drawn(page: gr.Blocks, screen: Screen, panes: Sequence[Pane]) -> None:
    """On load everything is drawn from the disk and the worker, later only what has changed since."""
    seen = gr.State({})
    timer = gr.Timer(BUSY_SECONDS)
    outputs = [seen, timer, *(component for pane in panes for component in pane.outputs)]

    def draw(known: dict[int, str]) -> list[Any]:
        now, values = dict(known), []
        for number, pane in enumerate(panes):
            version = repr(pane.version())
            drawn = known.get(number) == version or (not known and getattr(pane, "draws_itself_first", False))
            now[number] = version
            values += [gr.skip()] * len(pane.outputs) if drawn else pane.values()
        pause = BUSY_SECONDS if screen.worker.active() else IDLE_SECONDS
        return [now, gr.Timer(pause), *values]

    page.load(lambda: draw({}), None, outputs, **QUIET)
    timer.tick(draw, seen, outputs, **QUIET)
    for pane in panes:
        if isinstance(pane, JobPanel):
            pane.redrawn_by(draw, seen, outputs)
