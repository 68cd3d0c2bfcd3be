"""The surrogate of IGD: a ConvNet at some moments of its training, and the gradients that pictures give its weights.

Lines are marked [published], as the authors' scripts have them, or [our reading]; their file that trains the surrogate
was not at hand.
Shape letters: S moments, P weights, N pictures of ch x H x W in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.devices import reproducible
from psr_studio.core.stopping import stop_if_asked
from psr_studio.method.guidances.igd import gradient_gap, kept_epochs
from psr_studio.method.protocols import convnet_depth
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.students import Training, most_halvings, seeded_student, train_student

SEED = 0  # of the first weights and of the order of the pictures
AT_ONCE = 64  # pictures of which gradients are summed together
BATCH = 64  # [our reading]
# Mean and deviation that bring pixels to [-1, 1], as the codec decodes them: [published] for the gradients of classes,
# [our reading] for the training.
AS_DECODED = (0.5, 0.5)


def depth_for(size: int) -> int:
    """The field's depth for pictures of so many pixels a side, as far as these can be halved.

    6 at 256 px [published], others [our reading].
    """
    return min(most_halvings(size), convnet_depth(size))


def new_surrogate(depth: int, n_classes: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """A ConvNet of a depth with instance norm [published], its first weights always the same."""
    height, _, channels = image_shape
    return seeded_student(f"convnet-{depth}", n_classes, channels, height, SEED)


class Moments:
    """Weights of a network at some moments of its training, (P,) each, on the host."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []

    def add(self, network: nn.Module) -> None:
        """Those of now."""
        flat = nn.utils.parameters_to_vector(network.parameters())
        self.weights.append(flat.detach().cpu().float().clone())

    def state_dict(self) -> dict[str, list[Tensor]]:
        """All of them."""
        return {"weights": self.weights}

    def load_state_dict(self, state: Mapping[str, list[Tensor]]) -> None:
        """Take those of a checkpoint."""
        self.weights = state["weights"]


def train_surrogate(
    network: nn.Module, levels: Tensor, labels: Tensor, epochs: int, kept: Moments, standing: Path
) -> Iterator[int]:
    """Train in place by cross-entropy, without mixing [published]; yields after each epoch its number.

    [our reading]: no augmentation; SGD as DC trains students, rate 0.01 and a tenth of it from the middle on, momentum
    0.9, decay 5e-4.
    Stopped or killed at any moment, it goes on from there to the same weights, up to the rounding of a GPU.

    Args:
        levels: uint8 (N, H, W, ch). labels: (N,) int64, both on the network's device.
        kept: takes the weights after each of `kept_epochs`.
        standing: file that says where it stands.
    """
    checkpoint: Checkpoint | None = None

    def resumed(parts: dict[str, Any]) -> int:
        nonlocal checkpoint
        checkpoint = Checkpoint(standing, {**parts, "kept": kept}, "Remove that file to begin anew.")
        return checkpoint.step

    images = NormalisedImages.of(levels, AS_DECODED, labels.device)
    training = Training(epochs=epochs, batch_size=BATCH, augment=None, n_checks=1)
    few = slice(0, AT_ONCE)  # nothing is read off the check
    checks = train_student(
        network,
        images,
        labels,
        F.cross_entropy,
        images.first(AT_ONCE),
        labels[few],
        training,
        SEED,
        every_epoch=True,
        resume=resumed,
    )
    for check in checks:
        assert checkpoint is not None  # opened before the first epoch
        if check.epoch in kept_epochs(epochs):
            kept.add(network)
        checkpoint.reached(check.epoch, final=check.epoch == epochs)
        try:
            yield check.epoch
        except GeneratorExit:
            checkpoint.reached(check.epoch, final=True)
            raise


def class_gradient(
    network: nn.Module, weights: Tensor, images: NormalisedImages, label: int
) -> Iterator[tuple[int, Tensor]]:
    """Yields, some pictures (N, ch, H, W) of a class at a time, N and their part of its mean gradient (S, P).

    Published is the mean; which pictures, see `bundles.surrogates`.
    """
    for start in range(0, len(images), AT_ONCE):
        shown = images[start : start + AT_ONCE]
        labels = torch.full((len(shown),), label, device=shown.device)
        share = len(shown) / len(images)
        found = torch.stack([weight_gradient(network, one, shown, labels) for one in weights])
        yield len(shown), found.cpu() * share


def weight_gradient(
    network: nn.Module, weights: Tensor, images: Tensor, labels: Tensor, differentiable: bool = False
) -> Tensor:
    """The gradient (P,) of the mean cross-entropy of images (N, ch, H, W) by the weights (P,) [published].

    Args:
        differentiable: by the images too.
    """
    stop_if_asked()  # each row of a guided step, and some real images at a time, come by here
    flat = weights.detach().requires_grad_()
    logits = functional_call(network, _named(network, flat), (images,))
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels), flat, create_graph=differentiable)
    return gradient


def _named(network: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    parts = dict(network.named_parameters())
    cut = flat.split([part.numel() for part in parts.values()])
    return {name: value.view_as(part) for (name, part), value in zip(parts.items(), cut, strict=True)}


class GradientGap:
    """How far pictures, decoded from predicted clean latents [published], are from teaching the surrogate what the
    real images of their class do.

    Args:
        network: of the surrogate, with any weights. weights: (S, P). wanted: mean gradients (S, P) by class.
        task: the classes as the surrogate counts them. decode: latents (1, c, h, w) -> pictures, differentiable.
    """

    def __init__(
        self, network: nn.Module, weights: Tensor, wanted: Mapping[int, Tensor], task: Sequence[int],
        decode: Callable[[Tensor], Tensor],
    ) -> None:  # fmt: skip
        self.network = network.eval().requires_grad_(False)
        self.weights, self.wanted, self.decode = weights, wanted, decode
        self.label = {class_id: label for label, class_id in enumerate(task)}

    def __call__(self, clean: Tensor, classes: Tensor) -> Tensor:
        """The gradient (N, c, h, w) of each row's mean gap by its clean latent [our reading, see
        `guided_by_influence`]; rows are taken one by one, as the authors sample [published].
        """
        rows = zip(clean.float().split(1), classes.tolist(), strict=True)
        with torch.enable_grad(), reproducible(clean.device):
            return torch.cat([self._uphill(row, class_id) for row, class_id in rows])

    def of(self, clean: Tensor, class_id: int) -> Tensor:
        """The mean gap () of one clean latent (1, c, h, w), differentiable by it."""
        images = self.decode(clean)
        labels = torch.tensor([self.label[class_id]], device=images.device)
        found = torch.stack(
            [weight_gradient(self.network, one, images, labels, True) for one in self.weights]
        )
        return gradient_gap(found, self.wanted[class_id].to(found.device)).mean()

    def _uphill(self, clean: Tensor, class_id: int) -> Tensor:
        leaf = clean.detach().requires_grad_()
        return torch.autograd.grad(self.of(leaf, class_id), leaf)[0]
