"""`psr-studio import`: pictures made elsewhere become the pool."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import Any

from psr_studio.cli.console import ProgressLine, consume, says_what_stands
from psr_studio.cli.flags import DONE, add_command, add_studio_flags
from psr_studio.cli.studio import open_studio
from psr_studio.stages import importing, reorder
from psr_studio.stages.importing.reading import VALUES

AS_IT_WAS = "Stopped. The pool is as it was."


def add_commands(commands: Any) -> None:
    """`import` and `reorder`."""
    order = add_command(commands, reorder.STAGE.command, reorder.STAGE.help, _reorder, stopped=AS_IT_WAS)
    add_studio_flags(order)
    order.add_argument(
        "--apply", action="store_true", help="take the order that fits best, where it is offered"
    )
    parser = add_command(commands, importing.STAGE.command, importing.STAGE.help, _import, stopped=AS_IT_WAS)
    parser.add_argument(
        "path",
        help="a folder with a folder per class, a zip or tar of one, WebDataset shards, Parquet or Arrow files, a CSV "
        "or JSON Lines list, tensors, or a workspace",
    )
    add_studio_flags(parser)
    add = parser.add_argument
    add_reading_flags(parser)
    add(
        "--labels",
        metavar="FILE",
        help="soft labels that come along, used instead of the teacher's: .npz, .pt, .safetensors, CSV, or a folder "
        "with a file per picture",
    )
    add("--limit", type=int, metavar="N", help="take the first N pictures of each class")
    add(
        "--replace",
        action="store_true",
        help="give up the pool that is there, with its pins, vetoes and locks",
    )
    add("--skip-unknown", action="store_true", help="leave out folders that are no class")
    add("--skip-broken", action="store_true", help="leave out pictures that cannot be read")

    add("--dry-run", action="store_true", help="say what would be taken and check soft labels, write nothing")
    add("--first-label", type=int, choices=(0, 1), help="where labels are numbers: that of the first class")
    add("--image-column", metavar="C", help="of a table with several that hold pictures")
    add("--label-column", metavar="C", help="of a table with several that hold labels")


def _reorder(args: argparse.Namespace) -> int:
    from psr_studio.stages.standing import Standing

    with open_studio(args, create=False) as studio:
        found = studio.class_order()
        print(f"{found.table}\n\n{found.text}", flush=True)
        if args.apply:
            ws = studio.workspace
            with says_what_stands(args, Standing(ws, ws.root / "pool", "pool")):
                print(consume(studio.reorder(), ProgressLine(sys.stderr, args.quiet)))
            print("Score again: the candidates have new numbers.")
        elif found.is_offered:
            print("To take it: the same command with --apply. Marks by hand go, scores are made again.")
    return DONE


def add_reading_flags(parser: argparse.ArgumentParser) -> None:
    """What is said of a source where it leaves a choice."""
    add = parser.add_argument
    add("--split", metavar="S", help="of a source that has several, such as train")
    add("--rule", metavar="R", help='how names of files say their class, such as "{class}_*" ("#": digits)')
    add("--values", metavar="V", help=f"what the numbers of tensors are: {', '.join(VALUES)}")


def _import(args: argparse.Namespace) -> int:
    from psr_studio.stages.importing.stage import Options
    from psr_studio.stages.standing import Standing

    with open_studio(args, create=not args.dry_run, keep=not args.dry_run) as studio:
        options = {field.name: getattr(args, field.name) for field in fields(Options)}
        if args.dry_run:
            print(studio.check_import(args.path, **options))
            return DONE
        ws = studio.workspace
        with says_what_stands(args, Standing(ws, ws.root / "pool", "pool")):
            print(consume(studio.import_pool(args.path, **options), ProgressLine(sys.stderr, args.quiet)))
    return DONE
