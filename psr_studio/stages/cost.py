"""What a long step will cost, from a short measurement of the very functions it calls.

A step is timed at a batch of 1, 4, 16, ... until the recipe's own batch or two seconds of calls are reached: on a slow
device a small batch must do, where time grows with the batch anyway. Of several calls the quickest counts: other
programs on the machine only add to what the work takes. A step that is soon done is measured by a few calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from psr_studio.core.devices import forget_peak, peak_memory, wait
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.words import duration, plural
from psr_studio.recipe.schema import RefineRecipe
from psr_studio.stages.batches import N_PREVIEWS, preview_steps, spans
from psr_studio.storage.png import encode_png

if TYPE_CHECKING:
    from psr_studio.models.adapters import PoolGenerator
    from psr_studio.models.codec import Codec
    from psr_studio.models.generator import Sampling
    from psr_studio.models.teacher import Teacher
    from psr_studio.stages.refine.loop import Networks, Selected

LONGEST = 2.0  # seconds of all timed calls but the first
ROUNDS = 7  # calls at the largest batch; those before have two
SHARE = 0.1  # of the time of the step, for calls at the largest batch beyond two
SOON = 1.0  # seconds: a step that takes less is measured at its largest batch after the first one
DRAWN = 4  # pictures made for their size in bytes
DRAWN_STEPS = 6
DRAWN_SECONDS = 3.0  # where they would take longer, pictures of nothing stand in for them
FILE_BYTES = 6000  # of a part beside its pictures and latents: schema, checksums, settings
SCORES_FILE_BYTES = 2700  # the same of scores
WRITE_SECONDS = 0.01  # to write something small, such as a part of scores, and flush it, on a local disk


@dataclass(frozen=True)
class Cost:
    """What a step costs.

    Attributes:
        images: how many it makes, or what else `unit` says. seconds: how long, networks opened.
        disk_bytes: what it writes, 0 where that is next to nothing.
        memory_bytes: most memory in use on the device, None where that is not known.
    """

    images: int
    seconds: float
    disk_bytes: int
    memory_bytes: int | None
    device: str
    unit: str = "images"

    @property
    def text(self) -> str:
        """One line: images, seconds, GiB on disk and on the device."""
        parts = [f"Cost: {plural(self.images, self.unit.removesuffix('s'))}", f"about {_time(self.seconds)}"]
        parts += [f"{_size(self.disk_bytes)} on disk"] if self.disk_bytes else []
        parts += (
            [] if self.memory_bytes is None else [f"{_size(self.memory_bytes)} of {_memory(self.device)}"]
        )
        return ", ".join(parts) + "."


def pool_cost(
    generator: PoolGenerator, codec: Codec, sampling: Sampling, batch_size: int, n_images: int, n_parts: int,
    n_denoised: float | None = None,
) -> Cost:  # fmt: skip
    """The cost of generating `n_images` in `n_parts` files.

    Args:
        n_denoised: with those of the same groups that are there already, each as the share it takes of `sampling`; None
            for no more than `n_images`.
    """
    device = generator.device
    rows = max(1, min(batch_size, n_images))
    compiled = getattr(generator, "compiled", False)  # then another batch size is another compilation
    forget_peak(device)

    # First, as previews are decoded first in a run: glibc keeps the memory of so large a piece of work, and every
    # step after it is faster by a third.
    latents = torch.zeros(rows, *generator.latent_shape)
    decoding = per_row(lambda n: codec.decode_uint8(latents[:n]), rows, device, n_images)
    n_steps = (n_denoised or n_images) * sampling.taken

    def step(way: Sampling) -> float:
        running: dict[int, Iterator[object]] = {}  # the first step of a run prepares the others

        def take(n: int) -> None:
            if n not in running or next(running[n], None) is None:
                running.clear()  # its tables take memory, which is measured here too
                running[n] = generator.sample([0] * n, range(n), way)
                next(running[n])

        return per_row(take, rows, device, n_steps, least=rows if compiled else 1)

    guided = sampling.n_guided
    plain = step(replace(sampling, guidance=1.0)) if guided < sampling.taken else 0.0
    full = step(replace(sampling, interval=(0.0, 1.0))) if guided else 0.0
    denoising = guided * full + (sampling.taken - guided) * plain
    drawing = math.inf if compiled else (full + plain) * DRAWN * DRAWN_STEPS
    pictures = _draw(generator, codec, sampling, drawing)
    encoding, size = _encoding(pictures, n_images)
    shown = min(1.0, N_PREVIEWS / rows) * len({1, *preview_steps(sampling.taken)})
    return Cost(
        n_images,
        (n_denoised or n_images) * denoising + n_images * (decoding * (1 + shown) + encoding),
        n_images * (size + latents[0].nbytes) + n_parts * FILE_BYTES,
        peak_memory(device),
        device.type,
    )


def refine_cost(nets: Networks, selected: Selected, settings: RefineRecipe, temperature: float) -> Cost:
    """The cost of refining some latents, with the label's pull in the last steps only."""
    from psr_studio.stages.refine.loop import refine_batch

    device = nets.generator.device
    n = len(selected.classes)
    rows = min(settings.batch_size, n)
    forget_peak(device)

    def step(kl_steps: int) -> float:
        one = settings.model_copy(update={"n_steps": 1, "kl_steps": kl_steps})
        return per_row(
            lambda k: next(refine_batch(nets, selected.take(slice(0, k)), one, temperature)),
            rows,
            device,
            n * settings.n_steps,
        )

    pulled = min(settings.label_steps, settings.n_steps)
    seconds = (settings.n_steps - pulled) * step(0) + (pulled * step(1) if pulled else 0.0)
    decoding = per_row(lambda k: nets.codec.decode_uint8(selected.latents[:k]), rows, device, n)
    shown = sum(min(N_PREVIEWS, part.stop - part.start) for part in spans(n, rows))
    shown *= len(preview_steps(settings.n_steps)) / n
    encoding, size = _encoding(nets.codec.decode_uint8(selected.latents[:DRAWN]), n)
    return Cost(
        n,
        n * (seconds + decoding * (1 + shown) + encoding),
        n * (size + selected.latents[0].nbytes + 4 * settings.n_steps),
        peak_memory(device),
        device.type,
    )


