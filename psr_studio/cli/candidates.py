"""`psr-studio candidates`: those that a query names, as CSV, and their tags; `psr-studio variations` of one of them."""

from __future__ import annotations

import argparse
import csv
import sys
from typing import Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command, add_studio_flags, add_worker_flags
from psr_studio.cli.studio import open_studio
from psr_studio.core.words import plural


def add_commands(commands: Any) -> None:
    """`candidates`, `variations`."""
    words = "Print the candidates that a query names as CSV, or tag them."
    parser = add_command(commands, "candidates", words, _candidates)
    add_studio_flags(parser)
    parser.add_argument(
        "--where",
        metavar="QUERY",
        default="",
        help='such as "difficulty > 0.5, not picked, class Shirt, tag blurry"; all when left out',
    )
    tagging = parser.add_mutually_exclusive_group()
    tagging.add_argument("--tag", metavar="T", help="give them this tag")
    tagging.add_argument("--untag", metavar="T", help="take this tag from them")
    words = "Generate variations of a candidate, from its latent with noise on it, and score them."
    varying = add_command(commands, "variations", words, _variations)
    varying.add_argument(
        "candidate", type=int, metavar="CANDIDATE", help="its number, as candidates prints it"
    )
    varying.add_argument("--count", type=int, default=8, metavar="N", help="how many (default: %(default)s)")
    varying.add_argument(
        "--strength", type=float, default=0.5, metavar="S",
        help="share of the denoising steps taken from it on, above 0 to 1 (default: %(default)s)",
    )  # fmt: skip
    add_studio_flags(varying)
    add_worker_flags(varying)


def _variations(args: argparse.Namespace) -> int:
    with open_studio(args, create=False) as studio:
        events = studio.variations(args.candidate, args.count, args.strength)
        consume(events, ProgressLine(sys.stderr, args.quiet))
        made = studio.pool.candidate_ids[studio.pool.parents_at(range(len(studio.pool)))[0] == args.candidate]
        print(f"Variations of {args.candidate}: {', '.join(map(str, made[-args.count :]))}")
    return DONE


def _candidates(args: argparse.Namespace) -> int:
    from psr_studio.stages.importing.stage import has_seeds
    from psr_studio.stages.select.candidates import COLUMNS, rows_of

    with open_studio(args, create=False) as studio:
        curation, ledger = studio.curation, studio.workspace.ledger
        found = curation.where(args.where)
        if args.tag is not None or args.untag is not None:
            tag = args.tag if args.untag is None else args.untag
            ledger.set_tag(studio.pool.candidate_ids[found].tolist(), tag, on=args.untag is None)
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows_of(curation.shown(), ledger, found, has_seeds(studio.workspace)))
        print(f"{plural(len(found), 'candidate')} of {curation.scored.n:,}", file=sys.stderr)
    return DONE
