"""Out of memory halves what is computed at once, says so once, and changes no result."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from small_memory import MOST, SmallMemory
from tiny import CLASS_NAMES, SIZE, finish, full_studio, run_python, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import ModelError
from psr_studio.method.distillation import hard_label_loss
from psr_studio.models.levels import from_uint8
from psr_studio.models.memory import MicroBatches, has_room, is_out_of_memory
from psr_studio.models.students import StudentMemory, Training, build_student, top1, train_student


def double(*rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Twice the rows, where they fit."""
    if len(rows[0]) > MOST:
        raise torch.OutOfMemoryError("CUDA out of memory.")
    return tuple(2 * x for x in rows)


def test_chunks_are_halved_until_they_fit_and_stay_so():
    memory = MicroBatches("denoising", 16)
    x, y = torch.arange(21.0), torch.arange(42.0).view(21, 2)
    found = memory.map(double, x, y)
    assert torch.equal(found[0], 2 * x) and torch.equal(found[1], 2 * y)
    assert memory.size == MOST
    assert memory.take_notice() == (
        "Not enough memory for denoising 4 latents at once: going on with 2, same result, only slower."
    )
    memory.map(double, x)
    assert memory.take_notice() == "", "said once"


def test_one_row_that_does_not_fit_is_an_error_with_a_way_out():
    def never(_: torch.Tensor) -> tuple[torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    with pytest.raises(ModelError) as err:
        MicroBatches("decoding").map(never, torch.zeros(4))
    assert err.value.problem == (
        "There is not enough memory for decoding even one of the latents at a time "
        "(CUDA out of memory. Tried to allocate 9 GiB.)."
    )
    assert 'set "Device" to another one' in err.value.fix


def test_other_errors_pass():
    def wrong(_: torch.Tensor) -> tuple[torch.Tensor]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        MicroBatches("decoding").map(wrong, torch.zeros(4))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA driver error: out of memory",
        "HIP error: out of memory",
        "MPS backend out of memory (MPS allocated: 17.9 GB)",
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 4096 bytes.",
    ],
)
def test_every_way_to_say_out_of_memory_is_understood(words):
    """Only the allocator for CUDA raises PyTorch's own class; libraries, drivers and other devices say it in words."""
    assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(ValueError(words)), (
        "whatever the words, another kind of error is another error"
    )


def test_a_sum_over_all_rows_begins_anew_where_a_chunk_does_not_fit():
    """All five rows are refused, then the second chunk of two: its first chunk must not count twice."""
    memory, tried = MicroBatches("adding up"), []
    rows = torch.arange(5.0)

    def total(chunks: list[slice]) -> float:
        tried.append([chunk.stop for chunk in chunks])
        found = 0.0
        for chunk in chunks:
            if chunk == slice(2, 4):
                raise torch.OutOfMemoryError("CUDA out of memory.")
            found += float(double(rows[chunk])[0].sum())
        return found

    assert memory.whole(total, 5) == 20.0 and memory.size == 1
    assert tried == [[5], [2, 4, 5], [1, 2, 3, 4, 5]]
    assert memory.take_notice().endswith("2 latents at once: going on with 1, same result, only slower.")


def test_what_stays_on_a_gpu_leaves_half_of_it_for_the_work(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))  # free, all
    gpu = torch.device("cuda")
    assert has_room(500, gpu) and not has_room(501, gpu)
    assert has_room(10**15, torch.device("cpu")), "the host is where they would go otherwise"


def test_a_pool_on_a_small_device_is_the_same_pool(tmp_path, tiny_bundle):
    """The autoencoder's decoder refuses more than two latents: three candidates a part are decoded in pieces."""
    with Studio(tmp_path / "large", tiny_recipe(tiny_bundle)) as large:
        finish(large.generate())
        wanted = large.pool.images
    with Studio(tmp_path / "small", tiny_recipe(tiny_bundle)) as small:
        codec = small.bundle.codec(torch.device("cpu"))
        codec.vae.decoder = limited = SmallMemory(codec.vae.decoder)
        messages = [event.message for event in small.generate()]
        assert limited.refused and codec.memory.size == MOST
        assert (abs(small.pool.images.astype(int) - wanted.astype(int)) <= 1).all()
    assert sum("Not enough memory for decoding" in message for message in messages) == 1


