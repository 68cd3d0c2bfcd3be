"""`psr-studio train-bundle`: the embedded models from their data."""

from __future__ import annotations

import argparse
from typing import Any

from psr_studio.cli.flags import DONE, add_command


def add_commands(commands: Any) -> None:
    """`train-bundle`."""
    parser = add_command(commands, "train-bundle", "Train an embedded bundle from its data.", _train)
    parser.add_argument("name", help='the bundle, such as "fashion-mnist"')
    parser.add_argument(
        "--data", metavar="D", help="folder of the data set's own files (default: found or downloaded)"
    )
    parser.add_argument("--work", default="build/bundle", metavar="W", help="checkpoints, to resume from")
    parser.add_argument("--out", metavar="O", help="where the bundle goes (default: assets/<name>)")
    parser.add_argument("--seed", type=int, default=0)


def _train(args: argparse.Namespace) -> int:
    from psr_studio.core.resources import resource_dir
    from psr_studio.training.build import build_bundle

    out = args.out or resource_dir("assets") / args.name
    for text in build_bundle(args.name, args.data, args.work, out, seed=args.seed):
        print(text, flush=True)
    return DONE
