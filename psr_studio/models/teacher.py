"""The teacher: images -> logits over the task classes and embeddings e_T.

A teacher is a timm network plus what must never be forgotten beside it: the input size, the
normalisation, the task classes kept of a larger head, and the calibration temperature.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from psr_studio.core.errors import ModelError
from psr_studio.core.texts import TextError, parse_json, read_text
from psr_studio.method.selectors.parameters import setting
from psr_studio.models.levels import from_uint8
from psr_studio.models.memory import MicroBatches
from psr_studio.models.rows import check_rows
from psr_studio.models.states import corrupt_weights, plain_names
from psr_studio.models.tables import FileTable, check_table

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CROSS_FITTED_NAME = "cross_fitted.safetensors"  # of a taught teacher
GIVEN = ("num_classes", "in_chans", "pretrained")
NEVER_GIVEN = {"kwargs", "args", "num_classes", "in_chans", "device", "dtype", "pretrained", "pretrained_cfg"}
PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
RESTORE = "Restore that file; `psr-studio doctor` checks each bundled file against its SHA-256."
NAME_TIMM = "Name the folder of a timm model from the Hugging Face hub, with its own config.json."


class TeacherConfig(FileTable):
    """What a teacher folder's config.json holds."""

    architecture: str = setting(..., "A plain name of timm's.")
    input_size: int = setting(..., "Side of what the network sees.", "pixels", 1, 4096)
    mean: tuple[float, ...] = setting(..., "Of the pixels in [0, 1].", "", -10, 10)
    std: tuple[float, ...] = setting(..., "Of the pixels in [0, 1].", "", 1e-6, 10)
    n_classes: int = setting(..., "Outputs of the head.", "", 1, 10**6)
    in_chans: int = setting(3, "Channels it sees.", "", 1, 64)
    calibration: float = setting(1.0, "Logits are divided by this; fitted on held-out images.", "", 1e-6, 1e6)
    class_indices: tuple[int, ...] | None = setting(
        None, "Rows of a larger head that are the task's.", "", 0, 10**6
    )
    crop_pct: float = setting(1.0, "Pictures are resized to input_size / crop_pct, then cut.", "", 0.01, 1)
    interpolation: str = setting("bilinear", "How they are resized.")
    kwargs: dict[str, Any] = {}

    @classmethod
    def from_folder(cls, folder: Path) -> TeacherConfig:
        """Reads config.json of a teacher folder; ModelError when it is missing or damaged."""
        path = folder / CONFIG_NAME
        raw = _read_json(path, RESTORE)
        return cls._checked(path, raw, raw.get("kwargs", {}), RESTORE)

    @classmethod
    def from_timm_folder(
        cls, folder: Path, class_indices: Sequence[int] | None, class_names: Sequence[str] = ()
    ) -> TeacherConfig:
        """Reads the config.json of a timm model folder, as the Hugging Face hub has them.

        Args:
            class_indices: outputs that are the task's classes, in label order; None for all.
            class_names: of the task: where the outputs are called so, those are taken, whatever their numbers.

        Raises:
            ModelError: missing, damaged or asking for more than a network; a class index beyond its head.
        """
        path = folder / CONFIG_NAME
        raw = _read_json(path, NAME_TIMM)
        pretrained = raw.get("pretrained_cfg", {})
        facts = {**raw, **(pretrained if isinstance(pretrained, dict) else {})}
        size = facts.get("input_size")
        values = {
            "architecture": raw.get("architecture"),
            "input_size": size[-1] if isinstance(size, list) and size else size,
            "in_chans": size[0] if isinstance(size, list) and size else 3,
            "mean": facts.get("mean"),
            "std": facts.get("std"),
            "n_classes": raw.get("num_classes"),
            "class_indices": _outputs(raw.get("label_names"), class_names) or class_indices,
            "crop_pct": facts.get("crop_pct") or 1.0,
            "interpolation": facts.get("interpolation") or "bilinear",
        }
        # timm itself writes some of what it takes by name into `model_args`, too
        given = raw.get("model_args", {})
        kwargs = {k: v for k, v in given.items() if k not in GIVEN} if isinstance(given, dict) else given
        return cls._checked(path, values, kwargs, NAME_TIMM)

    @classmethod
    def _checked(cls, path: Path, values: Mapping[str, Any], kwargs: Any, fix: str) -> TeacherConfig:
        given = {name: value for name, value in values.items() if value is not None}
        try:
            config = check_table(cls, {**given, "kwargs": _plain_arguments(kwargs)})
            for name in ("mean", "std"):
                if (n := len(getattr(config, name))) not in (1, config.in_chans):
                    raise ModelError(
                        f'"{name}" has {n} values for {config.in_chans} channels.', "Write one for each."
                    )
        except ModelError as err:
            raise ModelError(
                f"{path} cannot be read as the settings of a teacher: {err.problem}", fix
            ) from err
        check_rows(f'The teacher "{config.architecture}"', config.class_indices, config.n_classes)
        return config


