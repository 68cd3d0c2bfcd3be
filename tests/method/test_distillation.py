"""Laws of the student losses: closed forms, gradients, and labels that follow the pixels in CutMix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from psr_studio.method.distillation import cutmix, hard_label_loss, kd_loss, soft_cross_entropy

G = torch.Generator().manual_seed(0)
LOGITS = torch.randn(16, 10, generator=G, dtype=torch.float64)
LABELS = torch.softmax(torch.randn(16, 10, generator=G, dtype=torch.float64) * 2, dim=1)


def test_kd_loss_has_its_closed_form_with_two_classes():
    """Logits (a, 0), tau 2: p = sigmoid(a / 2). KL((q, 1 - q) || (p, 1 - p)) times 4."""
    a, q, tau = 1.3, 0.8, 2.0
    p = 1 / (1 + np.exp(-a / tau))
    expected = tau**2 * (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))
    assert kd_loss(np.array([[a, 0.0]]), np.array([[q, 1 - q]]), tau) == pytest.approx(expected, rel=1e-12)


def test_kd_loss_gradient_is_tau_over_n_times_the_gap():
    """d/dl of tau^2 / N * KL(q || softmax(l / tau)) = tau / N * (softmax(l / tau) - q)."""
    for tau in (1.0, 1.5, 4.0):
        logits = LOGITS.clone().requires_grad_()
        kd_loss(logits, LABELS, tau).backward()
        torch.testing.assert_close(logits.grad, tau / 16 * (torch.softmax(LOGITS / tau, dim=1) - LABELS))


def test_kd_loss_is_zero_at_agreement_positive_elsewhere_and_a_batch_mean():
    assert abs(kd_loss(1.5 * LABELS.log(), LABELS).item()) < 1e-12
    assert kd_loss(LOGITS, LABELS).item() > 0.1
    halves = (kd_loss(LOGITS[:8], LABELS[:8]) + kd_loss(LOGITS[8:], LABELS[8:])) / 2
    torch.testing.assert_close(kd_loss(LOGITS, LABELS), halves)
    assert kd_loss(LOGITS, LABELS).shape == ()


def test_kd_loss_answers_in_the_kind_that_came_in_and_takes_half_precision():
    assert isinstance(kd_loss(LOGITS.numpy(), LABELS.numpy()), np.float64)
    assert kd_loss(LOGITS.numpy(), LABELS.numpy()) == pytest.approx(kd_loss(LOGITS, LABELS).item())
    half = LOGITS.bfloat16()
    assert kd_loss(half, LABELS.float()).dtype == torch.float32
    torch.testing.assert_close(kd_loss(half, LABELS.float()), kd_loss(half.float(), LABELS.float()))


def test_kd_loss_refuses_labels_of_other_classes():
    with pytest.raises(ValueError, match=r"Logits have shape \(16, 10\), but soft labels \(16, 3\)"):
        kd_loss(LOGITS, LABELS[:, :3])


def test_soft_cross_entropy_is_the_divergence_plus_the_entropy_of_the_labels():
    entropy = -(LABELS * LABELS.log()).sum(dim=1).mean()
    torch.testing.assert_close(soft_cross_entropy(LOGITS, LABELS), kd_loss(LOGITS, LABELS, 1.0) + entropy)


def test_hard_labels_are_one_hot_soft_labels():
    classes = torch.arange(16) % 10
    one_hot = torch.nn.functional.one_hot(classes, 10).double()
    torch.testing.assert_close(hard_label_loss(LOGITS, classes), soft_cross_entropy(LOGITS, one_hot))
    assert hard_label_loss(LOGITS.numpy(), classes.numpy()) == pytest.approx(
        hard_label_loss(LOGITS, classes).item()
    )


def test_cutmix_labels_follow_the_pixels():
    """Image i is all of value i with label one-hot i: its new label must be its own pixel shares."""
    images = torch.arange(8.0)[:, None, None, None].expand(8, 3, 28, 20).contiguous()
    labels, shares = torch.eye(8, dtype=torch.float64), set()
    for seed in range(30):
        mixed, new = cutmix(images, labels, torch.Generator().manual_seed(seed))
        pixels = torch.stack([(mixed == value).double().mean(dim=(1, 2, 3)) for value in range(8)], dim=1)
        torch.testing.assert_close(new, pixels)
        shares.add(round(float(1 - new.diagonal().min()), 3))
    assert len(shares) > 10 and images[3].eq(3).all()  # boxes differ, inputs are untouched


def test_boxes_of_cutmix_follow_the_published_law():
    """Yun et al. 2019, algorithm 1: lambda uniform, sides sqrt(1 - lambda), the centre uniform, cut at the border.

    The published draws, by another generator, cover each pixel as often: the corner seldom, the middle often.
    """
    height, width, n = 16, 28, 6000
    rng = np.random.default_rng(0)
    covered, areas, theirs, their_areas = np.zeros((height, width)), [], np.zeros((height, width)), []
    images = torch.stack([torch.zeros(1, height, width), torch.ones(1, height, width)])
    for seed in range(n):
        mixed, _ = cutmix(images, torch.eye(2), torch.Generator().manual_seed(seed))
        box = (mixed[1, 0] == 0).numpy()  # nothing where the partner is the image itself
        covered += box
        areas.append(box.mean())
        ratio = math.sqrt(1 - rng.uniform())
        cy, cx, half_y, half_x = (
            int(rng.integers(height)), int(rng.integers(width)), int(height * ratio) // 2, int(width * ratio) // 2,
        )  # fmt: skip
        if rng.integers(2):
            top, left = max(cy - half_y, 0), max(cx - half_x, 0)
            bottom, right = min(cy + half_y, height), min(cx + half_x, width)
            theirs[top:bottom, left:right] += 1
            their_areas.append((bottom - top) * (right - left) / (height * width))
        else:
            their_areas.append(0.0)
    assert abs(covered / n - theirs / n).max() < 5 * math.sqrt(2 * 0.25 / n)
    assert abs(np.std(areas) - np.std(their_areas)) < 0.01
    assert covered[0, 0] < covered[height // 2, width // 2] / 2


def test_plain_lists_are_taken_as_the_other_functions_take_them():
    logits, labels = [[2, 0, 1], [0, 1, 0]], [[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]
    expected = kd_loss(np.array(logits, float), np.array(labels))
    assert kd_loss(logits, labels) == pytest.approx(float(expected)) and expected > 0
    assert kd_loss(labels, labels) == pytest.approx(kd_loss(np.array(labels), np.array(labels)))
