"""The page: a bar, five tabs, and one timer that redraws what has changed. It holds no state of its own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import gradio as gr

from psr_studio.ui.api import ScriptApi
from psr_studio.ui.panels.topbar import TABS, TopBar
from psr_studio.ui.panels.tune import TunePanel
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.curate import CuratePool, CurateTab
from psr_studio.ui.tabs.evaluate import EvaluateTab
from psr_studio.ui.tabs.export import ExportTab
from psr_studio.ui.tabs.pool import PoolTab
from psr_studio.ui.tabs.refine import RefineTab
from psr_studio.ui.words import QUIET

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


def build_page(screen: Screen) -> gr.Blocks:
    """Build the whole page over one screen."""
    bar, pool, curate = TopBar(screen), PoolTab(screen), CurateTab(screen)
    refine, evaluate, export, tune = (
        RefineTab(screen),
        EvaluateTab(screen),
        ExportTab(screen),
        TunePanel(screen),
    )
    with gr.Blocks(
        title="PSR Studio", fill_width=True, analytics_enabled=False, elem_classes="psr-page"
    ) as page:
        bar.build()
        home = "curate" if len(screen.studio.pool) else "pool"
        with gr.Tabs(selected=home) as tabs:
            for name, tab in zip(TABS, (pool, curate, refine, evaluate, export), strict=True):
                with gr.Tab(name.capitalize(), id=name, elem_id=f"psr-tab-{name}"):
                    tab.build()
                    if tab is curate:
                        tune.build()
        for tab in (pool, refine, evaluate, export):
            tab.connect()
        pickers = [tab.picker for tab in (refine, evaluate, export)]
        curate.connect(tabs, pickers)
        tune.connect(curate.island)
        panes: list[Pane] = [bar, pool, curate, CuratePool(curate), refine, evaluate, export]
        panes += [tune, *(tab.jobs for tab in (pool, tune, refine, evaluate, export)), pool.weights, *pickers]
        shown = [tab.settings for tab in (pool, tune, refine, evaluate, export)]
        panes += [part for settings in (*shown, pool.scoring) for part in settings.parts()]
        _keep_drawn(page, screen, panes)
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
