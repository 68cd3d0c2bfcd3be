"""One worker: it opens the workspace and the networks once, then does the groups that are assigned to it."""

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
from psr_studio.core.home import provide_home
from psr_studio.core.progress import Progress
from psr_studio.stages.batches import Group, Work
from psr_studio.stages.table import STAGES
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.workspace import Workspace
from psr_studio.workers.messages import Ended, Message, Signal, Task

QUIET_SECONDS = 0.1  # between two events that finish nothing and show nothing
LAST_LINES = 3

Inbox = queue.SimpleQueue[Group | None]


def run_task(task: Task, inbox: Inbox, send: Callable[[Message], None]) -> None:
    """Do what is put into `inbox`, until None comes; send READY before each, and OVER or the error at the end."""
    keep_freed_memory()
    provide_home()
    import torch

    torch.set_num_threads(task.threads)  # holds for the thread that calls it, which is the one that computes
    try:
        _check_folder(task)
        with _open(task) as ws:
            bundle = load_bundle(task.recipe.bundle)
            _measure(task, ws, bundle, send)
            share = Work(task.total, task.found, _assigned(inbox, send))
            events = STAGES[task.stage].run(ws, task.recipe, bundle, share=share, **task.options)
            sent = 0
            for event in _worth_sending(events):
                trained = ws.ledger.evaluations() if event.part_done else []
                for record in trained[sent:]:  # for the driver's ledger; ours is in memory
                    send(record)
                sent = max(sent, len(trained))
                send(event)
        send(Signal.OVER)
    except StudioError as err:
        send(err)


class WorkerThread:
    """A worker whose messages are fetched: the step runs in a thread of its own, as a Ray actor needs it."""

    def __init__(self, task: Task) -> None:
        self._inbox: Inbox = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(task,), daemon=True).start()

    def exchange(self, *groups: Group | None) -> list[Message]:
        """Take groups in, if any, and return the messages since; waits for one."""
        for group in groups:
            self._inbox.put(group)
        messages = [self._messages.get()]
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages

    def _work(self, task: Task) -> None:
        try:
            run_task(task, self._inbox, self._messages.put)
        except BaseException as err:  # a thread's end would be noticed by nobody
            self._messages.put(Ended(last_lines("".join(traceback.format_exception(err)))))


def last_lines(text: str) -> str:
    """The last lines that a process wrote, in one."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " / ".join(lines[-LAST_LINES:])


def _assigned(inbox: Inbox, send: Callable[[Message], None]) -> Iterator[Group]:
    while True:
        send(Signal.READY)
        group = inbox.get()
        if group is None:
            return
        yield group


def _open(task: Task) -> Workspace:
    """The workspace without its lock, which the driver holds, and with a ledger in memory."""
    ledger = Ledger(Path(":memory:"), exclusive=False)
    for selection in task.selections:
        ledger.save_selection(selection)
    return Workspace(task.root, ledger, None)


def _check_folder(task: Task) -> None:
    if not (task.root / task.token).is_file():
        import socket

        raise WorkspaceError(
            f'The workspace "{task.root}" is not the same folder on "{socket.gethostname()}" as on the machine '
            "that hands out the work.",
            "Put the workspace on a disk that all machines mount under the same path, or use --workers.",
        )


def _measure(task: Task, ws: Workspace, bundle: Bundle, send: Callable[[Message], None]) -> None:
    cost = STAGES[task.stage].cost
    if task.measure and cost and (found := cost(ws, task.recipe, bundle)).images:
        send(found)


def _worth_sending(events: Iterator[Progress]) -> Iterator[Progress]:
    """Leave out most of the events that only count."""
    sent = 0.0
    for event in events:
        now = time.monotonic()
        if event.part_done or event.previews or event.lasting or now - sent > QUIET_SECONDS:
            sent = now
            yield event
