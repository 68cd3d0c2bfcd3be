"""Generation against diffusers' DiTPipeline: exact first, then fast; then the draft way beside the exact one.

    python benchmarks/generate.py [--batch 64] [--rounds 5] [--images 30] [--float32]

From class labels to PNG bytes, same weights, batch, steps, guidance, thread count and number type (bfloat16 where the
CPU multiplies it, as in use), taking turns; medians. The peer's pictures are saved as its users do, by Pillow.
"""

from __future__ import annotations

import argparse
import io
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiTPipeline
from timing import conditions, medians, write_results

from psr_studio.bundle import Bundle, load_bundle
from psr_studio.devices import candidate_generator, candidate_seed, pick_device, pick_dtype, stacked_noise
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.levels import from_uint8
from psr_studio.recipe import WAYS
from psr_studio.stages.cost import pool_cost
from psr_studio.storage.png import encode_png

STEPS, GATE_STEPS, TOLERANCE = 50, 10, 1e-4


def pipeline(bundle: Bundle, generator: Generator) -> DiTPipeline:
    """diffusers' own pipeline over the same weights, its autoencoder in the same number type."""
    vae = AutoencoderKL.from_pretrained(bundle.path / "generator" / "vae").to(generator.device)
    scheduler = DDPMScheduler.from_config(generator.scheduler_config, timestep_spacing="linspace")
    pipe = DiTPipeline(generator.transformer, vae.to(generator.transformer.dtype), scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeds_of(classes: list[int]) -> list[int]:
    """Own seeds, as a pool has them."""
    return [candidate_seed(0, c, i) for i, c in enumerate(classes)]


def gate(bundle: Bundle, generator: Generator) -> float:
    """The largest difference of latents to the pipeline's, float32, same noise."""
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
        pipe(
            classes,
            bundle.guidance,
            noise,
            GATE_STEPS,
            output_type="pt",
        )
    finally:
        ddpm.randn_tensor = own
    how = Sampling("ddpm", GATE_STEPS, bundle.guidance)
    *_, (_, latents) = generator.sample(classes, seeds, how)
    return float((latents - kept["z"] * pipe.vae.config.scaling_factor).abs().max())


def by_pipeline(pipe: DiTPipeline, classes: list[int], guidance: float) -> list[bytes]:
    """Labels to PNG, as the pipeline's users do it."""
    pictures = pipe(classes, guidance, num_inference_steps=STEPS).images
    coded = []
    for picture in pictures:
        stream = io.BytesIO()
        picture.save(stream, "png")
        coded.append(stream.getvalue())
    return coded


def by_us(bundle: Bundle, generator: Generator, classes: list[int], how: Sampling) -> list[bytes]:
    """Labels to PNG, as the pool step does it."""
    *_, (_, latents) = generator.sample(classes, seeds_of(classes), how)
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


def ways(bundle: Bundle) -> dict[str, Sampling]:
    """The named ways of sampling."""
    return {
        name: Sampling(
            way["pool.sampler"],
            way["pool.steps"],
            bundle.guidance,
            interval=(way["pool.guided_from"], way["pool.guided_to"]),
        )
        for name, way in WAYS.items()
    }


def estimate(bundle: Bundle, generator: Generator, how: Sampling, batch: int) -> dict[str, float]:
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


def main() -> None:
    """Print and keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=30, help="per class, for the quality of the ways")
    parser.add_argument("--float32", action="store_true", help="time float32 too, where bfloat16 is in use")
    given = parser.parse_args()
    bundle, device = load_bundle("fashion-mnist"), pick_device()
    found: dict[str, Any] = {"conditions": conditions(), "batch": given.batch, "rounds": given.rounds}
    exact = bundle.generator(device, torch.float32)
    found["gate_float32"] = {"difference": gate(bundle, exact), "allowed": TOLERANCE}
    print("gate", found["gate_float32"])
    assert found["gate_float32"]["difference"] <= TOLERANCE
    classes = [i % bundle.n_classes for i in range(given.batch)]
    how = ways(bundle)
    wanted = [pick_dtype(device)] + [torch.float32] * given.float32
    for dtype in dict.fromkeys(wanted):
        generator = bundle.generator(device, dtype)
        began = time.perf_counter()
        by_us(bundle, generator, classes[:2], how["draft"])
        warm_up = time.perf_counter() - began
        pipe = pipeline(bundle, generator)
        runs = {"DiTPipeline": partial(by_pipeline, pipe, classes, bundle.guidance)}
        runs |= {f"ours, {name}": partial(by_us, bundle, generator, classes, h) for name, h in how.items()}
        times = medians(runs, given.rounds)
        peer, ours, draft = times.values()
        row = {
            "seconds_per_batch": {name: round(s.wall, 3) for name, s in times.items()},
            "cpu_seconds_per_batch": {name: round(s.cpu, 3) for name, s in times.items()},
            "images_per_s": {name: round(given.batch / s.wall, 2) for name, s in times.items()},
            "exact_over_pipeline": round(peer.wall / ours.wall, 2),
            "exact_over_pipeline_by_cpu_time": round(peer.cpu / ours.cpu, 2),
            "draft_over_exact": round(ours.wall / draft.wall, 2),
            "draft_over_exact_by_cpu_time": round(ours.cpu / draft.cpu, 2),
            "warm_up_s": round(warm_up, 2),
            "estimate": estimate(bundle, generator, how["exact"], given.batch),
        }
        found[str(dtype).removeprefix("torch.")] = row
        print(dtype, row)
    generator = bundle.generator(device, pick_dtype(device))
    found["quality"] = {name: quality(bundle, generator, h, given.images) for name, h in how.items()}
    print(found["quality"])
    write_results("generate", found)


if __name__ == "__main__":
    main()
