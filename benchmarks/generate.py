"""Generation against diffusers' DiTPipeline: exact first, then fast; then the draft way beside the exact one.

    python benchmarks/generate.py [--batch 64] [--rounds 5] [--images 30] [--float32] [--alone 2]
                                  [--full-size] [--steps 50] [--guided]

From class labels to PNG bytes, same weights, batch, steps, guidance, thread count and number type (bfloat16 where the
device multiplies it, as in use), taking turns; medians. The peer's pictures are saved as its users do, by Pillow. "One
at a time" is the pipeline with one label, in float32 (TF32 on a GPU), as the field's code makes its pools. Shares are
of the fastest matrix product measured in the same run. `--full-size` takes DiT-XL/2 and sd-vae with random weights.
`--guided` times a plain pool beside one guided by MGD3 and one by DAG alone, from labels to PNG bytes.
"""

from __future__ import annotations

import argparse
import copy
import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from arithmetic import flop_per_pass, flop_per_picture, product_peak
from diffusers import DDPMScheduler, DiTPipeline
from full_size import FullSize, open_bundle
from timing import Seconds, conditions, medians, write_results

from psr_studio.bundles.bundle import Bundle
from psr_studio.core.devices import (
    candidate_generator,
    candidate_seed,
    pick_device,
    pick_dtype,
    stacked_noise,
)
from psr_studio.method.guidance import Guide, guided_by_difficulty, guided_by_modes
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.levels import from_uint8
from psr_studio.recipe.schema import WAYS
from psr_studio.stages.cost import pool_cost
from psr_studio.storage.png import encode_png

STEPS, GATE_STEPS, TOLERANCE = 50, 10, 1e-4
Models = Bundle | FullSize


