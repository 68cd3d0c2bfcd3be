"""Every hot loop on a device that only pretends: `python pretended_device.py` prints what kept to it.

PyTorch knows such a device by name, with tensors that have a shape, a type and a place but no numbers. Two tensors
from different places in one operation are an error there as on a GPU, and so is a look at a number, for which a GPU
would have to be waited for. So this finds, without a GPU, what a first run on one would; speed and numbers it
cannot show.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from checkpoints import write_stable_diffusion
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from psr_studio.method.distillation import kd_loss
from psr_studio.method.guidance import Guide, guided_by_difficulty, guided_by_modes, no_pull
from psr_studio.models import augment, generator, text_to_image
from psr_studio.models.adapters import Opening
from psr_studio.models.codec import Codec
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.samplers import SAMPLERS
from psr_studio.models.students import Training, build_student, train_student
from psr_studio.models.teacher import Teacher
from psr_studio.models.text_to_image import TextToImage
from psr_studio.models.tiny import SCHEDULE, build_autoencoder, build_teacher, build_transformer
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.refine import loop as refinement
from psr_studio.stages.refine.loop import Networks, Selected, refine_batch
from psr_studio.training import codec as codec_training
from psr_studio.training import generator as generator_training
from psr_studio.training import teacher as teacher_training
from psr_studio.training.build import train_networks
from psr_studio.training.settings import CIFAR10, BundleSettings, Cycle

NAME, N, SIDE, LATENT = "pretended", 5, 64, (4, 8, 8)
MODE = FakeTensorMode(allow_non_fake_inputs=True)


def know(library: torch.library.Library) -> torch.device:
    """The device, known to PyTorch also where it passes `MODE` by: `torch.tensor`, a list as an index, constants."""
    _setup_privateuseone_for_python_backend(NAME)
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16]
    device, converter = torch.device(NAME, 0), MODE.fake_tensor_converter
    invalidate = converter.invalidate_constant_aliases

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:
        return FakeTensor(MODE, torch.empty_strided(size, stride, dtype=dtype, device="meta"), device)

    def copy_from(given: Tensor, to: Tensor, non_blocking: bool = False) -> Tensor:
        there(to, device)
        return to

    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    converter.invalidate_constant_aliases = lambda made: (  # type: ignore[method-assign]
        None if isinstance(made, FakeTensor) else invalidate(made)
    )
    return device


def move(module: nn.Module, device: torch.device) -> None:
    """What `module.to(device)` does; the pretended tensors are made of the module's own."""
    for part in module.modules():
        for name, value in [*part._parameters.items(), *part._buffers.items()]:
            if value is not None:
                there = MODE.from_tensor(value.detach()).to(device)
                if name in part._parameters:
                    part._parameters[name] = nn.Parameter(there, requires_grad=value.requires_grad)
                else:
                    part._buffers[name] = there


def on_the_host(function: Callable[..., Any]) -> Callable[..., Any]:
    """What our loops work out on the host before the device is asked, with real numbers here too."""

    def call(*args: Any) -> Any:
        with unset_fake_temporarily():
            return function(*args)

    return call


def check_itself(device: torch.device) -> Iterator[str]:
    """What this file is there to find is found."""
    mine = torch.ones(2, device=device)
    for name, wrong in (("another place", lambda: mine + torch.ones(2)), ("a look", mine.sum().item)):
        try:
            wrong()
        except (RuntimeError, DataDependentOutputException):
            yield f"{name} is refused"


def check_generation(device: torch.device) -> Iterator[str]:
    """Our own sampling loop, with a learned variance, over every sampler; no step looks at a number."""
    generator.Trajectory = on_the_host(generator.Trajectory)  # type: ignore[misc, assignment]
    for sampler in SAMPLERS:
        made = a_generator(torch.bfloat16, device)
        how = Sampling(sampler, steps=4, guided_channels=3, interval=(0.0, 0.6))
        for rule in (partial(guided_by_modes, stop=1), partial(guided_by_difficulty, stop=1), no_pull):
            guide = Guide(rule, torch.tensor([0, 1, 1]), torch.zeros(3, *made.latent_shape))
            begun = replace(how, skipped=int(rule is no_pull))
            *_, (_, latents) = made.sample([0, 1, 1], [1, 2, 3], begun, guide)
            there(latents, device)
        yield f"generation by {sampler}"


