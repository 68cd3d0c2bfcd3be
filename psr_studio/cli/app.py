"""`psr-studio app`, which `python app.py` is too: the screen in the browser."""

from __future__ import annotations

import argparse
from typing import Any

from psr_studio.cli.flags import DONE, add_command, add_worker_flags, add_workspace_flag
from psr_studio.ui.launch import launch


def add_commands(commands: Any) -> None:
    """`app`."""
    parser = add_command(commands, "app", "Open the studio in the browser.", _app)
    add_workspace_flag(parser, "folder for pool, scores, selections and results")
    add = parser.add_argument
    add(
        "-p",
        "--preset",
        help="shipped preset by name, or a TOML file; the workspace's own recipe when left out",
    )
    add("--replace-recipe", action="store_true", help="take the preset although parts would be made anew")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    add("--port", type=int, default=7860, help="port to listen on (%(default)s)")
    add("--auth", metavar="USER:PASSWORD", help="ask for this login")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer to this name too, such as a proxy's; may be given again",
    )
    add(
        "--root-path", metavar="PATH", default="", help="path under which a proxy shows the studio: /team/psr"
    )
    add("--no-browser", action="store_true", help="do not open a browser window")
    add("--device", help="where the networks run: auto, cpu, cuda or mps; as in the recipe when left out")
    add_worker_flags(parser)


def _app(args: argparse.Namespace) -> int:
    launch(args)
    return DONE
