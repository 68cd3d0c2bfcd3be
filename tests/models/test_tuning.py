"""Fine-tuned DiTs: what is trained, scales that become weights of the same network, and files that do not fit."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiTTransformer2DModel

from psr_studio.core.errors import ModelError
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.tiny import SCHEDULE
from psr_studio.models.tuning import (
    BRANCH,
    PROJECTION,
    TABLE,
    Delta,
    Tuned,
    read_delta,
    write_delta,
)

ROWS = (0, 2, 5)  # two classes and the null class


def dit(seed: int = 0, layers: int = 3, tied: bool = True, heads: int = 2) -> DiTTransformer2DModel:
    """A small DiT whose blocks all do something; `tied` gives them one embedding, as DiT's own weights have it."""
    torch.manual_seed(seed)
    net = DiTTransformer2DModel(
        num_attention_heads=heads, attention_head_dim=8, in_channels=4, out_channels=4, num_layers=layers,
        sample_size=4, patch_size=2, num_embeds_ada_norm=5, norm_num_groups=4,
    )  # fmt: skip
    if tied:
        first = net.transformer_blocks[0].norm1.emb.state_dict()
        for block in net.transformer_blocks:
            block.norm1.emb.load_state_dict(first)
    return net.eval()


def shaken(tuned: Tuned, seed: int = 1) -> Tuned:
    """The same after its values were moved by chance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in tuned.parameters.values():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return tuned


def answer(net, labels=ROWS) -> torch.Tensor:
    """Of a tuned copy, whose labels are places in ROWS, by (0, 1, 2)."""
    z = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return net(z, timestep=torch.tensor([3, 500, 990]), class_labels=torch.tensor(labels)).sample


def test_trained_are_biases_the_class_table_and_scales_of_the_first_half():
    tuned = Tuned(dit(), ROWS)
    names = set(tuned.parameters)
    assert all(name.endswith((".bias", TABLE, PROJECTION, BRANCH)) for name in names)
    assert sum(name.endswith(TABLE) for name in names) == 1, "the blocks share one table"
    scales = {name.split(".")[1] for name in names if name.endswith((PROJECTION, BRANCH))}
    assert scales == {"0", "1"}, "2 of 3 blocks"
    assert sum(name.startswith("transformer_blocks.0.") and PROJECTION in name for name in names) == 4
    assert sum(name.startswith("transformer_blocks.0.") and BRANCH in name for name in names) == 2
    frozen = [name for name, p in tuned.network.named_parameters() if not p.requires_grad]
    assert all(name.endswith(".weight") for name in frozen) and frozen


def test_blocks_that_were_trained_apart_stay_apart():
    assert sum(name.endswith(TABLE) for name in Tuned(dit(tied=False), ROWS).parameters) == 3


@pytest.mark.parametrize("tied", [True, False])
def test_the_delta_makes_of_the_base_the_very_network_that_was_trained(tied, tmp_path):
    """A scale of outputs is a scale of rows of the weight; nothing else is kept, and the base answers as before."""
    base = dit(tied=tied)
    before = answer(base)
    untouched = Tuned(base, ROWS)
    assert torch.equal(answer(untouched.network, (0, 1, 2)), before)
    tuned = shaken(Tuned(base, ROWS))
    trained = answer(tuned.network, (0, 1, 2))
    assert (trained - before).abs().max() > 1e-3
    write_delta(tmp_path / "d.safetensors", Delta(tuned.parameters, ROWS, {"base": "abc"}))
    delta = read_delta(tmp_path / "d.safetensors")
    assert (delta.facts, delta.rows) == ({"base": "abc"}, ROWS)
    table = next(value for name, value in delta.tensors.items() if name.endswith(TABLE))
    assert table.shape == (len(ROWS), 16)
    found = Generator(base, SCHEDULE, ROWS[:-1]).tuned(delta, "minimax")
    torch.testing.assert_close(answer(found.transformer), trained)
    assert torch.equal(answer(base), before)
    *_, (_, sampled) = found.sample([0, 1], [1, 2], Sampling(steps=2, guidance=2.0))
    *_, (_, plain) = Generator(base, SCHEDULE, ROWS[:-1]).sample(
        [0, 1], [1, 2], Sampling(steps=2, guidance=2.0)
    )
    assert (sampled - plain).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda: dit(layers=2), "the generator has no transformer_blocks.2"),
        (lambda: dit(layers=4), "it has no transformer_blocks.3"),
        (lambda: dit(heads=4), "is of shape"),
        (lambda: dit(tied=False), "it has no transformer_blocks.1.norm1.emb"),
    ],
)
def test_a_delta_of_another_network_is_refused(other, why):
    delta = Delta(shaken(Tuned(dit(), ROWS)).parameters, ROWS, {})
    with pytest.raises(ModelError) as refused:
        Generator(other(), SCHEDULE, ROWS[:-1]).tuned(delta, "mine")
    assert (
        'The fine-tuned generator "mine" does not fit' in refused.value.problem
        and why in refused.value.problem
    )
    assert "psr-studio finetune" in refused.value.fix


def test_a_scale_of_nothing_is_refused():
    delta = Delta(Tuned(dit(), ROWS).parameters, ROWS, {})
    odd = Delta({**delta.tensors, f"nowhere.{BRANCH}": torch.ones(3)}, ROWS, {})
    with pytest.raises(ModelError, match="has no nowhere of 3 outputs"):
        Generator(dit(), SCHEDULE, ROWS[:-1]).tuned(odd, "mine")


def test_a_file_that_is_none_of_ours_is_named(tmp_path):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(b"12345678901234567890")
    with pytest.raises(ModelError, match="odd.safetensors is damaged, or no fine-tuned generator") as refused:
        read_delta(path)
    assert "Restore that file" in refused.value.fix
