"""A tiny bundle of real parts: the same classes, files and code path as an embedded one, random weights.

Three classes of 12 x 12 grey pictures; a DiT, an autoencoder and a vision transformer of a few thousand
parameters each. The teacher's head is fitted to the first candidates of each class, so that every class has
eligible candidates and most have others too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import copies
import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiTTransformer2DModel
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.embedded import INDEX, write_idx
from psr_studio.core.devices import candidate_seed
from psr_studio.core.files import sha256
from psr_studio.core.progress import Progress
from psr_studio.models.codec import Codec
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.levels import from_uint8
from psr_studio.models.teacher import TeacherConfig, create_backbone
from psr_studio.recipe.schema import Recipe

CLASS_NAMES = ("boot", "T-shirt/top", "dress")
SIZE, CHANNELS, LATENT = 12, 1, (4, 6, 6)
TEST_PER_CLASS, TRAIN_PER_CLASS, HELD_OUT = 6, 12, 4  # one real image of four is held out
ARCHITECTURE = "vit_tiny_patch16_224"
TEACHER_KWARGS = {"img_size": SIZE, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}
EMBEDDING = TEACHER_KWARGS["embed_dim"]
SETTINGS = {
    "device": "cpu",
    "pool.pool_size": 6,
    "pool.part_size": 3,
    "pool.batch_size": 4,
    "pool.steps": 3,
    "pool.guidance_scale": 2.0,
    "select.ipc": 2,
    "refine.n_steps": 4,
    "refine.kl_steps": 2,
    "refine.lr": 0.001,
    "evaluate.epochs": 3,
    "evaluate.n_checks": 2,
    "evaluate.n_seeds": 2,
}


def tiny_recipe(bundle: Path, **changes: Any) -> Recipe:
    """A recipe that runs every step in a second; keys of `changes` use "__" for the dot."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return Recipe().with_values({"bundle": str(bundle), **SETTINGS, **dotted})


def finish(events: Iterable[Progress]) -> list[Progress]:
    """Run a stage to its end and return what it said."""
    return list(events)


def full_studio(root: Path, bundle: Path, **changes: Any) -> Studio:
    """A studio on the tiny bundle with a scored pool and a selection."""
    studio = Studio(root, tiny_recipe(bundle, **changes))
    for stage in (studio.generate, studio.score, studio.select):
        finish(stage())
    return studio


def run_python(code: str, *args: object, stdin: bool = False, stdout: bool = True) -> Any:
    """Run `code` in a Python of its own with this folder importable, for tests that must kill a process.

    `stdin` and `stdout` are whether it has a pipe; see `copies` for what is returned.
    """
    importable = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"
    code = f"{importable}\n{code}"
    if copy := copies.started(code, args, stdin, stdout):
        return copy
    pipes = {name: subprocess.PIPE for name, wanted in (("stdin", stdin), ("stdout", stdout)) if wanted}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], text=True, **pipes)


def write_bundle(folder: Path, seed: int = 0, demo: bool = False) -> Path:
    """Write the bundle folder; equal seeds give equal bytes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _write_generator(folder / "generator")
        _write_teacher(folder)
    _write_data(folder / "data", np.random.default_rng(seed))
    write_index(folder)
    if demo:
        _write_demo(folder)
        write_index(folder)
    return folder


def write_index(folder: Path) -> None:
    """bundle.toml with the SHA-256 of every file."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != INDEX)
    facts = {
        "name": "tiny",
        "class_names": list(CLASS_NAMES),
        "image_shape": [SIZE, SIZE, CHANNELS],
        "mean": 0.5,
        "std": 0.25,
        "licence": "CC0-1.0 (random numbers)",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in facts.items()]
    lines += ["", "[files]", *(f'"{p.relative_to(folder).as_posix()}" = "{sha256(p)}"' for p in files)]
    (folder / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_generator(folder: Path) -> None:
    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        num_layers=1,
        sample_size=LATENT[1],
        patch_size=2,
        num_embeds_ada_norm=len(CLASS_NAMES),
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=LATENT[0],
        norm_num_groups=4,
        sample_size=SIZE,
        scaling_factor=0.8,
        mid_block_add_attention=False,
    )
    transformer.save_pretrained(folder / "transformer")
    vae.save_pretrained(folder / "vae")
    DDPMScheduler(num_train_timesteps=1000, clip_sample=False).save_pretrained(folder / "scheduler")


def _write_teacher(bundle: Path) -> None:
    raw = {
        "architecture": ARCHITECTURE,
        "input_size": SIZE,
        "mean": [0.5],
        "std": [0.25],
        "n_classes": len(CLASS_NAMES),
        "in_chans": CHANNELS,
        "kwargs": TEACHER_KWARGS,
    }
    folder = bundle / "teacher"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    backbone = create_backbone(TeacherConfig.from_folder(folder)).eval()
    pictures, labels = _samples(bundle / "generator")
    with torch.no_grad():
        features = backbone.forward_head(backbone.forward_features(pictures), pre_logits=True)
        centred = features - features.mean(dim=0)
        targets = torch.nn.functional.one_hot(labels).float() - 1 / len(CLASS_NAMES)
        weight = torch.linalg.lstsq(centred, targets).solution.T * 6
        backbone.get_classifier().weight.copy_(weight)
        backbone.get_classifier().bias.copy_(-(weight @ features.mean(dim=0)))
    save_file(backbone.state_dict(), folder / "model.safetensors")


def _samples(folder: Path, per_class: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """The first candidates of each class, as the teacher sees them: pictures (n, 1, H, W), labels (n,)."""
    labels = [c for c in range(len(CLASS_NAMES)) for _ in range(per_class)]
    seeds = [candidate_seed(0, c, i) for c in range(len(CLASS_NAMES)) for i in range(per_class)]
    how = Sampling(steps=SETTINGS["pool.steps"], guidance=SETTINGS["pool.guidance_scale"])
    *_, (_, latents) = Generator.from_folder(folder).sample(labels, seeds, how)
    images = Codec.from_folder(folder / "vae", (SIZE, SIZE, CHANNELS)).decode_uint8(latents)
    return from_uint8(images) / 2 / 0.25, torch.tensor(labels)


def _write_data(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for name, per_class in (("test", TEST_PER_CLASS), ("train-subset", TRAIN_PER_CLASS + HELD_OUT)):
        labels = np.tile(np.arange(len(CLASS_NAMES)), per_class)
        images = rng.integers(0, 256, (len(labels), SIZE, SIZE)) // 2 + 40 * labels[:, None, None]
        write_idx(images, folder / f"{name}-images-idx3-ubyte.gz")
        write_idx(labels, folder / f"{name}-labels-idx1-ubyte.gz")
    n = 5 * len(CLASS_NAMES)
    save_arrays(
        {
            "difficulty": rng.random(n, np.float32),
            "labels": np.tile(np.arange(len(CLASS_NAMES), dtype=np.uint8), n // len(CLASS_NAMES)),
        },
        folder / "train_difficulty.safetensors",
    )


def _write_demo(bundle: Path) -> None:
    demo = bundle / "demo"
    with Studio(demo, tiny_recipe(bundle)) as studio:
        finish(studio.generate())
        finish(studio.score())
    for path in demo.iterdir():
        if path.is_file():
            path.unlink()
    assert load_bundle(bundle).demo == demo
