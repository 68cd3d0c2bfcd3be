"""`psr-studio helped`: which picks of a selection helped its students, as a table and as CSV."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command, add_studio_flags
from psr_studio.cli.studio import open_studio
from psr_studio.core.words import plural


def add_commands(commands: Any) -> None:
    """`helped`."""
    words = "Say which picks helped the students of the selection, by gradients and by leaving them out."
    parser = add_command(commands, "helped", words, _helped, stopped="Stopped. Nothing of it is kept.")
    add_studio_flags(parser)
    parser.add_argument(
        "--by", metavar="G", default="pick", help='pick, rank or class (default: "%(default)s")'
    )
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="also train students without each of them: as many as there are, times seeds; the cost is said first",
    )
    parser.add_argument(
        "--tag",
        metavar="T",
        help="give this tag to the picks that did not help, and take it from the others judged",
    )
    parser.add_argument("--csv", metavar="FILE", help="write all numbers there, too")


def _helped(args: argparse.Namespace) -> int:
    from psr_studio.core.files import check_path
    from psr_studio.stages.evaluate.influence import Helped

    out = None if args.csv is None else check_path(args.csv)
    with open_studio(args, create=False) as studio:
        if args.tag is not None:
            studio.workspace.ledger.set_tag(
                (), args.tag
            )  # one that is refused is refused before students train
        helped = Helped(studio.workspace, studio.recipe, studio.bundle, args.by, args.leave_out)
        consume(helped.run(), ProgressLine(sys.stderr, args.quiet))
        if args.tag is not None:
            for ids, on in ((helped.ids(helping=True), False), (helped.ids(helping=False), True)):
                studio.workspace.ledger.set_tag(ids, args.tag, on=on)
            print(f'{plural(len(ids), "pick")} with the tag "{args.tag}".', file=sys.stderr)
    print(helped.table())
    if out is not None:
        helped.write_csv(out)
        print(f"\nWrote {out}.")
    return DONE
