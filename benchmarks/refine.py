"""Refinement: all latents in one batch against one latent at a time, as Algorithm 1 is written.

    python benchmarks/refine.py [--latents 64] [--alone 3] [--rounds 5]

The papers' L = 100, R = 4 on seeds of the demo pool, float32, taking turns; medians per latent. "alone" is our own
code with one latent; "written out" is Algorithm 1 over diffusers' networks with one joint
backward pass, as the field has it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from timing import conditions, medians, write_results

from psr_studio.bundle import Bundle, load_bundle
from psr_studio.devices import candidate_generator, candidate_seed, pick_device
from psr_studio.method.refinement import adaptive_weight, denoising_loss, label_loss, q_sample
from psr_studio.recipe import RefineRecipe
from psr_studio.stages.cost import refine_cost
from psr_studio.stages.refinement import (
    LABEL_ROWS,
    Networks,
    Seeds,
    _denoising_pass,
    _label_pass,
    refine_batch,
)
from psr_studio.workspace import Pool

TEMPERATURE, TOLERANCE = 1.5, 1e-4


def seeds_of(bundle: Bundle, nets: Networks, n: int) -> Seeds:
    """Candidates of the demo pool, spread over the classes, with the teacher's labels."""
    assert bundle.demo is not None
    pool = Pool(sorted(bundle.demo.rglob("pool/*/*.parquet")))
    at = np.linspace(0, len(pool) - 1, n).astype(int)
    latents = torch.from_numpy(np.array(pool.latents_at(at)))
    with torch.no_grad():
        logits = nets.teacher(nets.codec.decode(latents.to(nets.generator.device)))[0].cpu()
    soft = torch.softmax(logits / TEMPERATURE, dim=1)
    labels = torch.from_numpy(np.array(pool.labels[at]))
    return Seeds(latents, labels, soft, soft[torch.arange(n), labels], [int(s) for s in pool.seeds[at]])


def last(nets: Networks, seeds: Seeds, how: RefineRecipe) -> torch.Tensor:
    """Our loop, to its end."""
    *_, (_, latents, _) = refine_batch(nets, seeds, how, TEMPERATURE)
    return latents


def written_out(nets: Networks, seeds: Seeds, how: RefineRecipe) -> torch.Tensor:
    """Algorithm 1, lines 16 to 23, one latent at a time, over the networks as diffusers and timm have them."""
    device, done = nets.generator.device, []
    transformer, alphas = nets.generator.transformer, nets.generator.alphas_cumprod
    for i, seed in enumerate(seeds.seeds):
        one = seeds.take(slice(i, i + 1))
        generator = candidate_generator(candidate_seed(how.seed, seed, 0))
        z = one.latents.to(device).requires_grad_(True)
        weight = adaptive_weight(one.confidence, how.lam, how.w_min, how.w_max).to(device)
        optimizer = torch.optim.SGD([z], lr=how.lr)
        for step in range(1, how.n_steps + 1):
            t = torch.randint(nets.generator.n_train_steps, (1,), generator=generator)
            noise = torch.randn(z.shape, generator=generator).to(device)
            noisy = q_sample(z, noise, alphas[t].to(device))
            predicted = transformer(noisy, timestep=t.to(device), class_labels=one.classes.to(device)).sample
            loss = denoising_loss(noise, predicted[:, : z.shape[1]])
            if step > how.n_steps - how.kl_steps:
                logits, _ = nets.teacher(nets.codec.decode(z))
                loss = loss + weight * label_loss(logits, one.soft_labels.to(device), TEMPERATURE)
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


def main() -> None:
    """Print and keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--alone", type=int, default=3, help="latents that are also refined alone")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    bundle, device = load_bundle("fashion-mnist"), pick_device()
    nets = Networks(bundle.generator(device, torch.float32), bundle.codec(device), bundle.teacher(device))
    seeds, how = seeds_of(bundle, nets, given.latents), RefineRecipe()
    few = seeds.take(slice(0, given.alone))
    n = min(LABEL_ROWS, given.latents)
    part = seeds.take(slice(0, n))
    z, t = part.latents.to(device), torch.full((n,), 500, device=device)
    classes, labels = part.classes.to(device), part.soft_labels.to(device)
    half, ones = torch.full((n,), 0.5, device=device), torch.ones(n, device=device)
    passes = {
        "denoising_mib_per_latent": lambda: _denoising_pass(nets, z.clone(), z, half, t, classes),
        "label_mib_per_latent": lambda: _label_pass(nets, TEMPERATURE, z.clone(), labels, ones),
    }
    memory = {name: round(memory_per_latent(nets, run, n), 2) for name, run in passes.items()}
    runs: dict[str, Callable[[], Any]] = {
        "one batch": lambda: last(nets, seeds, how),
        "alone": lambda: [last(nets, few.take(slice(i, i + 1)), how) for i in range(given.alone)],
        "written out": lambda: written_out(nets, few, how),
    }
    per = {"one batch": given.latents, "alone": given.alone, "written out": given.alone}
    together = last(nets, seeds, how)[: given.alone]
    alone = torch.cat([last(nets, few.take(slice(i, i + 1)), how) for i in range(given.alone)])
    reference = written_out(nets, few, how)
    gate = {
        "alone": float((together - alone).abs().max()),
        "written_out": float((together - reference).abs().max()),
        "allowed": TOLERANCE,
    }
    print("gate", gate)
    said = refine_cost(nets, seeds, how, TEMPERATURE)
    times = medians(runs, given.rounds)
    each = {name: seconds.wall / per[name] for name, seconds in times.items()}
    cpu = {name: seconds.cpu / per[name] for name, seconds in times.items()}
    took = times["one batch"].wall
    memory["peak_gib"] = round((said.memory_bytes or 0) / 2**30, 2)
    print(memory)
    found = {
        "conditions": conditions(),
        "latents": given.latents,
        "alone": given.alone,
        "rounds": given.rounds,
        "gate_float32": gate,
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
    write_results("refine", found)


if __name__ == "__main__":
    main()
