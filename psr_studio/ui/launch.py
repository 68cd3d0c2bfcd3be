"""Open PSR Studio in the browser: what `psr-studio app` runs.

Gradio and torch are imported late, so that `--help` and a port in use are answered at once.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from psr_studio.core.allocator import importing
from psr_studio.core.network import stay_offline, without_proxy

if TYPE_CHECKING:
    from fastapi import FastAPI

BEGAN = time.perf_counter()


def launch(arguments: argparse.Namespace) -> None:
    """Take the port first: it is what fails most often, and all that follows takes seconds.

    Raises:
        StudioError: the port, the login, the device, the preset or the workspace.
    """
    stay_offline()
    from psr_studio.ui.guard.hosts import Hosts
    from psr_studio.ui.guard.listen import address, bind, read_login, read_root_path, warning
    from psr_studio.ui.guard.temporary import own_temporary_folder

    login, root_path = read_login(arguments.auth), read_root_path(arguments.root_path)
    hosts = Hosts().behind(arguments.allowed_host)
    sock = bind(arguments.host, arguments.port)
    hosts = hosts.also(arguments.host, sock.getsockname()[0])
    if login is None and (text := warning(sock)):
        print(text, file=sys.stderr, flush=True)
    overrides = {"device": arguments.device} if arguments.device else {}
    taken = {"demo": True, "replace_recipe": arguments.replace_recipe}
    taken |= {"workers": arguments.workers, "ray": arguments.ray}
    with ExitStack() as stack:
        stack.enter_context(sock)
        imported = stack.enter_context(importing())
        from psr_studio.app.recent import note_opened
        from psr_studio.app.studio import Studio

        studio = stack.enter_context(Studio(arguments.workspace, arguments.preset, **taken, **overrides))
        stack.enter_context(own_temporary_folder())
        with without_proxy():
            from psr_studio.ui.desk import Desk, Wish
            from psr_studio.ui.screen import Screen
            from psr_studio.ui.server import build_app, open_browser, serve

        def opened(screen: Screen) -> None:
            root = screen.studio.workspace.root
            logging.basicConfig(filename=root / "log.txt", level=logging.WARNING, force=True)
            note_opened(root)

        def open_screen(wish: Wish) -> Screen:
            """Another workspace, as this program was asked to open the first one."""
            options = {**taken, "replace_recipe": False, "create": wish.makes}
            other = Studio(wish.path, wish.preset, **options, **overrides)
            try:
                return Screen(other, other.device_words)
            except BaseException:
                other.close()
                raise

        def app_of(screen: Screen, desk: Desk) -> FastAPI:
            return build_app(screen, login, hosts, root_path, desk)

        desk = Desk(Screen(studio, studio.device_words), app_of, open_screen, opened)

        def ready() -> None:
            url = address(sock)
            imported()
            seconds = time.perf_counter() - BEGAN
            print(f"PSR Studio is open at {url} after {seconds:.1f} s. Ctrl+C ends it.", flush=True)
            desk.screen.warm_up()
            if not arguments.no_browser:
                open_browser(url)

        try:
            serve(desk, sock, ready)
        finally:
            desk.close()
