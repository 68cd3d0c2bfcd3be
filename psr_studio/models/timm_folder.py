"""A teacher as a timm model folder, config.json and model.safetensors, as the Hugging Face hub has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from psr_studio.core.files import whole_file
from psr_studio.models.teacher import CONFIG_NAME, WEIGHTS_NAME, TeacherConfig


def write_timm_folder(
    folder: Path,
    network: nn.Module,
    config: TeacherConfig,
    *,
    dtype: torch.dtype = torch.float32,
    label_names: Sequence[str] = (),
) -> None:
    """Write a network so that PSR Studio and timm ("local-dir:FOLDER") open it alike; the weights come last.

    Args:
        dtype: what the weights are stored in; they are computed with in float32.
        label_names: of the outputs, in their order.

    Raises:
        DiskError: the disk refuses.
    """
    state = stored(network.state_dict(), dtype)
    with whole_file(folder / CONFIG_NAME) as temp:
        temp.write_text(json.dumps(timm_config(network, config, label_names), indent=2) + "\n", "utf-8")
    with whole_file(folder / WEIGHTS_NAME, needed=sum(value.nbytes for value in state.values())) as temp:
        save_file(state, temp, metadata={"format": "pt"})


def stored(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights as they are written: floating-point numbers in `dtype`, counters as they are."""
    return {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in state.items()
    }


def timm_config(network: nn.Module, config: TeacherConfig, label_names: Sequence[str] = ()) -> dict[str, Any]:
    """What timm's config.json says of a network."""
    known: Mapping[str, Any] = getattr(network, "pretrained_cfg", {}) or {}
    names = {key: known[key] for key in ("first_conv", "classifier") if known.get(key)}
    whole = {
        "architecture": config.architecture,
        "num_classes": config.n_classes,
        "num_features": int(network.num_features),  # type: ignore[arg-type]
        "model_args": config.kwargs,
        "label_names": list(label_names),
        "pretrained_cfg": {
            "input_size": [config.in_chans, config.input_size, config.input_size],
            "interpolation": config.interpolation,
            "crop_pct": config.crop_pct,
            "crop_mode": "center",
            "mean": list(config.mean),
            "std": list(config.std),
            "num_classes": config.n_classes,
            **names,
        },
    }
    return {key: value for key, value in whole.items() if value not in ({}, [])}
