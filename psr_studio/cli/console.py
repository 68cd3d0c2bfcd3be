"""Progress and errors on a terminal: one line that moves, or sparse lines where nobody watches."""

from __future__ import annotations

import argparse
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from psr_studio.core.errors import StudioError
from psr_studio.core.progress import Progress
from psr_studio.core.words import duration
from psr_studio.stages.table import STAGES

if TYPE_CHECKING:
    from psr_studio.stages.standing import Standing

BAR = 20
REDRAW_SECONDS = 0.1
SPARSE_SECONDS = 10.0
PRESS = re.compile(r'\b([Pp])ress ("[^"]+"(?: again)?(?: on the \w+ tab)?) \(or run (`[^`]+`)\)')


class ProgressLine:
    """Prints events to `stream`: an updating line on a terminal, otherwise a line per part or ten seconds."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self.stream = stream
        self.quiet = quiet
        self.moving = stream.isatty()
        self._drawn = 0.0
        self._open = False

    def show(self, event: Progress) -> None:
        """Draw an event, unless one was drawn a moment ago and this one finishes nothing."""
        if self.quiet:
            return
        if event.lasting:
            self.close()
            self.stream.write(event.message + "\n")
            self.stream.flush()
            return
        now = time.monotonic()
        wait = REDRAW_SECONDS if self.moving else SPARSE_SECONDS
        if not event.part_done and event.done < event.total and now - self._drawn < wait:
            return
        self._drawn = now
        if self.moving:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\x1b[K{progress_text(event, bar=True)[:width]}")
            self._open = True
        else:
            self.stream.write(progress_text(event) + "\n")
        self.stream.flush()

    def close(self) -> None:
        """End the moving line, so that what follows starts on its own."""
        if self._open:
            self.stream.write("\n")
            self.stream.flush()
            self._open = False


def consume(events: Iterator[Progress], line: ProgressLine) -> str:
    """Show events to the end and return what the last one said.

    On Ctrl-C the generator is closed, which keeps whole parts and leaves nothing half done.
    """
    said = ""
    try:
        for event in events:
            line.show(event)
            said = event.message
    finally:
        events.close()  # type: ignore[attr-defined]
        line.close()
    return said


@contextmanager
def says_what_stands(args: argparse.Namespace, standing: Standing) -> Iterator[None]:
    """Have `args.stopped` say what the block leaves on the disk, wherever it is stopped."""
    try:
        yield
    finally:
        args.stopped = standing.stopped_text()


def progress_text(event: Progress, bar: bool = False) -> str:
    """An event as 'pool  120/600 images, 24.1/s, 20 s left. Wrote ...', with a bar when asked for."""
    filled = round(BAR * event.fraction)
    drawn = f"[{'#' * filled}{'.' * (BAR - filled)}] " if bar else ""
    unit = STAGES[event.stage].unit
    parts = [f"{event.done}/{event.total} {unit or 'steps'}"]
    if unit and event.rate > 0:
        parts.append(f"{event.rate:.3g}/s")
    if event.eta_seconds:
        parts.append(f"{duration(event.eta_seconds)} left")
    return f"{event.stage:<8} {drawn}{', '.join(parts)}. {event.message}".rstrip()


def error_text(err: StudioError) -> str:
    """Two lines: what is wrong, and what to do, by a command first where a button does it, too."""
    return f"Problem: {PRESS.sub(_by_command, err.problem)}\nFix: {PRESS.sub(_by_command, err.fix)}"


def _by_command(press: re.Match[str]) -> str:
    return f"{'R' if press[1] == 'P' else 'r'}un {press[3]} (or press {press[2]})"
