"""Checkpoints of DiT's own code, and of Minimax after it, to safetensors in the diffusers layout.

A pickle is opened with ``weights_only=True`` and nothing else: it may hold tensors, containers and the
`argparse.Namespace` that Minimax saves beside them, and can run no code.

Shape letters: D the width of the network, R the classes of its table, which has one row more for none, T positions,
c channels of a latent, p side of a patch.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiTTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from psr_studio.core.disk import writing
from psr_studio.core.errors import ModelError
from psr_studio.core.files import check_empty, whole_file
from psr_studio.models.states import corrupt_weights, plain_names, what_stands_in
from psr_studio.models.teacher import WEIGHTS_NAME, TeacherConfig, create_backbone, fill
from psr_studio.models.weights import ORIGIN

State = dict[str, Tensor]
WEIGHTS = "diffusion_pytorch_model.safetensors"
PATCH, DIFFUSERS_PATCH = "x_embedder.proj.weight", "pos_embed.proj.weight"  # (D, c, p, p)
TABLE = "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"  # (R + 1, D)
NESTED = ("ema", "model", "state_dict")  # where checkpoints keep their weights, the best first
HEAD_DIM = 72  # of DiT-XL; S, B and L have 64
# Minimax averages the fixed positions with its weights: thousands of steps in float32 move them by 2e-4. float16 rounds
# them by 2e-4 and bfloat16 by 2e-3. Any other table differs by about 1.
POSITION_TOLERANCE = 1e-2
WHOLE = "Get the whole checkpoint; one file must hold all blocks."
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
CONVERT_AGAIN = "convert again, or name another folder: nothing was changed"


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
        ModelError: not such a checkpoint, a pickle that holds more than tensors, weights that are not finite, heads
            that do not divide D, or a target that is in use. DiskError: one that cannot be written.
    """
    if heads is not None and heads < 1:
        raise ModelError(f"{heads} attention heads are asked for; a DiT has 1 or more.", "Correct --heads.")
    check_empty(out, CONVERT_AGAIN)
    state, used = unpack(open_checkpoint(checkpoint), checkpoint, weights)
    original = PATCH in state
    if not original and DIFFUSERS_PATCH not in state:
        raise ModelError(
            f"{checkpoint} holds no DiT: neither {PATCH} nor {DIFFUSERS_PATCH} is in it.",
            "Name a checkpoint of DiT, of Minimax, or of a diffusers DiTTransformer2DModel.",
        )
    check_values(state, checkpoint)
    diffusers = to_diffusers(state, checkpoint) if original else state
    side = _latent_side(state) if original else 32
    config = infer_config(diffusers, side, heads, original, checkpoint)
    model = _fill(config, diffusers, checkpoint)
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


def convert_teacher(checkpoint: Path, out: Path, weights: str | None = None) -> dict[str, Any]:
    """Write a teacher folder (config.json, model.safetensors) from one pickle and the config.json that lies beside it.

    Raises:
        ModelError: as `convert`; no config.json, or one of another network. DiskError: a target that cannot be written.
    """
    check_empty(out, CONVERT_AGAIN)
    config = TeacherConfig.from_timm_folder(checkpoint.parent, None)
    state, used = unpack(open_checkpoint(checkpoint), checkpoint, weights)
    network = create_backbone(config)
    fill(network, state, checkpoint)
    whole = {name: value.contiguous() for name, value in network.state_dict().items()}
    with whole_file(out / "config.json", again=CONVERT_AGAIN) as temp:
        shutil.copyfile(checkpoint.parent / "config.json", temp)
    with whole_file(
        out / WEIGHTS_NAME, needed=sum(v.nbytes for v in whole.values()), again=CONVERT_AGAIN
    ) as temp:
        save_file(whole, temp, metadata={"format": "pt"})
    return {
        "architecture": config.architecture,
        "weights": used,
        "classes": config.n_classes,
        "parameters": sum(p.numel() for p in network.parameters()),
        "file": str(out / WEIGHTS_NAME),
    }


