"""What a local worker runs: `python -m psr_studio.workers.process`.

It reads an `Order`, then groups, from its standard input and writes what it says to its standard output, both
pickled by and for the same program. It ends when its input ends: it never outlives its driver.
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from psr_studio.workers.messages import Said


def main() -> None:
    """Work until there is no more, or nobody to work for."""
    hear, talk = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print from here on, in Python or below it, goes to standard error
    from psr_studio.workers.worker import perform

    def say(said: Said) -> None:
        pickle.dump(said, talk)
        talk.flush()

    order = pickle.load(hear)
    inbox: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(hear, inbox), daemon=True).start()
    perform(order, inbox, say)


def _listen(hear: BinaryIO, inbox: queue.SimpleQueue) -> None:
    try:
        while True:
            inbox.put(pickle.load(hear))
    finally:  # the driver has gone, perhaps in the middle of a word; a half-written part is under no name yet
        os._exit(1)


if __name__ == "__main__":
    main()
