"""Distribution matching through the decoder: random networks see the same mean features as in real images.

Of Zhao and Bilen 2023 (DM), with the latents moved instead of pixels, as Cazenavette et al. 2023 (GLaD) do. Here they
begin at the selected candidates. Shape letters: n latents, (c, h, w) one latent, d features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from psr_studio.core.devices import candidate_generator, candidate_seed
from psr_studio.method.protocols import convnet_depth
from psr_studio.models.augment import dsa
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.memory import MicroBatches
from psr_studio.models.students import seeded_student

if TYPE_CHECKING:
    from psr_studio.models.codec import Codec

ROWS = 32  # latents at once through decoder and network
MOST_DEPTH = 6  # of the networks


@dataclass(frozen=True)
class Matching:
    """What the latents are matched to.

    Attributes:
        images: real training images. rows: of each class, those among them.
        n_real: how many of a class are drawn in each step; all where there are fewer.
        mirrored: DSA flips too.
    """

    images: NormalisedImages
    rows: dict[int, Tensor]
    n_real: int
    mirrored: bool = True
    memory: MicroBatches = field(default_factory=lambda: MicroBatches("matching", ROWS))

    def network(self, seed: int) -> nn.Module:
        """The features of a ConvNet with random weights, frozen; the same from the same seed."""
        _, height, _, channels = self.images.levels.shape
        depth = min(MOST_DEPTH, convnet_depth(height))
        made = seeded_student(f"convnet-{depth}", 1, channels, height, seed)
        features: nn.Module = made.features  # type: ignore[assignment]
        return features.to(self.images.mean.device).requires_grad_(False)

    def drawn(self, class_id: int, seed: int) -> Tensor:
        """Real images of a class, normalised (m, ch, H, W)."""
        rows = self.rows[class_id]
        order = torch.randperm(len(rows), generator=candidate_generator(seed))[: self.n_real]
        return self.images[rows[order].to(self.images.device)]


def siamese(images: Tensor, seed: int, mirrored: bool = True) -> Tensor:
    """One operation of DSA with the same strength for all images (n, ch, H, W), drawn by the seed: so on both sides."""
    return torch.cat([dsa(image[None], candidate_generator(seed), mirrored) for image in images])


def matched(
    codec: Codec, to: Matching, classes: Tensor, seed: int
) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    """What gives the losses (n,) and their gradient (n, c, h, w) of latents in a step.

    The loss of a class is the squared distance of two means of features; each of its latents has it, and the gradient
    of it. The network of a step is drawn anew, the same for all classes; the augmentation is drawn for a class.

    Args:
        classes: (n,), each class whole.
    """
    present = sorted(set(classes.tolist()))

    def pull(step: int, z: Tensor) -> tuple[Tensor, Tensor]:
        network = to.network(candidate_seed(seed, 0, step))
        losses, gradient = z.new_zeros(len(z)), torch.zeros_like(z)
        for class_id in present:
            members = (classes == class_id).nonzero().squeeze(1)
            drawn = candidate_seed(seed, class_id + 1, step)
            with torch.no_grad():
                wanted = network(siamese(to.drawn(class_id, drawn), drawn, to.mirrored)).flatten(1).mean(0)
            pulled = partial(_pulled, partial(_features, codec, to, network, drawn), wanted, z[members])
            losses[members], gradient[members] = to.memory.whole(pulled, len(members))
        return losses, gradient

    return pull


def _features(codec: Codec, to: Matching, network: nn.Module, drawn: int, z: Tensor) -> Tensor:
    """Features (n, d) of the pictures of some latents, augmented as the real ones are."""
    pixels = (codec.decode(z).clamp(-1, 1) + 1) / 2
    return network(siamese((pixels - to.images.mean) / to.images.std, drawn, to.mirrored)).flatten(1)


def _pulled(
    seen: Callable[[Tensor], Tensor], wanted: Tensor, z: Tensor, chunks: list[slice]
) -> tuple[Tensor, Tensor]:
    """The squared distance of the mean features of a class from those wanted, and its gradient (n, c, h, w).

    Latents that do not fit at once are seen twice: first for their mean.
    """
    mean, gradient = None, torch.zeros_like(z)
    if len(chunks) > 1:
        with torch.no_grad():
            mean = torch.cat([seen(z[chunk]) for chunk in chunks]).mean(0)
    for chunk in chunks:
        with torch.enable_grad():
            part = z[chunk].detach().requires_grad_(True)
            features = seen(part)
            apart = (features.detach().mean(0) if mean is None else mean) - wanted
            gradient[chunk] = torch.autograd.grad((features * (2 * apart / len(z))).sum(), part)[0]
    return apart.square().sum(), gradient
