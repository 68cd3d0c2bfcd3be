"""Fine-tuning a small part of a DiT, and the file that holds what it changed (DiffFit, arXiv 2304.06648; Minimax).

Trained are all biases, the class table, and new vectors that scale channels in the first blocks; they begin at 1.
A scale of channels is a scale of rows of the weight before it, so the tuned network is a plain DiT again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from diffusers import DiTTransformer2DModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from psr_studio.core.errors import ModelError
from psr_studio.core.files import whole_file

TABLE = "class_embedder.embedding_table.weight"
PROJECTION, BRANCH = "channel_scale", "branch_scale"  # of a linear layer's outputs, of its residual branch
FACTS = "psr_studio"  # key of the metadata of a file


@dataclass(frozen=True, eq=False)
class Delta:
    """What fine-tuning changed: new values by the name of their parameter, and where they come from.

    Attributes:
        tensors: float32; of the class table (R, D) some rows alone.
        rows: (R,) which: those of the classes it was trained on, and last that of the null class.
        facts: "base", the hash of the generator it belongs to, and how it was made.
    """

    tensors: Mapping[str, Tensor]
    rows: tuple[int, ...]
    facts: Mapping[str, Any]


class Tuned:
    """A copy of a transformer whose small part is trained; the one it was copied from stays as it is.

    Args:
        base: float32. rows: of its class table that are trained, the null class last.
        share: of the blocks, from the first, that get scales of channels; 0.5 as published.

    Attributes:
        network: the copy; its labels are places in `rows`. parameters: what is trained, by name.
    """

    def __init__(self, base: DiTTransformer2DModel, rows: Sequence[int], share: float = 0.5) -> None:
        # eval: diffusers would drop the label in each block on its own
        self.network = copy.deepcopy(base).requires_grad_(False).eval()
        blocks = self.network.transformer_blocks
        for block in blocks:
            embedder = block.norm1.emb.class_embedder
            kept = embedder.embedding_table.weight[list(rows)]
            embedder.embedding_table = nn.Embedding.from_pretrained(kept)
        _tie(self.network)
        for block in blocks[: ceil(share * len(blocks))]:
            _add_scales(block)
        self.parameters: dict[str, nn.Parameter] = {
            name: parameter.requires_grad_() for name, parameter in self.network.named_parameters() if _is_tuned(name)
        }  # fmt: skip

    def state_dict(self) -> dict[str, Tensor]:
        """The values, for a checkpoint."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the values of a checkpoint; KeyError or RuntimeError where they are of another network."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state[name])


def _is_tuned(name: str) -> bool:
    return name.endswith((".bias", TABLE, PROJECTION, BRANCH))


def _tie(network: DiTTransformer2DModel) -> None:
    """One embedding of timestep and class for all blocks, where their copies are equal.

    DiT has one; diffusers holds it in each block. Where the blocks were trained apart, they stay apart.
    """
    first, *others = (block.norm1.emb for block in network.transformer_blocks)
    for name, parameter in first.named_parameters():
        if all(torch.equal(parameter, other.get_parameter(name)) for other in others):
            holder, _, leaf = name.rpartition(".")
            for other in others:
                setattr(other.get_submodule(holder), leaf, parameter)


def _scaled(block: Any) -> Iterator[tuple[nn.Linear, tuple[str, ...]]]:
    """The layers of a block whose outputs are scaled, with the names of their scales, as Minimax has them.

    The gate between a branch and its scale multiplies channels too, so the scale may stand before it.
    """
    attention, mlp = block.attn1, block.ff.net
    for layer in (attention.to_q, attention.to_k, attention.to_v):  # one fused product in DiT's own code
        yield layer, (PROJECTION,)
    yield attention.to_out[0], (PROJECTION, BRANCH)
    yield mlp[2], (BRANCH,)


def _add_scales(block: nn.Module) -> None:
    for layer, names in _scaled(block):
        for name in names:
            layer.register_parameter(name, nn.Parameter(torch.ones_like(layer.weight[:, 0])))
        layer.register_forward_hook(_scale_outputs)


def _scale_outputs(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
    for name in (PROJECTION, BRANCH):
        if hasattr(layer, name):
            output = output * getattr(layer, name)
    return output


def applied(base: DiTTransformer2DModel, delta: Delta, name: str) -> DiTTransformer2DModel:
    """A copy of a transformer with what fine-tuning changed, scales multiplied into the weights.

    Args:
        name: of the fine-tuned generator, for errors.

    Raises:
        ModelError: a delta of another network.
    """
    network = copy.deepcopy(base)
    _tie(network)
    known = dict(network.named_parameters())
    wanted, scales = {key for key in known if _is_tuned(key)}, _scales(delta)
    if lacking := wanted - delta.tensors.keys():
        raise unfit(name, f"it has no {min(lacking)}")
    with torch.no_grad():
        for key, value in delta.tensors.items():
            layer, _, leaf = key.rpartition(".")
            if leaf in (PROJECTION, BRANCH):
                continue
            if key not in wanted:
                raise unfit(name, f"the generator has no {key}")
            target, is_table = known[key], key.endswith(TABLE)
            shape = (len(delta.rows), target.shape[1]) if is_table else tuple(target.shape)
            if is_table and max(delta.rows) >= len(target):
                raise unfit(name, f"it has row {max(delta.rows)} of a table of {len(target)} classes")
            if tuple(value.shape) != shape:
                raise unfit(name, f"{key} is of shape {tuple(value.shape)} instead of {shape}")
            value = value * scales[layer] if layer in scales else value
            target[list(delta.rows) if is_table else ...] = value.to(target)
        for layer, scale in scales.items():
            weight = known.get(f"{layer}.weight")
            if weight is None or weight.shape[:1] != scale.shape:
                raise unfit(name, f"the generator has no {layer} of {len(scale)} outputs")
            weight.copy_(weight.float() * scale.to(weight.device)[:, None])
    return network


def _scales(delta: Delta) -> dict[str, Tensor]:
    """The scale of each layer that has some: the product of that of its outputs and that of its branch."""
    found: dict[str, Tensor] = {}
    for key, value in delta.tensors.items():
        layer, _, leaf = key.rpartition(".")
        if leaf in (PROJECTION, BRANCH):
            found[layer] = found[layer] * value if layer in found else value
    return found


def unfit(name: str, why: str) -> ModelError:
    """The error for a fine-tuned generator of another base."""
    return ModelError(
        f'The fine-tuned generator "{name}" does not fit the generator of this bundle: {why}.',
        'Use it with the bundle that it was made from, or fine-tune this one: "Fine-tune" on the Pool tab '
        "(or run `psr-studio finetune`).",
    )


def write_delta(path: Path, delta: Delta) -> None:
    """Write a file of safetensors, whole or not at all."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in delta.tensors.items()}
    with whole_file(path) as temp:
        save_file(tensors, temp, {FACTS: json.dumps({**delta.facts, "rows": delta.rows}, sort_keys=True)})


def read_facts(path: Path) -> dict[str, Any]:
    """What a file says of itself; ModelError where it is none of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(json.loads(file.metadata()[FACTS]))
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as err:
        raise _damaged(path) from err


def read_delta(path: Path) -> Delta:
    """The inverse of `write_delta`; ModelError for a file that is none of ours or damaged."""
    facts = read_facts(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return Delta(tensors, tuple(map(int, facts.pop("rows"))), facts)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as err:
        raise _damaged(path) from err


def _damaged(path: Path) -> ModelError:
    return ModelError(
        f"{path} is damaged, or no fine-tuned generator.",
        "Restore that file, or fine-tune under another name.",
    )
