"""The login: what is open without it, and how fast passwords can be tried.

Gradio keeps the logins and asks for one on most of its routes; here it is asked for on all.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from psr_studio.ui.guard.refusal import Refused, refuse

# The page itself asks for the login when there is none; its scripts and styles hold no data.
OPEN = ("/", "/login", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt")
OPEN_FOLDERS = ("/assets/", "/static/", "/psr/static/")
STRANGER = "psr_studio.stranger"  # in the scope of a request that comes from outside the wall
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds
FORGET_SECONDS = 900.0
MOST_WAITING = 8


def is_stranger(scope: Scope) -> bool:
    """True when there is a login and this request comes without it."""
    return scope.get(STRANGER, False)


class LoginWall:
    """Passes on the requests of who has logged in, and what the login itself needs.

    Args:
        page: the mounted Gradio application, which made the cookies and keeps their keys.
    """

    def __init__(self, app: ASGIApp, page: Any) -> None:
        self.app = app
        self.page = page
        self.brake = Brake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            if _is_login(scope):
                await self.brake(self.app, scope, receive, send)
            elif self._knows(scope):
                await self.app(scope, receive, send)
            elif _is_open(scope["path"]):
                await self.app({**scope, STRANGER: True}, receive, send)
            else:
                raise Refused("You are not logged in.", "Reload the page and log in.", 401)
        except Refused as err:
            await refuse(err, scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        cookies = HTTPConnection(scope).cookies
        names = [f"access-token{kind}-{self.page.cookie_id}" for kind in ("", "-unsecure")]
        return any(cookies.get(name) in self.page.tokens for name in names)


class Brake:
    """Lets logins through one at a time, and after wrong ones only after a pause that doubles with each.

    Only the login waits: all else is answered meanwhile. A right login, or a quarter of an hour, ends the pauses.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._wrong = 0
        self._last_wrong = 0.0

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one login.

        Raises:
            Refused: too many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise Refused(
                f"{MOST_WAITING} logins are waiting, because wrong ones came before them.",
                f"Try again in {round(self._pause()) or 1} seconds.",
                429,
            )

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(message["status"])
            await send(message)

        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(self._pause())
                await app(scope, receive, watched)
        finally:
            self._waiting -= 1

    def _pause(self) -> float:
        if not self._wrong or time.monotonic() - self._last_wrong > FORGET_SECONDS:
            return 0.0
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._wrong - 1, 10))

    def _note(self, status: int) -> None:
        self._wrong = 0 if status < 400 else self._wrong + 1
        self._last_wrong = time.monotonic()


def _is_login(scope: Scope) -> bool:
    return scope.get("method") == "POST" and scope["path"] in ("/login", "/login/")


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_FOLDERS)