def test_refinement_on_a_small_device_is_the_same(tmp_path, tiny_bundle):
    """The teacher's first layer refuses more than two pictures: the label term goes through in pieces."""
    with full_studio(tmp_path / "large", tiny_bundle) as large:
        finish(large.refine())
        wanted = large.refined().latents
    with full_studio(tmp_path / "small", tiny_bundle) as small:
        teacher = small.bundle.teacher(torch.device("cpu"))
        teacher.backbone.patch_embed = SmallMemory(teacher.backbone.patch_embed)
        messages = [event.message for event in small.refine()]
        found = small.refined().latents
    assert abs(found - wanted).max() <= 2e-5
    said = [message for message in messages if "Not enough memory for the label term of" in message]
    assert len(said) == 1, "said once"


def test_scores_on_a_small_device_are_the_same(tmp_path, tiny_bundle):
    with full_studio(tmp_path / "large", tiny_bundle) as large:
        wanted = large.scores.logits
    with Studio(tmp_path / "small", tiny_recipe(tiny_bundle)) as small:
        finish(small.generate())
        teacher = small.bundle.teacher(torch.device("cpu"))
        teacher.backbone.patch_embed = SmallMemory(teacher.backbone.patch_embed)
        messages = [event.message for event in small.score()]
        assert np.allclose(small.scores.logits, wanted, atol=1e-3)
    assert sum("Not enough memory for scoring" in message for message in messages) == 1


def test_an_import_on_a_small_device_has_the_same_latents(tmp_path, tiny_bundle, caplog):
    """The encoder refuses more than two pictures, while the cost is measured and after; four come at once."""
    rng = np.random.default_rng(0)
    for name in CLASS_NAMES:
        (folder := tmp_path / "set" / name.replace("/", "_")).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (SIZE, SIZE), np.uint8)).save(folder / f"{i}.png")
    with Studio(tmp_path / "large", tiny_recipe(tiny_bundle)) as large:
        finish(large.import_pool(tmp_path / "set", skip_unknown=True))
        wanted = large.pool.latents
    with Studio(tmp_path / "small", tiny_recipe(tiny_bundle)) as small:
        codec = small.bundle.codec(torch.device("cpu"))
        codec.vae.encoder = limited = SmallMemory(codec.vae.encoder)
        with caplog.at_level(logging.WARNING):
            finish(small.import_pool(tmp_path / "set", skip_unknown=True))
        assert limited.refused == 1 and codec.encoding.size == MOST
        assert abs(small.pool.latents - wanted).max() <= 1e-5
    said = "Not enough memory for encoding 4 pictures at once: going on with 2, same result, only slower."
    assert caplog.messages.count(said) == 1


def test_a_gradient_goes_through_an_encoding_of_any_size(tiny_bundle):
    """Where one is asked for the pictures are encoded together: a piece of a graph could not be let go."""
    from psr_studio.bundles.catalogue import load_bundle

    codec = load_bundle(tiny_bundle).codec(torch.device("cpu"))
    pictures = torch.zeros(3, 1, SIZE, SIZE, requires_grad=True)
    (gradient,) = torch.autograd.grad(codec.encode(pictures).square().sum(), pictures)
    assert gradient.shape == pictures.shape and gradient.abs().max() > 0


