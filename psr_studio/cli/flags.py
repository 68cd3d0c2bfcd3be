"""Flags that several commands share, and what a command is to its parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from psr_studio.recipe.load import DEFAULT_PRESET

DONE, FAILED, REFUSED, STOPPED = 0, 1, 2, 130  # exit statuses
DEFAULT_WORKSPACE = "workspace"
MAKING = "generate, import, finetune, run, study and evaluate SET"  # a workspace where there is none

Run = Callable[[argparse.Namespace], int]


def add_command(commands: Any, name: str, text: str, run: Run, **more: Any) -> argparse.ArgumentParser:
    """Add a command; `run` does it and returns the exit status, `more` is what it finds in its arguments."""
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    made.set_defaults(run=run, command=name, **more)
    return made


def add_studio_flags(parser: argparse.ArgumentParser, *, budget: bool = True) -> None:
    """The flags of commands that open a workspace with a recipe, at one budget; see `cli.studio.open_studio`."""
    add_workspace_flag(parser, f"folder of the run; {MAKING} make it when missing")
    parser.add_argument(
        "-p", "--preset", metavar="P",
        help=f"preset by name, or a TOML file (default: the recipe of the workspace, else {DEFAULT_PRESET})",
    )  # fmt: skip
    parser.add_argument(
        "--replace-recipe", action="store_true", help="take the preset although parts would be made anew"
    )
    add_set_flag(parser, "select.psr.gamma=2")
    if budget:
        parser.add_argument("--ipc", type=int, metavar="K", help="images per class (select.ipc)")
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument(
        "--download", action="store_true", help="first fetch weights that are not on this machine"
    )


def add_workspace_flag(parser: argparse.ArgumentParser, text: str) -> None:
    """Which folder."""
    parser.add_argument(
        "-w", "--workspace", default=DEFAULT_WORKSPACE, metavar="W", help=f'{text} (default: "%(default)s")'
    )


def add_set_flag(parser: argparse.ArgumentParser, example: str) -> None:
    """Settings one by one."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help=f"change a setting, such as {example}; may be given again and again",
    )  # fmt: skip


def add_worker_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of stages that several processes can share."""
    parser.add_argument(
        "--workers", type=int, metavar="N",
        help="share the work, students included, among N processes, one per GPU; this one does it when left out",
    )  # fmt: skip
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="or by the Ray cluster there; auto: the one on this machine, local: start one",
    )  # fmt: skip
