"""What a local worker runs: `python -m psr_studio.workers.process`.

It reads a `Task`, then groups, from its standard input and writes messages to its standard output, both
pickled by and for the same program. It ends when its input ends: it never outlives its driver.
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from psr_studio.workers.messages import Message


def main() -> None:
    """Work until there is no more, or nobody to work for."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print from here on, in Python or below it, goes to standard error
    from psr_studio.workers.worker import run_task

    def send(message: Message) -> None:
        pickle.dump(message, writer)
        writer.flush()

    task = pickle.load(reader)
    inbox: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(reader, inbox), daemon=True).start()
    run_task(task, inbox, send)


def _listen(reader: BinaryIO, inbox: queue.SimpleQueue) -> None:
    try:
        while True:
            inbox.put(pickle.load(reader))
    finally:  # the driver has gone, perhaps in the middle of a message; a half-written part is under no name yet
        os._exit(1)


if __name__ == "__main__":
    main()
