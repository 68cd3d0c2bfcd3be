"""Device, dtype and randomness, decided once at the edge; everything below follows its inputs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from psr_studio.core.errors import StudioError

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(request: str = "auto") -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:<n>" or "mps".

    Raises:
        StudioError: a GPU was asked for and none (or not that one) is there.
    """
    kind, _, number = request.partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    if kind in ("cuda", "auto") and torch.cuda.is_available():
        if number and int(number) >= torch.cuda.device_count():
            raise StudioError(
                f'"{request}" was asked for, but this machine has {torch.cuda.device_count()} GPU(s), '
                "numbered from 0.",
                'Set "Device" to a GPU that is there, or to "auto".',
            )
        return torch.device(request if kind == "cuda" else "cuda")
    if kind in ("mps", "auto") and torch.backends.mps.is_available():
        return torch.device("mps")
    if kind == "auto":
        return torch.device("cpu")
    if kind not in DEVICES:
        raise StudioError(f'"{request}" is no device.', f'Set "Device" to one of {", ".join(DEVICES)}.')
    raise StudioError(
        f'A GPU ("{request}") was asked for, but PyTorch {torch.__version__} finds none on this machine.',
        'Set "Device" to "auto" or "cpu", or install a PyTorch build and driver that see the GPU.',
    )


def in_words(device: torch.device) -> str:
    """ "CPU, 2 cores", or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {n_cores()} cores" if device.type == "cpu" else device.type.upper()


def n_cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_has_bfloat16() -> bool:
    """True where the CPU multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def pick_dtype(device: torch.device) -> torch.dtype:
    """The dtype networks sample in. Never float16 on a CPU: its matrix products are pathologically slow there."""
    if device.type == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bfloat16() else torch.float32


def candidate_seed(base_seed: int, class_id: int, index: int) -> int:
    """The candidate's own 63-bit seed; depends on nothing but these three numbers."""
    digest = hashlib.blake2b(f"{base_seed}/{class_id}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def candidate_generator(seed: int) -> torch.Generator:
    """A CPU generator: noise is drawn on the CPU and moved, so every device starts from the same bits."""
    return torch.Generator("cpu").manual_seed(seed)


def stacked_noise(
    generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device | str = "cpu"
) -> Tensor:
    """Standard normal noise (len(generators), *shape), row i from generator i alone; float32."""
    return sent(torch.stack([torch.randn(tuple(shape), generator=g) for g in generators]), device)


def sent(rows: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on the device; neither waits for the other where a GPU fetches it from the host."""
    if torch.device(device).type != "cuda" or rows.device.type != "cpu":
        return rows.to(device)
    return rows.pin_memory().to(device, non_blocking=True)


def wait(device: torch.device) -> None:
    """Return when all that was asked of the device is done: what is timed must be over."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def own_stream(device: torch.device) -> Callable[[], AbstractContextManager]:
    """Opens one stream beside that of others, for work that waits for none of theirs; nothing on a CPU.

    Make it once for all such work: a GPU's memory is kept by stream.
    """
    if device.type != "cuda":
        return nullcontext
    stream = torch.cuda.Stream(device)
    return lambda: torch.cuda.stream(stream)


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Gradients summed in the same order each time, where a GPU offers a choice; a CPU offers none."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.deterministic
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may choose anew each time
    torch.use_deterministic_algorithms(True, warn_only=True)
    cudnn.deterministic = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=only_warned)
        cudnn.deterministic = before[1]


def forget_peak(device: torch.device) -> None:
    """Let `peak_memory` begin from now, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:  # another system, or no right to: the peak since the process began is all there is
            return


def peak_memory(device: torch.device) -> int | None:
    """Most bytes in use on the device at once since `forget_peak`: a GPU's tensors, a CPU's whole process.

    None where the system does not say.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kib = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return kib[0] * 1024 if kib else None
