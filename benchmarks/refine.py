"""Refinement: all latents in one batch against one latent at a time, as Algorithm 1 is written.

    python benchmarks/refine.py [--latents 64] [--alone 3] [--rounds 5] [--full-size] [--steps 100]

The papers' L = 100, R = 4 on seeds of the demo pool, in the number type of use (float32 on a CPU, bfloat16 products on
a GPU), taking turns; medians per latent. "alone" is our own code with one latent; "written out" is Algorithm 1 over
diffusers' networks with one joint backward pass, as the field has it. `--full-size` takes DiT-XL/2, sd-vae and
ConvNeXt-B with random weights, and random latents.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from full_size import FullSize, open_bundle
from timing import conditions, medians, write_results

from psr_studio.bundles.bundle import Bundle
from psr_studio.core.devices import candidate_generator, candidate_seed, pick_device, stacked_noise
from psr_studio.method.refinement import adaptive_weight, denoising_loss, label_loss, q_sample
from psr_studio.recipe.schema import RefineRecipe
from psr_studio.stages.cost import refine_cost
from psr_studio.stages.refine.loop import (
    LABEL_ROWS,
    Networks,
    Selected,
    _denoising_pass,
    _label_pass,
    refine_batch,
)
from psr_studio.storage.pool import Pool

TEMPERATURE, TOLERANCE = 1.5, 1e-4
GATE_STEPS = 4  # of the full size: random networks multiply a rounding at every step


def selected_of(bundle: Bundle | FullSize, nets: Networks, n: int) -> Selected:
    """Candidates of the demo pool, or noise where there is none, spread over the classes, with the teacher's labels."""
    if bundle.demo is None:
        numbers = list(range(n))
        latents = stacked_noise([candidate_generator(i) for i in numbers], nets.generator.latent_shape)
        labels = torch.arange(n) % bundle.n_classes
    else:
        pool = Pool(sorted(bundle.demo.rglob("pool/*/*.parquet")))
        at = np.linspace(0, len(pool) - 1, n).astype(int)
        latents, labels = torch.from_numpy(np.array(pool.latents_at(at))), torch.from_numpy(pool.labels[at])
        numbers = [int(s) for s in pool.seeds[at]]
    with torch.no_grad():
        parts = [
            nets.codec.decode(z.to(nets.generator.device)).clamp(-1, 1) for z in latents.split(LABEL_ROWS)
        ]
        logits = torch.cat([nets.teacher(part)[0].cpu() for part in parts])
    soft = torch.softmax(logits / TEMPERATURE, dim=1)
    task = torch.arange(bundle.n_classes)
    return Selected(latents, labels, task, soft, soft[torch.arange(n), labels], numbers)


def last(nets: Networks, selected: Selected, how: RefineRecipe) -> torch.Tensor:
    """Our loop, to its end."""
    *_, (_, latents, _) = refine_batch(nets, selected, how, TEMPERATURE)
    return latents


def written_out(nets: Networks, selected: Selected, how: RefineRecipe) -> torch.Tensor:
    """Algorithm 1, lines 16 to 23, one latent at a time, over the networks as diffusers and timm have them."""
    device, done = nets.generator.device, []
    transformer, alphas = nets.generator.transformer, nets.generator.alphas_cumprod
    for i, seed in enumerate(selected.noise_seeds):
        one = selected.take(slice(i, i + 1))
        generator = candidate_generator(candidate_seed(how.seed, seed, 0))
        z = one.latents.to(device).requires_grad_(True)
        weight = adaptive_weight(one.confidence, how.lam, how.w_min, how.w_max).to(device)
        optimizer = torch.optim.SGD([z], lr=how.lr)
        for step in range(1, how.n_steps + 1):
            t = torch.randint(nets.generator.n_train_steps, (1,), generator=generator)
            noise = torch.randn(z.shape, generator=generator).to(device)
            noisy = q_sample(z, noise, alphas[t].to(device))
            given = noisy.to(transformer.dtype)
            predicted = transformer(given, timestep=t.to(device), class_labels=one.classes.to(device)).sample
            loss = denoising_loss(noise, predicted[:, : z.shape[1]].float())
            if step > how.n_steps - how.kl_steps:
                with torch.autocast(device.type, torch.bfloat16, enabled=nets.reduced):
                    logits, _ = nets.teacher(nets.codec.decode(z).clamp(-1, 1))
                loss = loss + weight * label_loss(logits.float(), one.soft_labels.to(device), TEMPERATURE)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
        done.append(z.detach())
    return torch.cat(done)


def memory_per_latent(nets: Networks, run: Callable[[], object], n: int) -> float:
    """MiB that one of n latents' graph keeps for the way back in a pass: what bounds the micro-batch."""
    weights = [*nets.generator.transformer.parameters(), *nets.codec.parameters(), *nets.teacher.parameters()]
    known = {weight.untyped_storage().data_ptr() for weight in weights}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(kept.values()) / n / 2**20