def check_stable_diffusion(device: torch.device) -> Iterator[str]:
    """The adapter that the documents show, where the package is here of which it reads its prompts."""
    if importlib.util.find_spec("transformers") is None:
        return
    text_to_image.Trajectory = on_the_host(text_to_image.Trajectory)  # type: ignore[misc, assignment]
    with tempfile.TemporaryDirectory() as folder, unset_fake_temporarily():
        names, cpu = ("boot", "dress"), torch.device("cpu")
        opening = Opening(write_stable_diffusion(Path(folder)), cpu, torch.float32, names)
        opened = TextToImage.from_folder(opening)
    move(opened.unet, device)
    made = TextToImage(opened.unet, opened.prompts, opened.scheduler_config)
    *_, (_, latents) = made.sample([0, 1], [1, 2], Sampling(steps=3, guidance=3.0))
    there(latents, device)
    yield "Stable Diffusion"


def check_refinement(device: torch.device) -> Iterator[str]:
    """Both terms of eq. 9, through denoiser, decoder and teacher, by either optimiser."""
    refinement.draw_timestep = on_the_host(refinement.draw_timestep)  # type: ignore[assignment]
    with unset_fake_temporarily():
        codec, teacher = Codec(build_autoencoder(), (SIDE, SIDE, 3)), build_teacher(tuple(range(10)))
    move(codec, device)
    move(teacher, device)
    selected = Selected(
        latents=torch.randn(N, *LATENT),
        classes=torch.arange(N),
        task=torch.arange(10),
        soft_labels=torch.full((N, 10), 0.1),
        confidence=torch.full((N,), 0.5),
        noise_seeds=range(N),
    )
    for optimizer in ("sgd", "adam", "cao2"):
        nets = Networks(a_generator(torch.bfloat16, device), codec, teacher)
        chosen = {"objective": "cao2"} if optimizer == "cao2" else {"optimizer": optimizer}
        how = Recipe().refine.model_copy(update={"n_steps": 3, "kl_steps": 2, **chosen})
        for _, latents, losses in refine_batch(nets, selected, how, temperature=1.5):
            there(latents, device)
            there(losses, device)
        yield f"refinement by {optimizer}"
    there(codec.encode(torch.randn(2, 3, SIDE, SIDE, device=device)), device)
    for answer in teacher.predict(torch.randn(N, 3, SIDE, SIDE), batch_size=2):
        there(answer, torch.device("cpu"))
    for answer in teacher.predict(torch.zeros(N, SIDE, SIDE, 3, dtype=torch.uint8), batch_size=2):
        there(answer, torch.device("cpu"))
    yield "encoding and scoring"


def check_students(device: torch.device) -> Iterator[str]:
    """Every augmentation, and an epoch of each student up to its mean loss, the first number looked at."""
    images, soft = torch.randn(N, 3, SIDE, SIDE, device=device), torch.full((N, 10), 0.1, device=device)
    draws = torch.Generator().manual_seed(0)
    for operation in augment.OPERATIONS:
        there(operation(images, draws), device)
    yield "augmentation"
    how = Training(epochs=1, batch_size=2, n_checks=1, augment=None)
    for place in (device, torch.device("cpu")):
        levels = torch.zeros(N, SIDE, SIDE, 3, dtype=torch.uint8, device=place)
        at_rest = NormalisedImages.of(levels, (0.5, torch.full((3, 1, 1), 0.25)), device)
        if trains("convnet-3", at_rest, soft, how):
            yield f"images at rest on the {'device' if place == device else 'host'}"
    for name in ("convnet-3", "resnetap-10", "resnet-18", "timm:resnet10t"):
        if trains(name, images, soft, how):
            yield f"training of {name}"


