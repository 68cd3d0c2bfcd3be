"""The program behind the address: the application of the workspace that is open, until another takes its place.

Everything that belongs to a workspace is made anew with it, screen, routes and page alike, so nothing of the one before
can be left in them. Pages that still show that one are told, and refused what they ask for (`guard.opening`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies import models
from starlette.types import Receive, Scope, Send

from psr_studio.core.errors import JobError, StudioError, WorkspaceError
from psr_studio.core.files import absolute_path, check_path
from psr_studio.ui.screen import Screen

LOG = logging.getLogger(__name__)
WAIT_SECONDS = 20.0  # for events of the old page that are being answered
LEAVE_SECONDS = 10.0


@dataclass(frozen=True)
class Wish:
    """What to open: a folder, made from a preset where one is named, or else one that is a workspace already."""

    path: Path
    preset: str | None = None

    @property
    def makes(self) -> bool:
        """Whether a new one is meant."""
        return self.preset is not None


Build = Callable[[Screen, "Desk"], FastAPI]


class Desk:
    """An ASGI application that hands every request to the one of the open workspace.

    Args:
        screen: of the workspace that is open first.
        build: the application of a screen.
        open_screen: opens a workspace; StudioError where that cannot be.
        opened: told the screen of each workspace that is open from now on.
    """

    def __init__(
        self,
        screen: Screen,
        build: Build,
        open_screen: Callable[[Wish], Screen],
        opened: Callable[[Screen], None],
    ) -> None:
        self.screen = screen
        self._build, self._open_screen, self._opened = build, open_screen, opened
        self._one_at_a_time = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.served = _Served(build(screen, self))
        opened(screen)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self.served.app(scope, receive, send)

    def close(self) -> None:
        """End the work and close the workspace."""
        self.screen.close()

    def open(self, wish: Wish) -> Screen:
        """Put another workspace in the place of this one, whole or not at all; not to be called in the event loop.

        Raises:
            JobError: a job waits or runs, or another workspace is being opened.
            StudioError: the folder or the preset; the workspace before stays open.
        """
        if not self._one_at_a_time.acquire(blocking=False):
            raise JobError("Another workspace is being opened here.", "Wait until it is open.")
        try:
            return self._open(wish)
        finally:
            self._one_at_a_time.release()

    def _open(self, wish: Wish) -> Screen:
        root = absolute_path(check_path(wish.path))
        here = self.screen.studio.workspace.root
        if root == here:
            raise WorkspaceError(f'The workspace "{root}" is the one that is open.', "Name another folder.")
        if wish.makes and root.exists() and any(root.iterdir()):
            raise WorkspaceError(
                f'The folder "{root}" is not empty, and a new workspace needs one of its own.',
                'Name a folder that is not there yet, or open that one with "Open".',
            )
        before = self.screen
        before.worker.retire()
        try:
            screen = self._open_screen(Wish(root, wish.preset))
            try:
                app = self._built(before, screen)
            except BaseException:
                screen.close()
                raise
        except BaseException:
            before.worker.resume()
            before.gate.reopen()
            raise
        old, self.served, self.screen = self.served, app, screen
        self._opened(screen)
        screen.warm_up()
        self._in_loop(old.leave())
        before.close()
        _forget_calls()
        return screen

    def _built(self, before: Screen, screen: Screen) -> _Served:
        """The application of a screen, entered.

        Gradio keeps the page that is being built in one place for all threads: no event may make a component meanwhile.
        """
        if not before.gate.close(WAIT_SECONDS):
            raise JobError("The page is still at work.", "Try again in a moment.")
        app = _Served(self._build(screen, self))
        app.take_logins(self.served)
        self._in_loop(app.enter())
        return app

    def _in_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None, "requests come when the server has started"
        done: Future[None] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        done.result()

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start with the first application, end with the one that is open last."""
        await receive()
        self._loop = asyncio.get_running_loop()
        try:
            await self.served.enter()
        except Exception as err:
            await send({"type": "lifespan.startup.failed", "message": str(err)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.served.leave()
        await send({"type": "lifespan.shutdown.complete"})


def _forget_calls() -> None:
    """Let go of what FastAPI remembers of the functions that answered: each holds the whole page it was made for."""
    for remembered in vars(models).values():
        if isinstance(remembered, _lru_cache_wrapper):
            remembered.cache_clear()


class _Served:
    """An application with its lifespan, which one task enters and leaves."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._task: asyncio.Task[None] | None = None
        self._over: asyncio.Event | None = None

    def take_logins(self, before: _Served) -> None:
        """Who has logged in stays so."""
        old, new = before.app.state.page, self.app.state.page
        new.tokens, new.cookie_id = old.tokens, old.cookie_id

    async def enter(self) -> None:
        """Start what runs beside the requests."""
        self._over = asyncio.Event()
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(entered, self._over))
        done, _ = await asyncio.wait({entered, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task in done:
            self._task.result()

    async def leave(self) -> None:
        """End it; events that were queued fall."""
        page = self.app.state.page
        page.blocks._queue.close()
        page.stop_event.set()  # its open streams end
        assert self._over is not None and self._task is not None, "it was entered"
        self._over.set()
        try:
            await asyncio.wait_for(self._task, LEAVE_SECONDS)
        except (TimeoutError, StudioError) as err:
            LOG.warning("an earlier page did not end in time: %r", err)

    async def _run(self, entered: asyncio.Future[None], over: asyncio.Event) -> None:
        async with self.app.router.lifespan_context(self.app):
            entered.set_result(None)
            await over.wait()
