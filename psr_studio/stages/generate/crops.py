"""Crops of real images as candidates: no generator, the teacher says which crops are the most real (RDED).

Which crops those are is found out once per bundle and settings, and kept as the targets of guided pools are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.real_latents import are_at_hand, n_real
from psr_studio.core.devices import candidate_seed, pick_device
from psr_studio.core.errors import RecipeError
from psr_studio.core.progress import Progress
from psr_studio.core.words import duration, plural
from psr_studio.recipe.schema import CROPS, GENERATOR, Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.generate import STAGE
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.generate.targets import identity, keep, path, taken, write
from psr_studio.stages.task import named_part
from psr_studio.storage.workspace import Workspace

AT_ONCE = 32  # images whose crops are scored between two looks at the progress
SOURCES = [  # as a choice shows them: title and help, and the name
    ("The generator: new pictures.", GENERATOR),
    (
        "Crops of real images (RDED): of random crops those that the teacher finds the most realistic; needs real "
        "images and no generator.",
        CROPS,
    ),
]
COLUMNS = ("image", "crop", "top", "left", "side")


def settings(recipe: Recipe, bundle: Bundle, classes: Sequence[int]) -> dict[str, Any]:
    """What the crops are made from."""
    return {
        "source": CROPS,
        **recipe.pool.crops.model_dump(),
        "seed": recipe.pool.seed,
        "teacher": bundle.identity("teacher"),
        "data": bundle.identity("data"),
        **named_part(classes, bundle.n_classes),
    }


def prepare(
    ws: Workspace, recipe: Recipe, bundle: Bundle, classes: Sequence[int], sizes: Sequence[int]
) -> Iterator[Progress]:
    """Find the most real crop of each image, where that is not known yet.

    Args:
        sizes: candidates of every class of the bundle.

    Raises:
        ModelError: no real images. RecipeError: a class with too few of them, or pictures that do not divide.
    """
    made_from = settings(recipe, bundle, classes)
    if identity(ws, made_from) or taken(ws, made_from, bundle, ("class", *COLUMNS, "loss")):
        labels = ws.parts.read(path(ws, made_from), ["class"])[1]["class"]
        check(recipe, bundle, {c: int((labels == c).sum()) for c in classes}, sizes)
        return
    chosen, total = {c: _chosen(recipe, bundle, c) for c in classes}, sum(sizes[c] for c in classes)
    check(recipe, bundle, {c: len(rows) for c, rows in chosen.items()}, sizes)
    n_left = sum(map(len, chosen.values())) * recipe.pool.crops.crops
    judge, clock, done, found = _Judge(recipe, bundle, classes), Stopwatch(), 0, []
    for class_id, rows in chosen.items():
        losses, windows = [], []
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            windows.append(draw_windows(recipe, bundle, class_id, part))
            losses.append(judge.losses(class_id, part, windows[-1]))
            first, done = not done, done + losses[-1].size
            if first:
                seconds = duration(clock.seconds * n_left / done)
                cost = f"Cost: {plural(n_left, 'crop')} of real images to score, about {seconds}"
                words = f"{cost}, kept for all workspaces."
                yield Progress(STAGE.name, 0, total, words, lasting=True)
            yield Progress(
                STAGE.name, 0, total, f"Scored {done} of {n_left} crops of real images.", class_id=class_id
            )
        found.append(_ranked(class_id, rows, np.concatenate(losses), np.concatenate(windows)))
    columns = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    write(ws, made_from, columns, made_from)
    keep(bundle, made_from, columns, made_from)


def at_most(recipe: Recipe, bundle: Bundle) -> dict[int, int]:
    """Images that are cut, by class; where pictures would have to be prepared to count them, at most so many."""
    most, known = recipe.pool.crops.images, are_at_hand(bundle)
    return {c: min(most, n_real(bundle, c)) if known else most for c in classes_of(recipe, bundle)}


def check(recipe: Recipe, bundle: Bundle, counts: Mapping[int, int], sizes: Sequence[int]) -> None:
    """Raise what keeps the pool from being cut: too few images of a class, or pictures that do not divide.

    Args:
        counts: images that are cut, by class.
    """
    factor = recipe.pool.crops.factor
    height, width, _ = bundle.image_shape
    if height % factor or width % factor:
        raise RecipeError(
            f'"pool.crops.factor" is {factor}, but pictures of {height} x {width} px do not divide by it.',
            'Set "pool.crops.factor" to 1.',
            "pool.crops.factor",
        )
    for class_id, there in counts.items():
        if (most := there // factor**2) < sizes[class_id]:
            each = f", {factor**2} for each candidate" if factor > 1 else ""
            ways = [f'lower "pool.pool_size" to {most} or less'] if most else []
            ways += ['set "pool.crops.factor" to 1'] if factor > 1 else []
            ways += ['raise "pool.crops.images"'] if there == recipe.pool.crops.images else []
            fix = ", or ".join(ways)
            raise RecipeError(
                f'Class "{bundle.class_names[class_id]}" has {there} real images to cut from{each}, but '
                f"{sizes[class_id]} candidates are asked for.",
                f"{fix[0].upper()}{fix[1:]}.",
                "pool.pool_size",
            )


def _chosen(recipe: Recipe, bundle: Bundle, class_id: int) -> np.ndarray:
    """Numbers of the real images of a class, among its own, that are cut: all, or random ones in their order."""
    n, most = int((bundle.train_subset[1] == class_id).sum()), recipe.pool.crops.images
    if n <= most:
        return np.arange(n)
    rng = np.random.default_rng((recipe.pool.seed, class_id))
    return np.sort(rng.choice(n, most, replace=False))


def draw_windows(recipe: Recipe, bundle: Bundle, class_id: int, numbers: np.ndarray) -> np.ndarray:
    """Windows (n, crops, 3) of some images of a class, each drawn from a seed of its own."""
    from psr_studio.method.realism import crop_windows

    height, width, _ = bundle.image_shape
    draws = (
        np.random.default_rng(candidate_seed(recipe.pool.seed, class_id, int(number))) for number in numbers
    )
    return np.stack([crop_windows(rng, recipe.pool.crops.crops, height, width) for rng in draws])


class _Judge:
    """The teacher, and the real images."""

    def __init__(self, recipe: Recipe, bundle: Bundle, classes: Sequence[int]) -> None:
        self.images = RealImages(recipe, bundle)
        self.shape = bundle.image_shape[:2]
        self.teacher = bundle.teacher(pick_device(recipe.device))
        self.fill = np.rint(self.teacher.mean.flatten().cpu().numpy() * 255).astype(np.uint8)
        self.classes, self.batch_size = list(classes), recipe.score.batch_size

    def losses(self, class_id: int, numbers: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Cross-entropy (n, crops) over the classes of the task; a smaller crop lies in the teacher's mean colour."""
        import torch

        from psr_studio.method.realism import padded, realism_loss

        crops = np.concatenate(
            [self.images.cut(class_id, n, own) for n, own in zip(numbers, windows, strict=True)]
        )
        shown = padded(crops, *self.shape, self.fill)
        logits, _ = self.teacher.predict(torch.from_numpy(shown), self.batch_size)
        place = np.full(len(crops), self.classes.index(class_id))
        return realism_loss(logits[:, self.classes], place).reshape(windows.shape[:2])