def pipeline(bundle: Models, generator: Generator) -> DiTPipeline:
    """diffusers' own pipeline over the same weights, its autoencoder in the same number type."""
    vae = copy.deepcopy(bundle.codec(generator.device).vae).to(memory_format=torch.contiguous_format)
    scheduler = DDPMScheduler.from_config(generator.scheduler_config, timestep_spacing="linspace")
    torch.nn.Module.to(vae, dtype=generator.transformer.dtype)  # its own `to` warns of layers that it has not
    pipe = DiTPipeline(generator.transformer, vae, scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeds_of(classes: list[int]) -> list[int]:
    """Own seeds, as a pool has them."""
    return [candidate_seed(0, c, i) for i, c in enumerate(classes)]


def gate(bundle: Models, generator: Generator, steps: int) -> float:
    """The largest difference of latents to the pipeline's, float32, same noise.

    In units of their spread where that is above one, as it is of random networks.
    """
    import diffusers.schedulers.scheduling_ddpm as ddpm

    pipe = pipeline(bundle, generator)
    classes = [0, 3, 5, 9]
    seeds = seeds_of(classes)
    noise = [candidate_generator(seed) for seed in seeds]
    own = ddpm.randn_tensor
    kept: dict[str, torch.Tensor] = {}
    decode = pipe.vae.decode
    ddpm.randn_tensor = lambda shape, **_: torch.cat([stacked_noise(noise, shape[1:], generator.device)] * 2)
    pipe.vae.decode = lambda z: kept.update(z=z) or decode(z)
    try:
        pipe(classes, bundle.guidance, noise, steps, output_type="pt")
    finally:
        ddpm.randn_tensor = own
    how = Sampling("ddpm", steps, bundle.guidance)
    *_, (_, latents) = generator.sample(classes, seeds, how)
    theirs = kept["z"] * pipe.vae.config.scaling_factor
    return float((latents - theirs).abs().max() / theirs.std().clamp(min=1))


def by_pipeline(pipe: DiTPipeline, classes: list[int], guidance: float, steps: int) -> list[bytes]:
    """Labels to PNG, as the pipeline's users do it."""
    pictures = pipe(classes, guidance, num_inference_steps=steps).images
    coded = []
    for picture in pictures:
        stream = io.BytesIO()
        picture.save(stream, "png")
        coded.append(stream.getvalue())
    return coded


def one_at_a_time(pipe: DiTPipeline, classes: list[int], guidance: float, steps: int) -> None:
    """The same with one label at a time, in float32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        for c in classes:
            by_pipeline(pipe, [c], guidance, steps)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def denoised(generator: Generator, classes: list[int], how: Sampling) -> torch.Tensor:
    """Labels to latents."""
    *_, (_, latents) = generator.sample(classes, seeds_of(classes), how)
    return latents.cpu()


def by_us(
    bundle: Models, generator: Generator, classes: list[int], how: Sampling, guide: Guide | None = None
) -> list[bytes]:
    """Labels to PNG, as the pool step does it."""
    *_, (_, latents) = generator.sample(classes, seeds_of(classes), how, guide)
    return [encode_png(image) for image in bundle.codec(generator.device).decode_uint8(latents)]


def quality(bundle: Bundle, generator: Generator, how: Sampling, n: int) -> dict[str, float]:
    """Share of pictures the teacher takes for their class, and the mean squared distance of features within a class."""
    agree, spread = [], []
    for c in range(bundle.n_classes):
        classes = [c] * n
        *_, (_, latents) = generator.sample(classes, seeds_of(classes), how)
        images = bundle.codec(generator.device).decode_uint8(latents)
        logits, features = bundle.teacher(generator.device).predict(from_uint8(images), batch_size=n)
        agree.append(float((logits.argmax(1) == c).float().mean()))
        features = features.double()
        spread.append(float(torch.pdist(features).square().mean()))
    return {
        "teacher_agreement": round(float(np.mean(agree)), 4),
        "diversity": round(float(np.mean(spread)), 3),
    }


def ways(bundle: Models, steps: int) -> dict[str, Sampling]:
    """The named ways of sampling, fewer steps for all where `steps` is below 50."""
    return {
        name: Sampling(
            way["pool.sampler"],
            max(1, way["pool.steps"] * steps // STEPS),
            bundle.guidance,
            interval=(way["pool.guided_from"], way["pool.guided_to"]),
        )
        for name, way in WAYS.items()
    }


def estimate(bundle: Models, generator: Generator, how: Sampling, batch: int) -> dict[str, float]:
    """The cost line against the time that two batches take."""
    codec = bundle.codec(generator.device)
    said = pool_cost(generator, codec, how, batch, 2 * batch, 1)
    began = time.perf_counter()
    size = 0
    for _ in range(2):
        size += sum(map(len, by_us(bundle, generator, [0] * batch, how)))
    seconds = time.perf_counter() - began
    return {
        "said_s": round(said.seconds, 2),
        "took_s": round(seconds, 2),
        "said_over_took": round(said.seconds / seconds, 3),
        "memory_gib": round((said.memory_bytes or 0) / 2**30, 2),
    }


def measure(bundle: Models, dtype: torch.dtype, given: argparse.Namespace) -> dict[str, Any]:
    """All ways in one number type."""
    device = pick_device()
    classes = [i % bundle.n_classes for i in range(given.batch)]
    how = ways(bundle, given.steps)
    generator = bundle.generator(device, dtype)
    warm_up = {"ours": _seconds(lambda: by_us(bundle, generator, classes[:2], how["draft"]))}
    pipe, asked = pipeline(bundle, generator), (bundle.guidance, given.steps)
    runs: dict[str, Callable[[], Any]] = {"DiTPipeline": partial(by_pipeline, pipe, classes, *asked)}
    runs |= {f"ours, {name}": partial(by_us, bundle, generator, classes, h) for name, h in how.items()}
    runs["ours, latents only"] = partial(denoised, generator, classes, how["exact"])
    if device.type == "cuda":
        compiled = open_bundle(given.full_size).generator(device, dtype)
        compiled.learns_variance, compiled.compiled = generator.learns_variance, True
        quick = replace(how["exact"], steps=2)
        warm_up["ours, compiled"] = _seconds(lambda: by_us(bundle, compiled, classes, quick))
        runs["ours, compiled"] = partial(by_us, bundle, compiled, classes, how["exact"])
        runs["ours, compiled, latents only"] = partial(denoised, compiled, classes, how["exact"])
    if given.alone:
        slow = pipeline(bundle, open_bundle(given.full_size).generator(device, torch.float32))
        runs["one at a time"] = partial(one_at_a_time, slow, classes[: given.alone], *asked)
    times = medians(runs, given.rounds)
    each = {name: Seconds(t.wall / given.batch, t.cpu / given.batch) for name, t in times.items()}
    if given.alone:
        t = times["one at a time"]
        each["one at a time"] = Seconds(t.wall / given.alone, t.cpu / given.alone)
    peak = product_peak(device, dtype)
    passes = given.steps + how["exact"].n_guided
    denoising, decoding = passes * flop_per_pass(generator), flop_per_picture(bundle.codec(device))
    shares = {
        name: round((denoising + decoding * ("latents" not in name)) / each[name].wall / peak, 3)
        for name in each
        if "draft" not in name
    }
    ours = [name for name in each if name.startswith("ours") and "only" not in name]
    return {
        "seconds_per_batch": {n: round(t.wall, 3) for n, t in times.items() if n != "one at a time"},
        "cpu_seconds_per_batch": {n: round(t.cpu, 3) for n, t in times.items() if n != "one at a time"},
        "images_per_s": {name: round(1 / t.wall, 4) for name, t in each.items()},
        "over_pipeline": {name: round(each["DiTPipeline"].wall / each[name].wall, 2) for name in ours},
        "over_pipeline_by_cpu_time": {
            name: round(each["DiTPipeline"].cpu / each[name].cpu, 2) for name in ours
        },
        "over_one_at_a_time": {
            name: round(each["one at a time"].wall / each[name].wall, 2) for name in ours if given.alone
        },
        "draft_over_exact": round(each["ours, exact"].wall / each["ours, draft"].wall, 2),
        "draft_over_exact_by_cpu_time": round(each["ours, exact"].cpu / each["ours, draft"].cpu, 2),
        "product_peak_tflops": round(peak / 1e12, 3),
        "gflop_per_image": {"denoising": round(denoising / 1e9, 2), "decoding": round(decoding / 1e9, 2)},
        "share_of_peak": shares,
        "warm_up_s": {name: round(s, 2) for name, s in warm_up.items()},
        "estimate": estimate(bundle, generator, how["exact"], given.batch),
    }


def guided(bundle: Models, dtype: torch.dtype, given: argparse.Namespace) -> dict[str, Any]:
    """What guidance adds to the sampling of a pool; where targets lie changes nothing of that."""
    generator = bundle.generator(pick_device(), dtype)
    classes = [i % bundle.n_classes for i in range(given.batch)]
    targets = torch.randn(given.batch, *generator.latent_shape, generator=candidate_generator(0))
    how = ways(bundle, given.steps)["exact"]
    rules = {"MGD3": guided_by_modes, "DAG": guided_by_difficulty}
    guides = {
        name: Guide(partial(rule, stop=given.steps // 2), torch.tensor(classes), targets)
        for name, rule in rules.items()
    }
    runs = {
        name: partial(by_us, bundle, generator, classes, how, guide)
        for name, guide in {"plain": None, **guides}.items()
    }
    times = medians(runs, given.rounds)
    return {
        "cpu_seconds_per_image": {name: round(t.cpu / given.batch, 4) for name, t in times.items()},
        "over_plain_by_cpu_time": {name: round(times[name].cpu / times["plain"].cpu, 3) for name in guides},
        "over_plain": {name: round(times[name].wall / times["plain"].wall, 3) for name in guides},
    }


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    """Print and keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=30, help="per class, for the quality of the ways")
    parser.add_argument("--float32", action="store_true", help="time float32 too, where bfloat16 is in use")
    parser.add_argument("--alone", type=int, default=2, help="pictures that are also made one at a time")
    parser.add_argument("--full-size", action="store_true", help="DiT-XL/2 with random weights")
    parser.add_argument("--steps", type=int, default=STEPS, help="fewer for a first look at a slow device")
    parser.add_argument("--guided", action="store_true", help="only what guidance costs")
    given = parser.parse_args()
    bundle, device = open_bundle(given.full_size), pick_device()
    found: dict[str, Any] = {"conditions": conditions(), **vars(given)}
    if given.guided:
        found |= guided(bundle, pick_dtype(device), given)
        print(found)
        write_results("generate-guided", found)
        return
    exact = bundle.generator(device, torch.float32)
    found["gate_float32"] = {
        "difference": gate(bundle, exact, min(GATE_STEPS, given.steps)),
        "allowed": TOLERANCE,
    }
    del exact
    print("gate", found["gate_float32"], flush=True)
    assert found["gate_float32"]["difference"] <= TOLERANCE
    wanted = [pick_dtype(device)] + [torch.float32] * given.float32
    for dtype in dict.fromkeys(wanted):
        found[str(dtype).removeprefix("torch.")] = row = measure(bundle, dtype, given)
        print(dtype, row, flush=True)
    if isinstance(bundle, Bundle):  # random weights have no quality
        generator = bundle.generator(device, pick_dtype(device))
        how = ways(bundle, given.steps)
        found["quality"] = {name: quality(bundle, generator, h, given.images) for name, h in how.items()}
        print(found["quality"])
    write_results("generate-full-size" if given.full_size else "generate", found)


if __name__ == "__main__":
    main()
