"""The studio that a command asks for, with weights fetched first where that is said."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.recipe.keys import renamed
from psr_studio.recipe.load import parse_assignment

if TYPE_CHECKING:
    from psr_studio.app.studio import Studio


def open_studio(
    args: argparse.Namespace, create: bool = True, values: Mapping[str, Any] | None = None, keep: bool = True
) -> Studio:
    """A studio as the flags of `add_studio_flags` have it, and those of `add_worker_flags` where they are there.

    Without `create` a folder that is no workspace is an error: who only looks makes none.

    Args:
        values: settings that flags of the command's own have given.
        keep: what flags say is saved in the workspace; who only looks saves nothing.
    """
    from psr_studio.app.studio import Studio  # loads torch, so only when there is work

    budget = getattr(args, "ipc", None)
    settings = {**(values or {}), **renamed(dict(map(parse_assignment, args.assignments)), "--set")}
    settings |= {"select.ipc": budget} if budget is not None else {}
    settings |= {"device": args.device} if args.device is not None else {}
    workers: dict[str, Any] = {key: getattr(args, key, None) for key in ("workers", "ray")}
    options: dict[str, Any] = {
        "create": create,
        "replace_recipe": args.replace_recipe,
        "keep": keep,
        **workers,
    }
    studio = Studio(args.workspace, args.preset, **options, **settings)
    if args.download:
        try:
            say_licences(studio.bundle.missing_parts())
            consume(studio.download_weights(), ProgressLine(sys.stderr, args.quiet))
        except BaseException:
            studio.close()
            raise
    return studio


def say_licences(missing: list[Any]) -> None:
    """What is about to be fetched: size and licence of each source that can be fetched."""
    from psr_studio.bundles.sources import size_words

    for source in (s for s in missing if s.can_be_downloaded):
        print(f"{source.name}: {size_words(source.size)}, licence: {source.licence}", file=sys.stderr)
