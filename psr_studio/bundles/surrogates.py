"""Surrogates of IGD, trained on the real images of a bundle once, and what each class teaches them: kept for all."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.bundles.real_latents import keep_array, kept_folder, real_rows, task_key

if TYPE_CHECKING:
    import torch

    from psr_studio.bundles.bundle import Bundle
    from psr_studio.models.surrogate import Moments


@dataclass(frozen=True)
class Surrogate:
    """One for the classes of a task: a ConvNet of a depth, trained so many epochs."""

    bundle: Bundle
    task: tuple[int, ...]
    depth: int
    epochs: int

    @property
    def path(self) -> Path:
        """Where its weights lie, and the gradients of the classes beside them."""
        made_by = f"surrogate-convnet-{self.depth}-{self.epochs}-{task_key(self.task)}"
        return kept_folder(self.bundle, made_by) / "weights.npy"

    @property
    def rows(self) -> np.ndarray:
        """Rows of its real images in `Bundle.train_subset`."""
        return np.concatenate([real_rows(self.bundle, c) for c in self.task])

    def weights(self, device: torch.device) -> Generator[int, None, np.ndarray]:
        """Its weights, float32 (S, P), from their file, or trained; yields after each epoch its number.

        A training that was stopped or killed goes on where it was.

        Raises:
            ModelError: the real images are not on this machine.
        """
        if not self.path.is_file():
            from psr_studio.models.surrogate import Moments

            kept, standing = Moments(), self.path.with_name("training.pt")
            yield from self._train(device, kept, standing)
            keep_array(self.path, np.stack([one.numpy() for one in kept.weights]))
            standing.unlink(missing_ok=True)
        return np.load(self.path)

    def _train(self, device: torch.device, kept: Moments, standing: Path) -> Iterator[int]:
        from torch import from_numpy

        from psr_studio.models.levels import at_rest
        from psr_studio.models.surrogate import new_surrogate, train_surrogate

        images, labels = self.bundle.train_subset
        rows = self.rows
        network = new_surrogate(self.depth, len(self.task), self.bundle.image_shape).to(device)
        counted = from_numpy(np.searchsorted(self.task, labels[rows])).to(device)
        yield from train_surrogate(
            network, at_rest(images[rows], device), counted, self.epochs, kept, standing
        )

    def gradient(
        self, class_id: int, weights: np.ndarray, device: torch.device
    ) -> Generator[int, None, np.ndarray]:
        """The mean gradient of the real images of a class, float32 (S, P); yields how many images more were read."""
        of_weights = hashlib.sha256(weights.tobytes()).hexdigest()[:8]
        path = self.path.with_name(f"class={class_id}-{of_weights}.npy")
        if not path.is_file():
            from torch import from_numpy

            from psr_studio.models.levels import NormalisedImages, at_rest
            from psr_studio.models.surrogate import AS_DECODED, class_gradient, new_surrogate

            shown = self.bundle.train_subset[0][real_rows(self.bundle, class_id)]
            images = NormalisedImages.of(at_rest(shown, device), AS_DECODED, device)
            network = new_surrogate(self.depth, len(self.task), self.bundle.image_shape).to(device)
            moments, total = from_numpy(weights).to(device), np.zeros_like(weights)
            for n, part in class_gradient(network, moments, images, self.task.index(class_id)):
                total += part.numpy()
                yield n
            keep_array(path, total)
        return np.load(path)


def surrogate_of(bundle: Bundle, task: Sequence[int], depth: int | None, epochs: int) -> Surrogate:
    """The surrogate of some settings, its depth by the size of the pictures where it is None."""
    from psr_studio.models.surrogate import depth_for

    return Surrogate(bundle, tuple(task), depth or depth_for(bundle.image_shape[0]), epochs)
