"""Standard output and error: what cannot be printed there never stops or undoes the work that it is about."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from psr_studio.core.errors import StudioError


class Unfailing(io.RawIOBase):
    """A stream that keeps to itself why it could not be written; only a reader that has gone is told at once."""

    def __init__(self, raw: io.FileIO) -> None:
        self.below = raw
        self.lost: OSError | None = None

    def write(self, data: Any) -> int:
        """All of `data` counts as written."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest):
            try:
                rest = rest[self.below.write(rest) or 0 :]
            except BrokenPipeError:
                raise
            except OSError as err:
                self.lost = err
                break
        return size

    def writable(self) -> bool:
        """As every file."""
        return True

    def isatty(self) -> bool:
        """Whether somebody watches."""
        return self.below.isatty()

    def fileno(self) -> int:
        """The number of the stream below."""
        return self.below.fileno()


def open_streams() -> None:
    """Make the two streams such that every text can be printed to them; once, first thing in a program.

    A stream that is closed leads nowhere; a character that the encoding lacks is printed as its number; what a full
    disk refuses is lost, which `check_printed` tells.
    """
    for number in (0, 1, 2):
        _occupy(number)
    sys.stdout, sys.stderr = _opened(sys.stdout, 1), _opened(sys.stderr, 2)


def check_printed() -> None:
    """Raise StudioError where something could not be printed to standard output."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    sink = getattr(buffer, "raw", buffer)
    if isinstance(sink, Unfailing) and sink.lost is not None:
        raise StudioError(
            f"The command is done, but what it says could not be printed: {sink.lost.strerror}.",
            "Print it elsewhere: `psr-studio status` says what is there.",
        )


def _occupy(number: int) -> None:
    """Have a closed stream lead nowhere: the next file that is opened would get its number, and all that is printed."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def _opened(stream: Any, number: int) -> Any:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(raw, io.FileIO) or raw.fileno() != number:  # a console of Windows, or not ours
        return stream
    stream.flush()
    sink = Unfailing(raw)
    return io.TextIOWrapper(
        sink if buffer is raw else io.BufferedWriter(sink),  # type: ignore[arg-type]
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
