"""`psr-studio bench`: how fast this machine does each step, measured on the very steps, in a throw-away workspace."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psr_studio.cli.flags import DONE, add_command, add_set_flag
from psr_studio.core.errors import StudioError
from psr_studio.core.files import check_path, whole_file
from psr_studio.core.progress import Progress
from psr_studio.recipe.keys import renamed
from psr_studio.recipe.load import DEFAULT_PRESET, load_recipe, parse_assignment
from psr_studio.recipe.schema import Recipe

if TYPE_CHECKING:
    from psr_studio.app.studio import Studio

N_SELECTIONS = 50


def add_commands(commands: Any) -> None:
    """`bench`."""
    parser = add_command(commands, "bench", "Measure how fast this machine does each step.", _bench)
    parser.add_argument(
        "-p", "--preset", default=DEFAULT_PRESET, metavar="P", help='preset (default: "%(default)s")'
    )
    add_set_flag(parser, "pool.steps=25")
    parser.add_argument(
        "--images", type=int, default=20, metavar="N", help="candidates per class (default: 20)"
    )
    parser.add_argument("--out", metavar="FILE", help="also write the figures and their conditions as JSON")


def _bench(args: argparse.Namespace) -> int:
    recipe = load_recipe(args.preset).with_values(
        renamed(dict(map(parse_assignment, args.assignments)), "--set")
    )
    if args.images < 2:
        raise StudioError(
            f"{args.images} candidates per class are asked for, but bench needs 2.", "Raise --images."
        )
    figures = []
    for figure in bench(recipe, args.images):
        figures.append(figure)
        print(f"{figure.name:40} {figure.value:10.1f} {figure.unit}", flush=True)
    stated = conditions(recipe)
    print(", ".join(f"{key} {value}" for key, value in stated.items()))
    if args.out:
        rows = [{"name": f.name, "value": round(f.value, 3), "unit": f.unit} for f in figures]
        made = {"command": "psr-studio " + " ".join(sys.argv[1:]), **stated, "figures": rows}
        with whole_file(check_path(args.out)) as temp:
            temp.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return DONE


@dataclass(frozen=True)
class Figure:
    """One measured figure with its unit."""

    name: str
    value: float
    unit: str


def bench(recipe: Recipe, pool_size: int) -> Iterator[Figure]:
    """Measures generation, scoring, re-selection, refinement and student training of a recipe.

    Networks are opened and warmed by a first pool of two candidates per class, which is not counted.

    Args:
        recipe: its bundle, sampler, steps, device and batch sizes are used.
        pool_size: candidates per class that are generated and scored, at least 2.
    """
    from psr_studio.app.studio import Studio  # loads torch, so only when there is work

    ipc = max(1, pool_size // 2)
    small: dict[str, Any] = {"pool.pool_size": 2, "pool.part_size": pool_size, "select.ipc": 1}
    with tempfile.TemporaryDirectory() as folder, Studio(Path(folder) / "bench", recipe, **small) as studio:
        _seconds(studio.generate())
        _seconds(studio.score())
        studio.set({"pool.pool_size": pool_size, "select.ipc": ipc})
        n = pool_size * studio.bundle.n_classes
        pool = studio.recipe.pool
        yield Figure(
            f"generate, {pool.sampler}, {pool.steps} steps", n / _seconds(studio.generate()), "images/s"
        )
        yield Figure("score", n / _seconds(studio.score()), "images/s")
        yield Figure("select again, median", 1000 * _selection_seconds(studio), "ms")
        _seconds(studio.select())
        picks = ipc * studio.bundle.n_classes
        yield Figure(
            f"refine, {studio.recipe.refine.n_steps} steps", picks / _seconds(studio.refine()), "latents/s"
        )
        seconds = _seconds(
            studio.evaluate(n_seeds=1, epochs=20, n_checks=1, arms=["selected"], controls=False)
        )
        yield Figure("train a student, its test included", 20 * picks / seconds, "images/s")


def conditions(recipe: Recipe) -> Mapping[str, Any]:
    """What a figure depends on besides the code."""
    import platform

    import torch

    from psr_studio.core.devices import pick_device, pick_dtype

    device = pick_device(recipe.device)
    return {
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} CPU",
        "threads": torch.get_num_threads(),
        "dtype": str(pick_dtype(device)).removeprefix("torch."),
        "torch": torch.__version__,
        "bundle": recipe.bundle,
    }


def _seconds(events: Iterator[Progress]) -> float:
    began = time.perf_counter()
    for _ in events:
        pass
    return time.perf_counter() - began


def _selection_seconds(studio: Studio) -> float:
    """Median over selections with changing weights, distances cached, as a slider does it."""
    from psr_studio.stages.select.choice import select

    scored, rules = studio.curation.scored, studio.recipe.select
    select(scored, rules)
    seconds = []
    for i in range(N_SELECTIONS):
        rules = studio.curation.rules().changed({"alpha": 1.0, "beta": 1.0, "gamma": 0.05 * i})
        began = time.perf_counter()
        select(scored, rules)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
