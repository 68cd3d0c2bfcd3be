"""Each augmentation of the protocols on a batch is what its source does to one image after the other, written out here.

References: MinimaxDiffusion, data.py and misc/utils.py; RDED, validation/; torchvision's definition of a resized crop.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as T

from psr_studio.models import crops
from psr_studio.models.augment import flip
from psr_studio.models.crops import (
    augmentation,
    colour_jitter,
    crop_boxes,
    lighting,
    minimax,
    resized_crop,
    shuffled_parts,
)

N, HEIGHT, WIDTH = 6, 12, 16


def batch(channels: int = 3) -> torch.Tensor:
    return torch.rand(N, channels, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)).double()


def draws(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("least", [0.08, 0.5])
def test_a_resized_crop_is_torchvisions_of_the_same_box(least):
    """Bilinear, its border pixels repeated: torchvision enlarges the box alone, so nothing outside it enters."""
    boxes = crop_boxes(N, HEIGHT, WIDTH, draws(), least).tolist()
    wanted = [
        T.resized_crop(x, *box, [HEIGHT, WIDTH], InterpolationMode.BILINEAR, antialias=True)
        for x, box in zip(batch(), boxes, strict=True)
    ]
    assert len({tuple(box) for box in boxes}) == N, "each image has its own box"
    assert torch.allclose(resized_crop(batch(), draws(), least), torch.stack(wanted), atol=1e-6)


@pytest.mark.parametrize("least", [0.08, 0.5])
def test_boxes_follow_the_law_of_a_random_resized_crop(least):
    """Shares of the area uniform from the least to 1, ratios in [3/4, 4/3], all inside, as torchvision draws."""
    from torchvision.transforms import RandomResizedCrop

    top, left, rows, columns = crop_boxes(4000, 224, 224, draws(), least).double().unbind(1)
    assert (
        (top >= 0).all() and (top + rows <= 224).all() and (left >= 0).all() and (left + columns <= 224).all()
    )
    assert (columns / rows).min() > 0.74 and (columns / rows).max() < 1.35
    torch.manual_seed(0)
    theirs = torch.tensor(
        [
            RandomResizedCrop.get_params(torch.zeros(1, 224, 224), [least, 1.0], [3 / 4, 4 / 3])
            for _ in range(4000)
        ]
    ).double()
    for ours, others in (
        (rows * columns, theirs[:, 2] * theirs[:, 3]),
        (top, theirs[:, 0]),
        (left, theirs[:, 1]),
    ):
        spread = 5 * others.std() / math.sqrt(2000)
        assert abs(ours.mean() - others.mean()) < spread and abs(ours.std() - others.std()) < spread


def test_a_picture_that_no_box_fits_is_cut_in_the_middle():
    """The whole area in a picture three times as wide as high: 4/3 of its height, in the middle."""
    assert crop_boxes(1, 12, 36, draws(), 1.0).tolist() == [[0, 10, 12, 16]]
    assert crop_boxes(1, 36, 12, draws(), 1.0).tolist() == [[10, 0, 16, 12]]


def grey(x: np.ndarray) -> np.ndarray:
    return 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]


def test_colours_are_jittered_as_minimax_does_image_by_image():
    """Towards black, the mean grey or grey, each by a strength in [-0.4, 0.4], in an order of its own."""
    order = torch.rand(N, 3, generator=(given := draws())).argsort(dim=1).tolist()
    strengths = ((torch.rand(N, 3, generator=given) * 2 - 1) * 0.4).tolist()
    assert len({tuple(o) for o in order}) > 1
    wanted = []
    for x, places, alphas in zip(batch().numpy(), order, strengths, strict=True):
        for which, alpha in zip(places, alphas, strict=True):
            if which == 0:
                target = np.zeros_like(x)
            elif which == 1:
                target = np.full_like(x, grey(x).mean())
            else:
                target = np.stack([grey(x)] * 3)
            x = x + alpha * (target - x)
        wanted.append(x)
    assert np.allclose(colour_jitter(batch(), draws()).numpy(), np.stack(wanted), atol=1e-6)


def test_light_shifts_along_the_principal_colours():
    """rgb = sum over k of v_k a_k lambda_k with a of standard deviation 0.1, one shift for all pixels of an image."""
    alphas = (torch.randn(N, 3, generator=draws()) * 0.1).tolist()
    values, vectors = crops.EIGENVALUES, crops.EIGENVECTORS
    for x, lit, a in zip(batch(), lighting(batch(), draws()), alphas, strict=True):
        for channel in range(3):
            shift = sum(vectors[channel][k] * a[k] * values[k] for k in range(3))
            assert torch.allclose(lit[channel], x[channel] + shift, atol=1e-6)
    assert torch.equal(lighting(batch(1), draws()), batch(1)), "grey pictures have no colours"


def test_minimax_does_all_of_it_in_its_order_on_pixels():
    """On normalised pictures too: they are brought back to [0, 1], augmented, and normalised again."""
    given = draws()
    wanted = lighting(colour_jitter(flip(resized_crop(batch(), given, 0.5), given), given), given)
    assert torch.equal(minimax(batch(), draws()), wanted)
    mean, std = torch.tensor([0.4, 0.5, 0.6])[:, None, None], torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    found = augmentation("minimax", mean, std)((batch() - mean) / std, draws())
    assert torch.allclose(found * std + mean, wanted, atol=1e-6)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_parts_of_a_picture_change_places(factor):
    """Columns in a new order, then rows; what does not divide stays with the last part."""
    given = draws()
    images = batch()
    for axis in (2, 1):
        orders = torch.rand(N, factor, generator=given).argsort(dim=1).tolist()
        length = images.shape[axis + 1] // factor
        moved = []
        for image, order in zip(images, orders, strict=True):
            parts = [
                image.narrow(axis, k * length, image.shape[axis] - k * length if k == factor - 1 else length)
                for k in order
            ]
            moved.append(torch.cat(parts, dim=axis))
        images = torch.stack(moved)
    assert torch.equal(shuffled_parts(batch(), draws(), factor), images)
    assert torch.equal(images, batch()) == (factor == 1)


@pytest.mark.parametrize(("side", "factor"), [(32, 1), (128, 2)])
def test_rded_shuffles_large_pictures_and_keeps_small_ones_whole(side, factor):
    """2 x 2 parts and at least half of the area from 128 px on, as its scripts for ImageNet; 1 below."""
    images, given = torch.rand(2, 3, side, side, generator=draws(0)), draws()
    wanted = flip(resized_crop(shuffled_parts(images, given, factor), given, 1 / factor), given)
    assert torch.equal(crops.rded(images, draws()), wanted)


def test_fkd_cuts_from_eight_percent_of_the_area_on_and_mirrors():
    images, given = batch(), draws()
    assert torch.equal(crops.fkd(batch(), draws()), flip(resized_crop(images, given, 0.08), given))


@pytest.mark.parametrize("name", ["minimax", "rded", "fkd"])
def test_nothing_is_mirrored_where_that_is_off(name):
    """A ramp that rises to the right rises in every crop of it."""
    ramp = torch.linspace(0.1, 0.9, 32).expand(64, 1, 32, 32).clone()
    rises = {
        mirrored: crops.AUGMENTATIONS[name](ramp, draws(), mirrored).diff(dim=3).mean((1, 2, 3)) > 0
        for mirrored in (False, True)
    }
    assert rises[False].all() and not rises[True].all()


@pytest.mark.parametrize("name", list(crops.AUGMENTATIONS))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_augmentation_takes_grey_and_coloured_pictures(name, channels):
    images = torch.rand(3, channels, 32, 32)
    found = augmentation(name, torch.tensor(0.5), torch.tensor(0.25))(images, draws())
    assert found.shape == images.shape and found.isfinite().all()
    assert torch.equal(found, augmentation(name, torch.tensor(0.5), torch.tensor(0.25))(images, draws()))


def test_gradients_reach_the_pixels():
    images = batch().requires_grad_()
    minimax(images, draws()).square().mean().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
