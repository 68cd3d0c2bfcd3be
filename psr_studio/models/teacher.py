"""The teacher: images -> logits over the task classes and embeddings e_T.

A teacher is a timm network plus what must never be forgotten beside it: the input size, the
normalisation, the task classes kept of a larger head, and the calibration temperature.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from psr_studio.core.errors import ModelError
from psr_studio.models.levels import from_uint8
from psr_studio.models.memory import MicroBatches

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
GIVEN = ("num_classes", "in_chans", "pretrained")


@dataclass(frozen=True)
class TeacherConfig:
    """What a teacher folder's config.json holds."""

    architecture: str
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_classes: int
    in_chans: int = 3
    calibration: float = 1.0  # logits are divided by this; fitted on held-out training images
    class_indices: tuple[int, ...] | None = None  # rows of a larger head that are the task's classes
    crop_pct: float = 1.0  # pictures are resized to input_size / crop_pct, then cut to input_size
    interpolation: str = "bilinear"
    kwargs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> TeacherConfig:
        """Reads config.json of a teacher folder; ModelError when it is missing or damaged."""
        try:
            return cls._from_json(json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise ModelError(
                f"{folder / CONFIG_NAME} cannot be read as the settings of a teacher "
                f"({type(err).__name__}: {err}).",
                "Restore that file; `psr-studio doctor` checks each bundled file against its SHA-256.",
            ) from err

    @classmethod
    def _from_json(cls, raw: dict[str, Any]) -> TeacherConfig:
        indices = raw.get("class_indices")
        return cls(
            architecture=raw["architecture"],
            input_size=raw["input_size"],
            mean=tuple(raw["mean"]),
            std=tuple(raw["std"]),
            n_classes=raw["n_classes"],
            in_chans=raw.get("in_chans", 3),
            calibration=raw.get("calibration", 1.0),
            class_indices=tuple(indices) if indices is not None else None,
            crop_pct=raw.get("crop_pct", 1.0),
            interpolation=raw.get("interpolation", "bilinear"),
            kwargs=raw.get("kwargs", {}),
        )

    @classmethod
    def read_timm(cls, folder: Path, class_indices: Sequence[int] | None) -> TeacherConfig:
        """Reads the config.json of a timm model folder, as the Hugging Face hub has them.

        Raises:
            ModelError: missing or damaged, or a class index beyond its head.
        """
        try:
            raw = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
            facts = {**raw, **raw.get("pretrained_cfg", {})}
            config = cls(
                architecture=raw["architecture"],
                input_size=facts["input_size"][-1],
                mean=tuple(facts["mean"]),
                std=tuple(facts["std"]),
                n_classes=raw["num_classes"],
                in_chans=facts["input_size"][0],
                class_indices=tuple(class_indices) if class_indices is not None else None,
                crop_pct=facts.get("crop_pct") or 1.0,
                interpolation=facts.get("interpolation", "bilinear"),
                # timm itself writes some of what it takes by name into `model_args`, too
                kwargs={k: v for k, v in raw.get("model_args", {}).items() if k not in GIVEN},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as err:
            raise ModelError(
                f"{folder / CONFIG_NAME} cannot be read as the settings of a timm model "
                f"({type(err).__name__}: {err}).",
                "Name the folder of a timm model from the Hugging Face hub, with its own config.json.",
            ) from err
        if class_indices is not None and max(class_indices) >= config.n_classes:
            raise ModelError(
                f'The teacher "{config.architecture}" has {config.n_classes} classes, but row '
                f"{max(class_indices)} of them is asked for.",
                "Name a teacher with the classes of ImageNet-1K, or correct the class indices.",
            )
        return config


def create_backbone(config: TeacherConfig) -> nn.Module:
    """A timm network by name, with a head of ``n_classes`` (or the full head that is later restricted)."""
    import timm  # costs about a second, so only where a network is really made

    kwargs = {key: tuple(v) if isinstance(v, list) else v for key, v in config.kwargs.items()}
    try:
        return timm.create_model(
            config.architecture,
            pretrained=False,
            num_classes=config.n_classes,
            in_chans=config.in_chans,
            **kwargs,
        )
    except RuntimeError as err:
        raise ModelError(
            f'timm has no architecture named "{config.architecture}".',
            "Correct the teacher's config.json; timm.list_models() lists the names.",
        ) from err


class Teacher(nn.Module):
    """A frozen classifier in eval mode.

    Args:
        backbone: timm network with ``forward_features`` and ``forward_head``.
        config: its TeacherConfig.
        identity: name that changes whenever the weights do; scores are stored under it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, config: TeacherConfig, identity: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = config
        self.identity = identity
        self.memory = MicroBatches("scoring", items="pictures")
        self.register_buffer("mean", torch.tensor(config.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, -1, 1, 1), persistent=False)
        self.eval()
        # Frozen before any graph is built: gradients to an image then cost 2x a forward instead of 3x.
        self.requires_grad_(False)

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device | str = "cpu") -> Teacher:
        """Opens ``config.json`` and ``model.safetensors``; weights are always computed with in float32.

        Raises:
            ModelError: a missing, truncated or ill-shaped file, by name.
        """
        config = TeacherConfig.read(folder)
        backbone = create_backbone(config)
        weights = folder / WEIGHTS_NAME
        load_weights(backbone, weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
        return cls(backbone.float(), config, f"{config.architecture}-{digest}").to(device)

    @classmethod
    def from_timm_folder(
        cls, folder: Path, class_indices: Sequence[int] | None = None, device: torch.device | str = "cpu"
    ) -> Teacher:
        """Opens a timm model folder of the Hugging Face hub, and keeps some rows of its head.

        Raises:
            ModelError: a missing, truncated or ill-shaped file, by name; a row that the head has not.
        """
        config = TeacherConfig.read_timm(folder, class_indices)
        backbone = create_backbone(config)
        load_weights(backbone, folder / WEIGHTS_NAME)
        return cls(backbone.float(), config, config.architecture).to(device)

    def preprocess(self, images: Tensor) -> Tensor:
        """Images (N, ch, H, W) in [-1, 1] -> the network's own size and normalisation. Differentiable.

        As timm evaluates: the shorter side becomes input_size / crop_pct, then the centre is cut out.
        """
        pixels = (images.float() + 1) / 2
        size, target = self.config.input_size, math.floor(self.config.input_size / self.config.crop_pct)
        height, width = pixels.shape[-2:]
        if self.config.crop_pct == 1.0 and (height != size or width != size):
            pixels = self._resize(pixels, size, size)
        elif self.config.crop_pct != 1.0 and min(height, width) != target:
            shorter = min(height, width)
            pixels = self._resize(pixels, target * height // shorter, target * width // shorter)
        top, left = round((pixels.shape[-2] - size) / 2), round((pixels.shape[-1] - size) / 2)
        pixels = pixels[..., top : top + size, left : left + size]
        return (pixels - self.mean) / self.std

    def _resize(self, pixels: Tensor, height: int, width: int) -> Tensor:
        mode = "bicubic" if self.config.interpolation == "bicubic" else "bilinear"
        antialias = mode == "bicubic" or pixels.shape[-1] > width  # with it, bicubic is Pillow's (a = -0.5)
        resized = F.interpolate(pixels, size=(height, width), mode=mode, antialias=antialias)
        return resized.clamp(0, 1) if mode == "bicubic" else resized  # as 8-bit pictures are

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, ch, H, W) in [-1, 1] -> logits (N, C) and embeddings (N, D), both float32.

        Embeddings are timm's ``forward_head(..., pre_logits=True)``; logits are restricted to the task's
        classes, in preset order, before any softmax.
        """
        features = self.backbone.forward_features(self.preprocess(images))  # type: ignore[operator]
        embeddings = self.backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
        logits = self.backbone.get_classifier()(embeddings).float() / self.config.calibration  # type: ignore[operator]
        if self.config.class_indices is not None:
            logits = logits[:, list(self.config.class_indices)]
        return logits, embeddings.float()

    @torch.no_grad()
    def predict(self, images: Tensor, batch_size: int = 256) -> tuple[Tensor, Tensor]:
        """``forward`` over any number of images on this teacher's device, in batches that fit; results on the CPU.

        Args:
            images: (N, ch, H, W) in [-1, 1], or as they are at rest, uint8 (N, H, W, ch): a quarter of the bytes to
                move, and the device converts them.
        """
        logits, embeddings = [], []
        for start in range(0, len(images), batch_size):
            a, b = self.memory.map(self._answer, images[start : start + batch_size])
            logits.append(a)
            embeddings.append(b)
        return torch.cat(logits), torch.cat(embeddings)

    def _answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        there = images.to(self.mean.device)
        logits, embeddings = self(from_uint8(there) if there.dtype == torch.uint8 else there)
        return logits.cpu(), embeddings.cpu()


def load_weights(module: nn.Module, path: Path) -> None:
    """Safetensors into ``module``, every key and shape accounted for.

    Raises:
        ModelError: a pickle, a missing, truncated or corrupt file, or weights of another shape.
    """
    if path.suffix in (".pt", ".pth", ".ckpt", ".bin", ".pkl"):
        raise ModelError(
            f"{path.name} is a pickle, which can run code when opened; PSR Studio opens safetensors only.",
            "Convert the file to safetensors first, or name a safetensors file.",
        )
    if not path.is_file():
        raise ModelError(
            f"The weights file {path} does not exist.", "Run `psr-studio doctor` to see what is missing."
        )
    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as err:
        raise ModelError(
            f"The weights file {path} is truncated or corrupt ({err}).",
            "Restore that file; `psr-studio doctor` checks each bundled file against its SHA-256.",
        ) from err
    own = module.state_dict()
    wrong = [
        f"{k} is {tuple(state[k].shape)}, needed {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(state.keys() - own.keys())
    if wrong or missing or unexpected:
        parts = (
            wrong[:2] + [f"missing {k}" for k in missing[:2]] + [f"unexpected {k}" for k in unexpected[:2]]
        )
        more = len(wrong) + len(missing) + len(unexpected) - len(parts)
        raise ModelError(
            f"The weights in {path} are of another shape: {'; '.join(parts)}{f'; and {more} more' if more else ''}.",
            "Use the config.json that was saved with these weights, or the weights that belong to this config.",
        )
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})
