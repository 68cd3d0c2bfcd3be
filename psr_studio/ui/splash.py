"""The page as it is sent: words from its first byte on, and what Gradio's own scripts take from its head.

Gradio draws nothing before its scripts have run, and its own `head` is added by them, too late for this. So a style
sheet goes into the page as it is sent, and its text is gone as soon as there is a control to press or type into;
beside it, links to what the page will ask for anyway.

The server knows its address as the last proxy names it, the browser as the user does: the scripts get the latter, with
the opening of the workspace that the page belongs to (`guard.opening`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from psr_studio.ui.guard.login import is_stranger
from psr_studio.ui.guard.shield import content_policy

END_OF_HEAD = b"</head>"
ROOT = "<script>window.gradio_config.root = new URL('at/{opening}', document.baseURI).href</script>\n"
ICON = b'<link rel="icon" href="favicon.ico">'
API_INFO = re.compile(rb"window\.gradio_api_info = .*?;(?=</script>)", re.DOTALL)
NO_API = b'window.gradio_api_info = {"named_endpoints": {}, "unnamed_endpoints": {}};'
ABSOLUTE, RELATIVE = b'href="/manifest.json"', b'href="manifest.json"'
DRAWN = "body:has(.gradio-container :is(button, input, a))"
STYLE = f"""<style>
body::before {{ content: 'PSR Studio is opening \\2026'; position: fixed; inset: 42% 0 auto; text-align: center;
  font: 500 17px/1.5 system-ui, sans-serif; pointer-events: none; }}
{DRAWN}::before {{ content: none; }}
</style>""".encode()


class Splash:
    """Passes everything on as it is, but for the page at the root, which gets its head completed.

    Args:
        opening: which the page belongs to. links: what else belongs there, beside the style sheet.
    """

    def __init__(self, app: ASGIApp, opening: str, links: str = "") -> None:
        self.app = app
        self._head = STYLE + ICON + links.encode() + ROOT.format(opening=opening).encode()

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
                nonce = secrets.token_urlsafe(16)
                whole = self._completed(bytes(body), nonce, is_stranger(scope))
                headers = MutableHeaders(raw=list(start["headers"]))
                headers["Content-Length"] = str(len(whole))
                headers["Content-Security-Policy"] = content_policy(nonce)
                await send({**start, "headers": headers.raw})
                await send({**message, "body": whole})

        # Gradio packs its answers for browsers that can unpack them: this one has to be read here.
        plain = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, held)

    def _completed(self, page: bytes, nonce: str, stranger: bool) -> bytes:
        """The page with all its scripts allowed; who has not logged in does not read which calls there are."""
        whole = page.replace(END_OF_HEAD, self._head + END_OF_HEAD, 1).replace(ABSOLUTE, RELATIVE)
        if stranger:
            whole = API_INFO.sub(NO_API, whole)
        return whole.replace(b"<script", f'<script nonce="{nonce}"'.encode())


def _is_page(scope: MutableMapping[str, Any]) -> bool:
    return scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in ("", "/")
