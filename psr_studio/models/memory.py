"""Out of memory is an answer, not an end: work on half as many items at once, and say so once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from psr_studio.errors import ModelError

LOG = logging.getLogger(__name__)
CPU_REFUSALS = ("can't allocate memory", "not enough memory", "std::bad_alloc")


class MicroBatches:
    """Computes rows in chunks that fit into memory; a chunk that does not is halved, for good.

    Each row's result must depend on that row alone, so chunks change it by rounding at most.

    Args:
        work: what is computed, in the words of a message, such as "denoising".
        size: rows at once to begin with; None for all that are given.
        items: what a row is, in the plural.
    """

    def __init__(self, work: str, size: int | None = None, items: str = "latents") -> None:
        self.work, self.size, self.items = work, size, items
        self._unsaid = ""

    def map(self, function: Callable[..., tuple[Tensor, ...]], *rows: Tensor) -> tuple[Tensor, ...]:
        """The results of `function` over chunks of equal rows of the tensors, joined; the function must be pure.

        Raises:
            ModelError: one row alone does not fit.
        """
        n, start, done = len(rows[0]), 0, []
        while start < n:
            size = min(self.size or n, n - start)
            found = self._try(function, [part[start : start + size] for part in rows], size)
            if found is None:  # what the failed try held is let go by now
                _give_back()
                continue
            done.append(found)
            start += size
        return done[0] if len(done) == 1 else tuple(torch.cat(parts) for parts in zip(*done, strict=True))

    def _try(
        self, function: Callable[..., tuple[Tensor, ...]], rows: list[Tensor], size: int
    ) -> tuple[Tensor, ...] | None:
        try:
            return function(*rows)
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            self._halve(size, err)
            return None

    def said(self) -> str:
        """The sentence about a halving since the last call, "" when there was none."""
        sentence, self._unsaid = self._unsaid, ""
        return sentence

    def _halve(self, size: int, err: BaseException) -> None:
        if size <= 1:
            raise ModelError(
                f"There is not enough memory for {self.work}, even for one of the {self.items} at a time "
                f"({str(err).splitlines()[0][:160]}).",
                'Close other programs that use this device, or set "Device" to another one.',
            ) from err
        self.size = size // 2
        self._unsaid = (
            f"Not enough memory for {self.work} {size} {self.items} at once: going on with {self.size}, "
            "same result, only slower."
        )
        LOG.warning("%s", self._unsaid)


def is_out_of_memory(err: BaseException) -> bool:
    """Whether an error says that a device, or the machine itself, has no memory left."""
    if isinstance(err, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(err, RuntimeError) and any(words in str(err) for words in CPU_REFUSALS)


def _give_back() -> None:
    if torch.cuda.is_initialized():  # the rows may come from the host
        torch.cuda.empty_cache()
