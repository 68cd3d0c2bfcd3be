"""Out of memory is an answer, not an end: work on half as many items at once, and say so once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from psr_studio.core.errors import ModelError
from psr_studio.core.stopping import stop_if_asked

T = TypeVar("T")

LOG = logging.getLogger(__name__)
REFUSALS = (  # in lower case; PyTorch has a class of its own for the refusals of its CUDA allocator only
    "can't allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "error: out of memory",  # "CUDA error: ...", "CUDA driver error: ...", "HIP error: ..."
    "mps backend out of memory",
    "blas_status_alloc_failed",  # cuBLAS and hipBLAS ask for their workspace themselves
    "cudnn_status_alloc_failed",
    "allocation_failed",  # cuDNN 9: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
)
SAME = "same result, only slower"


class MicroBatches:
    """Computes rows in chunks that fit into memory; a chunk that does not is halved, for good.

    Each row's result must depend on that row alone, so chunks change it by rounding at most.

    Args:
        work: what is computed, in the words of a message, such as "denoising".
        size: rows at once to begin with; None for all that are given.
        items: what a row is, in the plural.
        effect: what smaller chunks do to the result.
    """

    def __init__(
        self, work: str, size: int | None = None, items: str = "latents", effect: str = SAME
    ) -> None:
        self.work, self.size, self.items, self.effect = work, size, items, effect
        self._notice = ""

    def map(self, function: Callable[..., tuple[Tensor, ...]], *rows: Tensor) -> tuple[Tensor, ...]:
        """The results of `function` over chunks of equal rows of the tensors, joined; the function must be pure.

        Raises:
            ModelError: one row alone does not fit.
        """
        n, start, done = len(rows[0]), 0, []
        while start < n:
            size = min(self.size or n, n - start)
            found = self._try(partial(function, *(part[start : start + size] for part in rows)), size)
            if found is None:  # what the failed try held is let go by now
                _give_back()
                continue
            done.append(found)
            start += size
        return done[0] if len(done) == 1 else tuple(torch.cat(parts) for parts in zip(*done, strict=True))

    def whole(self, function: Callable[[list[slice]], T], n: int) -> T:
        """`function` of the chunks of n rows, begun anew with smaller ones where one does not fit.

        For what adds up over all rows, such as a gradient; the function must undo what an earlier try left.

        Raises:
            ModelError: one row alone does not fit.
        """
        while True:
            size = min(self.size or n, n)
            chunks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
            found = self._try(partial(function, chunks), size)
            if found is not None:
                return found
            _give_back()

    def _try(self, function: Callable[[], T], size: int) -> T | None:
        stop_if_asked()  # every network computes by way of here
        try:
            return function()
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            self._halve(size, err)
            return None

    def take_notice(self) -> str:
        """The sentence about a halving, "" when there was none; it is given out once."""
        sentence, self._notice = self._notice, ""
        return sentence

    def _halve(self, size: int, err: BaseException) -> None:
        if size <= 1:
            raise ModelError(
                f"There is not enough memory for {self.work} even one of the {self.items} at a time "
                f"({str(err).splitlines()[0][:160]}).",
                'Close other programs that use this device, or set "Device" to another one.',
            ) from err
        self.size = size // 2
        self._notice = (
            f"Not enough memory for {self.work} {size} {self.items} at once: going on with {self.size}, "
            f"{self.effect}."
        )
        LOG.warning("%s", self._notice)


def is_out_of_memory(err: BaseException) -> bool:
    """Whether an error says that a device, or the machine itself, has no memory left."""
    if isinstance(err, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(err, RuntimeError) and any(words in str(err).lower() for words in REFUSALS)


def has_room(n_bytes: int, device: torch.device) -> bool:
    """Whether so much may stay on a device for long: at most half of what a GPU has free, the work needs the rest."""
    return device.type != "cuda" or 2 * n_bytes <= torch.cuda.mem_get_info(device)[0]


def _give_back() -> None:
    if torch.cuda.is_initialized():  # the rows may come from the host
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
