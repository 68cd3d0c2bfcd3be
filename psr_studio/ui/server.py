"""The web server: our own routes under psr/, guarded by token and login, and Gradio's page at the root."""

from __future__ import annotations

import contextlib
import logging
import secrets
import signal
import socket
import threading
import time
import webbrowser
from collections.abc import Callable

import gradio as gr
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from psr_studio.core.errors import StudioError
from psr_studio.ui.curate.island import PRELOAD, STATIC_ROUTE, static_files
from psr_studio.ui.curate.lab_routes import lab_router
from psr_studio.ui.curate.routes import curate_router
from psr_studio.ui.file_routes import file_router
from psr_studio.ui.page import build_page
from psr_studio.ui.screen import Screen
from psr_studio.ui.splash import Splash
from psr_studio.ui.theme import static_text, studio_theme
from psr_studio.ui.words import on_screen

LOG = logging.getLogger(__name__)
TOKEN_HEADER = "X-PSR-Token"
POLL_SECONDS = 0.05
SHUTDOWN_SECONDS = 3


class Refused(StudioError):
    """A request without the token of the page or without a login."""


def build_app(screen: Screen, auth: tuple[str, str] | None = None) -> FastAPI:
    """The whole web application.

    Args:
        auth: user and password; None leaves the page open to whoever reaches the address.
    """
    # The pages that describe the routes would load scripts from elsewhere, so there are none.
    app = FastAPI(title="PSR Studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(StudioError, _say)
    app.add_exception_handler(RequestValidationError, _say_malformed)
    app.add_exception_handler(Exception, _say_unforeseen)
    guard = Depends(_guard(screen.token, auth is not None))
    app.include_router(curate_router(screen.curation), prefix="/psr", dependencies=[guard])
    app.include_router(lab_router(screen.lab, screen.selections), prefix="/psr", dependencies=[guard])
    app.include_router(file_router(screen), prefix="/psr", dependencies=[guard])
    app.mount(f"/{STATIC_ROUTE}", static_files())
    gr.mount_gradio_app(
        app,
        build_page(screen),
        path="/",
        auth=auth,
        theme=studio_theme(),
        css=static_text("css/page.css"),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=True,
    )
    app.add_middleware(Splash, links=PRELOAD)
    app.state.page = app.routes[-1].app  # type: ignore[attr-defined]
    return app


def _guard(token: str, login: bool) -> Callable[[Request], None]:
    """A dependency that refuses requests without the token and, when there is a login, without its cookie.

    Gradio's `auth` covers its own routes only. Its two cookies carry a key that it made at the login.
    """

    def check(request: Request) -> None:
        given = request.headers.get(TOKEN_HEADER) or request.query_params.get("token") or ""
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise Refused(
                "This address needs the token of the page.", "Reload the page and use it from there."
            )
        if not login:
            return
        page: ASGIApp = request.app.state.page
        names = [f"access-token{kind}-{page.cookie_id}" for kind in ("", "-unsecure")]  # type: ignore[attr-defined]
        if not any(request.cookies.get(name) in page.tokens for name in names):  # type: ignore[attr-defined]
            raise Refused("You are not logged in.", "Reload the page and log in.")

    return check


def _say(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, StudioError)
    status = 401 if isinstance(err, Refused) else 400
    return JSONResponse({"problem": on_screen(err.problem), "fix": on_screen(err.fix)}, status)


def _say_malformed(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, RequestValidationError)
    first = err.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    problem = f'The request to {request.url.path} is malformed: "{where}": {first["msg"]}.'
    return JSONResponse({"problem": problem, "fix": "Reload the page: it may be of an older version."}, 422)


def _say_unforeseen(request: Request, err: Exception) -> JSONResponse:
    LOG.error("%s %s", request.method, request.url.path, exc_info=err)
    problem = f"The studio met an error that was not foreseen ({type(err).__name__}: {err})."
    return JSONResponse(
        {"problem": problem, "fix": 'Look at "log.txt" in the workspace for the details.'}, 500
    )


def serve(app: FastAPI, sock: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until Ctrl+C or a request to end; `on_ready` is called once, when requests can be answered."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS)
    server = uvicorn.Server(config)
    # Pages hold a connection each, which is cut off at the end: nothing that the user should read about.
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)

    def watch() -> None:
        while not server.started and not server.should_exit:
            time.sleep(POLL_SECONDS)
        if server.started:
            on_ready()

    threading.Thread(target=watch, name="psr-ready", daemon=True).start()
    # uvicorn ends in good order and then raises the signal again: without this it would end us on the spot.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[sock])


def open_browser(url: str) -> None:
    """Open the page in the user's browser, if there is one."""
    try:
        webbrowser.open(url)
    except webbrowser.Error as err:
        LOG.warning("no browser opened: %s", err)
