"""The outermost layer of the server: the path of a proxy, who may ask, and what a browser may do with the answers."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from psr_studio.ui.guard.hosts import Hosts
from psr_studio.ui.guard.refusal import Refused, refuse

CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")
OWN = ("same-origin", "none")  # what a browser says of a request from the page itself, or from its user
UNTRUSTED = b"x-gradio-server"  # would name another server in the page


def content_policy(nonce: str = "") -> str:
    """The Content-Security-Policy of the page.

    Everything comes from this server. Gradio makes functions of its templates, which is "unsafe-eval", and styles its
    elements in place; a script inside the page runs only with the nonce.
    """
    inline = f" 'nonce-{nonce}'" if nonce else ""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'unsafe-eval'{inline}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


HEADERS = {
    "Content-Security-Policy": content_policy(),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Shield:
    """Passes on what comes to one of our hosts and, from a browser, from our own page.

    Args:
        root_path: path under which a proxy shows the studio, such as "/team/psr"; the proxy may take it off or not.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, root_path: str = "") -> None:
        self.app = app
        self.hosts = hosts
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        inner = self._at_root(scope)
        try:
            self._check_host(Headers(scope=inner))
            self._check_origin(inner)
        except Refused as err:
            await refuse(err, scope, receive, guarded)
            return
        if (
            scope["path"] == self.root_path
        ):  # addresses in the page are relative to the folder that it stands in
            app: ASGIApp = RedirectResponse(f"{self.root_path}/?{scope['query_string'].decode()}")
        else:
            app = self.app
        await app(inner, receive, guarded)

    def _at_root(self, scope: Scope) -> Scope:
        """The request as it would have come without a proxy's path."""
        path = scope["path"]
        if self.root_path and path.startswith(f"{self.root_path}/"):
            path = path[len(self.root_path) :]
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != UNTRUSTED]
        return {**scope, "path": path, "raw_path": path.encode(), "headers": headers}

    def _check_host(self, headers: Headers) -> None:
        for name in _asked(headers) or [""]:
            if not self.hosts.answers_to(name):
                raise Refused(
                    f'PSR Studio does not answer to the name "{name}".',
                    "Open it at the address that it printed when it started, or start it with --allowed-host and this "
                    "name if the name is yours.",
                    421,
                )

    def _check_origin(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        method = scope.get("method", "")  # a socket has none
        pages = headers.getlist("origin")
        if not pages and method not in CHANGES_NOTHING:
            pages = headers.getlist("referer")
        foreign = [page for page in pages if not self.hosts.takes_from(page, _asked(headers))]
        site = headers.get("sec-fetch-site", OWN[0])
        if site not in OWN and not _opens_page(scope, headers):
            foreign.append(site)
        if foreign:
            raise Refused(
                f"This request came from another page ({foreign[0]}), and PSR Studio answers its own page only.",
                "Use the studio's own page; where a proxy shows it under another name, start it with --allowed-host "
                "and that name.",
                403,
            )


def _asked(headers: Headers) -> list[str]:
    """The hosts that a request names: its own, and the one that a proxy says it came for."""
    forwarded = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    return headers.getlist("host") + ([forwarded] if forwarded else [])


def _opens_page(scope: Scope, headers: Headers) -> bool:
    """True for a link on another site that opens the page."""
    return (
        scope.get("method") == "GET" and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
    )
