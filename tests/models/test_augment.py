"""Each operation of DSA on a batch is what the operation does to one image after the other, written out pixel by pixel.

References: Zhao and Bilen 2021, section 3.2 and their published strengths; bilinear sampling from its definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from psr_studio.core.devices import pick_dtype
from psr_studio.models import augment
from psr_studio.models.augment import OPERATIONS, dsa
from psr_studio.models.students import Training, build_student, train_student

N, CHANNELS, HEIGHT, WIDTH = 5, 3, 8, 16
Image = np.ndarray  # (channels, height, width) float64


def uniform(draws: torch.Generator, low: float, high: float) -> list[float]:
    return (torch.rand(N, generator=draws) * (high - low) + low).tolist()


def whole(draws: torch.Generator, high: int) -> list[int]:
    return torch.randint(0, high, (N,), generator=draws).tolist()


def bilinear(image: Image, source: Callable[[float, float], tuple[float, float]]) -> Image:
    """out(x, y) = image(source(x, y)) with x and y in [-1, 1] from corner to corner, 0 outside."""
    _, height, width = image.shape
    out = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x, y = source(2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1)
            left, top = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
            for r in (math.floor(top), math.floor(top) + 1):
                for c in (math.floor(left), math.floor(left) + 1):
                    if 0 <= r < height and 0 <= c < width:
                        share = (1 - abs(top - r)) * (1 - abs(left - c))
                        out[:, row, column] += share * image[:, r, c]
    return out


def flip(images: list[Image], draws: torch.Generator) -> list[Image]:
    return [x[:, :, ::-1] if u < 0.5 else x for x, u in zip(images, uniform(draws, 0, 1), strict=True)]


def scale(images: list[Image], draws: torch.Generator) -> list[Image]:
    factors = zip(uniform(draws, 1 / 1.2, 1.2), uniform(draws, 1 / 1.2, 1.2), strict=True)
    return [
        bilinear(image, lambda x, y, f=f: (f[0] * x, f[1] * y))
        for image, f in zip(images, factors, strict=True)
    ]


def rotate(images: list[Image], draws: torch.Generator) -> list[Image]:
    angles = [math.radians(15 * share) for share in uniform(draws, -1, 1)]
    return [
        bilinear(
            image,
            lambda x, y, a=a: (math.cos(a) * x - math.sin(a) * y, math.sin(a) * x + math.cos(a) * y),
        )
        for image, a in zip(images, angles, strict=True)
    ]


def rounded(pixels: float) -> int:
    return math.floor(pixels + 0.5)


def crop(images: list[Image], draws: torch.Generator) -> list[Image]:
    _, height, width = images[0].shape
    reach_y, reach_x = rounded(height / 8), rounded(width / 8)
    moves = zip(whole(draws, 2 * reach_y + 1), whole(draws, 2 * reach_x + 1), strict=True)
    out = []
    for image, (dy, dx) in zip(images, moves, strict=True):
        moved = np.zeros_like(image)
        for row in range(height):
            for column in range(width):
                r, c = row + dy - reach_y, column + dx - reach_x
                if 0 <= r < height and 0 <= c < width:
                    moved[:, row, column] = image[:, r, c]
        out.append(moved)
    return out


def cutout(images: list[Image], draws: torch.Generator) -> list[Image]:
    """Pixels at offset - side // 2 + (0 ... side - 1); offsets go up to the side of the image where `side` is even."""
    _, height, width = images[0].shape
    side_y, side_x = rounded(height / 2), rounded(width / 2)
    offsets = zip(
        whole(draws, height + (1 - side_y % 2)), whole(draws, width + (1 - side_x % 2)), strict=True
    )
    out = []
    for image, (offset_y, offset_x) in zip(images, offsets, strict=True):
        cut = image.copy()
        for row in range(height):
            for column in range(width):
                if (
                    0 <= row - offset_y + side_y // 2 < side_y
                    and 0 <= column - offset_x + side_x // 2 < side_x
                ):
                    cut[:, row, column] = 0
        out.append(cut)
    return out


def color(images: list[Image], draws: torch.Generator) -> list[Image]:
    strengths = zip(uniform(draws, -0.5, 0.5), uniform(draws, 0, 1), uniform(draws, 0, 1), strict=True)
    out = []
    for image, (brightness, saturation, contrast) in zip(images, strengths, strict=True):
        bright = image + brightness
        grey = bright.mean(axis=0)
        saturated = grey + 2 * saturation * (bright - grey)
        out.append(saturated.mean() + (contrast + 0.5) * (saturated - saturated.mean()))
    return out


