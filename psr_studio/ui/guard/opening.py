"""Which opening of a workspace a page belongs to: another workspace may stand behind the same address by now.

A page sends its events to "/at/<opening>/..."; those of an earlier opening, of this program or of one before it, are
refused, so that a page that shows one workspace never writes into another.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from psr_studio.core.errors import JobError
from psr_studio.ui.guard.refusal import Refused, refuse

AT = re.compile(r"/at/([0-9a-f]+)(/.*)")
GONE = 410


def gone(name: str) -> Refused:
    """What a page of an earlier opening is told; `name` is the workspace that is open now."""
    return Refused(
        f'The workspace "{name}" was opened here since this page was drawn.',
        "Reload the page to see it; nothing of this page was written there.",
        GONE,
    )


class AtOpening:
    """Passes on requests without an opening, such as those of scripts, and those of this one.

    Args:
        opening: hexadecimal digits. name: of the workspace, for who comes from an earlier one.
    """

    def __init__(self, app: ASGIApp, opening: str, name: str) -> None:
        self.app = app
        self.opening = opening
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = AT.fullmatch(scope["path"]) if scope["type"] in ("http", "websocket") else None
        if found is None:
            await self.app(scope, receive, send)
        elif found[1] != self.opening:
            await refuse(gone(self.name), scope, receive, send)
        else:
            await self.app({**scope, "path": found[2], "raw_path": found[2].encode()}, receive, send)


class OpeningError(JobError):
    """An event of a page whose workspace is being closed for another one."""


class Gate:
    """Counts the events of a page while they are answered; once it is closed no other begins."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Answer an event.

        Raises:
            OpeningError: another workspace is being opened.
        """
        with self._changed:
            if self._closed:
                raise OpeningError(
                    "Another workspace is being opened here.", "Wait a moment; the page will say so."
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Let none in, and wait so long for those that are inside; whether all are out."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._inside, seconds)

    def reopen(self) -> None:
        """Let events in again."""
        with self._changed:
            self._closed = False
