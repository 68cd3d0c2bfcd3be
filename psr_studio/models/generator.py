"""The generator: class ids and per-candidate seeds -> latents, by our own batched sampling loop.

Shape letters: N candidates, c x h x w the latent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DiTTransformer2DModel, DPMSolverMultistepScheduler
from torch import Tensor

from psr_studio.devices import candidate_generator, stacked_noise
from psr_studio.errors import ModelError
from psr_studio.method.guidance import classifier_free_guidance
from psr_studio.models.weights import open_pretrained

# Name -> scheduler and how its timesteps are spread. The papers' code respaces the ancestral sampler
# over [0, 999] inclusive ("linspace"); DDIM's and DPM-Solver's own step arithmetic needs "trailing".
SAMPLERS: dict[str, tuple[type, dict[str, object]]] = {
    "ddpm": (DDPMScheduler, {"timestep_spacing": "linspace"}),
    "ddim": (DDIMScheduler, {"timestep_spacing": "trailing", "set_alpha_to_one": True}),
    "dpm-solver++": (
        DPMSolverMultistepScheduler,
        {"timestep_spacing": "trailing", "algorithm_type": "dpmsolver++"},
    ),
}

Guide = Callable[[Tensor, Tensor, int], Tensor]  # (next z, predicted noise, step index) -> next z


@dataclass(frozen=True)
class Sampling:
    """How a pool is sampled.

    Attributes:
        sampler: a key of SAMPLERS.
        steps: number of denoising steps, 1 to 1000.
        guidance: classifier-free guidance scale; 1 means no guidance and halves the cost.
        guided_channels: number of leading latent channels that are guided, None for all.
    """

    sampler: str = "ddpm"
    steps: int = 50
    guidance: float = 4.0
    guided_channels: int | None = None


class Generator:
    """A frozen class-conditional DiT with its noise schedule.

    Args:
        transformer: diffusers DiTTransformer2DModel, trained to predict noise with label dropout.
        scheduler_config: the diffusers scheduler configuration it was trained under.
        class_rows: the rows of its class table that are the task's classes, in label order; None for all.
    """

    def __init__(
        self,
        transformer: DiTTransformer2DModel,
        scheduler_config: dict[str, object],
        class_rows: Sequence[int] | None = None,
    ) -> None:
        self.transformer = transformer.eval().requires_grad_(False)
        self.scheduler_config = dict(scheduler_config)
        self.alphas_cumprod: Tensor = DDPMScheduler.from_config(self.scheduler_config).alphas_cumprod
        n_rows: int = transformer.config.num_embeds_ada_norm
        kept = list(range(n_rows) if class_rows is None else class_rows)
        self.null_class: int = len(kept)  # among the task's classes; its row is the table's last
        self.class_rows = torch.tensor([*kept, n_rows], device=transformer.device)
        size = transformer.config.sample_size
        self.latent_shape: tuple[int, int, int] = (transformer.config.in_channels, size, size)
        out_channels = transformer.config.out_channels or transformer.config.in_channels
        self.learns_variance: bool = out_channels == 2 * transformer.config.in_channels

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        class_rows: Sequence[int] | None = None,
    ) -> Generator:
        """Opens a DiTPipeline folder's ``transformer`` and ``scheduler``.

        Raises:
            ModelError: a missing, truncated or ill-shaped file, by name.
        """
        transformer = open_pretrained(DiTTransformer2DModel, folder / "transformer", torch_dtype=dtype)
        try:
            config = DDPMScheduler.load_config(folder / "scheduler", local_files_only=True)
        except OSError as err:
            raise ModelError(
                f"The model folder {folder} holds no scheduler/scheduler_config.json.",
                "Run `psr-studio doctor` to see what is missing.",
            ) from err
        return cls(transformer.to(device), config, class_rows)

    @property
    def device(self) -> torch.device:
        """Where the transformer lies."""
        return self.transformer.device

    @property
    def n_train_steps(self) -> int:
        """T: timesteps run from 0 to T - 1."""
        return len(self.alphas_cumprod)

    def denoise(self, z_t: Tensor, t: Tensor, class_ids: Tensor) -> Tensor:
        """epsilon_theta(z_t, t, y): noisy latents (N, c, h, w), timesteps (N,), classes (N,) -> noise, float32.

        Differentiable with respect to ``z_t``.
        """
        return self._predict(z_t, t, class_ids)[:, : self.latent_shape[0]]  # without a learned variance

    def _predict(self, z_t: Tensor, t: Tensor, class_ids: Tensor) -> Tensor:
        """All that the transformer says, (N, c, h, w) or, where it learns the variance, (N, 2c, h, w)."""
        dtype = self.transformer.dtype
        rows = self.class_rows[class_ids]
        return self.transformer(z_t.to(dtype), timestep=t, class_labels=rows).sample.float()

    def _guided_noise(
        self, z_t: Tensor, t: Tensor, class_ids: Tensor, null_ids: Tensor, how: Sampling
    ) -> Tensor:
        """The guided prediction; a learned variance stays that of the class, as in DiT's own code."""
        if how.guidance == 1.0:
            return self._predict(z_t, t.expand(len(z_t)), class_ids)
        both = self._predict(torch.cat([z_t, z_t]), t.expand(2 * len(z_t)), torch.cat([class_ids, null_ids]))
        conditional, unconditional = both.chunk(2)
        guided = how.guided_channels or self.latent_shape[0]
        return classifier_free_guidance(conditional, unconditional, how.guidance, guided)

    @torch.no_grad()
    def sample(
        self, class_ids: Sequence[int], seeds: Sequence[int], how: Sampling, guide: Guide | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Denoises len(seeds) latents together; yields (steps done, latents (N, c, h, w) float32) after each step.

        Row i is drawn from seed i alone, its ancestral noise included, so neither the batch size nor the
        order nor a restart changes where a candidate starts.

        Args:
            class_ids: (N,) class of each candidate.
            seeds: (N,) the candidates' own seeds.
            how: sampler, steps and guidance.
            guide: applied to each new latent, for mode and difficulty guidance.
        """
        kind, options = SAMPLERS[how.sampler]
        ancestral = how.sampler == "ddpm"
        if ancestral and self.learns_variance:  # between the two bounds, by the predicted share
            options = {**options, "variance_type": "learned_range"}
        scheduler = kind.from_config(self.scheduler_config, **options)  # type: ignore[attr-defined]
        scheduler.set_timesteps(how.steps)
        generators = [candidate_generator(seed) for seed in seeds]
        latents = stacked_noise(generators, self.latent_shape, self.device) * scheduler.init_noise_sigma
        classes = torch.as_tensor(class_ids, device=self.device)
        null = torch.full_like(classes, self.null_class)
        extra = {"generator": generators} if ancestral else {}
        for index, t in enumerate(scheduler.timesteps):
            output = self._guided_noise(latents, t.to(self.device), classes, null, how)
            noise = output[:, : self.latent_shape[0]]
            used = output if ancestral else noise
            following = scheduler.step(used, t, latents, **extra).prev_sample
            latents = guide(following, noise, index) if guide is not None else following
            yield index + 1, latents
