"""How many workers, and where; what a user asks for is checked here, before anything is opened."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psr_studio.core.errors import StudioError

if TYPE_CHECKING:
    from psr_studio.workers.messages import WorkerPool

MOST_WORKERS = 1024


@dataclass(frozen=True)
class WorkerRequest:
    """Processes here (`workers` of them) or Ray actors (at the address `ray`); see `worker_request`."""

    workers: int | None = None
    ray: str | None = None

    def open(self, device: str) -> WorkerPool:
        """Make the pool, without a worker yet; StudioError when no Ray answers.

        Args:
            device: of the recipe; "cpu" leaves GPUs alone.
        """
        if self.ray is not None:
            from psr_studio.workers.ray_cluster import RayWorkers

            return RayWorkers(self.ray, device)
        from psr_studio.workers.local import LocalWorkers

        assert self.workers is not None
        return LocalWorkers(self.workers, device)


def worker_request(workers: int | None = None, ray: str | None = None) -> WorkerRequest | None:
    """The workers that were asked for, None for none: then each step runs in this very process.

    Args:
        workers: processes on this machine, one per GPU.
        ray: address of a Ray cluster; "auto" for the one on this machine, "local" to start one.

    Raises:
        StudioError: both at once, a number that is too small or too large, or no Ray here.
    """
    if workers is not None and ray is not None:
        raise StudioError(
            f'Both {workers} workers and Ray at "{ray}" are asked for, but a step is shared in one of these ways.',
            'Leave out "--workers" or "--ray".',
        )
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise StudioError(
            f"{workers} workers are asked for, but the number must be 1 to {MOST_WORKERS}.",
            'Set "--workers" to the number of your GPUs, or leave it out.',
        )
    if ray is not None and not ray.strip():
        raise StudioError(
            "Ray is asked for without an address.",
            'Set "--ray" to "auto" for the cluster on this machine, to "local" to start one, or to its address.',
        )
    if ray is not None and importlib.util.find_spec("ray") is None:
        raise StudioError(
            f'"--ray {ray}" needs Ray, which is not installed here.',
            'Install it with `pip install "psr-studio[ray]"` (in a checkout: `pip install -e ".[ray]"`), '
            'or use "--workers".',
        )
    if workers is None and ray is None:
        return None
    return WorkerRequest(workers, ray)