REFERENCES = {op.__name__: op for op in (color, crop, cutout, flip, scale, rotate)}


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (20, 9)], ids=lambda size: "{} by {}".format(*size))
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.__name__)
def test_a_batch_is_augmented_as_image_after_image(operation, size):
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(CHANNELS, *size)) for _ in range(N)]
    wanted = REFERENCES[operation.__name__](images, torch.Generator().manual_seed(7))
    batch = torch.from_numpy(np.stack(images))
    found = operation(batch.clone(), torch.Generator().manual_seed(7)).numpy()
    assert np.allclose(found, np.stack(wanted), atol=1e-6)
    assert not np.allclose(found, batch.numpy()), "it did something"
    assert not np.allclose(found[0] - images[0], found[1] - images[1]), "each image has its own draw"


@pytest.mark.parametrize(("side", "wanted"), [(28, 14), (32, 16), (27, 14), (30, 15)])
def test_cutout_takes_as_many_pixels_as_dc_does(side, wanted):
    """DC's sides for images of `side` px: as many pixels inside the image, half of them at a corner."""
    cut = augment.cutout(torch.ones(4000, 1, side, side), torch.Generator().manual_seed(0))
    rows = (cut[:, 0] == 0).any(2).sum(1)
    assert rows.max() == wanted
    assert rows.min() == (wanted // 2 if wanted % 2 == 0 else wanted // 2 + 1)


def test_one_operation_is_drawn_for_a_batch_and_all_of_them_come():
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = []
    for seed in range(60):
        draws, again = (torch.Generator().manual_seed(seed) for _ in range(2))
        operation = OPERATIONS[int(torch.randint(len(OPERATIONS), (1,), generator=again))]
        assert torch.equal(dsa(images, draws), operation(images, again))
        seen.append(operation)
    assert set(seen) == set(OPERATIONS) == {getattr(augment, name) for name in REFERENCES}


def test_idc_flips_colours_and_moves_every_batch():
    """Flip and colours always, then one of crop, zoom and turn drawn for the batch; no cutout beside CutMix."""
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(CHANNELS, HEIGHT, WIDTH)) for _ in range(N)]
    seen = set()
    for seed in range(8):
        draws = torch.Generator().manual_seed(seed)
        move = (crop, scale, rotate)[int(torch.randint(3, (1,), generator=draws))]
        wanted = move(color(flip(images, draws), draws), draws)
        found = augment.idc(torch.from_numpy(np.stack(images)), torch.Generator().manual_seed(seed))
        assert np.allclose(found.numpy(), np.stack(wanted), atol=1e-5)
        seen.add(move)
    assert seen == {crop, scale, rotate}


def test_a_student_is_trained_as_the_protocol_is_written():
    """SGD over batches in a new order each epoch; in the second half a tenth of the rate, the momentum from nothing."""
    images = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets, how = torch.arange(10) % 3, Training(epochs=5, batch_size=4, augment=None, n_checks=1)
    torch.manual_seed(0)
    ours = build_student("convnet-1", 3, 1, 8)
    torch.manual_seed(0)
    plain = build_student("convnet-1", 3, 1, 8)
    dtype = pick_dtype(torch.device("cpu"))
    loss = nn.functional.cross_entropy
    list(train_student(ours, images, targets, loss, images, targets, how, seed=3))
    draws = torch.Generator().manual_seed(3)
    velocity = {}
    for epoch in range(1, 6):
        rate = 0.01 if epoch <= 2 else 0.001
        velocity = {} if epoch in (1, 3) else velocity
        for rows in torch.randperm(10, generator=draws).split(4):
            plain.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                logits = plain(images[rows])
            loss(logits.float(), targets[rows]).backward()
            with torch.no_grad():
                for name, weight in plain.named_parameters():
                    step = weight.grad + 5e-4 * weight
                    velocity[name] = 0.9 * velocity[name] + step if name in velocity else step
                    weight -= rate * velocity[name]
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_nothing_is_mirrored_where_that_is_off():
    """The other operations of DSA still come; IDC draws nothing for the flip it leaves out."""
    images = torch.arange(2 * 8 * 8.0).reshape(2, 1, 8, 8)
    for seed in range(60):
        draws, again = (torch.Generator().manual_seed(seed) for _ in range(2))
        kept = [operation for operation in OPERATIONS if operation is not augment.flip]
        operation = kept[int(torch.randint(len(kept), (1,), generator=again))]
        assert torch.equal(dsa(images, draws, mirrored=False), operation(images, again))
        draws, again = (torch.Generator().manual_seed(seed) for _ in range(2))
        move = augment.MOVES[int(torch.randint(len(augment.MOVES), (1,), generator=again))]
        assert torch.equal(
            augment.idc(images, draws, mirrored=False), move(augment.color(images, again), again)
        )
