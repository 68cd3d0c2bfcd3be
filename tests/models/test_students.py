"""The students are those of the field: their names, their sizes, their first weights."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from psr_studio.core.devices import pick_dtype
from psr_studio.core.errors import ModelError
from psr_studio.method.metrics import expected_calibration_error
from psr_studio.method.protocols import COSINE, HALF_COSINE, MULTI_STEP
from psr_studio.models.students import (
    RATES,
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
    ("convnet-4", 3, 64): 467_850,
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


def trained(check_images: int | None, labels: torch.Tensor, n_checks: int = 4) -> tuple[list, nn.Module]:
    torch.manual_seed(0)
    student = build_student("convnet-1", 3, 1, 8)
    images = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    how = Training(epochs=4, batch_size=4, n_checks=n_checks, check_images=check_images)
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
    (last,), c = trained(6, labels, n_checks=1)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), c.parameters(), strict=True))
    assert last.top1 == whole[-1].top1, "and neither does the number of points"
    assert all((check.top1 * 6) == pytest.approx(round(check.top1 * 6)) for check in part[:-1])
    only = torch.full((36,), 5)
    only[torch.arange(6) * 6] = labels[torch.arange(6) * 6]  # no other image can be right
    again, _ = trained(6, only)
    assert [check.top1 for check in again[:-1]] == [check.top1 for check in part[:-1]]


# torch's own schedulers, stepped after every epoch as the sources do.
SCHEDULERS = {
    MULTI_STEP: lambda o, n: lr_scheduler.MultiStepLR(o, [2 * n // 3, 5 * n // 6], gamma=0.2),
    HALF_COSINE: lambda o, n: lr_scheduler.LambdaLR(o, lambda e: 0.5 * (1 + math.cos(math.pi * e / n / 2))),
    COSINE: lambda o, n: lr_scheduler.CosineAnnealingLR(o, n),
}


@pytest.mark.parametrize("schedule", SCHEDULERS)
@pytest.mark.parametrize("epochs", [1, 7, 300])
def test_learning_rates_are_those_of_the_sources_schedulers(schedule, epochs):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = SCHEDULERS[schedule](optimizer, epochs)
    for epoch in range(epochs):
        assert RATES[schedule](epoch, epochs) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", MULTI_STEP), ("adamw", HALF_COSINE), ("adamw", COSINE)]
)
def test_a_student_is_trained_by_the_optimizer_of_its_protocol(optimizer, schedule):
    """As torch's own optimiser and scheduler over the same batches; AdamW decays matrices and kernels alone."""
    images = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels, loss = torch.arange(10) % 3, nn.functional.cross_entropy
    how = Training(
        epochs=6, batch_size=4, lr=0.01, weight_decay=0.1, augment=None, n_checks=1, optimizer=optimizer,
        schedule=schedule,
    )  # fmt: skip
    torch.manual_seed(0)
    ours = build_student("convnet-1", 3, 1, 8)
    plain = copy.deepcopy(ours)
    list(train_student(ours, images, labels, loss, images, labels, how, seed=3))
    decayed = [p for p in plain.parameters() if p.ndim > 1]
    free = [p for p in plain.parameters() if p.ndim == 1]
    if optimizer == "sgd":
        theirs = torch.optim.SGD(plain.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)
    else:
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": free, "weight_decay": 0.0}]
        theirs = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.999))
    scheduler = SCHEDULERS[schedule](theirs, 6)
    draws = torch.Generator().manual_seed(3)
    for _ in range(6):
        for rows in torch.randperm(10, generator=draws).split(4):
            theirs.zero_grad()
            with torch.autocast(
                "cpu", torch.bfloat16, enabled=pick_dtype(torch.device("cpu")) == torch.bfloat16
            ):
                logits = plain(images[rows])
            loss(logits.float(), labels[rows]).backward()
            theirs.step()
        scheduler.step()
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(("epochs", "n_checks", "start", "wanted"), [
    (300, 6, 0.8, {250, 260, 270, 280, 290, 300}),  # RDED: every tenth in the last fifth
    (2000, 100, 0.0, set(range(20, 2001, 20))),  # Minimax
    (1000, 4, 0.0, {250, 500, 750, 1000}),  # IDC
])  # fmt: skip
def test_checks_are_where_the_sources_have_them(epochs, n_checks, start, wanted):
    assert Training(epochs=epochs, n_checks=n_checks, checks_from=start).check_at == wanted


@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_cutmix_mixes_its_share_of_the_batches_and_their_targets(mix):
    """A mixed batch holds pixels of two images, and its targets the share of each."""
    images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 8, 8).clone()  # image k is all k
    targets, seen = torch.eye(8), []

    def loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        seen.append(wanted.detach())
        return nn.functional.cross_entropy(logits, wanted)

    batches = []

    def relabel(epoch: int, places: slice, batch: torch.Tensor) -> torch.Tensor:
        batches.append((epoch, places, batch))
        shares = [[(x == k).float().mean() for k in range(8)] for x in batch]
        return torch.tensor(shares)

    how = Training(epochs=30, batch_size=8, augment=None, n_checks=1, mix=mix)
    student = build_student("convnet-1", 8, 1, 8)
    list(train_student(student, images, targets, loss, images, torch.arange(8), how, seed=1))
    by_targets, seen[:] = list(seen), []
    list(train_student(student, images, targets, loss, images, torch.arange(8), how, seed=1, relabel=relabel))
    assert [(epoch, places) for epoch, places, _ in batches] == [(e, slice(0, 8)) for e in range(1, 31)]
    mixed = [not torch.equal(wanted.max(1).values, torch.ones(8)) for wanted in by_targets]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(by_targets, seen, strict=True))
    share = sum(mixed) / 30  # a box may be empty now and then
    assert share == 0 if mix == 0 else 0.25 < share < 0.75 if mix < 1 else share > 0.8


def test_the_last_check_tells_the_calibration_error_of_the_trained_student():
    """It is the metric's own, of the student's logits on all test images; checks before the last one have none."""
    labels = torch.arange(36) % 3
    checks, student = trained(6, labels)
    images = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(1)).repeat(4, 1, 1, 1)
    reduced = pick_dtype(torch.device("cpu")) == torch.bfloat16
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        logits = student.eval()(images).float()
    assert checks[-1].ece == pytest.approx(expected_calibration_error(logits, labels), abs=1e-5)
    assert checks[-1].ece > 0 and all(math.isnan(check.ece) for check in checks[:-1])
