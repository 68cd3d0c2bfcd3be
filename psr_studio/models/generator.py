"""The generator: class ids and per-candidate seeds -> latents, by our own batched sampling loop.

Shape letters: N candidates, c x h x w the latent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, DiTTransformer2DModel
from torch import Tensor

from psr_studio.core.devices import candidate_generator, stacked_noise
from psr_studio.core.errors import ModelError
from psr_studio.method.guidance import Guide, classifier_free_guidance
from psr_studio.models.denoiser import Denoiser, PlainDenoiser
from psr_studio.models.memory import MicroBatches
from psr_studio.models.rows import check_rows
from psr_studio.models.samplers import SAMPLERS, Trajectory
from psr_studio.models.tuning import Delta, applied
from psr_studio.models.weights import odd_schedule, open_pretrained

__all__ = ["SAMPLERS", "Generator", "Sampling"]

LOG = logging.getLogger(__name__)
TABLE_BYTES = 2**28  # of the conditioning kept ahead; a long run with many classes makes it piece by piece


@dataclass(frozen=True)
class Sampling:
    """How a pool is sampled.

    Attributes:
        sampler: a key of SAMPLERS.
        steps: number of denoising steps, 1 to 1000.
        guidance: classifier-free guidance scale; 1 means no guidance and halves the cost.
        guided_channels: number of leading latent channels that are guided, None for all.
        interval: timesteps, as shares of T from 0 (clean) to 1 (noise), between which guidance counts; outside
            a step costs half. Guiding in the middle only is as good or better (arXiv 2404.07724).
        skipped: first steps that are not taken, fewer than `steps`; a run begins at its guide's targets then.
    """

    sampler: str = "ddpm"
    steps: int = 50
    guidance: float = 4.0
    guided_channels: int | None = None
    interval: tuple[float, float] = (0.0, 1.0)
    skipped: int = 0

    @property
    def taken(self) -> int:
        """How many steps are taken."""
        return self.steps - self.skipped

    def is_guided(self, share: float) -> bool:
        """Whether a step at t = share * T needs the unguided prediction as well."""
        return self.guidance != 1.0 and self.interval[0] <= share <= self.interval[1]

    @property
    def n_guided(self) -> int:
        """How many of the steps taken are guided, the timesteps being evenly spread."""
        return sum(self.is_guided((i + 1) / self.steps - 1e-3) for i in range(self.taken))


class Generator:
    """A frozen class-conditional DiT with its noise schedule.

    Args:
        transformer: diffusers DiTTransformer2DModel, trained to predict noise with label dropout.
        scheduler_config: the diffusers scheduler configuration it was trained under.
        class_rows: the rows of its class table that are the task's classes, in label order; None for all.

    Attributes:
        memory: halves what is denoised at once when the device runs out of memory.
        compiled: compile the network's block, one for all, which takes a minute and pays on a GPU.
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
        check_rows("The generator", class_rows, n_rows)
        kept = list(range(n_rows) if class_rows is None else class_rows)
        self.null_class: int = len(kept)  # among the task's classes; its row is the table's last
        self._rows = (*kept, n_rows)
        self.class_rows = torch.tensor(self._rows, device=transformer.device)
        size = transformer.config.sample_size
        self.latent_shape: tuple[int, int, int] = (transformer.config.in_channels, size, size)
        out_channels = transformer.config.out_channels or transformer.config.in_channels
        self.learns_variance: bool = out_channels == 2 * transformer.config.in_channels
        self.memory = MicroBatches("denoising")
        self.compiled = False
        self._notice = ""
        self._network: Denoiser | PlainDenoiser | None = None
        self._network_of: tuple[tuple[int, int], ...] = ()

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
        moved = transformer.to(device)
        try:
            return cls(moved, config, class_rows)
        except (ValueError, TypeError, KeyError, RuntimeError) as err:
            raise odd_schedule(folder, err) from err

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the class table that are the task's classes, in label order, and last that of the null class."""
        return self._rows

    def tuned(self, delta: Delta, name: str) -> Generator:
        """The same, fine-tuned; this one stays as it is.

        Args:
            name: of the fine-tuned generator, for errors.

        Raises:
            ModelError: what was fine-tuned is another network.
        """
        network = applied(self.transformer, delta, name)
        return Generator(network, self.scheduler_config, self._rows[:-1])

    @property
    def device(self) -> torch.device:
        """Where the transformer lies."""
        return self.transformer.device

    @property
    def n_train_steps(self) -> int:
        """T: timesteps run from 0 to T - 1."""
        return len(self.alphas_cumprod)

    @property
    def network(self) -> Denoiser | PlainDenoiser:
        """The transformer's forward pass, fused; made anew when its weights, device or dtype changed."""
        if self._network is None or self._weights() != self._network_of:
            fits = Denoiser.fits(self.transformer)
            self._network = (
                Denoiser(self.transformer, self.compiled) if fits else PlainDenoiser(self.transformer)
            )
            self._network_of = self._weights()
        return self._network

    def _weights(self) -> tuple[tuple[int, int], ...]:
        """Whether to compile, where the weights lie and how often they were written to."""
        at = ((weight.data_ptr(), weight._version) for weight in self.transformer.parameters())
        return ((int(self.compiled), 0), *at)

    def denoise(self, z_t: Tensor, t: Tensor, class_ids: Tensor) -> Tensor:
        """epsilon_theta(z_t, t, y): noisy latents (N, c, h, w), timesteps (N,), classes (N,) -> noise, float32.

        Differentiable with respect to ``z_t``.
        """
        condition = self.network.condition(t, self.class_rows[class_ids])
        output = self.network(z_t.to(self.transformer.dtype), condition)
        return output[:, : self.latent_shape[0]].float()  # without a learned variance

    def predict_noise(self, z: Tensor, table: Tensor, which: Tensor) -> Tensor:
        """All that the network says of latents (N, c, h, w) under the conditions `which` (N,), float32."""
        network, given = self._network, z.to(self.transformer.dtype)
        assert network is not None  # made by `sample`, once a run: a look at all weights takes a millisecond
        try:
            (output,) = self.memory.map(lambda part, rows: (network(part, table[rows]),), given, which)
        except RuntimeError as err:
            if not (self.compiled and _is_of_the_compiler(err)):
                raise
            self.compiled = False
            self._notice = (
                f"The generator cannot be compiled here ({str(err).splitlines()[0][:160]}): going on without, "
                "same result, only slower."
            )
            LOG.warning("%s", self._notice)
            self._network = self.network
            return self.predict_noise(z, table, which)
        return output.float()

    def take_notice(self) -> str:
        """What there is to say about memory and compilation; it is given out once."""
        words, self._notice = (self._notice, self.memory.take_notice()), ""
        return " ".join(filter(None, words))

    def _guided(self, z: Tensor, table: Tensor, which: Tensor, sampling: Sampling) -> Tensor:
        """The guided prediction; a learned variance stays that of the class, as in DiT's own code."""
        null = torch.full_like(which, len(table) - 1)
        both = self.predict_noise(torch.cat([z, z]), table, torch.cat([which, null]))
        conditional, unconditional = both.chunk(2)
        guided = sampling.guided_channels or self.latent_shape[0]
        return classifier_free_guidance(conditional, unconditional, sampling.guidance, guided)

    def _tables(
        self, network: Denoiser | PlainDenoiser, times: Sequence[int], rows: Sequence[int]
    ) -> Iterator[Tensor]:
        """For each timestep the conditions (U, ...) of some rows of the class table, a few steps ahead."""
        classes = torch.tensor(rows, device=self.device)
        ahead = 1
        start = 0
        while start < len(times):
            t = torch.tensor(times[start : start + ahead], device=self.device)
            made = network.condition(t.repeat_interleave(len(rows)), classes.repeat(len(t)))
            yield from made.unflatten(0, (len(t), len(rows)))
            start += len(t)
            ahead = max(1, TABLE_BYTES * len(t) // made.nbytes)

    @torch.no_grad()
    def sample(
        self, class_ids: Sequence[int], seeds: Sequence[int], sampling: Sampling, guide: Guide | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Denoises len(seeds) latents together; yields (steps done, latents (N, c, h, w) float32) after each step.

        Row i is drawn from seed i alone, its ancestral noise included, so neither the batch size nor the
        order nor a restart changes where a candidate starts. No step waits for the device.

        Args:
            class_ids: (N,) class of each candidate.
            seeds: (N,) the candidates' own seeds.
            sampling: sampler, steps and guidance.
            guide: what steers the rows, asked in each step before the next latents are formed.
        """
        run = Trajectory(sampling.sampler, self.scheduler_config, sampling.steps, self.learns_variance)
        generators = [candidate_generator(seed) for seed in seeds]
        steering = None if guide is None else guide.to(self.device)
        latents = run.start(
            stacked_noise(generators, self.latent_shape, self.device), sampling.skipped, steering
        )
        present, which = np.unique(np.asarray(class_ids, np.int64), return_inverse=True)
        rows = [int(self._rows[c]) for c in (*present, self.null_class)]
        of_row = torch.from_numpy(which.reshape(-1)).to(self.device)
        taken = run.steps[sampling.skipped :]
        tables = self._tables(self.network, [step.t for step in taken], rows)
        for index, (step, table) in enumerate(zip(taken, tables, strict=True), sampling.skipped):
            guided = sampling.is_guided(step.t / self.n_train_steps)
            output = (
                self._guided(latents, table, of_row, sampling)
                if guided
                else self.predict_noise(latents, table, of_row)
            )
            fresh = stacked_noise(generators, self.latent_shape, self.device) if step.adds_noise else None
            latents = run.follow(index, latents, output, fresh, steering)
            yield index + 1, latents


def _is_of_the_compiler(err: BaseException) -> bool:
    """Whether PyTorch's compiler gave up; named by its place, since importing it takes a second."""
    return type(err).__module__.startswith(("torch._dynamo", "torch._inductor"))
