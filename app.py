"""Open PSR Studio in the browser: read arguments, open the workspace, build the page, launch.

python app.py --workspace runs/first --port 7861
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BEGAN = time.perf_counter()
# Before anything imports them: nothing in this program may call out.
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
           "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}  # fmt: skip


def read_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(prog="app.py", description="PSR Studio in the browser.")
    add = parser.add_argument
    add(
        "--workspace",
        default="workspace",
        help="folder for pool, scores, selections and results (%(default)s)",
    )
    add("--preset", help="shipped preset by name, or a TOML file; the workspace's own recipe when left out")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    add("--port", type=int, default=7860, help="port to listen on (%(default)s)")
    add("--auth", metavar="USER:PASSWORD", help="ask for this login")
    add("--no-browser", action="store_true", help="do not open a browser window")
    add("--device", help="where the networks run: auto, cpu, cuda or mps; as in the recipe when left out")
    return parser.parse_args(argv)


def in_words(device: torch.device) -> str:
    """ "CPU, 2 cores", or the name of the GPU."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"CPU, {n} cores" if device.type == "cpu" else device.type.upper()


def main(argv: list[str] | None = None) -> int:
    """Run the studio until Ctrl+C; 0, or 2 after an error that the user can mend."""
    arguments = read_arguments(argv)
    os.environ.update(OFFLINE)
    from psr_studio.errors import StudioError

    try:
        launch(arguments)
    except StudioError as err:
        print(err, file=sys.stderr)
        return 2
    return 0


def launch(arguments: argparse.Namespace) -> None:
    """Take the port first: it is what fails most often, and all that follows takes seconds."""
    from psr_studio.ui.listen import address, bind, read_login

    login = read_login(arguments.auth)
    sock = bind(arguments.host, arguments.port)
    from psr_studio.devices import pick_device
    from psr_studio.studio import Studio

    overrides = {"device": arguments.device} if arguments.device else {}
    with sock, Studio(arguments.workspace, arguments.preset, demo=True, **overrides) as studio:
        device = in_words(pick_device(studio.recipe.device))
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


if __name__ == "__main__":
    sys.exit(main())