def _outputs(label_names: Any, class_names: Sequence[str]) -> list[int] | None:
    """The outputs that are called as the classes are, in label order; None where any of them is not."""
    place = {name: i for i, name in enumerate(label_names)} if isinstance(label_names, list) else {}
    return [place[name] for name in class_names] if all(name in place for name in class_names) else None


def _read_json(path: Path, fix: str) -> dict[str, Any]:
    try:
        found = parse_json(read_text(path))
        if isinstance(found, dict):
            return found
        said = "it holds no table"
    except (OSError, TextError) as err:
        said = str(err)
    raise ModelError(f"{path} cannot be read as the settings of a teacher: {said}.", fix)


def _plain_arguments(given: Any) -> dict[str, Any]:
    """Arguments of a network as JSON can say them: numbers, words, and lists of these, by name.

    Raises:
        ModelError: anything else.
    """
    if not isinstance(given, dict):
        raise ModelError("the arguments of the network are no table.", "Write them by name.")
    for name, value in given.items():
        flat = value if isinstance(value, list) else [value]
        if not all(item is None or isinstance(item, bool | int | float | str | list) for item in flat):
            raise ModelError(f'the argument "{name}" is neither numbers nor words.', "Leave it out.")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def create_backbone(config: TeacherConfig) -> nn.Module:
    """A timm network by its plain name, with a head of ``n_classes`` (or the full head that is later restricted).

    A name that points elsewhere is refused: timm would fetch "hf-hub:..." from the hub and read any folder as
    "local-dir:...". So is every argument that the network itself does not take: ``checkpoint_path`` opens a pickle.

    Raises:
        ModelError: no such network, or arguments it does not take.
    """
    import timm  # costs about a second, so only where a network is really made

    name = config.architecture
    if not PLAIN_NAME.fullmatch(name) or not timm.is_model(name.partition(".")[0]):
        raise ModelError(
            f'timm has no architecture named "{name[:80]}"; only its own networks are made, by their plain names.',
            "Correct the teacher's config.json; timm.list_models() lists the names.",
        )
    taken = _arguments_of(name.partition(".")[0])
    if foreign := [key for key in config.kwargs if key not in taken]:
        raise ModelError(
            f'The teacher\'s config.json gives "{name}" the argument "{foreign[0]}", which says nothing of its form.',
            f'Leave out "{foreign[0]}": weights are read from {WEIGHTS_NAME} beside it and nothing else.',
        )
    try:
        return timm.create_model(
            name, pretrained=False, num_classes=config.n_classes, in_chans=config.in_chans, **config.kwargs
        )
    except Exception as err:  # a network may refuse its arguments in any way
        said = (str(err) or type(err).__name__).splitlines()[0][:160]
        raise ModelError(
            f'timm cannot make "{name}" with the arguments in the teacher\'s config.json ({said}).',
            "Correct them, or take the config.json that was saved with the weights.",
        ) from err


def _arguments_of(architecture: str) -> set[str]:
    """What the networks of the family of an architecture take when they are made, weights and downloads aside."""
    from timm.models import model_entrypoint

    family = vars(sys.modules[model_entrypoint(architecture).__module__]).values()
    networks = [kind for kind in family if isinstance(kind, type) and issubclass(kind, nn.Module)]
    forms = [inspect.signature(kind).parameters for kind in networks]
    return {name for form in forms if "num_classes" in form for name in form} - NEVER_GIVEN