def open_networks(bundle: Bundle | FullSize, device: torch.device, dtype: torch.dtype) -> Networks:
    """The generator in a number type, with codec and teacher, which follow it."""
    networks = bundle.generator(device, dtype), bundle.codec(device), bundle.teacher(device)
    return Networks(*networks, reduced=dtype is torch.bfloat16)


def gate(nets: Networks, selected: Selected, n: int, how: RefineRecipe) -> dict[str, float]:
    """Largest differences of the first n latents, float32: refined among all, alone, and as written out."""
    few = selected.take(slice(0, n))
    together = last(nets, selected, how)[:n]
    alone = torch.cat([last(nets, few.take(slice(i, i + 1)), how) for i in range(n)])
    return {
        "alone": float((together - alone).abs().max()),
        "written_out": float((together - written_out(nets, few, how)).abs().max()),
        "allowed": TOLERANCE,
    }


def memory_of(nets: Networks, selected: Selected) -> dict[str, float]:
    """MiB per latent that either pass keeps."""
    device = nets.generator.device
    part = selected.take(slice(0, LABEL_ROWS))
    n = len(part.classes)
    z, t = part.latents.to(device), torch.full((n,), 500, device=device)
    classes, labels = part.classes.to(device), part.soft_labels.to(device)
    half, ones = torch.full((n,), 0.5, device=device), torch.ones(n, device=device)
    passes = {
        "denoising_mib_per_latent": lambda: _denoising_pass(
            nets, denoising_loss, z.clone(), z, half, t, classes
        ),
        "label_mib_per_latent": lambda: _label_pass(
            nets, TEMPERATURE, part.task.to(device), z.clone(), labels, ones
        ),
    }
    return {name: round(memory_per_latent(nets, run, n), 2) for name, run in passes.items()}


def main() -> None:
    """Print and keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--alone", type=int, default=3, help="latents that are also refined alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full-size", action="store_true", help="DiT-XL/2 with random weights")
    parser.add_argument("--steps", type=int, default=100, help="fewer for a first look at a slow device")
    given = parser.parse_args()
    bundle, device = open_bundle(given.full_size), pick_device()
    how = RefineRecipe(n_steps=given.steps, kl_steps=min(given.steps, RefineRecipe().kl_steps))
    short = (
        how.model_copy(update={"n_steps": min(GATE_STEPS, given.steps), "kl_steps": 1})
        if given.full_size
        else how
    )
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    nets = open_networks(bundle, device, torch.float32)
    selected = selected_of(bundle, nets, given.latents)
    found: dict[str, Any] = {"conditions": conditions(), **vars(given)}
    found["gate_float32"] = gate(nets, selected, given.alone, short)
    print("gate", found["gate_float32"], flush=True)
    if dtype is not torch.float32:
        nets = open_networks(bundle, device, dtype)
    few = selected.take(slice(0, given.alone))
    memory = memory_of(nets, selected)
    runs: dict[str, Callable[[], Any]] = {
        "one batch": lambda: last(nets, selected, how),
        "alone": lambda: [last(nets, few.take(slice(i, i + 1)), how) for i in range(given.alone)],
        "written out": lambda: written_out(nets, few, how),
    }
    per = {"one batch": given.latents, "alone": given.alone, "written out": given.alone}
    said = refine_cost(nets, selected, how, TEMPERATURE)
    times = medians(runs, given.rounds)
    each = {name: seconds.wall / per[name] for name, seconds in times.items()}
    cpu = {name: seconds.cpu / per[name] for name, seconds in times.items()}
    took = times["one batch"].wall
    memory["peak_gib"] = round((said.memory_bytes or 0) / 2**30, 2)
    print(memory)
    found |= {
        "number_type": str(dtype).removeprefix("torch."),
        "seconds_per_latent": {name: round(s, 4) for name, s in each.items()},
        "cpu_seconds_per_latent": {name: round(s, 4) for name, s in cpu.items()},
        "batch_over_alone_by_cpu_time": round(cpu["alone"] / cpu["one batch"], 2),
        "batch_over_written_out_by_cpu_time": round(cpu["written out"] / cpu["one batch"], 2),
        "batch_over_alone": round(each["alone"] / each["one batch"], 2),
        "batch_over_written_out": round(each["written out"] / each["one batch"], 2),
        "memory": memory,
        "estimate": {
            "said_s": round(said.seconds, 2),
            "took_s": round(took, 2),
            "said_over_took": round(said.seconds / took, 3),
        },
    }
    print(found)
    write_results("refine-full-size" if given.full_size else "refine", found)


if __name__ == "__main__":
    main()