def check_bundle_training(device: torch.device) -> Iterator[str]:
    """A step of each network that `train-bundle` trains; its loss is not looked at."""
    with tempfile.TemporaryDirectory() as folder, unset_fake_temporarily():
        root, cpu = Path(folder), torch.device("cpu")
        chosen = small_cifar(root / "data")
        list(train_networks(chosen, root / "data", root, root / "bundle", 0, cpu))
        (root / "codec.pt").unlink()
        taught = Teacher.from_folder(root / "bundle" / "teacher")
        encoder = Codec.from_folder(root / "bundle" / "generator" / "vae", chosen.data.shape)
        runs = (
            teacher_training.Run(chosen, root / "data", root, 0, cpu),
            codec_training.Run(chosen, root / "data", root, taught, 0, cpu),
            generator_training.Run(chosen, root / "data", root, encoder, 0, cpu),
        )
    for run in runs:
        run.device = device
        for name, part in vars(run).items():
            if isinstance(part, nn.Module):
                move(part, device)
            elif isinstance(part, Tensor) and name != "alphas_cumprod":
                setattr(run, name, part.to(device))
    teacher_run, codec_run, generator_run = runs
    there(teacher_run.step(teacher_run.order(0)[:4], 0.0), device)
    there(codec_run.step(0), device)
    there(generator_run.step(0), device)
    yield "training of a bundle"


def small_cifar(folder: Path) -> BundleSettings:
    """CIFAR-10 with networks of seconds, and a few pictures of noise as Parquet."""
    data = CIFAR10.data
    folder.mkdir()
    file = io.BytesIO()
    Image.new("RGB", (data.side, data.side)).save(file, "PNG")
    row = {"bytes": file.getvalue(), "path": None}
    for split in ("train", "test"):
        table = pa.table({"image": [row] * 20, "label": [*range(10)] * 2})
        pq.write_table(table, folder / f"{split}.parquet")
    return replace(
        CIFAR10,
        teacher=replace(CIFAR10.teacher, kwargs={"channels": [8, 8, 8, 8]}, cycles=(Cycle(1, 0.1, 0.5),), batch=4,
                        held_out=4),
        codec=replace(CIFAR10.codec, widths=(8, 8, 8), steps=1, batch=4),
        generator=replace(CIFAR10.generator, heads=2, head_dim=8, layers=1, steps=1, batch=4),
    )  # fmt: skip


def trains(name: str, images: Tensor | NormalisedImages, soft: Tensor, how: Training) -> bool:
    """Whether a student comes on the device of `soft` as far as its mean loss, the first number looked at."""
    with unset_fake_temporarily():
        student = build_student(name, 10, 3, SIDE)
    move(student, soft.device)
    labels = torch.zeros(N, dtype=torch.int64, device=soft.device)
    try:
        next(train_student(student, images, soft, loss, images, labels, how, 0))
    except DataDependentOutputException:
        return True
    return False


def loss(logits: Tensor, soft: Tensor) -> Tensor:
    """PSR eq. 11."""
    return kd_loss(logits, soft, 1.5)


def a_generator(dtype: torch.dtype, device: torch.device) -> Generator:
    """The structure of DiT-XL/2, small."""
    with unset_fake_temporarily():
        transformer = build_transformer()
        nn.Module.to(transformer, dtype)  # their own `to` warns of layers that a DiT has not
    move(transformer, device)
    return Generator(transformer, SCHEDULE, tuple(range(10)))


def there(tensor: Tensor, device: torch.device) -> None:
    """Complain about a tensor that lies elsewhere."""
    if tensor.device.type != device.type:
        raise RuntimeError(f"a result lies on {tensor.device}, but {device} was asked for")


def main() -> None:
    """Check all, print a line for each."""
    warnings.simplefilter("ignore")
    library = torch.library.Library("aten", "IMPL")
    device = know(library)
    with MODE:
        for check in (
            check_itself,
            check_generation,
            check_stable_diffusion,
            check_refinement,
            check_students,
            check_bundle_training,
        ):
            for line in check(device):
                print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
