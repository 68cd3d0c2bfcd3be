"""Workers as fresh processes on this machine, each with a GPU of its own where there are GPUs."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO

from psr_studio.core.errors import StudioError
from psr_studio.core.resources import PACKAGE
from psr_studio.stages.batches import Group
from psr_studio.workers.messages import Ended, Message, Signal, Task
from psr_studio.workers.worker import last_lines

COMMAND = [sys.executable, "-m", "psr_studio.workers.process"]
TAIL_BYTES = 4000


@dataclass
class _Process:
    slot: int
    process: subprocess.Popen[bytes]
    errors: IO[bytes]


class LocalWorkers:
    """See `WorkerPool`. A process is started anew, never forked: torch would not survive it.

    By subprocess and not by multiprocessing, whose processes share the driver's environment, terminal and errors: here
    each has a GPU and threads by its environment before torch is imported, does not hear Ctrl-C, and is quoted when it
    ends badly.

    Args:
        size: how many.
        device: of the recipe; "cpu" leaves GPUs alone.
    """

    def __init__(self, size: int, device: str = "auto") -> None:
        self.size = size
        self.place = "on this machine"
        self._device = device
        self.n_devices = len(self._gpus()) or _at_full_speed()
        self._workers: dict[int, _Process] = {}
        self._messages: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self._started = 0

    def start(self, task: Task) -> int:
        """Start a process in the first free slot."""
        taken = {worker.slot for worker in self._workers.values()}
        slot = next(i for i in range(len(taken) + 1) if i not in taken)
        errors = tempfile.TemporaryFile()
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=self._environment(slot),
            start_new_session=True,  # Ctrl-C is for the driver, which ends its workers
        )
        self._started += 1
        worker = self._workers[self._started] = _Process(slot, process, errors)
        self._send(self._started, task)
        threading.Thread(target=self._listen, args=(self._started, worker), daemon=True).start()
        return self._started

    def assign(self, worker: int, group: Group | None) -> None:
        """Write it to the process."""
        self._send(worker, group)

    def receive(self, seconds: float) -> list[tuple[int, Message]]:
        """What the processes wrote."""
        try:
            messages = [self._messages.get(timeout=seconds)]
        except queue.Empty:
            return []
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages

    def stop(self, worker: int) -> None:
        """Kill the process: a part is renamed into place when it is whole, so nothing can be left half done."""
        left = self._workers.pop(worker, None)
        if left is not None:
            left.process.kill()
            left.process.wait()
            assert left.process.stdin is not None
            try:
                left.process.stdin.close()
            except BrokenPipeError:
                pass  # it held something that nobody will read

    def close(self) -> None:
        """Kill all that are left."""
        for worker in list(self._workers):
            self.stop(worker)

    def _send(self, worker: int, content: Task | Group | None) -> None:
        stream = self._workers[worker].process.stdin
        assert stream is not None
        try:
            pickle.dump(content, stream)
            stream.flush()
        except BrokenPipeError:
            pass  # it has died; the end of its output says so

    def _listen(self, number: int, worker: _Process) -> None:
        """Pass on what a process writes, in a thread of its own: pipes cannot be waited for alike everywhere."""
        assert worker.process.stdout is not None
        message: Message | None = None
        with worker.process.stdout as stream, worker.errors:
            try:
                while True:
                    message = pickle.load(stream)
                    self._messages.put((number, message))
            except EOFError:
                pass
            except Exception:  # half a message: what follows cannot be read either
                worker.process.kill()
            status = worker.process.wait()
            if message is not Signal.OVER and not isinstance(message, StudioError):
                self._messages.put((number, Ended(_end(status, worker.errors))))

    def _environment(self, slot: int) -> dict[str, str]:
        """One GPU for each, in turn. Threads that wait must not spin where workers share the cores."""
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PACKAGE.parent)]))
        env = {**os.environ, "PYTHONPATH": path}
        if gpus := self._gpus():
            return env | {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]}
        return env | {"OMP_WAIT_POLICY": "passive"}

    def _gpus(self) -> list[str]:
        """Names of the GPUs that this process sees."""
        import torch

        if self._device == "cpu" or not torch.cuda.is_available():
            return []
        if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
            return named.split(",")
        return [str(i) for i in range(torch.cuda.device_count())]


def _at_full_speed() -> int:
    """Workers that a CPU has cores for: each computes with as many threads as this process would."""
    import torch

    from psr_studio.core.devices import n_cores

    return n_cores() // torch.get_num_threads() or 1


def _end(status: int, errors: IO[bytes]) -> str:
    """How a process ended, and what it wrote last."""
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - TAIL_BYTES))
    words = last_lines(errors.read().decode(errors="replace"))
    ending = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"{ending}: {words}" if words else ending