class Teacher(nn.Module):
    """A frozen classifier in eval mode.

    Args:
        backbone: timm network with ``forward_features`` and ``forward_head``.
        config: its TeacherConfig.
        identity: name that changes whenever the weights do; scores are stored under it.

    Attributes:
        cross_fitted: of pictures that it was taught on, by `picture_key`, the outputs (O,) of a head that did not see
            them; `predict` answers with these.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, config: TeacherConfig, identity: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = config
        self.identity = identity
        self.memory = MicroBatches("scoring", items="pictures")
        self.cross_fitted: dict[bytes, Tensor] = {}
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
        config = TeacherConfig.from_folder(folder)
        backbone = create_backbone(config)
        weights = folder / WEIGHTS_NAME
        load_weights(backbone, weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
        return cls(backbone.float(), config, f"{config.architecture}-{digest}").to(device)

    @classmethod
    def whole(cls, folder: Path, device: torch.device | str = "cpu") -> Teacher:
        """Opens a teacher folder of either form, with all outputs of its head; ModelError as the two others."""
        raw = _read_json(folder / CONFIG_NAME, NAME_TIMM)
        open_it = cls.from_folder if "n_classes" in raw else cls.from_timm_folder
        return open_it(folder, device=device)

    @classmethod
    def from_timm_folder(
        cls,
        folder: Path,
        class_indices: Sequence[int] | None = None,
        device: torch.device | str = "cpu",
        class_names: Sequence[str] = (),
    ) -> Teacher:
        """Opens a timm model folder of the Hugging Face hub, and keeps some rows of its head.

        `class_indices` and `class_names` as `TeacherConfig.from_timm_folder` takes them.

        Raises:
            ModelError: a missing, truncated or ill-shaped file, by name; a row that the head has not.
        """
        config = TeacherConfig.from_timm_folder(folder, class_indices, class_names)
        backbone = create_backbone(config)
        load_weights(backbone, folder / WEIGHTS_NAME)
        made = cls(backbone.float(), config, config.architecture).to(device)
        made.cross_fitted = read_cross_fitted(folder / CROSS_FITTED_NAME, config)
        return made

    def preprocess(self, images: Tensor, uncut: bool = False) -> Tensor:
        """Images (N, ch, H, W) in [-1, 1] -> the network's own size and normalisation. Differentiable.

        As timm evaluates: the shorter side becomes input_size / crop_pct, then the centre is cut out.

        Args:
            uncut: the whole image is resized to the network's size.
        """
        pixels = (images.float() + 1) / 2
        size, target = self.config.input_size, math.floor(self.config.input_size / self.config.crop_pct)
        height, width = pixels.shape[-2:]
        uncut = uncut or self.config.crop_pct == 1.0
        if uncut and (height != size or width != size):
            pixels = self._resize(pixels, size, size)
        elif not uncut and min(height, width) != target:
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

    def forward(self, images: Tensor, uncut: bool = False) -> tuple[Tensor, Tensor]:
        """Images (N, ch, H, W) in [-1, 1] -> logits (N, C) and embeddings (N, D), both float32.

        Embeddings are timm's ``forward_head(..., pre_logits=True)``; logits are restricted to the task's
        classes, in preset order, before any softmax. `uncut` as in `preprocess`.
        """
        outputs, embeddings = self.outputs(images, uncut)
        return self.of_task(outputs), embeddings

    def outputs(self, images: Tensor, uncut: bool = False) -> tuple[Tensor, Tensor]:
        """As ``forward``, with every output of the head (N, O) in place of the task's."""
        features = self.backbone.forward_features(self.preprocess(images, uncut))  # type: ignore[operator]
        embeddings = self.backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]
        outputs = self.backbone.get_classifier()(embeddings).float() / self.config.calibration  # type: ignore[operator]
        return outputs, embeddings.float()

    @property
    def rows(self) -> list[int]:
        """The outputs that are the task's classes, in label order."""
        kept = self.config.class_indices
        return list(range(self.config.n_classes) if kept is None else kept)

    def of_task(self, outputs: Tensor) -> Tensor:
        """The task's logits (N, C) of all outputs (N, O)."""
        return outputs if self.config.class_indices is None else outputs[:, self.rows]

    def predict(self, images: Tensor, batch_size: int = 256) -> tuple[Tensor, Tensor]:
        """``forward`` over any number of images on this teacher's device, in batches that fit; results on the CPU.

        Args:
            images: (N, ch, H, W) in [-1, 1], or as they are at rest, uint8 (N, H, W, ch): a quarter of the bytes to
                move, and the device converts them. Among these, pictures that it was taught on get the logits that
                are kept for them.
        """
        outputs, embeddings = self.predict_all(images, batch_size)
        return self.of_task(outputs), embeddings

    @torch.no_grad()
    def predict_all(self, images: Tensor, batch_size: int = 256) -> tuple[Tensor, Tensor]:
        """As ``predict``, with every output of the head (N, O) in place of the task's."""
        outputs, embeddings = [], []
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            a, b = self.memory.map(self._answer, batch)
            if self.cross_fitted and batch.dtype == torch.uint8:
                kept = [self.cross_fitted.get(picture_key(image.cpu().numpy())) for image in batch]
                a = torch.stack(
                    [answer if other is None else other for answer, other in zip(a, kept, strict=True)]
                )
            outputs.append(a)
            embeddings.append(b)
        return torch.cat(outputs), torch.cat(embeddings)

    def _answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        there = images.to(self.mean.device)
        outputs, embeddings = self.outputs(from_uint8(there) if there.dtype == torch.uint8 else there)
        return outputs.cpu(), embeddings.cpu()


