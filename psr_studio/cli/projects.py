"""`psr-studio new`: a project from a folder of pictures."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command
from psr_studio.cli.imports import add_reading_flags

HELP = "Make a project of your own pictures: look at them, write its bundle file, import them."


def add_commands(commands: Any) -> None:
    """`new`."""
    parser = add_command(commands, "new", HELP, _new)
    add = parser.add_argument
    add("name", help="the workspace to make: a folder that holds no pool yet")
    add(
        "--pictures", required=True, metavar="P", help="the pool: a folder per class, or what an import reads"
    )
    add(
        "--real", metavar="P",
        help="real pictures, for controls, tuning and the test: a folder per class, or a file, which is copied",
    )  # fmt: skip
    add("--size", type=int, metavar="N", help="side of the pictures in pixels (default: what they fill)")
    add(
        "--teacher", metavar="T",
        help="a timm folder, a hub id or a name of timm (default: the ImageNet teacher that ships, if it is there)",
    )  # fmt: skip
    add_reading_flags(parser)
    add("--dry-run", action="store_true", help="say what is there and what would be made, write nothing")
    add("-q", "--quiet", action="store_true", help="no progress")


def _new(args: argparse.Namespace) -> int:
    from psr_studio.app.new_project import make, plan
    from psr_studio.stages.importing.reading import Reading

    reading = Reading(args.split, rule=args.rule, values=args.values)
    options = {"real": args.real, "side": args.size, "teacher": args.teacher}
    planned = plan(args.name, args.pictures, reading=reading, **options)
    print("\n".join(planned.lines), flush=True)
    if args.dry_run:
        print("Nothing was written.")
        return DONE
    print(consume(make(planned), ProgressLine(sys.stderr, args.quiet)))
    print(f"Open it: psr-studio app -w {shlex.quote(str(planned.workspace))}")
    return DONE
