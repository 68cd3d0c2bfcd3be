"""Words on the page from its first byte on: Gradio draws nothing before its scripts have run.

Gradio's own `head` is added by these scripts, too late for this. So a style sheet goes into the page as it
is sent, and its text is gone as soon as there is a control to press or type into; beside it, links to what the
page will ask for anyway.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

END_OF_HEAD = b"</head>"
DRAWN = "body:has(.gradio-container :is(button, input, a))"
STYLE = f"""<style>
body::before {{ content: 'PSR Studio is opening \\2026'; position: fixed; inset: 42% 0 auto; text-align: center;
  font: 500 17px/1.5 system-ui, sans-serif; pointer-events: none; }}
{DRAWN}::before {{ content: none; }}
</style>""".encode()


class Splash:
    """Passes everything on as it is, but for the page at the root, which gets the style sheet into its head.

    Args:
        links: what else belongs there.
    """

    def __init__(self, app: ASGIApp, links: str = "") -> None:
        self.app = app
        self._head = STYLE + links.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not _is_page(scope):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def held(message: Message) -> None:
            """Hold the answer back until it is whole: its length changes."""
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                whole = bytes(body).replace(END_OF_HEAD, self._head + END_OF_HEAD, 1)
                await send(_with_length(start, len(whole)))
                await send({**message, "body": whole})

        # Gradio packs its answers for browsers that can unpack them: this one has to be read here.
        plain = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, held)


def _is_page(scope: MutableMapping[str, Any]) -> bool:
    return scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in ("", "/")


def _with_length(start: Message, length: int) -> Message:
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}
