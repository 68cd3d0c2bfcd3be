"""Opening weights from disk: safetensors only, offline, every failure named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from diffusers import ModelMixin
from safetensors import SafetensorError, safe_open

from psr_studio.core.errors import ModelError
from psr_studio.core.texts import TextError, parse_json, read_text
from psr_studio.models.states import corrupt_weights

ORIGIN = "psr_studio.json"  # beside config.json, written by `convert-weights`
Model = TypeVar("Model", bound=ModelMixin)


def open_pretrained(kind: type[Model], folder: Path, **kwargs: Any) -> Model:
    """A diffusers model from a local folder of config.json and safetensors, never from the network.

    Raises:
        ModelError: the folder is missing, holds only a pickle, is truncated or of another shape.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The model folder {folder} holds no config.json.",
            "Run `psr-studio doctor` to see what is missing.",
        )
    if not any(folder.glob("*.safetensors*")):
        pickles = [p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt")]
        found = f"only {pickles[0]}, a pickle, which can run code when opened" if pickles else "no weights"
        raise ModelError(
            f"The model folder {folder} holds {found}; PSR Studio opens safetensors only.",
            "Put diffusion_pytorch_model.safetensors into the folder, or make it of the pickle with "
            "`psr-studio convert-weights`.",
        )
    _check_shards(folder)
    try:
        # Not low_cpu_mem_usage: it would leave missing weights on the meta device instead of refusing them.
        model, info = kind.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            low_cpu_mem_usage=False,
            **kwargs,
        )
    except Exception as err:  # diffusers raises OSError, ValueError, RuntimeError or SafetensorError here
        raise _why_not(folder) from err
    lacking = list(info["missing_keys"]) + list(info["unexpected_keys"])
    if lacking:
        raise ModelError(
            f"The weights in {folder} do not fit their config.json: {lacking[0]} and {len(lacking) - 1} more "
            "keys differ.",
            "Use the config.json that was saved with these weights.",
        )
    _as_trained(model, folder / ORIGIN)
    return model


def _check_shards(folder: Path) -> None:
    """The index of weights in several files may name any file: those that are no safetensors are opened as pickles."""
    for path in folder.glob("*.index.json"):
        try:
            shards = set(parse_json(read_text(path))["weight_map"].values())
        except (OSError, TextError, KeyError, TypeError, AttributeError) as err:
            raise ModelError(f"{path} is no index of weights.", "Restore that file.") from err
        if foreign := sorted(str(name) for name in shards if not str(name).endswith(".safetensors")):
            raise ModelError(
                f'{path} names "{foreign[0]}"; PSR Studio opens safetensors only.',
                "Get the weights as safetensors, with the index that belongs to them.",
            )


def _why_not(folder: Path) -> ModelError:
    """What keeps weights from being opened: the first file that is not whole, else their shape."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (OSError, SafetensorError):
            return corrupt_weights(path)
    return ModelError(
        f"The weights in {folder} are of another shape than its config.json says.",
        "Use the config.json that was saved with these weights.",
    )


def odd_schedule(folder: Path, err: Exception) -> ModelError:
    """The error for a generator whose schedule cannot be made."""
    said = (str(err) or type(err).__name__).splitlines()[0][:160]
    return ModelError(
        f"{folder / 'scheduler' / 'scheduler_config.json'} describes no schedule that can be made ({said}).",
        "Restore the file that belongs to these weights.",
    )


def _as_trained(model: Any, facts: Path) -> None:
    """What converted weights need and their config.json cannot say.

    diffusers spaces the frequencies of a timestep over 127 intervals, DiT's own code over 128; weights of the
    latter are computed as they were trained.
    """
    if not facts.is_file():
        return
    try:
        shift = parse_json(read_text(facts)).get("downscale_freq_shift")
    except (OSError, TextError, AttributeError) as err:
        raise ModelError(f"{facts} is damaged ({err}).", "Convert the weights again.") from err
    if not isinstance(shift, int | float | None):
        raise ModelError(
            f'{facts} is damaged: "downscale_freq_shift" is no number.', "Convert the weights again."
        )
    for module in model.modules():
        if shift is not None and hasattr(module, "downscale_freq_shift"):
            module.downscale_freq_shift = shift
