"""Crops of real images: where they lie, how they are judged, and how they make a picture."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from psr_studio.method.realism import SMALLEST, crop_windows, cut, most_realistic, padded, realism_loss, tiled


def test_windows_lie_in_the_picture_and_cover_a_share_of_it():
    windows = crop_windows(np.random.default_rng(0), 2000, 20, 30)
    top, left, side = windows.T
    assert windows.min() >= 0 and (top + side).max() <= 20 and (left + side).max() <= 30
    assert side.max() == 20 and side.min() == round((SMALLEST * 600) ** 0.5)
    assert {top.max() > 10, left.max() > 20} == {True}


def test_a_window_is_cut_out_and_resized():
    image = np.zeros((8, 8, 1), np.uint8)
    image[2:6, 4:8] = 200
    found = cut(image, np.array([[2, 4, 4], [0, 0, 8]]), 4, 4)
    assert found.shape == (2, 4, 4, 1) and (found[0] == 200).all() and 0 < found[1].mean() < 200
    assert np.array_equal(cut(image, np.array([[0, 0, 8]]), 8, 8)[0], image)


def test_realism_is_the_cross_entropy_of_the_own_class():
    logits = torch.tensor([[2.0, -1.0, 900.0], [0.5, 0.25, 0.0]])
    wanted = F.cross_entropy(logits.double(), torch.tensor([2, 0]), reduction="none")
    assert np.allclose(realism_loss(logits, np.array([2, 0])), wanted)


def test_the_best_crop_of_each_image_is_kept_and_the_best_images_come_first():
    order, crops = most_realistic(np.array([[3.0, 2.0], [0.5, 0.5], [9.0, 1.0]]))
    assert order.tolist() == [1, 2, 0] and crops.tolist() == [0, 1, 1]


def test_crops_fill_a_picture_row_by_row_and_lie_in_the_middle_to_be_judged():
    crops = np.stack([np.full((2, 2, 1), i, np.uint8) for i in range(8)])
    found = tiled(crops, 2)
    assert found.shape == (2, 4, 4, 1) and found[1, ::2, ::2, 0].tolist() == [[4, 5], [6, 7]]
    alone = padded(crops[7:], 6, 6, [9])
    assert alone[0, :, :, 0].sum() == 4 * 7 + 32 * 9 and (alone[0, 2:4, 2:4] == 7).all()
