"""Stopping in the middle of a long computation, where the next event of a step is far off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Raised in a computation that somebody asked to stop; nothing that was written is lost."""


class _Wish(threading.local):
    """What this thread asks whether it is to stop."""

    asked: Callable[[], bool] | None = None


_WISH = _Wish()


@contextmanager
def stopped_by(asked: Callable[[], bool]) -> Iterator[None]:
    """In the block, and in this thread only, `stop_if_asked` raises as soon as `asked()` is true."""
    before, _WISH.asked = _WISH.asked, asked
    try:
        yield
    finally:
        _WISH.asked = before


def stop_if_asked() -> None:
    """Raise Stopped where this thread was asked to; called between two pieces of work that write nothing."""
    if _WISH.asked is not None and _WISH.asked():
        raise Stopped
