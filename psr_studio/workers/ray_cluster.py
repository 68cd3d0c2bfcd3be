"""Workers as Ray actors, on one machine or many; each has a GPU where the cluster has any.

Ray restarts nothing by itself (`max_restarts` and `max_task_retries` are 0, explicitly): the driver replaces what
dies, so a group is never computed behind its back and the limit on deaths is its own. An actor has one call in
flight at most, which returns its messages; what was done stands in the workspace, not in Ray's memory.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from psr_studio.core.errors import StudioError
from psr_studio.stages.batches import Group
from psr_studio.workers.messages import Ended, Message, Signal, Task
from psr_studio.workers.worker import WorkerThread, last_lines

LOCAL = "local"
CONNECT_SECONDS = 10.0


class RayWorkers:
    """See `WorkerPool`. As many actors as the cluster has GPUs, or else CPUs; those without a place yet wait for one.

    Args:
        address: of a cluster; "auto" for the one on this machine, "local" to start one that ends with the step.
            Ray that this process uses already is used as it is.
        device: of the recipe; "cpu" leaves GPUs alone.

    Raises:
        StudioError: no cluster answers there, or it has neither GPUs nor CPUs.
    """

    def __init__(self, address: str, device: str = "auto") -> None:
        self._ray = _import_ray()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address)
        found = self._ray.cluster_resources()
        n_gpus = 0 if device == "cpu" else int(found.get("GPU", 0))
        self.size = n_gpus or int(found.get("CPU", 0))
        self.place = f'in the Ray cluster "{address}"'
        self.n_devices = self.size
        self._needs = {"num_gpus": 1} if n_gpus else {"num_cpus": 1}
        self._actors: dict[int, Any] = {}
        self._asked: dict[Any, int] = {}  # the call in flight -> worker
        self._started = 0
        if not self.size:
            self.close()
            raise StudioError(
                f'The Ray cluster "{address}" has neither GPUs nor CPUs for work.',
                "Add a node with `ray start --address=<head>`, or give the head some.",
            )

    def start(self, task: Task) -> int:
        """Ask Ray for an actor; it begins when the cluster has a place."""
        actor = self._ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=1, **self._needs)
        self._started += 1
        self._actors[self._started] = actor(WorkerThread).remote(task)
        self._ask(self._started)
        return self._started

    def assign(self, worker: int, group: Group | None) -> None:
        """Send it with the next call."""
        self._ask(worker, group)

    def receive(self, seconds: float) -> list[tuple[int, Message]]:
        """What the first calls to return brought."""
        done, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=seconds)
        return [(worker, message) for call in done for worker, message in self._answers(call)]

    def stop(self, worker: int) -> None:
        """Kill the actor: a part is renamed into place when it is whole, so nothing can be left half done."""
        actor = self._actors.pop(worker, None)
        self._asked = {call: number for call, number in self._asked.items() if number != worker}
        if actor is not None:
            self._ray.kill(actor, no_restart=True)

    def close(self) -> None:
        """Kill all that are left; a Ray that was connected to for this step is left again."""
        if not self._ray.is_initialized():
            return
        for worker in list(self._actors):
            self.stop(worker)
        if self._ours:
            self._ray.shutdown()

    def _ask(self, worker: int, *groups: Group | None) -> None:
        self._asked[self._actors[worker].exchange.remote(*groups)] = worker

    def _answers(self, call: Any) -> list[tuple[int, Message]]:
        """What a call brought; it is followed by the next unless the worker waits for a group, or is gone."""
        worker = self._asked.pop(call)
        try:
            messages: Sequence[Message] = self._ray.get(call)
        except self._ray.exceptions.RayError as err:
            messages = [
                Ended(f"was lost: {last_lines(str(err).partition('The actor')[0]) or type(err).__name__}")
            ]
        if isinstance(messages[-1], StudioError | Ended | Signal):
            return [(worker, message) for message in messages]
        self._ask(worker)
        return [(worker, message) for message in messages]


def _import_ray() -> ModuleType:
    """Ray, which sends statistics of its use to its makers unless it is told not to before it starts."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    return ray


def _connect(ray: ModuleType, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, include_dashboard=False, **quiet)
        else:
            _check_listening(address)
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as err:
        raise StudioError(
            f'No Ray cluster answers at "{address}" ({last_lines(str(err)) or type(err).__name__}).',
            'Start one with `ray start --head --disable-usage-stats`, correct the address, or use "--ray local".',
        ) from err


def _check_listening(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
