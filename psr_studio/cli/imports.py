"""`psr-studio import`: pictures made elsewhere become the pool."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command, add_studio_flags
from psr_studio.cli.studio import open_studio
from psr_studio.stages import importing

OPTIONS = ("split", "limit", "replace", "skip_unknown", "skip_broken")


def add_commands(commands: Any) -> None:
    """`import`."""
    parser = add_command(commands, importing.STAGE.command, importing.STAGE.help, _import)
    parser.add_argument(
        "path", help="a folder with a folder per class, a zip of one, Parquet or Arrow files, or a workspace"
    )
    add_studio_flags(parser)
    add = parser.add_argument
    add("--split", metavar="S", help="of a source that has several, such as train")
    add("--limit", type=int, metavar="N", help="take the first N pictures of each class")
    add(
        "--replace",
        action="store_true",
        help="give up the pool that is there, with its pins, vetoes and locks",
    )
    add("--skip-unknown", action="store_true", help="leave out folders that are no class")
    add("--skip-broken", action="store_true", help="leave out pictures that cannot be read")


def _import(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        events = studio.import_pool(args.path, **{key: getattr(args, key) for key in OPTIONS})
        print(consume(events, ProgressLine(sys.stderr, args.quiet)))
    return DONE
