"""The students are those of the field: their names, their sizes, their first weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from psr_studio.core.errors import ModelError
from psr_studio.models.students import (
    STUDENTS,
    AvgPool,
    FirstConv2d,
    Training,
    build_student,
    students_for,
    train_student,
)

PARAMETERS = {  # of ten classes, counted from the published code
    ("convnet-3", 1, 28): 317_706,
    ("convnet-3", 3, 32): 320_010,
    ("convnet-5", 3, 128): 615_690,
    ("convnet-6", 3, 224): 754_570,
    ("convnet-6", 3, 256): 763_530,
    ("resnetap-10", 3, 224): 4_910_922,
    ("resnet-18", 3, 224): 11_181_642,
}


@pytest.mark.parametrize(("student", "n"), PARAMETERS.items(), ids=str)
def test_sizes_are_the_published_ones(student, n):
    name, channels, size = student
    assert sum(p.numel() for p in build_student(name, 10, channels, size).parameters()) == n


@pytest.mark.parametrize("size", [8, 12, 28, 32, 64, 96])
def test_those_are_offered_that_the_pictures_have_room_for(size):
    def fits(name: str) -> bool:
        try:
            with torch.no_grad():
                return build_student(name, 3, 1, size)(torch.zeros(2, 1, size, size)).shape == (2, 3)
        except ModelError as err:
            assert "which leaves nothing of this size" in err.problem
            return False

    assert students_for(size) == [name for name in STUDENTS if fits(name)]


def test_a_student_that_is_none_is_told_all_names():
    with pytest.raises(ModelError) as caught:
        build_student("convnet", 3, 1, 16)
    assert caught.value.problem == 'There is no student "convnet".'
    assert caught.value.fix.startswith('Did you mean "convnet-')
    assert all(name in caught.value.fix for name in (*STUDENTS, "convnet-<depth>", "timm:<architecture>"))


@pytest.mark.parametrize("name", ["resnetap-10", "resnet-18"])
def test_resnets_begin_as_their_source_does(name):
    """Convolutions are normal with std sqrt(2 / (k k out)); that of n drawn values is within 4 / sqrt(2 n) of it."""
    torch.manual_seed(0)
    student = build_student(name, 10, 3, 224)
    convolutions = [part for part in student.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == {"resnetap-10": 12, "resnet-18": 20}[name]
    for part in convolutions:
        weights = part.weight.detach()
        wanted = (2 / (part.kernel_size[0] ** 2 * part.out_channels)) ** 0.5
        assert weights.std().item() == pytest.approx(wanted, rel=4 / (2 * weights.numel()) ** 0.5)
        assert weights.abs().max() > 3 * wanted, "normal, not uniform"
    norms = [part for part in student.modules() if isinstance(part, nn.GroupNorm)]
    assert all((part.weight == 1).all() and (part.bias == 0).all() for part in norms)


def test_convnets_begin_with_the_weights_that_pytorch_draws():
    """Uniform within 1 / sqrt(fan in), so that students trained before are the same."""
    torch.manual_seed(0)
    student = build_student("convnet-3", 10, 3, 32)
    torch.manual_seed(0)
    assert torch.equal(student.features[0].weight, nn.Conv2d(3, 128, 3, padding=1).weight)


@pytest.mark.parametrize(("factor", "shape"), [(2, (3, 5, 8, 6)), (4, (2, 3, 8, 12)), (2, (2, 3, 7, 7))])
def test_average_pooling_as_a_product_is_torchs_own(factor, shape):
    """Forwards and backwards; odd sizes lose the last row and column as there."""
    features = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    pooled, expected = AvgPool(factor)(ours), nn.AvgPool2d(factor)(theirs)
    assert pooled.shape == expected.shape and torch.allclose(pooled, expected, atol=1e-12)
    weights = torch.randn(expected.shape, dtype=torch.float64)
    (pooled * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-12)


@pytest.mark.parametrize(("channels", "padding"), [(1, 3), (3, 1)])
def test_the_first_convolution_as_a_product_is_torchs_own(channels, padding):
    """Values and the gradients of its weights; of the pixels too, where somebody asks for them."""
    torch.manual_seed(0)
    ours = FirstConv2d(channels, 6, 3, padding=padding).double()
    theirs = nn.Conv2d(channels, 6, 3, padding=padding).double()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(4, channels, 9, 7, dtype=torch.float64)
    weights = torch.randn(ours(images).shape, dtype=torch.float64)
    assert torch.allclose(ours(images), theirs(images), atol=1e-12)
    for conv in (ours, theirs):
        (conv(images) * weights).sum().backward()
    assert torch.allclose(ours.weight.grad, theirs.weight.grad, atol=1e-10)
    assert torch.allclose(ours.bias.grad, theirs.bias.grad, atol=1e-10)
    pixels = images.clone().requires_grad_()
    (ours(pixels) * weights).sum().backward()
    assert pixels.grad.shape == images.shape


def test_a_convnet_is_the_fields_own_network():
    """Same first weights from a seed, same logits and gradients as written with torch's own layers."""
    torch.manual_seed(3)
    ours = build_student("convnet-3", 10, 1, 28)
    torch.manual_seed(3)
    layers, inputs = [], 1
    for padding in (3, 1, 1):
        layers += [
            nn.Conv2d(inputs, 128, 3, padding=padding),
            nn.GroupNorm(128, 128),
            nn.ReLU(),
            nn.AvgPool2d(2),
        ]
        inputs = 128
    plain = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 10))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    for net in (ours, plain):
        nn.functional.cross_entropy(net(images), labels).backward()
    assert torch.allclose(ours(images), plain(images), atol=1e-5)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-5)


def trained(check_images: int | None, labels: torch.Tensor) -> tuple[list, nn.Module]:
    torch.manual_seed(0)
    student = build_student("convnet-1", 3, 1, 8)
    images = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    how = Training(epochs=4, batch_size=4, n_checks=4, check_images=check_images)
    targets = torch.arange(9) % 3
    checks = train_student(
        student, images, targets, nn.functional.cross_entropy, images.repeat(4, 1, 1, 1), labels, how, 0
    )
    return list(checks), student


def test_points_before_the_last_are_measured_on_a_fixed_part_and_change_no_student():
    """Of 36 test images 6 at even distances; the last epoch has all of them, and the weights are the same."""
    labels = torch.arange(36) % 3
    whole, a = trained(None, labels)
    part, b = trained(6, labels)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert part[-1].top1 == whole[-1].top1
    assert all((check.top1 * 6) == pytest.approx(round(check.top1 * 6)) for check in part[:-1])
    only = torch.full((36,), 5)
    only[torch.arange(6) * 6] = labels[torch.arange(6) * 6]  # no other image can be right
    again, _ = trained(6, only)
    assert [check.top1 for check in again[:-1]] == [check.top1 for check in part[:-1]]
