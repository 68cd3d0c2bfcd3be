"""One worker: it opens the workspace and the networks once, then does the groups it is handed."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.allocator import keep_freed_memory
from psr_studio.core.errors import StudioError, WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.stages.batches import Group, Work
from psr_studio.stages.table import STAGES
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.workspace import Workspace
from psr_studio.workers.messages import Gone, Order, Said, Sign

QUIET_SECONDS = 0.1  # between two events that finish nothing and show nothing
LAST_LINES = 3

Inbox = queue.SimpleQueue[Group | None]


def perform(order: Order, inbox: Inbox, say: Callable[[Said], None]) -> None:
    """Do what is put into `inbox`, until None comes; say READY before each, and OVER or the error at the end."""
    keep_freed_memory()
    import torch

    torch.set_num_threads(order.threads)  # holds for the thread that calls it, which is the one that computes
    try:
        _see_folder(order)
        with _open(order) as ws:
            bundle = load_bundle(order.recipe.bundle)
            _measure(order, ws, bundle, say)
            share = Work(order.total, order.found, _handed(inbox, say))
            events = STAGES[order.stage].run(ws, order.recipe, bundle, share=share)
            for event in _worth_saying(events):
                say(event)
        say(Sign.OVER)
    except StudioError as err:
        say(err)


class Hand:
    """A worker whose words are fetched: the step runs in a thread of its own, as a Ray actor needs it."""

    def __init__(self, order: Order) -> None:
        self._inbox: Inbox = queue.SimpleQueue()
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(order,), daemon=True).start()

    def exchange(self, *groups: Group | None) -> list[Said]:
        """Take groups in, if any, and return what was said since; waits for something to be said."""
        for group in groups:
            self._inbox.put(group)
        said = [self._said.get()]
        while not self._said.empty():
            said.append(self._said.get())
        return said

    def _work(self, order: Order) -> None:
        try:
            perform(order, self._inbox, self._said.put)
        except BaseException as err:  # a thread's end would be noticed by nobody
            self._said.put(Gone(last_words("".join(traceback.format_exception(err)))))


def last_words(text: str) -> str:
    """The last lines that a process wrote, in one."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " / ".join(lines[-LAST_LINES:])


def _handed(inbox: Inbox, say: Callable[[Said], None]) -> Iterator[Group]:
    while True:
        say(Sign.READY)
        group = inbox.get()
        if group is None:
            return
        yield group


def _open(order: Order) -> Workspace:
    """The workspace without its lock, which the driver holds, and with a ledger in memory."""
    ledger = Ledger(Path(":memory:"), exclusive=False)
    if order.selection is not None:
        ledger.save_selection(order.selection)
    return Workspace(order.root, ledger, None)


def _see_folder(order: Order) -> None:
    if not (order.root / order.token).is_file():
        import socket

        raise WorkspaceError(
            f'The workspace "{order.root}" is not the same folder on "{socket.gethostname()}" as on the machine '
            "that hands out the work.",
            "Put the workspace on a disk that all machines mount under the same path, or use --workers.",
        )


def _measure(order: Order, ws: Workspace, bundle: Bundle, say: Callable[[Said], None]) -> None:
    cost = STAGES[order.stage].cost
    if order.measure and cost and (found := cost(ws, order.recipe, bundle)).images:
        say(found)


def _worth_saying(events: Iterator[Progress]) -> Iterator[Progress]:
    """Leave out most of the events that only count."""
    said = 0.0
    for event in events:
        now = time.monotonic()
        if event.part_done or event.previews or event.lasting or now - said > QUIET_SECONDS:
            said = now
            yield event
