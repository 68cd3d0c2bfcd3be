"""Linear layers with frozen weights: packed once for the CPU, differentiable in their input only."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class FrozenLinear:
    """x W^T + b for weights that never change.

    On a CPU the weights are packed once into oneDNN's own blocks, which `torch.nn.Linear` does at every call
    or, in float32, not at all; the tanh GELU is then applied while the product is still in the cache.

    Args:
        weight: (out, in). bias: (out,) or None.
        pack: False leaves the weights as they are, for a compiler that packs them itself.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, pack: bool = True) -> None:
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self.packed = _pack(self.weight) if pack and can_pack(weight.device.type, weight.dtype) else None
        self._transposed: Tensor | None = None

    def __call__(self, x: Tensor, gelu: bool = False) -> Tensor:
        """(..., in) -> (..., out), then the tanh GELU where wanted."""
        if torch.is_grad_enabled() and x.requires_grad:
            y = F.linear(x, self.weight, self.bias) if self.packed is None else _Product.apply(x, self)
            return F.gelu(y, approximate="tanh") if gelu else y
        return self.product(x, gelu)

    def product(self, x: Tensor, gelu: bool = False) -> Tensor:
        """The same, without a gradient."""
        if self.packed is not None:
            return _multiply(x, self.packed, self.bias, gelu)
        y = F.linear(x, self.weight, self.bias)
        return F.gelu(y, approximate="tanh") if gelu else y

    def back(self, gradient: Tensor) -> Tensor:
        """The gradient of the input: gradient W."""
        if self._transposed is None:
            self._transposed = _pack(self.weight.t().contiguous())
        return _multiply(gradient.contiguous(), self._transposed, None, False)


class _Product(torch.autograd.Function):
    """A packed product; its weights need no gradient, so nothing is kept for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FrozenLinear) -> Tensor:
        ctx.layer = layer
        return layer.product(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.back(gradients[0]), None


@cache
def can_pack(device_type: str, dtype: torch.dtype) -> bool:
    """Whether this PyTorch packs weights of the type on this CPU and multiplies by them; tried once."""
    if device_type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        one = _multiply(torch.ones(2, 8, dtype=dtype), _pack(torch.ones(4, 8, dtype=dtype)), None, True)
        return bool(((one.float() - 8).abs() < 0.1).all())
    except (RuntimeError, AttributeError, NotImplementedError):  # these operators are PyTorch's inner ones
        return False


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    after = ("gelu", "tanh") if gelu else ("none", "")
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, after[0], [], after[1])