def pictures_and_labels(n: int, size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    images = from_uint8(rng.integers(0, 256, (n, size, size, 1), np.uint8))
    return images, torch.from_numpy(rng.integers(0, 3, n))


class RefusesOnce(torch.nn.Module):
    """A layer for which all is full at certain calls, counted from 1: something else holds the memory then."""

    def __init__(self, inner: torch.nn.Module, *calls: int) -> None:
        super().__init__()
        self.inner, self.calls, self.called = inner, calls, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.called += 1
        if self.called in self.calls:
            raise RuntimeError("CUDA error: out of memory")
        return self.inner(x)


def moved(
    n: int, limit: Callable[[torch.nn.Module], torch.nn.Module], memory: StudentMemory | None = None
) -> torch.Tensor:
    """How far one plain step of gradient descent over n pictures moves a student's weights: its gradient.

    Args:
        limit: what stands for the device round the student's features.
    """
    images, labels = pictures_and_labels(n)
    torch.manual_seed(0)
    student = build_student("convnet-2", 3, 1, 16)
    before = torch.nn.utils.parameters_to_vector(student.parameters()).detach().clone()
    student.features = limit(student.features)
    how = Training(epochs=1, batch_size=n, lr=1.0, momentum=0.0, weight_decay=0.0, augment=None, n_checks=1)
    data = images, labels, hard_label_loss, images, labels
    list(train_student(student, *data, how, seed=0, memory=memory))
    return torch.nn.utils.parameters_to_vector(student.parameters()).detach() - before


def test_a_student_on_a_small_device_learns_the_same():
    """Five pictures in chunks of 2, 2 and 1: each counts by its pictures, or the last one would count double.

    The bound is what bfloat16 rounds where the CPU has it; one picture too heavy moves the gradient by a tenth.
    """
    whole, memory = moved(5, torch.nn.Sequential), StudentMemory.of(build_student("convnet-2", 3, 1, 16))
    parts = moved(5, SmallMemory, memory)
    assert float((parts - whole).norm() / whole.norm()) < 0.03
    assert memory.training.size == memory.testing.size == MOST
    said = "Not enough memory for {} 5 pictures at once: going on with 2, same result, only slower."
    assert memory.take_notice() == " ".join(said.format(work) for work in ("training on", "testing on"))
    moved(5, SmallMemory, memory)
    assert memory.take_notice() == "", "the next student begins with what fits"


def test_what_a_refused_try_has_learned_is_forgotten():
    """All five are refused, then the second of three chunks, when the gradient of the first is there already."""
    whole = moved(5, torch.nn.Sequential)
    again = moved(5, lambda features: RefusesOnce(features, 1, 3))
    assert float((again - whole).norm() / whole.norm()) < 0.03


def test_a_student_is_tested_alike_on_a_small_device():
    images, labels = pictures_and_labels(7)
    torch.manual_seed(0)
    student = build_student("convnet-2", 3, 1, 16)
    wanted = top1(student, images, labels)
    student.features = SmallMemory(student.features)
    assert top1(student, images, labels) == wanted and student.features.refused == 2


def test_where_batch_norm_sees_fewer_pictures_the_line_says_so():
    """timm's ResNets have it; the field's own students normalise each picture alone."""
    images, labels = pictures_and_labels(4, size=32)
    student = build_student("timm:resnet10t", 3, 1, 32)
    student.conv1 = SmallMemory(student.conv1)
    memory = StudentMemory.of(student)
    how = Training(epochs=1, batch_size=4, n_checks=1)
    list(
        train_student(student, images, labels, hard_label_loss, images[:1], labels[:1], how, 0, memory=memory)
    )
    assert memory.take_notice() == (
        "Not enough memory for training on 4 pictures at once: going on with 2, only slower; "
        "batch norm takes its statistics over that many, so accuracies may differ."
    )
    assert "same result" in StudentMemory.of(build_student("resnet-18", 3, 1, 16)).training.effect


LIMITED = """
import json, resource, sys
import numpy as np, torch
from psr_studio.models.memory import MicroBatches
torch.set_num_threads(1)
weight = torch.ones(1, 4096)

def widen(rows):  # 16 MiB a row, let go at the end
    return ((rows[:, :, None] * weight).square().sum(dim=(1, 2))[:, None],)

rows = torch.arange(64.0).view(64, 1).expand(64, 1024).contiguous()
widen(rows[:1])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
memory = MicroBatches("widening")
(found,) = memory.map(widen, rows)
print(json.dumps([memory.size, memory.take_notice(), found[:, 0].tolist()]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space limits are Linux's")
def test_a_real_limit_of_the_system_is_met_the_same_way():
    """A child may use 300 MiB more than it does: 64 rows of 2 x 16 MiB are refused by the allocator itself."""
    size, said, found = json.loads(run_python(LIMITED).communicate()[0])
    assert size <= 8 and said.startswith("Not enough memory for widening")
    assert found == [i * i * 1024 * 4096 for i in range(64)]


AT_REST = """
import resource
from types import SimpleNamespace
import numpy as np, torch
from psr_studio.stages.evaluate.training import normalised
torch.set_num_threads(1)
images = np.zeros((512, 256, 256, 3), np.uint8)  # 96 MiB
images[:] = 255
bundle, cpu = SimpleNamespace(normalisation=(0.5, 0.25)), torch.device("cpu")
normalised(images[:64], bundle, cpu)[:64]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = 2 * images.nbytes + 64 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
kept = normalised(images, bundle, cpu)
for rows in torch.arange(512).split(32):
    assert kept[rows].eq(2.0).all()
print(len(kept))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space limits are Linux's")
def test_images_take_what_they_take_at_rest_and_a_batch_more():
    """Twice their bytes and 64 MiB for a batch of 24 MiB are enough; as float32 they would be four times as large."""
    assert run_python(AT_REST).communicate()[0] == "512\n"
