"""`psr-studio compare-pools`: two workspaces' pools side by side, as a table and a page."""

from __future__ import annotations

import argparse
from typing import Any

from psr_studio.cli.flags import DONE, add_command


def add_commands(commands: Any) -> None:
    """`compare-pools`."""
    words = "Set the scored pools of two workspaces side by side: agreement, diversity, coverage, difficulty, pictures."
    parser = add_command(commands, "compare-pools", words, _compare)
    parser.add_argument("first", metavar="A", help="a workspace")
    parser.add_argument("second", metavar="B", help="another one, of the same classes and teacher")
    parser.add_argument(
        "--out", metavar="FILE", default="pools.html", help='the page (default: "%(default)s")'
    )


def _compare(args: argparse.Namespace) -> int:
    from psr_studio.app.studio import Studio
    from psr_studio.core.files import check_path, write_bytes
    from psr_studio.studies.pools import page_of, text_of

    out = check_path(args.out)
    with Studio(args.first, create=False) as first:
        found = first.compare_pools(args.second)
    write_bytes(out, page_of(found).encode())
    print("\n".join(filter(None, [text_of(found.rows), found.left_out])))
    print(f"\nWrote {out.absolute()}.")
    return DONE
