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
from psr_studio.workers.messages import Gone, Order, Said, Sign
from psr_studio.workers.worker import last_words

COMMAND = [sys.executable, "-m", "psr_studio.workers.process"]
TAIL_BYTES = 4000


@dataclass
class _Process:
    slot: int
    process: subprocess.Popen[bytes]
    errors: IO[bytes]


class LocalCrew:
    """See `Crew`. A process is started anew, never forked: torch would not survive it.

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
        self._said: queue.SimpleQueue[tuple[int, Said]] = queue.SimpleQueue()
        self._hired = 0

    def hire(self, order: Order) -> int:
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
        self._hired += 1
        worker = self._workers[self._hired] = _Process(slot, process, errors)
        self._tell(self._hired, order)
        threading.Thread(target=self._listen, args=(self._hired, worker), daemon=True).start()
        return self._hired

    def give(self, worker: int, group: Group | None) -> None:
        """Write it to the process."""
        self._tell(worker, group)

    def heard(self, seconds: float) -> list[tuple[int, Said]]:
        """What the processes wrote."""
        try:
            said = [self._said.get(timeout=seconds)]
        except queue.Empty:
            return []
        while not self._said.empty():
            said.append(self._said.get())
        return said

    def dismiss(self, worker: int) -> None:
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
            self.dismiss(worker)

    def _tell(self, worker: int, words: Order | Group | None) -> None:
        stream = self._workers[worker].process.stdin
        assert stream is not None
        try:
            pickle.dump(words, stream)
            stream.flush()
        except BrokenPipeError:
            pass  # it has died; the end of its output says so

    def _listen(self, number: int, worker: _Process) -> None:
        """Pass on what a process writes, in a thread of its own: pipes cannot be waited for alike everywhere."""
        assert worker.process.stdout is not None
        said: Said | None = None
        with worker.process.stdout as stream, worker.errors:
            try:
                while True:
                    said = pickle.load(stream)
                    self._said.put((number, said))
            except EOFError:
                pass
            except Exception:  # half a word, of whatever kind: what follows cannot be understood either
                worker.process.kill()
            status = worker.process.wait()
            if said is not Sign.OVER and not isinstance(said, StudioError):
                self._said.put((number, Gone(_end(status, worker.errors))))

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
    """How a process ended, and what it said last."""
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - TAIL_BYTES))
    words = last_words(errors.read().decode(errors="replace"))
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"{how}: {words}" if words else how