def picture_key(image: np.ndarray) -> bytes:
    """What tells a picture at rest, uint8 (H, W, ch), from all others."""
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()


def write_cross_fitted(path: Path, keys: Sequence[bytes], logits: Tensor) -> None:
    """The logits (N, C) of pictures that a teacher was taught on, each of a head that did not see it."""
    table = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).reshape(len(keys), -1)
    save_file({"keys": table, "logits": logits.contiguous()}, path)


def read_cross_fitted(path: Path, config: TeacherConfig) -> dict[bytes, Tensor]:
    """What `write_cross_fitted` wrote; {} where a teacher was not taught here.

    Raises:
        ModelError: a damaged file.
    """
    if not path.is_file():
        return {}
    try:
        table = load_file(path)
        keys, logits = table["keys"], table["logits"].float()
        if len(keys) != len(logits) or logits.shape[1:] != (config.n_classes,):
            raise ValueError(f"{len(keys)} keys, logits {tuple(logits.shape)}")
    except (SafetensorError, OSError, ValueError, KeyError) as err:
        raise corrupt_weights(path) from err
    return {key.numpy().tobytes(): row for key, row in zip(keys, logits, strict=True)}


def hub_id(name: str) -> str:
    """Where the Hugging Face hub has the weights of a network of timm: "timm/resnet18.a1_in1k"; "" where nowhere."""
    from timm.models import get_pretrained_cfg, is_model

    plain = name.removeprefix("timm/")
    if not PLAIN_NAME.fullmatch(plain) or not is_model(plain.partition(".")[0]):
        return ""
    known = get_pretrained_cfg(plain, allow_unregistered=False)
    return known.hf_hub_id or "" if known else ""


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
        raise corrupt_weights(path) from err
    fill(module, state, path)


def fill(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Put the weights of a file into ``module``; ModelError unless every key and shape is accounted for."""
    wanted = module.state_dict()
    state = plain_names(state, path, wanted)
    wrong = [
        f"{k} is {tuple(state[k].shape)}, needed {tuple(wanted[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != wanted[k].shape
    ]
    missing = sorted(wanted.keys() - state.keys())
    unexpected = sorted(state.keys() - wanted.keys())
    if wrong or missing or unexpected:
        parts = (
            wrong[:2] + [f"missing {k}" for k in missing[:2]] + [f"unexpected {k}" for k in unexpected[:2]]
        )
        more = len(wrong) + len(missing) + len(unexpected) - len(parts)
        raise ModelError(
            f"The weights in {path} are of another shape: {'; '.join(parts)}{f'; and {more} more' if more else ''}.",
            "Use the config.json that was saved with these weights, or the weights that belong to this config.",
        )
    module.load_state_dict({key: value.to(wanted[key].dtype) for key, value in state.items()})