def import_cost(
    read: Callable[[int], np.ndarray], codec: Codec | None, rows: int, n_images: int, n_parts: int
) -> Cost:
    """The cost of taking in `n_images` in `n_parts` files, encoded `rows` at once.

    Args:
        read: n pictures from their source: uint8 (n, H, W, ch).
        codec: None where the pictures bring their latents.
    """
    from psr_studio.models.levels import from_uint8

    device = torch.device("cpu") if codec is None else next(codec.parameters()).device
    forget_peak(device)
    pictures = read(DRAWN)
    seconds, size = _encoding(pictures, n_images)
    seconds += per_row(read, len(pictures), torch.device("cpu"), n_images, least=len(pictures))
    if codec is not None:
        batch = from_uint8(np.resize(pictures, (min(rows, n_images), *pictures.shape[1:])))
        with torch.no_grad():
            size += codec.encode(batch[:1].to(device)).nbytes
            seconds += per_row(lambda n: codec.encode(batch[:n].to(device)), len(batch), device, n_images)
    disk = n_images * size + n_parts * FILE_BYTES
    return Cost(
        n_images, n_images * seconds + n_parts * WRITE_SECONDS, disk, peak_memory(device), device.type
    )


def score_cost(
    teacher: Teacher, read: Callable[[int], np.ndarray], rows: int, n_images: int, n_parts: int
) -> Cost:
    """The cost of scoring `n_images` in `n_parts` files, `rows` at once.

    Args:
        read: the first n pictures, from the disk: uint8 (n, H, W, ch).
    """
    device = teacher.mean.device
    forget_peak(device)
    seconds = per_row(
        lambda n: teacher.predict(torch.from_numpy(read(n)), batch_size=n), rows, device, n_images
    )
    logits, embeddings = teacher.predict(torch.from_numpy(read(1)))
    disk = n_images * (logits.nbytes + embeddings.nbytes) + n_parts * SCORES_FILE_BYTES
    seconds = n_images * seconds + n_parts * WRITE_SECONDS
    return Cost(n_images, seconds, disk, peak_memory(device), device.type)


