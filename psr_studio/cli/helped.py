"""`psr-studio helped`: which picks of a selection helped its students, as a table and as CSV."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command, add_studio_flags
from psr_studio.cli.studio import open_studio
from psr_studio.core.words import plural
from psr_studio.stages.helped import STAGE


def add_commands(commands: Any) -> None:
    """`helped`."""
    parser = add_command(commands, STAGE.name, STAGE.help, _helped)
    add_studio_flags(parser)
    parser.add_argument(
        "--by", metavar="G", default="pick", help='pick, rank or class (default: "%(default)s")'
    )
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="also train students without each of them: as many as there are, times seeds; the cost is said first, and "
        "a student that is trained is kept",
    )
    parser.add_argument(
        "--tag",
        metavar="T",
        help="give this tag to the picks that did not help, and take it from the others judged",
    )
    parser.add_argument("--csv", metavar="FILE", help="write all numbers there, too")


def _helped(args: argparse.Namespace) -> int:
    from psr_studio.core.files import check_path

    out = None if args.csv is None else check_path(args.csv)
    with open_studio(args, create=False) as studio:
        if args.tag is not None:
            studio.workspace.ledger.set_tag((), args.tag)  # refused, if it is, before students train
        helped = studio.judged(args.by, args.leave_out)
        consume(helped.run(), ProgressLine(sys.stderr, args.quiet))
        if args.tag is not None:
            helped.tag(args.tag)
            n = len(helped.ids(helping=False))
            print(f'{plural(n, "pick")} with the tag "{args.tag}".', file=sys.stderr)
    print(helped.table())
    if out is not None:
        helped.write_csv(out)
        print(f"\nWrote {out}.")
    return DONE
