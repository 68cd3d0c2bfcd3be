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
    from psr_studio.core.files import check_path
    from psr_studio.studies.measures import real_features
    from psr_studio.studies.pools import Side, rows_of, sides, text_of, write_page

    out = check_path(args.out)
    with Studio(args.first, create=False) as first, Studio(args.second, create=False) as second:
        pair = sides(*(Side(one.workspace.root.name, one.curation.scored) for one in (first, second)))
        real = real_features(first.bundle, pair[0].scored.present, first.recipe.device)
        rows = rows_of(pair, real)
        write_page(out, pair, rows)
    print(f"{text_of(rows)}\n\nWrote {out}.")
    return DONE
