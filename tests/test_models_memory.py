"""Out of memory halves what is computed at once, says so once, and changes no result."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from tiny import finish, full_studio, tiny_recipe

from psr_studio.errors import ModelError
from psr_studio.models.memory import MicroBatches, is_out_of_memory
from psr_studio.studio import Studio

MOST = 2  # rows that fit


class SmallMemory(torch.nn.Module):
    """A device of which the network's first layer fills all but room for `MOST` rows: more are refused."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.refused = 0

    def forward(self, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        if len(x) > MOST:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.inner(x, *args, **kwargs)

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


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
    assert memory.said() == (
        "Not enough memory for denoising 4 latents at once: going on with 2, same result, only slower."
    )
    memory.map(double, x)
    assert memory.said() == "", "said once"


def test_one_row_that_does_not_fit_is_an_error_with_a_way_out():
    def never(_: torch.Tensor) -> tuple[torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    with pytest.raises(ModelError) as err:
        MicroBatches("decoding").map(never, torch.zeros(4))
    assert (
        "even for one of the latents at a time (CUDA out of memory. Tried to allocate 9 GiB.)"
        in err.value.problem
    )
    assert 'set "Device" to another one' in err.value.fix


def test_other_errors_pass():
    def wrong(_: torch.Tensor) -> tuple[torch.Tensor]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        MicroBatches("decoding").map(wrong, torch.zeros(4))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


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
print(json.dumps([memory.size, memory.said(), found[:, 0].tolist()]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space limits are Linux's")
def test_a_real_limit_of_the_system_is_met_the_same_way():
    """A child may use 300 MiB more than it does: 64 rows of 2 x 16 MiB are refused by the allocator itself."""
    run = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    size, said, found = json.loads(run.stdout)
    assert size <= 8 and said.startswith("Not enough memory for widening")
    assert found == [i * i * 1024 * 4096 for i in range(64)]
