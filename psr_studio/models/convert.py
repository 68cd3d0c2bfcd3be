"""Checkpoints of DiT's own code, and of Minimax after it, to safetensors in the diffusers layout.

A pickle is opened with ``weights_only=True`` and nothing else: it may hold tensors, containers and the
`argparse.Namespace` that Minimax saves beside them, and can run no code.

Shape letters: D the width of the network, R the rows of its class table.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiTTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from psr_studio.errors import ModelError
from psr_studio.files import whole_file
from psr_studio.models.weights import ORIGIN

State = dict[str, Tensor]
WEIGHTS = "diffusion_pytorch_model.safetensors"
PATCH = "x_embedder.proj.weight"
NESTED = ("ema", "model", "state_dict")  # where checkpoints keep their weights, the best first
HEAD_DIM = 72  # of DiT-XL; S, B and L have 64
POSITION_TOLERANCE = 1e-4
SCHEDULE = {  # of DiT: create_diffusion's defaults
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "clip_sample": False,
    "prediction_type": "epsilon",
}
ORIGINAL_TIMESTEPS = {"downscale_freq_shift": 0}  # see weights.py


def convert(
    checkpoint: Path, out: Path, weights: str | None = None, heads: int | None = None
) -> dict[str, Any]:
    """Write a generator folder (transformer/, scheduler/) from one checkpoint file.

    Args:
        checkpoint: original DiT `.pt`, a Minimax checkpoint, or a pickled state of the diffusers layout.
        out: a folder that is not there, or is empty.
        weights: "ema" or "model" where the checkpoint has both; None takes "ema", as DiT's sampler does.
        heads: number of attention heads; None takes D / 72 or D / 64, whichever is whole.

    Returns:
        What was found: layout, weights, blocks, width, classes, parameters, file.

    Raises:
        ModelError: not such a checkpoint, a pickle that holds more than tensors, or a target that is in use.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f'"{out}" is not an empty folder.', "Name another one. Nothing was changed.")
    state, used = unpack(_open(checkpoint), checkpoint, weights)
    original = PATCH in state
    if not original and "pos_embed.proj.weight" not in state:
        raise ModelError(
            f"{checkpoint} holds no DiT: neither x_embedder.proj.weight nor pos_embed.proj.weight is in it.",
            "Name a checkpoint of DiT, of Minimax, or of a diffusers DiTTransformer2DModel.",
        )
    side = _latent_side(state) if original else 32
    state = to_diffusers(state, checkpoint) if original else state
    config = infer_config(state, side, heads, original)
    model = _fill(config, state, checkpoint)
    _write(model, config, out, original)
    return {
        "layout": "original" if original else "diffusers",
        "weights": used,
        "blocks": config["num_layers"],
        "width": config["num_attention_heads"] * config["attention_head_dim"],
        "classes": config["num_embeds_ada_norm"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "file": str(out / "transformer" / WEIGHTS),
    }


def _open(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"The checkpoint {path} does not exist.", "Check the path.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as err:  # safetensors raises its own, OSError and ValueError
            raise ModelError(f"{path} is truncated or corrupt ({err}).", "Get that file again.") from err
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as err:  # pickle raises whatever the file makes it raise
        named = re.search(r"GLOBAL ([\w.]+)", str(err))
        what = f"it wants to run {named[1]}" if named else str(err).splitlines()[0][:160]
        raise ModelError(
            f"{path} is no plain checkpoint of tensors: {what}. It was not opened.",
            "Get the checkpoint from its authors again, or save its state_dict() alone on a machine you trust.",
        ) from err


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def unpack(raw: Any, path: Path, weights: str | None = None) -> tuple[State, str]:
    """The tensors of a checkpoint, and the name they were under ("" when they lie on top).

    Raises:
        ModelError: no tensors, or not under that name.
    """
    raw = dict(raw) if isinstance(raw, Mapping) else {}
    found = [name for name in NESTED if isinstance(raw.get(name), Mapping)]
    if weights is not None and weights not in found:
        raise ModelError(
            f'{path} holds no weights "{weights}"; it holds {", ".join(found) or "them on top"}.',
            "Leave --weights out, or name one of these.",
        )
    used = weights or (found[0] if found else "")
    state = dict(raw[used]) if used else raw
    tensors = {str(key).removeprefix("module."): value for key, value in state.items()}
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ModelError(
            f"{path} holds no plain table of tensors.", "Name a checkpoint of DiT or of Minimax."
        )
    return tensors, used


def to_diffusers(original: State, path: Path) -> State:
    """Rename and split the tensors of DiT's own layout; Minimax's scales are multiplied into them.

    Raises:
        ModelError: a tensor that is missing, or one that has no place, by name.
    """
    left = dict(original)

    def take(name: str) -> Tensor:
        if name not in left:
            raise ModelError(
                f"{path} lacks {name}.", "Get the whole checkpoint; one file must hold all blocks."
            )
        return left.pop(name)

    made = {f"pos_embed.proj.{kind}": take(f"x_embedder.proj.{kind}") for kind in ("weight", "bias")}
    embedders = dict(_embedders(take))
    n_blocks = 1 + max((int(m[1]) for key in left if (m := re.match(r"blocks\.(\d+)\.", key))), default=-1)
    for index in range(n_blocks):
        block = f"transformer_blocks.{index}"
        # Every block of diffusers carries the embedders of its own.
        made |= {f"{block}.norm1.emb.{name}": value.clone() for name, value in embedders.items()}
        made |= {f"{block}.{name}": value for name, value in _block(f"blocks.{index}.", left, take)}
    for theirs, ours in (("adaLN_modulation.1", "proj_out_1"), ("linear", "proj_out_2")):
        made |= {f"{ours}.{kind}": take(f"final_layer.{theirs}.{kind}") for kind in ("weight", "bias")}
    _check_positions(left.pop("pos_embed", None), path)
    if left:
        raise ModelError(
            f"{path} holds {len(left)} tensors that a DiT has no place for, such as {sorted(left)[0]}.",
            "Name a checkpoint of DiT or of Minimax; other fine-tunings need a converter of their own.",
        )
    return made


def _embedders(take: Any) -> Iterator[tuple[str, Tensor]]:
    for theirs, ours in (("0", "linear_1"), ("2", "linear_2")):
        for kind in ("weight", "bias"):
            yield f"timestep_embedder.{ours}.{kind}", take(f"t_embedder.mlp.{theirs}.{kind}")
    yield "class_embedder.embedding_table.weight", take("y_embedder.embedding_table.weight")


def _block(prefix: str, left: State, take: Any) -> Iterator[tuple[str, Tensor]]:
    """One block. A scale on the output of a layer is a scale on its rows; one on a branch is one on its gate."""
    on_qkv, on_proj = left.pop(f"{prefix}attn.gamma1", None), left.pop(f"{prefix}attn.gamma2", None)
    on_attention, on_mlp = left.pop(f"{prefix}gamma1", None), left.pop(f"{prefix}gamma2", None)
    for kind in ("weight", "bias"):
        qkv = _scaled(take(f"{prefix}attn.qkv.{kind}"), on_qkv)
        for name, part in zip(("to_q", "to_k", "to_v"), qkv.chunk(3), strict=True):
            yield f"attn1.{name}.{kind}", part.clone()
        yield f"attn1.to_out.0.{kind}", _scaled(take(f"{prefix}attn.proj.{kind}"), on_proj)
        yield f"ff.net.0.proj.{kind}", take(f"{prefix}mlp.fc1.{kind}")
        yield f"ff.net.2.{kind}", take(f"{prefix}mlp.fc2.{kind}")
        chunks = list(take(f"{prefix}adaLN_modulation.1.{kind}").chunk(6))  # shift, scale, gate; twice
        chunks[2], chunks[5] = _scaled(chunks[2], on_attention), _scaled(chunks[5], on_mlp)
        yield f"norm1.linear.{kind}", torch.cat(chunks)


def _scaled(rows: Tensor, scale: Tensor | None) -> Tensor:
    return rows if scale is None else (rows * scale.view(-1, *[1] * (rows.ndim - 1))).contiguous()


def _check_positions(stored: Tensor | None, path: Path) -> None:
    """Positions are fixed sines; a checkpoint with others is another network."""
    if stored is None:
        return
    from diffusers.models.embeddings import get_2d_sincos_pos_embed

    side = math.isqrt(stored.shape[1])
    expected = get_2d_sincos_pos_embed(stored.shape[2], side, base_size=side, output_type="pt")
    difference = (stored[0].double() - expected.double()).abs().max().item()
    if side * side != stored.shape[1] or difference > POSITION_TOLERANCE:
        raise ModelError(
            f"{path} has other position embeddings than DiT's sines (they differ by {difference:.3g}).",
            "Name a checkpoint whose positions were not trained.",
        )


def _latent_side(original: State) -> int:
    """Side of the latent, from the number of positions; 32, that of 256 px, where they are not stored."""
    positions = original.get("pos_embed")
    return 32 if positions is None else math.isqrt(positions.shape[1]) * original[PATCH].shape[-1]


def infer_config(state: State, side: int, heads: int | None, original: bool) -> dict[str, Any]:
    """The settings of the DiTTransformer2DModel that these tensors of the diffusers layout are."""
    patch = state["pos_embed.proj.weight"]  # (D, c, p, p)
    width, channels, size = patch.shape[0], patch.shape[1], patch.shape[-1]
    n_blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("transformer_blocks."))
    table = state["transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"]  # (R + 1, D)
    if heads is None:
        heads = width // HEAD_DIM if width % HEAD_DIM == 0 else max(1, width // 64)
    if width % heads:
        raise ModelError(f"A width of {width} cannot be split among {heads} heads.", "Correct --heads.")
    return {
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "in_channels": channels,
        "out_channels": state["proj_out_2.weight"].shape[0] // size**2,
        "num_layers": n_blocks,
        "sample_size": side,
        "patch_size": size,
        "num_embeds_ada_norm": table.shape[0] - 1,
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "norm_type": "ada_norm_zero",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6 if original else 1e-5,
    }


def _fill(config: dict[str, Any], state: State, path: Path) -> DiTTransformer2DModel:
    with torch.device("meta"):
        model = DiTTransformer2DModel(**config)
    needed = model.state_dict()
    wrong = [key for key in needed if key in state and state[key].shape != needed[key].shape]
    lacking = wrong or sorted(needed.keys() ^ state.keys())
    if lacking:
        raise ModelError(
            f"{path} does not make a DiT of {config['num_layers']} blocks: {lacking[0]} and {len(lacking) - 1} "
            "more tensors are missing, left over or of another shape.",
            "Name a whole checkpoint of DiT or of Minimax.",
        )
    model.load_state_dict({key: value.float().contiguous() for key, value in state.items()}, assign=True)
    return model


def _write(model: DiTTransformer2DModel, config: dict[str, Any], out: Path, original: bool) -> None:
    """The folder; the weights come last, so a folder that has them is whole."""
    transformer, scheduler = out / "transformer", out / "scheduler"
    for folder in (transformer, scheduler):
        folder.mkdir(parents=True, exist_ok=True)
    (scheduler / "scheduler_config.json").write_text(json.dumps(SCHEDULE, indent=2) + "\n", encoding="utf-8")
    named = {"_class_name": "DiTTransformer2DModel", **config}
    (transformer / "config.json").write_text(json.dumps(named, indent=2) + "\n", encoding="utf-8")
    if original:
        (transformer / ORIGIN).write_text(json.dumps(ORIGINAL_TIMESTEPS) + "\n", encoding="utf-8")
    try:
        with whole_file(transformer / WEIGHTS) as temp:
            save_file(dict(model.state_dict()), temp, metadata={"format": "pt"})
    except OSError as err:
        raise ModelError(
            f'"{transformer / WEIGHTS}" could not be written: {err.strerror or err}.',
            "Free some space there, about 3 GiB for DiT-XL/2.",
        ) from err
