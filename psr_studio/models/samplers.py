"""The three samplers as tables of numbers: what a step does is known before the first one is taken.

A step of any of them is z' = a x0 + b z + c eps + d x0_before + s noise, with x0 the clean latent that eps
implies. The numbers are worked out in float64 on the host, so a step needs no look at the device. They equal
diffusers' DDPMScheduler, DDIMScheduler and DPMSolverMultistepScheduler (tests/models/test_samplers.py).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from psr_studio.core.devices import candidate_generator, stacked_noise
from psr_studio.core.errors import ModelError
from psr_studio.method.guidance import Guide, Moment, Pull
from psr_studio.method.refinement import q_sample

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
FEW_STEPS = 15  # below that DPM-Solver++ ends with a first-order step
SMALLEST = 1e-20  # of a variance whose logarithm is taken


@dataclass(frozen=True)
class Step:
    """One step of a sampler, as numbers.

    Attributes:
        t: the timestep at which the network is asked.
        signal, noise: sqrt(alpha-bar) and sqrt(1 - alpha-bar) at t.
        clean, latent, predicted, before: factors of x0, z, eps and the x0 of the step before.
        sigma: standard deviation of the ancestral step between the same timesteps, whichever sampler it is.
        adds_noise: fresh noise is added, with that deviation.
        log_spread: logarithms of the smallest and largest variance, between which a learned one lies.
    """

    t: int
    signal: float
    noise: float
    clean: float = 0.0
    latent: float = 0.0
    predicted: float = 0.0
    before: float = 0.0
    sigma: float = 0.0
    adds_noise: bool = False
    log_spread: tuple[float, float] | None = None


class Trajectory:
    """The steps of one run, and the little they remember of each other.

    Args:
        sampler: a key of SAMPLERS. config: the scheduler configuration the network was trained under.
        n_steps: 1 to 1000. learned: the network predicts the variance too, which "ddpm" then uses.

    Raises:
        ModelError: a network that does not predict noise or velocity, or dynamic thresholding.
    """

    def __init__(
        self, sampler: str, config: Mapping[str, object], n_steps: int, learned: bool = False
    ) -> None:
        kind, options = SAMPLERS[sampler]
        scheduler = kind.from_config(dict(config), **options)  # type: ignore[attr-defined]
        with warnings.catch_warnings():
            # diffusers has NumPy copy a tensor in a way that PyTorch does not offer yet; the numbers are the same.
            warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
            scheduler.set_timesteps(n_steps)
        self.prediction = scheduler.config.prediction_type
        if self.prediction not in ("epsilon", "v_prediction") or scheduler.config.thresholding:
            raise ModelError(
                f'The scheduler of this generator predicts "{self.prediction}", thresholding '
                f"{bool(scheduler.config.thresholding)}; the samplers here know noise and velocity without it.",
                "Use a generator that was trained to predict noise.",
            )
        clips = getattr(scheduler.config, "clip_sample", False) and sampler != "dpm-solver++"
        self.clip: float | None = scheduler.config.clip_sample_range if clips else None
        self.steps = {"ddpm": _ddpm, "ddim": _ddim, "dpm-solver++": _dpm}[sampler](scheduler)
        self.ancestral = sampler == "ddpm"
        self.learned = learned and self.ancestral
        self._before: Tensor | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def start(self, noise: Tensor, skipped: int = 0, guide: Guide | None = None) -> Tensor:
        """Where a run begins that leaves out its first steps: the guide's targets with the noise that is left then.

        Args:
            noise: (N, c, h, w) standard normal; it is the answer where no step is left out, and without a guide.
        """
        if not skipped or guide is None:
            return noise
        return q_sample(guide.targets, noise, self.steps[skipped].signal ** 2)

    def follow(
        self, index: int, z: Tensor, output: Tensor, fresh: Tensor | None, guide: Guide | None = None
    ) -> Tensor:
        """The next latents.

        Args:
            index: of the step, in order, from 0 or from the first that is taken. z: (N, c, h, w) float32.
            output: (N, c or 2c, h, w) float32 of the network. fresh: (N, c, h, w) noise where the step `adds_noise`.
            guide: asked before the next latents are formed.
        """
        step = self.steps[index]
        eps, clean = self._read(step, z, output[:, : z.shape[1]])
        sigma = self._sigma(step, output[:, z.shape[1] :])
        pull = Pull()
        if guide is not None:
            left = len(self.steps) - 1 - index
            moment = (left, z, clean, sigma, step.signal**2, self.ancestral, guide.classes, guide.targets)
            pull = guide.rule(Moment(*moment))
        if pull.noise is not None:
            eps, clean = eps + pull.noise, clean - step.noise / step.signal * pull.noise
        if pull.latents is not None:
            z, eps = z + pull.latents, eps + pull.latents / step.noise
        following = step.clean * clean + step.latent * z
        if step.predicted:
            following += step.predicted * eps
        if step.before:  # a run that begins here has no step before: its first one is of first order
            following += step.before * (clean if self._before is None else self._before)
        if pull.mean is not None:
            following += pull.mean
        if step.adds_noise and fresh is not None:
            following += sigma * fresh
        self._before = clean
        return following

    def run(
        self, predict: Callable[[Tensor, Step], Tensor], seeds: Sequence[int], shape: tuple[int, ...],
        device: torch.device, skipped: int = 0, guide: Guide | None = None,
    ) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
        """Each step that is taken: how many are done, and the latents (N, c, h, w) float32.

        Row i is drawn from seed i alone, its ancestral noise included. No step waits for the device.

        Args:
            predict: what the network says of latents in a step, as `follow` takes it.
            seeds: (N,) the candidates' own seeds. shape: (c, h, w). skipped, guide: as in `start` and `follow`.
        """
        generators = [candidate_generator(seed) for seed in seeds]
        steering = None if guide is None else guide.to(device)
        latents = self.start(stacked_noise(generators, shape, device), skipped, steering)
        for index, step in enumerate(self.steps[skipped:], skipped):
            output = predict(latents, step)
            fresh = stacked_noise(generators, shape, device) if step.adds_noise else None
            latents = self.follow(index, latents, output, fresh, steering)
            yield index + 1, latents

    def _read(self, step: Step, z: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
        """Noise and clean latent from what the network says."""
        if self.prediction == "v_prediction":
            eps, clean = step.signal * output + step.noise * z, step.signal * z - step.noise * output
        else:
            eps, clean = output, (z - step.noise * output) / step.signal
        return eps, clean if self.clip is None else clean.clamp(-self.clip, self.clip)

    def _sigma(self, step: Step, share: Tensor) -> Tensor | float:
        if not self.learned or step.log_spread is None:
            return step.sigma
        low, high = step.log_spread
        return torch.exp(0.5 * (low + (share + 1) / 2 * (high - low)))


def _ddpm(scheduler: DDPMScheduler) -> list[Step]:
    """Ho et al. 2020, eq. 6 and 7, respaced; no noise in the step from t = 0."""
    kept = scheduler.alphas_cumprod.double()
    times = [int(t) for t in scheduler.timesteps]
    steps = []
    for t, following in zip(times, [*times[1:], -1], strict=True):
        now, then = float(kept[t]), float(kept[following]) if following >= 0 else 1.0
        beta, small = _variances(now, then)
        large = scheduler.config.variance_type in ("fixed_large", "fixed_large_log")
        steps.append(
            Step(
                t,
                math.sqrt(now),
                math.sqrt(1 - now),
                clean=math.sqrt(then) * beta / (1 - now),
                latent=math.sqrt(now / then) * (1 - then) / (1 - now),
                sigma=math.sqrt(beta if large else small),
                adds_noise=t > 0,
                log_spread=(math.log(small), math.log(beta)),
            )
        )
    return steps


def _ddim(scheduler: DDIMScheduler) -> list[Step]:
    """Song et al. 2021, eq. 12, without noise."""
    kept, stride = scheduler.alphas_cumprod.double(), scheduler.config.num_train_timesteps
    steps = []
    for t in (int(t) for t in scheduler.timesteps):
        following = t - stride // len(scheduler.timesteps)
        now = float(kept[t])
        then = float(kept[following]) if following >= 0 else float(scheduler.final_alpha_cumprod)
        sigma = math.sqrt(_variances(now, then)[1])
        signal, noise = math.sqrt(now), math.sqrt(1 - now)
        steps.append(
            Step(t, signal, noise, clean=math.sqrt(then), predicted=math.sqrt(1 - then), sigma=sigma)
        )
    return steps


def _dpm(scheduler: DPMSolverMultistepScheduler) -> list[Step]:
    """Lu et al. 2022, DPM-Solver++(2M): the clean latent is extrapolated from this step and the one before."""
    sigmas = [float(s) for s in scheduler.sigmas.double()]  # one more than steps; the last is 0
    times = [int(t) for t in scheduler.timesteps]
    steps: list[Step] = []
    for i, t in enumerate(times):
        signal, noise = _scales(sigmas[i])
        next_signal, next_noise = _scales(sigmas[i + 1])
        h = math.log(sigmas[i] / sigmas[i + 1]) if sigmas[i + 1] > 0 else math.inf
        weight = -next_signal * math.expm1(-h)
        last = i == len(times) - 1
        first_order = i == 0 or (last and (sigmas[-1] == 0 or len(times) < FEW_STEPS))
        ratio = 0.0 if first_order else math.log(sigmas[i - 1] / sigmas[i]) / h
        slope = 0.0 if first_order else weight / (2 * ratio)
        sigma = math.sqrt(_variances(signal**2, next_signal**2)[1])
        clean, latent = weight + slope, next_noise / noise
        steps.append(Step(t, signal, noise, clean=clean, latent=latent, before=-slope, sigma=sigma))
    return steps


def _variances(now: float, then: float) -> tuple[float, float]:
    """Largest and smallest variance of an ancestral step between two alpha-bars (Ho et al. 2020, section 3.2)."""
    beta = 1 - now / then
    return beta, max((1 - then) / (1 - now) * beta, SMALLEST)


def _scales(sigma: float) -> tuple[float, float]:
    """sqrt(alpha-bar) and sqrt(1 - alpha-bar) of a noise-to-signal ratio."""
    signal = 1 / math.sqrt(sigma * sigma + 1)
    return signal, sigma * signal
