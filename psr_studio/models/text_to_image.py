"""Stable Diffusion as a generator of pools: the class is a prompt. Also the worked example of docs/models.md.

Shape letters: N candidates, C classes, c x h x w the latent, L tokens, D their width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor

from psr_studio.core.errors import ModelError
from psr_studio.method.guidance import Guide
from psr_studio.models.adapters import Opening
from psr_studio.models.generator import Sampling
from psr_studio.models.memory import MicroBatches
from psr_studio.models.samplers import Step, Trajectory
from psr_studio.models.weights import odd_schedule, open_pretrained

PROMPT = "a photo of a {}"


class TextToImage:
    """A frozen text-conditional U-Net with the embedded prompt of each class.

    Args:
        unet: diffusers UNet2DConditionModel that predicts noise or velocity.
        prompts: (C + 1, L, D) embedded prompts, the empty one last.
        scheduler_config: the diffusers scheduler configuration it was trained under.

    Attributes:
        memory: halves what is denoised at once when the device runs out of memory.
    """

    def __init__(
        self, unet: UNet2DConditionModel, prompts: Tensor, scheduler_config: dict[str, object]
    ) -> None:
        self.unet = unet.eval().requires_grad_(False)
        self.prompts = prompts.to(unet.device, unet.dtype)
        self.scheduler_config = dict(scheduler_config)
        schedule = DDPMScheduler.from_config(self.scheduler_config)
        self.alphas_cumprod: Tensor = schedule.alphas_cumprod
        self.predicts_velocity = schedule.config.prediction_type == "v_prediction"
        self.memory = MicroBatches("denoising")
        size = unet.config.sample_size
        self.latent_shape: tuple[int, int, int] = (unet.config.in_channels, size, size)

    @classmethod
    def from_folder(cls, opening: Opening) -> TextToImage:
        """Opens the `unet`, `text_encoder`, `tokenizer` and `scheduler` of a StableDiffusionPipeline folder.

        The prompt of a class is the option ``prompt`` with {} for its name.

        Raises:
            ModelError: transformers is not installed; a missing, truncated or ill-shaped file, by name.
        """
        template = str(opening.options.get("prompt", PROMPT))
        texts = [template.replace("{}", name) for name in opening.class_names]
        prompts = embed_prompts(opening, [*texts, ""])
        unet = open_pretrained(UNet2DConditionModel, opening.folder / "unet", torch_dtype=opening.dtype)
        try:
            config = DDPMScheduler.load_config(opening.folder / "scheduler", local_files_only=True)
        except OSError as err:
            raise ModelError(
                f"The model folder {opening.folder} holds no scheduler/scheduler_config.json.",
                "Name the folder of a whole StableDiffusionPipeline.",
            ) from err
        moved = unet.to(opening.device)
        try:
            return cls(moved, prompts, config)
        except (ValueError, TypeError, KeyError, RuntimeError) as err:
            raise odd_schedule(opening.folder, err) from err

    @property
    def device(self) -> torch.device:
        """Where the U-Net lies."""
        return self.unet.device

    @property
    def n_train_steps(self) -> int:
        """T: timesteps run from 0 to T - 1."""
        return len(self.alphas_cumprod)

    def denoise(self, z_t: Tensor, t: Tensor, class_ids: Tensor) -> Tensor:
        """As `PoolGenerator.denoise`; a predicted velocity is turned into the noise it stands for."""
        predicted = self._predict(z_t, t, class_ids)
        if not self.predicts_velocity:
            return predicted
        alpha = self.alphas_cumprod.to(z_t.device)[t].view(-1, 1, 1, 1)
        return alpha.sqrt() * predicted + (1 - alpha).sqrt() * z_t

    def _predict(self, z_t: Tensor, t: Tensor, class_ids: Tensor) -> Tensor:
        prompts = self.prompts[class_ids]
        return self.unet(z_t.to(self.unet.dtype), t, encoder_hidden_states=prompts).sample.float()

    def _at(self, t: Tensor, z_t: Tensor, classes: Tensor) -> Tensor:
        """The prediction of one timestep for all, in as many rows at once as fit into memory."""
        (predicted,) = self.memory.map(
            lambda *rows: (self._predict(*rows),), z_t, t.expand(len(z_t)), classes
        )
        return predicted

    def take_notice(self) -> str:
        """What there is to say about memory, once."""
        return self.memory.take_notice()

    @torch.no_grad()
    def sample(
        self, class_ids: Sequence[int], seeds: Sequence[int], sampling: Sampling, guide: Guide | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """As `PoolGenerator.sample`, with any of our samplers."""
        run = Trajectory(sampling.sampler, self.scheduler_config, sampling.steps)
        classes = torch.as_tensor(class_ids, device=self.device)

        def predict(z: Tensor, step: Step) -> Tensor:
            output = partial(self._at, torch.tensor(step.t, device=self.device))
            return sampling.guided(output, z, classes, len(self.prompts) - 1, step.t / self.n_train_steps)

        yield from run.run(predict, seeds, self.latent_shape, self.device, sampling.skipped, guide)


@torch.no_grad()
def embed_prompts(opening: Opening, prompts: Sequence[str]) -> Tensor:
    """The text encoder's last hidden state of each prompt, (len(prompts), L, D) float32, computed once."""
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as err:
        raise ModelError(
            'A generator of the kind "stable-diffusion" needs the package transformers, which is not installed.',
            "Run `pip install transformers`.",
        ) from err
    folder = opening.folder
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        encoder = CLIPTextModel.from_pretrained(
            folder / "text_encoder", use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, TypeError) as err:
        raise ModelError(
            f"The tokenizer or the text encoder in {folder} cannot be opened ({str(err).splitlines()[0][:160]}).",
            "Name the folder of a whole StableDiffusionPipeline, with safetensors.",
        ) from err
    tokens = tokenizer(
        list(prompts),
        padding="max_length",
        max_length=encoder.config.max_position_embeddings,
        truncation=True,
        return_tensors="pt",
    )
    return encoder.eval()(tokens.input_ids).last_hidden_state.float()
