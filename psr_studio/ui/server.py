"""The web server: our own routes under psr/, which ask for the token, and Gradio's page at the root.

Around both, from the outside in: `Shield` (hosts and origins), `AtOpening` (pages of an earlier opening), `LoginWall`,
`OnlyUploads` (files that requests name) and `Splash` (the page as it is sent).
"""

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
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from psr_studio.core.errors import OvertakenError, StudioError
from psr_studio.ui.curate.island import PRELOAD, STATIC_ROUTE, static_files
from psr_studio.ui.curate.lab_routes import lab_router
from psr_studio.ui.curate.query_routes import query_router
from psr_studio.ui.curate.routes import curate_router
from psr_studio.ui.curate.view_routes import view_router
from psr_studio.ui.desk import Desk
from psr_studio.ui.file_routes import file_router
from psr_studio.ui.guard.hosts import Hosts
from psr_studio.ui.guard.login import LoginWall
from psr_studio.ui.guard.opening import AtOpening, gone
from psr_studio.ui.guard.refusal import Refused, told
from psr_studio.ui.guard.shield import HEADERS, Shield
from psr_studio.ui.guard.uploads import OnlyUploads
from psr_studio.ui.job_routes import job_router
from psr_studio.ui.page import build_page
from psr_studio.ui.screen import Screen
from psr_studio.ui.splash import Splash
from psr_studio.ui.theme import static_text, studio_theme
from psr_studio.ui.workspace_routes import workspace_router

LOG = logging.getLogger(__name__)
TOKEN_HEADER = "X-PSR-Token"
LOCAL = Hosts()
PAGE_SHEETS = ("tokens", "page", "steps", "menus")
SESSIONS = (
    32  # pages whose values Gradio keeps, about 0.5 MiB each; an older one is drawn anew when it asks again
)
POLL_SECONDS = 0.05
SHUTDOWN_SECONDS = 3


def build_app(
    screen: Screen,
    auth: tuple[str, str] | None = None,
    hosts: Hosts = LOCAL,
    root_path: str = "",
    desk: Desk | None = None,
) -> FastAPI:
    """The web application of one workspace.

    Args:
        auth: user and password; None leaves the page open to whoever reaches the address.
        hosts: names that it answers to, this machine's own by default.
        root_path: path under which a proxy shows it, such as "/team/psr".
        desk: that puts another workspace in its place; without one it stays this one.
    """
    # The pages that describe the routes would load scripts from elsewhere, so there are none.
    app = FastAPI(title="PSR Studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(StudioError, _say)
    app.add_exception_handler(RequestValidationError, _say_malformed)
    app.add_exception_handler(Exception, _say_unforeseen)
    name = screen.studio.workspace.root.name
    guard = Depends(_guard(screen, name))
    app.include_router(curate_router(screen.workbench), prefix="/psr", dependencies=[guard])
    app.include_router(lab_router(screen), prefix="/psr", dependencies=[guard])
    app.include_router(query_router(screen), prefix="/psr", dependencies=[guard])
    app.include_router(view_router(screen), prefix="/psr", dependencies=[guard])
    app.include_router(file_router(screen), prefix="/psr", dependencies=[guard])
    app.include_router(job_router(screen), prefix="/psr", dependencies=[guard])
    if desk is not None:
        app.include_router(workspace_router(screen, desk), prefix="/psr", dependencies=[guard])
    app.mount(f"/{STATIC_ROUTE}", static_files())
    page = build_page(screen)
    # `launch` would set these two, mounting does not: without the first, Gradio takes any file for one of its own.
    page.has_launched = True
    page.state_session_capacity = SESSIONS
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        app_kwargs={"openapi_url": None},
        auth=auth,
        root_path=root_path or None,
        theme=studio_theme(),
        css="".join(static_text(f"css/{name}.css") for name in PAGE_SHEETS),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=True,
    )
    mounted = app.state.page = app.routes[-1].app  # type: ignore[attr-defined]
    app.add_middleware(Splash, opening=screen.opening, links=PRELOAD)
    app.add_middleware(OnlyUploads, folder=Path(mounted.uploaded_file_dir))
    if auth is not None:
        app.add_middleware(LoginWall, page=mounted)
    app.add_middleware(AtOpening, opening=screen.opening, name=name)
    app.add_middleware(Shield, hosts=hosts, root_path=root_path)
    return app


def _guard(screen: Screen, name: str) -> Callable[[Request], None]:
    """A dependency that refuses requests without the token of the page, by the opening that stands before it."""

    def check(request: Request) -> None:
        given = request.headers.get(TOKEN_HEADER) or request.query_params.get("token") or ""
        opening, dot, _ = given.partition(".")
        if dot and opening != screen.opening:
            raise gone(name)
        if not secrets.compare_digest(given.encode(), screen.token.encode()):
            raise Refused(
                "This address needs the token of the page.", "Reload the page and use it from there.", 401
            )

    return check


def _say(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, StudioError)
    status = err.status if isinstance(err, Refused) else 409 if isinstance(err, OvertakenError) else 400
    return told(err, status)


def _say_malformed(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, RequestValidationError)
    first = err.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    problem = f'The request to {request.url.path} is malformed: "{where}": {first["msg"]}.'
    return JSONResponse({"problem": problem, "fix": "Reload the page: it may be of an older version."}, 422)


def _say_unforeseen(request: Request, err: Exception) -> JSONResponse:
    LOG.error("%s %s", request.method, request.url.path, exc_info=err)
    problem = f"The studio met an error that was not foreseen ({type(err).__name__}: {err})."
    answer = told(StudioError(problem, 'Look at "log.txt" in the workspace for the details.'), 500)
    answer.headers.update(HEADERS)  # the one answer that is made outside of `Shield`
    return answer


def serve(app: Desk, sock: socket.socket, on_ready: Callable[[], None]) -> None:
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
