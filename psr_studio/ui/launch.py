"""Open PSR Studio in the browser: what `python app.py` and `psr-studio app` both run.

Gradio and torch are imported late, so that `--help` and a port in use are answered at once.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

from psr_studio.core.allocator import keep_freed_memory
from psr_studio.core.errors import StudioError
from psr_studio.core.network import stay_offline

BEGAN = time.perf_counter()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the screen."""
    add = parser.add_argument
    add(
        "-w",
        "--workspace",
        default="workspace",
        help="folder for pool, scores, selections and results (%(default)s)",
    )
    add(
        "-p",
        "--preset",
        help="shipped preset by name, or a TOML file; the workspace's own recipe when left out",
    )
    add("--replace-recipe", action="store_true", help="take the preset although parts would be made anew")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    add("--port", type=int, default=7860, help="port to listen on (%(default)s)")
    add("--auth", metavar="USER:PASSWORD", help="ask for this login")
    add("--no-browser", action="store_true", help="do not open a browser window")
    add("--device", help="where the networks run: auto, cpu, cuda or mps; as in the recipe when left out")
    add_worker_flags(parser)


def add_worker_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of steps that several processes can share."""
    parser.add_argument(
        "--workers", type=int, metavar="N",
        help="generate, score and refine by N processes, one per GPU; by this one when left out",
    )  # fmt: skip
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="or by the Ray cluster there; auto: the one on this machine, local: start one",
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """`python app.py`: run the studio until Ctrl+C; 0, or 2 after an error that the user can mend."""
    keep_freed_memory()
    parser = argparse.ArgumentParser(prog="app.py", description="PSR Studio in the browser.")
    add_flags(parser)
    try:
        launch(parser.parse_args(argv))
    except StudioError as err:
        print(err, file=sys.stderr)
        return 2
    return 0


def launch(arguments: argparse.Namespace) -> None:
    """Take the port first: it is what fails most often, and all that follows takes seconds.

    Raises:
        StudioError: the port, the login, the device, the preset or the workspace.
    """
    stay_offline()
    from psr_studio.ui.listen import address, bind, read_login

    login = read_login(arguments.auth)
    sock = bind(arguments.host, arguments.port)
    from psr_studio.app.studio import Studio

    overrides = {"device": arguments.device} if arguments.device else {}
    taken = {"demo": True, "replace_recipe": arguments.replace_recipe}
    taken |= {"workers": arguments.workers, "ray": arguments.ray}
    with sock, Studio(arguments.workspace, arguments.preset, **taken, **overrides) as studio:
        device = studio.device_words
        logging.basicConfig(filename=studio.workspace.root / "log.txt", level=logging.WARNING)
        from psr_studio.ui.screen import Screen
        from psr_studio.ui.server import build_app, open_browser, serve

        screen = Screen(studio, device)

        def ready() -> None:
            url = address(sock)
            seconds = time.perf_counter() - BEGAN
            print(f"PSR Studio is open at {url} after {seconds:.1f} s. Ctrl+C ends it.", flush=True)
            screen.warm_up()
            if not arguments.no_browser:
                open_browser(url)

        try:
            serve(build_app(screen, login), sock, ready)
        finally:
            screen.close()
