"""How much a network computes, and how much the device could: what a speed is a share of."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from psr_studio.core.devices import wait
from psr_studio.models.codec import Codec
from psr_studio.models.denoiser import PlainDenoiser
from psr_studio.models.generator import Generator
from psr_studio.models.linear import FrozenLinear

# Rows, depth and columns of the products tried: the widest of DiT-XL/2 at a batch of 128, and a square one.
SHAPES = {
    "cuda": ((32768, 1152, 4608), (32768, 4608, 1152), (8192, 8192, 8192)),
    "cpu": ((4096, 1152, 4608), (2048, 2048, 2048)),
}
TIMES = 12


def product_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of a few matrix products, plain or packed; a multiplication and an addition are two."""
    return max(_product(shape, device, dtype) for shape in SHAPES.get(device.type, SHAPES["cpu"]))


def _product(shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> float:
    rows, depth, columns = shape
    a = torch.randn(rows, depth, device=device, dtype=dtype)
    b = torch.randn(depth, columns, device=device, dtype=dtype)
    packed = FrozenLinear(b.t().contiguous(), None)
    return max(_rate(lambda: torch.mm(a, b), shape, device), _rate(lambda: packed(a), shape, device))


def _rate(multiply: Callable[[], Tensor], shape: tuple[int, int, int], device: torch.device) -> float:
    seconds = []
    for _ in range(TIMES):
        wait(device)
        began = time.perf_counter()
        multiply()
        wait(device)
        seconds.append(time.perf_counter() - began)
    return 2 * math.prod(shape) / statistics.median(seconds)


@torch.no_grad()
def flop_per_pass(generator: Generator) -> int:
    """FLOP of one latent through the network once, counted over diffusers' own forward pass."""
    network = PlainDenoiser(generator.transformer)
    z = torch.zeros(1, *generator.latent_shape, device=generator.device, dtype=generator.transformer.dtype)
    at = network.condition(torch.tensor([500], device=z.device), torch.tensor([0], device=z.device))
    with FlopCounterMode(display=False) as counter:
        network(z, at)
    return counter.get_total_flops()


@torch.no_grad()
def flop_per_picture(codec: Codec) -> int:
    """FLOP of decoding one latent."""
    z = torch.zeros(1, *codec.latent_shape, device=next(codec.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        codec.decode(z)
    return counter.get_total_flops()
