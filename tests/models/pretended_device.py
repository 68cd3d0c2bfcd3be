"""Every hot loop on a device that only pretends: `python pretended_device.py` prints what kept to it.

PyTorch knows such a device by name, with tensors that have a shape, a type and a place but no numbers. Two tensors
from different places in one operation are an error there as on a GPU, and so is a look at a number, for which a GPU
would have to be waited for. So this finds, without a GPU, what a first run on one would; speed and numbers it
cannot show.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from checkpoints import write_stable_diffusion
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode, unset_fake_temporarily
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from psr_studio.method.distillation import kd_loss
from psr_studio.models import augment, generator, text_to_image
from psr_studio.models.adapters import Opening
from psr_studio.models.codec import Codec
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.samplers import SAMPLERS
from psr_studio.models.students import Training, build_student, train_student
from psr_studio.models.text_to_image import TextToImage
from psr_studio.models.tiny import SCHEDULE, build_autoencoder, build_teacher, build_transformer
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.refine import loop as refinement
from psr_studio.stages.refine.loop import Networks, Seeds, refine_batch

NAME, N, SIDE, LATENT = "pretended", 5, 64, (4, 8, 8)
MODE = FakeTensorMode(allow_non_fake_inputs=True)


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
        *_, (_, latents) = made.sample([0, 1, 1], [1, 2, 3], how, guide=lambda z, noise, step: z + 0 * noise)
        there(latents, device)
        yield f"generation by {sampler}"


def check_stable_diffusion(device: torch.device) -> Iterator[str]:
    """The adapter that the documents show."""
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
    refinement._timestep = on_the_host(refinement._timestep)  # type: ignore[assignment]
    with unset_fake_temporarily():
        codec, teacher = Codec(build_autoencoder(), (SIDE, SIDE, 3)), build_teacher(tuple(range(10)))
    move(codec, device)
    move(teacher, device)
    seeds = Seeds(
        torch.randn(N, *LATENT), torch.arange(N), torch.full((N, 10), 0.1), torch.full((N,), 0.5), range(N)
    )
    for optimizer in ("sgd", "adam"):
        nets = Networks(a_generator(torch.bfloat16, device), codec, teacher)
        how = Recipe().refine.model_copy(update={"n_steps": 3, "kl_steps": 2, "optimizer": optimizer})
        for _, latents, losses in refine_batch(nets, seeds, how, temperature=1.5):
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
    how = Training(epochs=1, batch_size=2, n_checks=1, augment=False)
    for place in (device, torch.device("cpu")):
        levels = torch.zeros(N, SIDE, SIDE, 3, dtype=torch.uint8, device=place)
        at_rest = NormalisedImages.of(levels, (0.5, torch.full((3, 1, 1), 0.25)), device)
        if trains("convnet-3", at_rest, soft, how):
            yield f"images at rest on the {'device' if place == device else 'host'}"
    for name in ("convnet-3", "resnetap-10", "resnet-18", "timm:resnet10t"):
        if trains(name, images, soft, how):
            yield f"training of {name}"


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
    _setup_privateuseone_for_python_backend(NAME)
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16]
    device = torch.device(NAME)
    with MODE:
        for check in (
            check_itself,
            check_generation,
            check_stable_diffusion,
            check_refinement,
            check_students,
        ):
            for line in check(device):
                print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