def open_checkpoint(path: Path) -> Any:
    """What a checkpoint file holds; ModelError where it is none, is damaged, or wants to run code."""
    if not path.is_file():
        raise ModelError(f"The checkpoint {path} does not exist.", "Check the path.")
    if not path.stat().st_size:
        raise ModelError(f"The checkpoint {path} is empty: it has 0 bytes.", "Get that file again.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as err:  # safetensors raises its own, OSError and ValueError
            raise corrupt_weights(path) from err
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as err:  # pickle raises whatever the file makes it raise
        raise _no_checkpoint(path, err) from err


def _no_checkpoint(path: Path, err: Exception) -> ModelError:
    """What a file is that PyTorch does not open, in our words: its own advise to open it all the same."""
    if (stand_in := what_stands_in(path)) is not None:
        return ModelError(f"{path} is no checkpoint but {stand_in[0]}.", stand_in[1])
    if named := re.search(r"GLOBAL ([\w.]+)", str(err)):
        return ModelError(
            f"{path} is no plain checkpoint of tensors: it wants to run {named[1]}. It was not opened.",
            "Get the checkpoint from its authors again, or save its state_dict() alone on a machine you trust.",
        )
    if (_is_zip(path) and not zipfile.is_zipfile(path)) or isinstance(err, EOFError):
        return ModelError(f"{path} is cut off: its end is missing.", "Get the whole file; compare its size.")
    return ModelError(
        f"{path} is no checkpoint that PyTorch has saved, or it is damaged. It was not opened.",
        "Check what the file is, or get it from its authors again.",
    )


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def unpack(raw: Any, path: Path, weights: str | None = None) -> tuple[State, str]:
    """The tensors of a checkpoint, and the name they were under ("" when they lie on top).

    What torch.compile and DistributedDataParallel put before the names is left out.

    Raises:
        ModelError: no tensors, not under that name, or two of one name.
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
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(
            f"{path} holds no plain table of tensors.", "Name a checkpoint of DiT or of Minimax."
        )
    return plain_names({str(key): value for key, value in state.items()}, path), used


def check_values(state: State, path: Path) -> None:
    """Raise ModelError, with the name, when a tensor is not of finite floating-point numbers."""
    for name, value in state.items():
        if not value.is_floating_point() or value.layout is not torch.strided:
            what = f"{value.layout} {value.dtype} values".replace("torch.", "").removeprefix("strided ")
        elif not value.numel():
            what = f"nothing: its shape is {tuple(value.shape)}"
        elif n_wrong := int((~value.float().isfinite()).sum()):
            what = f"{n_wrong:,} of {value.numel():,} values that are not finite"
        else:
            continue
        raise ModelError(
            f"{path}: {name} holds {what}; weights are finite floating-point numbers.",
            "Get that file again, or name a checkpoint from before the training broke down.",
        )


def _check_shape(name: str, tensor: Tensor, needed: tuple[int | None, ...], path: Path) -> None:
    """Of `needed`, None stands for any size."""
    shape = tuple(tensor.shape)
    if len(shape) != len(needed) or any(n not in (None, m) for n, m in zip(needed, shape, strict=True)):
        words = str(tuple(n or "any" for n in needed)).replace("'", "")
        raise ModelError(
            f"{path}: {name} has the shape {shape}, but {words} is needed.",
            "Name a checkpoint as DiT, Minimax or diffusers saves it.",
        )


def to_diffusers(original: State, path: Path) -> State:
    """Rename and split the tensors of DiT's own layout; Minimax's scales are multiplied into them.

    Raises:
        ModelError: a tensor that is missing, of another shape, or one that has no place, by name.
    """
    left = dict(original)

    def take(name: str, *shape: int | None) -> Tensor:
        if name not in left:
            raise ModelError(f"{path} lacks {name}.", WHOLE)
        if shape:
            _check_shape(name, left[name], shape, path)
        return left.pop(name)

    patch = take(PATCH, None, None, None, None)
    width = patch.shape[0]
    made = {DIFFUSERS_PATCH: patch, "pos_embed.proj.bias": take("x_embedder.proj.bias")}
    embedders = dict(_embedders(take, width))
    for index in range(1 + max(_block_numbers(left, "blocks"), default=-1)):
        block = f"transformer_blocks.{index}"
        # Every block of diffusers carries the embedders of its own.
        made |= {f"{block}.norm1.emb.{name}": value.clone() for name, value in embedders.items()}
        made |= {f"{block}.{name}": value for name, value in _block(f"blocks.{index}.", left, take, width)}
    for theirs, ours in (("adaLN_modulation.1", "proj_out_1"), ("linear", "proj_out_2")):
        made[f"{ours}.weight"] = take(f"final_layer.{theirs}.weight", None, width)
        made[f"{ours}.bias"] = take(f"final_layer.{theirs}.bias")
    if "pos_embed" in left:
        _check_positions(take("pos_embed", 1, None, width), path)
    if left:
        raise ModelError(
            f"{path} holds {len(left)} tensors that a DiT has no place for, such as {sorted(left)[0]}.",
            "Name a checkpoint of DiT or of Minimax; other fine-tunings need a converter of their own.",
        )
    return made


def _block_numbers(state: State, prefix: str) -> set[int]:
    matches = (re.match(rf"{prefix}\.([0-9]{{1,6}})\.", key) for key in state)
    return {int(m[1]) for m in matches if m}


def _embedders(take: Callable[..., Tensor], width: int) -> Iterator[tuple[str, Tensor]]:
    for theirs, ours in (("0", "linear_1"), ("2", "linear_2")):
        for kind in ("weight", "bias"):
            yield f"timestep_embedder.{ours}.{kind}", take(f"t_embedder.mlp.{theirs}.{kind}")
    yield "class_embedder.embedding_table.weight", take("y_embedder.embedding_table.weight", None, width)


def _block(prefix: str, left: State, take: Callable[..., Tensor], width: int) -> Iterator[tuple[str, Tensor]]:
    """One block. A scale on the output of a layer is a scale on its rows; one on a branch is one on its gate."""

    def scale(name: str, n: int) -> Tensor | None:
        return take(f"{prefix}{name}", n * width) if f"{prefix}{name}" in left else None

    on_qkv, on_proj = scale("attn.gamma1", 3), scale("attn.gamma2", 1)
    on_attention, on_mlp = scale("gamma1", 1), scale("gamma2", 1)
    for kind, columns in (("weight", (width,)), ("bias", ())):
        qkv = _scaled(take(f"{prefix}attn.qkv.{kind}", 3 * width, *columns), on_qkv)
        for name, part in zip(("to_q", "to_k", "to_v"), qkv.chunk(3), strict=True):
            yield f"attn1.{name}.{kind}", part.clone()
        projection = take(f"{prefix}attn.proj.{kind}", width, *columns)
        yield f"attn1.to_out.0.{kind}", _scaled(projection, on_proj)
        yield f"ff.net.0.proj.{kind}", take(f"{prefix}mlp.fc1.{kind}")
        yield f"ff.net.2.{kind}", take(f"{prefix}mlp.fc2.{kind}")
        modulation = take(f"{prefix}adaLN_modulation.1.{kind}", 6 * width, *columns)
        chunks = list(modulation.chunk(6))  # shift, scale, gate; twice
        chunks[2], chunks[5] = _scaled(chunks[2], on_attention), _scaled(chunks[5], on_mlp)
        yield f"norm1.linear.{kind}", torch.cat(chunks)


def _scaled(rows: Tensor, scale: Tensor | None) -> Tensor:
    """In float32, so that half precision is not rounded a second time."""
    if scale is None:
        return rows
    return (rows.float() * scale.float().view(-1, *[1] * (rows.ndim - 1))).contiguous()


def _check_positions(stored: Tensor, path: Path) -> None:
    """Positions (1, T, D) are fixed sines; a checkpoint with others is another network.

    They are compared only: diffusers computes its own when weights are opened, so none are written.
    """
    from diffusers.models.embeddings import get_2d_sincos_pos_embed

    _, n_positions, width = stored.shape
    side = math.isqrt(n_positions)
    if side * side != n_positions or width % 4:  # sine and cosine in two directions
        raise ModelError(
            f"{path} has {n_positions} positions of width {width}; DiT's are a square of a multiple of 4.",
            "Name a checkpoint of DiT or of Minimax on square pictures.",
        )
    expected = get_2d_sincos_pos_embed(width, side, base_size=side, output_type="pt")
    difference = (stored[0].double() - expected.double()).abs().max().item()
    if difference > POSITION_TOLERANCE:
        raise ModelError(
            f"{path} has other position embeddings than DiT's sines (they differ by {difference:.3g}).",
            "Name a checkpoint whose positions were not trained.",
        )


def _latent_side(original: State) -> int:
    """Side of the latent, from the number of positions; 32, that of 256 px, where they are not stored."""
    positions = original.get("pos_embed")
    return 32 if positions is None else math.isqrt(positions.shape[1]) * original[PATCH].shape[-1]


def infer_config(state: State, side: int, heads: int | None, original: bool, path: Path) -> dict[str, Any]:
    """The settings of the DiTTransformer2DModel that these tensors of the diffusers layout are.

    Raises:
        ModelError: a tensor that sizes are read from is missing or of another shape, a block is missing, or D
            cannot be split.
    """
    for name, rank in ((DIFFUSERS_PATCH, 4), (TABLE, 2), ("proj_out_2.weight", 2)):
        if name not in state:
            raise ModelError(f"{path} lacks {name}.", WHOLE)
        _check_shape(name, state[name], (None,) * rank, path)
    patch = state[DIFFUSERS_PATCH]
    width, channels, size = patch.shape[0], patch.shape[1], patch.shape[-1]
    numbers = _block_numbers(state, "transformer_blocks")
    n_blocks = 1 + max(numbers)  # TABLE is in block 0
    if len(numbers) < n_blocks:
        gap = min(set(range(n_blocks)) - numbers)
        raise ModelError(f"{path} lacks block {gap} of {n_blocks}.", WHOLE)
    if heads is None:
        heads = width // HEAD_DIM if width % HEAD_DIM == 0 else max(1, width // 64)
    if width % heads or width % 4:
        what = f"split among {heads} heads" if width % heads else "divided by 4, as DiT's positions are"
        raise ModelError(
            f"A width of {width} cannot be {what}.", "Correct --heads, or name another checkpoint."
        )
    return {
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "in_channels": channels,
        "out_channels": state["proj_out_2.weight"].shape[0] // size**2,
        "num_layers": n_blocks,
        "sample_size": side,
        "patch_size": size,
        "num_embeds_ada_norm": state[TABLE].shape[0] - 1,
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
    """The folder; the weights come last, so a folder that has them is whole. What fails leaves nothing in it."""
    transformer, scheduler = out / "transformer", out / "scheduler"
    named = {"_class_name": "DiTTransformer2DModel", **config}
    weights = dict(model.state_dict())
    needed = sum(tensor.nbytes for tensor in weights.values())
    try:
        with writing(out, needed=needed, again=CONVERT_AGAIN):
            _write_json(scheduler / "scheduler_config.json", SCHEDULE)
            _write_json(transformer / "config.json", named)
            if original:
                _write_json(transformer / ORIGIN, ORIGINAL_TIMESTEPS)
            with whole_file(transformer / WEIGHTS, needed=needed, again=CONVERT_AGAIN) as temp:
                save_file(weights, temp, metadata={"format": "pt"})
    except BaseException:  # stopped or refused: half a folder would be in the way of the next try
        for folder in (transformer, scheduler):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