def evaluate_cost(
    n_students: int, n_images: int, n_checks: int, train: Callable[[int], object],
    check: Callable[[int], object], rows: tuple[int, int], device: torch.device,
) -> Cost:  # fmt: skip
    """The cost of training students.

    Args:
        n_images: that pass through a student in training, epochs and students counted.
        n_checks: test images that pass through one, likewise.
        train, check: do it with n images. rows: the largest n of each.
    """
    forget_peak(device)
    # Batch norm cannot train on one picture.
    seconds = n_images * per_row(train, rows[0], device, n_images, least=2)
    seconds += n_checks * per_row(check, rows[1], device, n_checks)
    return Cost(n_students, seconds, 0, peak_memory(device), device.type, "students")


def per_row(
    work: Callable[[int], object], rows: int, device: torch.device, total: float, least: int = 1
) -> float:
    """Seconds per row of the quickest of several calls of `work(n)`, at the largest batch, from `least` to `rows`, that
    `LONGEST` allows.

    Beyond that the batch grows as long as a row gets much cheaper: then it is not the rows that take so long, and what
    a busy machine adds to a call must not be multiplied by them. The first call may compile or pack weights.

    Args:
        total: rows of the whole step, of which the calls take a small part of the time.
    """
    n, spent, before = min(least, rows), 0.0, 0.0
    found = [_timed(work, n, device)]
    while True:
        while len(found) < 2 or (
            n == rows and len(found) < ROUNDS and spent <= min(LONGEST, SHARE * total * min(found) / n)
        ):
            found.append(_timed(work, n, device))
            spent += found[-1]
        each = min(found) / n
        if n == rows or (spent > LONGEST and each > before / 2):
            return each
        n, before, found = rows if total * each < SOON else min(rows, 4 * n), each, []


def _timed(work: Callable[[int], object], n: int, device: torch.device) -> float:
    stop_if_asked()
    wait(device)
    began = time.perf_counter()
    work(n)
    wait(device)
    return time.perf_counter() - began


def _draw(generator: PoolGenerator, codec: Codec, sampling: Sampling, seconds: float) -> np.ndarray:
    """A few pictures like those to come, by few steps; of nothing, where that would take `seconds` too many."""
    latents = torch.zeros(DRAWN, *generator.latent_shape)
    if seconds < DRAWN_SECONDS:
        quick = replace(sampling, sampler="dpm-solver++", steps=DRAWN_STEPS, skipped=0)
        *_, (_, latents) = generator.sample([0] * DRAWN, range(DRAWN), quick)
    return codec.decode_uint8(latents)


def _encoding(pictures: np.ndarray, total: int) -> tuple[float, int]:
    """Seconds and bytes per picture of so many."""
    sizes = [len(encode_png(x)) for x in pictures]
    cpu = torch.device("cpu")
    seconds = per_row(lambda n: [encode_png(x) for x in pictures[:n]], len(pictures), cpu, total)
    return seconds, round(sum(sizes) / len(sizes))


def _size(n_bytes: int) -> str:
    """In GiB, in MiB where that is less than a hundredth."""
    gib = n_bytes / 2**30
    return f"{gib:.2f} GiB" if gib >= 0.01 else f"{n_bytes / 2**20:.2g} MiB"


def _memory(device: str) -> str:
    return "memory" if device == "cpu" else "GPU memory"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