def _ranked(
    class_id: int, numbers: np.ndarray, losses: np.ndarray, windows: np.ndarray
) -> dict[str, np.ndarray]:
    """The best crop of each image, the most real first."""
    from psr_studio.method.realism import most_realistic

    order, best = most_realistic(losses)
    top, left, side = windows[order, best].T
    loss = losses[order, best].astype(np.float32)[:, None]
    labels = np.full(len(order), class_id, np.int64)
    columns = (numbers[order], best, top, left, side)
    return {"class": labels, **dict(zip(COLUMNS, columns, strict=True)), "loss": loss}


class RealImages:
    """The real images by class, and pieces of them at the size that the pool has."""

    def __init__(self, recipe: Recipe, bundle: Bundle) -> None:
        self.pixels, labels = bundle.train_subset
        self.rows = {c: np.flatnonzero(labels == c) for c in range(bundle.n_classes)}
        height, width, _ = bundle.image_shape
        factor = recipe.pool.crops.factor
        self.shape = height // factor, width // factor

    def cut(self, class_id: int, number: int, windows: np.ndarray) -> np.ndarray:
        """Windows (n, 3) of image `number` of a class, uint8 (n, h, w, ch)."""
        from psr_studio.method.realism import cut

        return cut(self.pixels[self.rows[class_id][number]], windows, *self.shape)


@dataclass(frozen=True, eq=False)
class Cut:
    """Candidates: pictures uint8 (n, H, W, ch), and for each where its crops come from, in words."""

    images: np.ndarray
    origins: list[str]


class Crops:
    """The crops of a pool, opened."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle, classes: Sequence[int]) -> None:
        self.factor, self.images = recipe.pool.crops.factor, RealImages(recipe, bundle)
        _, stored = ws.parts.read(path(ws, settings(recipe, bundle, classes)), ["class", *COLUMNS])
        self.of_class = {
            int(c): np.stack([stored[name][stored["class"] == c] for name in COLUMNS], axis=1)
            for c in np.unique(stored["class"])
        }

    def candidates(self, class_id: int, start: int, n: int) -> Cut:
        """Candidates `start` to `start + n` of a class: the first has the most real crops."""
        from psr_studio.method.realism import tiled

        each = self.factor**2
        rows = self.of_class[class_id][start * each : (start + n) * each]
        cuts = [self.images.cut(class_id, int(row[0]), row[None, 2:]) for row in rows]
        words = [f"image {image + 1}, crop {crop + 1}" for image, crop in rows[:, :2].tolist()]
        origins = ["; ".join(words[i : i + each]) for i in range(0, len(words), each)]
        return Cut(tiled(np.concatenate(cuts), self.factor), origins)
