"""NumPy arrays and torch tensors alike: compute in one of them, answer in the kind that came in."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def to_numpy(values: Any) -> np.ndarray:
    """View an array, tensor or sequence as a NumPy array on the CPU; bfloat16 becomes float32."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def to_float64(values: Any) -> np.ndarray:
    """View or copy an array, tensor or sequence as a float64 NumPy array."""
    return to_numpy(values).astype(np.float64, copy=False)


def like(result: np.ndarray, source: Any) -> Any:
    """Return `result` in the kind of `source`: a tensor on its device, or a NumPy array."""
    if not isinstance(source, torch.Tensor):
        return result
    return torch.from_numpy(np.ascontiguousarray(result)).to(source.device)


def like_float(result: np.ndarray, source: Any) -> Any:
    """As `like`, and in the float type of `source`: half precision becomes float32, whole numbers float64."""
    kind = to_numpy(source.new_empty(0) if isinstance(source, torch.Tensor) else source).dtype
    if kind.kind != "f":
        kind = np.dtype(np.float64)
    return like(result.astype(np.promote_types(kind, np.float32), copy=False), source)


def to_tensor(values: Any) -> torch.Tensor:
    """View an array or tensor as a torch tensor; half precision becomes float32, for exact losses."""
    tensor = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def from_tensor(result: torch.Tensor, source: Any) -> Any:
    """Return `result` in the kind of `source`: the tensor itself, or NumPy (a scalar without axes)."""
    return result if isinstance(source, torch.Tensor) else result.detach().numpy()[()]


def finite(values: Any, name: str) -> np.ndarray:
    """Return values, one or one row per candidate, as float64, or say which are not finite.

    Raises:
        ValueError: NaN or infinite values, with the name, how many and which.
    """
    array = to_float64(values)
    if np.isfinite(array).all():
        return array
    broken = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
    if len(broken):
        which = f"{len(broken)} of {len(array)} candidates"
        raise ValueError(f"The {name} of {which} are NaN or infinite: {name_some(broken)}.")
    return array


def name_some(positions: Any, limit: int = 5) -> str:
    """Write positions for an error message: "3, 7" or "0, 1, 2, 3, 4 and 12 more"."""
    numbers = [str(int(position)) for position in positions]
    rest = len(numbers) - limit
    return ", ".join(numbers[:limit]) + (f" and {rest} more" if rest > 0 else "")
