"""`psr-studio teach`: a teacher of one's own classes from one's own pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psr_studio.bundles.shipped import IMAGENET_TEACHER
from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command
from psr_studio.core.errors import ModelError
from psr_studio.core.files import check_path
from psr_studio.stages import teach

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.core.progress import Progress

NOTHING_WRITTEN = "Stopped. Nothing was written."
NAME_ONE = (
    "Name a folder of real pictures with --images, or --pool and the workspace whose pool serves instead."
)


def add_commands(commands: Any) -> None:
    """`teach`."""
    parser = add_command(commands, teach.STAGE.command, teach.STAGE.help, _teach, stopped=NOTHING_WRITTEN)
    add = parser.add_argument
    add("--images", metavar="FOLDER", help="real pictures, a folder per class; or what `import` reads")
    add("--pool", action="store_true", help="teach on the pool of the workspace instead, cross-fitted")
    add("-w", "--workspace", metavar="W", help="take classes and picture size of its bundle")
    add(
        "--out",
        metavar="FOLDER",
        help="where the teacher goes (default: teacher-NAME, or into the workspace)",
    )
    add(
        "--backbone", metavar="B", default=IMAGENET_TEACHER,
        help="the network under the head: a name of timm's or a teacher folder (default: %(default)s, which ships)",
    )  # fmt: skip
    add("--use", action="store_true", help="have the bundle of the workspace judge with it from then on")
    add("--download", action="store_true", help="fetch a backbone that is not on this machine")
    add("--device", metavar="D", default="auto", help="auto, cpu, cuda or mps")
    add("-q", "--quiet", action="store_true", help="no progress")


def _teach(args: argparse.Namespace) -> int:
    from psr_studio.stages.teach.report import Report
    from psr_studio.stages.teach.stage import use_command

    if (args.images is None) != args.pool or (args.pool and args.workspace is None):
        raise ModelError("It is not said which pictures to teach on.", NAME_ONE)
    if args.use and args.workspace is None:
        raise ModelError("It is not said which bundle is to use it.", "Name a workspace of it with -w.")
    with _begun(args) as (out, events, bundle):
        if args.use and bundle is not None:
            bundle.check_takes("teacher")
        consume(events, ProgressLine(sys.stderr, args.quiet))
        told = f"Use it with: {use_command(out, bundle.called if bundle else '')}"
        if args.use and bundle is not None:
            bundle.remember("teacher", out)
            told = f'"{bundle.name}" judges with it from now on.'
    print(f"{Report.read(out).text()}\n\nWrote {out}.\n{told}")
    return DONE


@contextmanager
def _begun(args: argparse.Namespace) -> Iterator[tuple[Path, Iterator[Progress], Bundle | None]]:
    """The folder of the teacher, the events of teaching it and its bundle, None without a workspace.

    The workspace stays open meanwhile.
    """
    from psr_studio.stages.teach.pictures import RealPictures
    from psr_studio.stages.teach.stage import Options, next_folder, teach

    if args.workspace is None:
        images = check_path(args.images)
        out = check_path(args.out or f"teacher-{images.absolute().name}")
        yield (
            out,
            teach(RealPictures(images), Options(out, args.backbone, None, args.download, args.device)),
            None,
        )
        return
    from psr_studio.app.studio import Studio

    with Studio(args.workspace, create=False) as studio:
        out = check_path(args.out or next_folder(studio.workspace.root))
        options = {"out": out, "backbone": args.backbone, "download": args.download, "device": args.device}
        yield out, studio.teach(args.images, **options), studio.bundle
