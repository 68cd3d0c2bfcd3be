"""Surrogates of IGD, trained on the real images of a bundle once, and what each class teaches them: kept for all."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.bundles.real_images import is_kept, keep_array, read_array
from psr_studio.bundles.real_latents import kept_folder, real_rows, task_key
from psr_studio.method.guidances.igd import kept_epochs

if TYPE_CHECKING:
    import torch
    from torch.nn import Module

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
    def n_bytes(self) -> int:
        """Of its weights and the gradients of all classes, which a guided pool holds at once."""
        return 4 * (1 + len(self.task)) * len(kept_epochs(self.epochs)) * self._n_weights

    @property
    def rows(self) -> np.ndarray:
        """Rows of its real images in `Bundle.train_subset`: all of the task's at hand [published: all of the data]."""
        return np.concatenate([real_rows(self.bundle, c) for c in self.task])

    def weights(self, device: torch.device) -> Generator[int, None, np.ndarray]:
        """Its weights, float32 (S, P), from their file, or trained; yields after each epoch its number.

        A training that was stopped or killed goes on where it was.

        Raises:
            ModelError: the real images are not on this machine.
        """
        found = read_array(self.path, (len(kept_epochs(self.epochs)), self._n_weights))
        if found is None:
            from psr_studio.models.surrogate import Moments

            kept, standing = Moments(), self.path.with_name("training.pt")
            yield from self._train(device, kept, standing)
            found = np.stack([one.numpy() for one in kept.weights])
            keep_array(self.path, found)
            standing.unlink(missing_ok=True)
        return found

    @property
    def _n_weights(self) -> int:
        return sum(part.numel() for part in self._network().parameters())

    def _network(self) -> Module:
        from psr_studio.models.surrogate import new_surrogate

        return new_surrogate(self.depth, len(self.task), self.bundle.image_shape)

    def _train(self, device: torch.device, kept: Moments, standing: Path) -> Iterator[int]:
        from torch import from_numpy

        from psr_studio.models.levels import at_rest
        from psr_studio.models.surrogate import train_surrogate

        images, labels = self.bundle.train_subset
        rows = self.rows
        network = self._network().to(device)
        counted = from_numpy(np.searchsorted(self.task, labels[rows])).to(device)
        yield from train_surrogate(
            network, at_rest(images[rows], device), counted, self.epochs, kept, standing
        )

    def gradient(
        self, class_id: int, weights: np.ndarray, device: torch.device
    ) -> Generator[int, None, np.ndarray]:
        """The mean gradient of the real images of a class, float32 (S, P); yields how many images more were read.

        Of all of them at hand [our reading]; the authors take 200 of a class.
        """
        path = self._gradient_path(class_id, weights)
        found = read_array(path, weights.shape)
        if found is None:
            from torch import from_numpy

            from psr_studio.models.levels import NormalisedImages, at_rest
            from psr_studio.models.surrogate import AS_DECODED, class_gradient

            shown = self.bundle.train_subset[0][real_rows(self.bundle, class_id)]
            images = NormalisedImages.of(at_rest(shown, device), AS_DECODED, device)
            network, found = self._network().to(device), np.zeros_like(weights)
            moments = from_numpy(weights).to(device)
            for n, part in class_gradient(network, moments, images, self.task.index(class_id)):
                found += part.numpy()
                yield n
            keep_array(path, found)
        return found

    def left_to_read(self, weights: np.ndarray) -> int:
        """Real images of classes whose gradient is not kept yet."""
        missing = [c for c in self.task if not is_kept(self._gradient_path(c, weights), weights.shape)]
        return sum(len(real_rows(self.bundle, c)) for c in missing)

    def _gradient_path(self, class_id: int, weights: np.ndarray) -> Path:
        of_weights = hashlib.sha256(weights.tobytes()).hexdigest()[:8]
        return self.path.with_name(f"class={class_id}-{of_weights}.npy")


def surrogate_of(bundle: Bundle, task: Sequence[int], depth: int | None, epochs: int) -> Surrogate:
    """The surrogate of some settings, its depth by the size of the pictures where it is None."""
    from psr_studio.models.surrogate import depth_for

    return Surrogate(bundle, tuple(task), depth or depth_for(bundle.image_shape[0]), epochs)
