"""The command line: its parser, and what becomes of errors.

Exit status: 0 done, 1 something unforeseen or something missing (doctor), 2 an error the user can act on, 130
stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Collection, Sequence
from pathlib import Path

from psr_studio.cli import (
    app,
    bench,
    candidates,
    doctor,
    helped,
    imports,
    listings,
    models,
    pools,
    projects,
    steps,
    studies,
    teach,
    train,
)
from psr_studio.cli.console import error_text
from psr_studio.cli.flags import DEFAULT_WORKSPACE, DONE, FAILED, REFUSED, STOPPED
from psr_studio.cli.terminal import check_printed, open_streams
from psr_studio.core.allocator import end_at_once, keep_freed_memory
from psr_studio.core.disk import foreseen
from psr_studio.core.errors import StudioError, did_you_mean
from psr_studio.core.home import provide_home
from psr_studio.core.version import __version__

GROUPS = (
    app,
    projects,
    steps,
    studies,
    candidates,
    pools,
    helped,
    bench,
    doctor,
    listings,
    train,
    models,
    imports,
    teach,
)
KEPT = "Stopped. What was written is kept: run the same command again to go on."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    open_streams()
    keep_freed_memory()
    end_at_once()
    provide_home()
    args = build_parser().parse_args(argv)
    try:
        status = args.run(args)
        check_printed()
        return status
    except StudioError as err:
        print(error_text(err), file=sys.stderr)
        return REFUSED
    except BrokenPipeError:  # `psr-studio status | head`: who listened has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print(f"\n{getattr(args, 'stopped', KEPT)}", file=sys.stderr)
        return STOPPED
    except Exception as err:  # the last line of defence: a log for us, one line for the user
        if (refused := foreseen(err)) is not None:
            print(error_text(refused), file=sys.stderr)
            return REFUSED
        print(_log(args, err), file=sys.stderr)
        return FAILED


class _Program(argparse.ArgumentParser):
    """Refuses a command that there is not in two sentences, with the nearest one; `commands` are those there are."""

    commands: Collection[str] = ()

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]
        words = sys.argv[1:] if args is None else args
        named = next((word for word in words if not word.startswith("-")), None)
        if named is not None and named not in self.commands:
            fix = f"{did_you_mean(named, self.commands)}`psr-studio --help` lists all commands."
            refused = StudioError(f'There is no command "{named}".', fix)
            self.exit(REFUSED, f"{error_text(refused)}\n")
        return super().parse_known_args(args, namespace)


class _Command(argparse.ArgumentParser):
    """Refuses a flag that it does not know by itself, with its own usage instead of that of all commands."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def build_parser() -> argparse.ArgumentParser:
    """All commands with their flags."""
    parser = _Program(
        prog="psr-studio", description="Generative dataset distillation by curation: pool, select, refine."
    )
    parser.add_argument("--version", action="version", version=f"psr-studio {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="<command>", parser_class=_Command
    )
    for group in GROUPS:
        group.add_commands(commands)
    parser.commands = commands.choices
    return parser


def _log(args: argparse.Namespace, err: Exception) -> str:
    """Append the traceback to <workspace>/log.txt; the line for the user says where it is, or holds it."""
    details = "".join(traceback.format_exception(err))
    words = f'Something unforeseen stopped "{args.command}": {type(err).__name__}: {err}'
    path = Path(getattr(args, "workspace", None) or DEFAULT_WORKSPACE) / "log.txt"
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"psr-studio {__version__} {args.command}\n{details}\n")
    except OSError:
        return f"{details}\n{words}"
    return f"{words}\nThe details are in {path}."


if __name__ == "__main__":
    sys.exit(main())
