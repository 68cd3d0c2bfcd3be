"""The students are those of the field: their names, their sizes, their first weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from psr_studio.core.errors import ModelError
from psr_studio.models.students import STUDENTS, build_student, students_for

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
