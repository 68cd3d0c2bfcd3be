"""A device whose memory is small."""

from __future__ import annotations

import torch

MOST = 2  # rows that fit


class SmallMemory(torch.nn.Module):
    """A device of which the network's first layer fills all but room for `MOST` rows: more are refused."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.refused = 0

    def forward(self, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        if len(x) > MOST:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.inner(x, *args, **kwargs)

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)
