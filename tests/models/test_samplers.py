"""The samplers and the fused network against diffusers: first exact, then fast."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiTPipeline, DiTTransformer2DModel

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.devices import candidate_generator, stacked_noise
from psr_studio.core.errors import ModelError
from psr_studio.method.guidance import (
    Guide,
    Moment,
    Pull,
    Rule,
    guided_by_difficulty,
    guided_by_modes,
    no_pull,
)
from psr_studio.models.codec import Codec
from psr_studio.models.denoiser import Denoiser, PlainDenoiser
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.samplers import SAMPLERS, Trajectory

CONFIG = {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "clip_sample": False}
SEEDS = [11, 12, 13]


@pytest.fixture(scope="module")
def tiny() -> Generator:
    """The structure of DiT-XL/2 in small: 1000 classes, learned variance, no output that starts at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=8,
            num_layers=3,
            sample_size=8,
            num_embeds_ada_norm=1000,
            norm_num_groups=4,
        )
        for weight in transformer.parameters():
            torch.nn.init.normal_(weight, std=0.05)
    return Generator(transformer, CONFIG)


@pytest.fixture(scope="module")
def embedded() -> Generator:
    return load_bundle("fashion-mnist").generator(torch.device("cpu"), torch.float32)


def last(generator: Generator, how: Sampling, classes=(0, 5, 9), seeds=SEEDS) -> torch.Tensor:
    *_, (_, latents) = generator.sample(list(classes), list(seeds), how)
    return latents


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("n_steps", [1, 2, 5, 14, 15, 50])
@pytest.mark.parametrize("more", [{}, {"prediction_type": "v_prediction"}, {"clip_sample": True}], ids=str)
def test_a_trajectory_is_the_schedulers(sampler, n_steps, more):
    """Over all steps, with a smooth stand-in for the network, in float64: only the tables can differ."""
    config = {**CONFIG, **more}
    kind, options = SAMPLERS[sampler]
    scheduler = kind.from_config(config, **options)
    scheduler.set_timesteps(n_steps)
    run = Trajectory(sampler, config, n_steps)
    assert [step.t for step in run.steps] == scheduler.timesteps.tolist()
    generator = torch.Generator().manual_seed(0)
    ours = theirs = torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64)
    noise, replay = (torch.Generator().manual_seed(1) for _ in range(2))
    for index, t in enumerate(scheduler.timesteps):
        extra = {"generator": noise} if sampler == "ddpm" else {}
        theirs = scheduler.step(torch.tanh(theirs), t, theirs, **extra).prev_sample
        fresh = None
        if run.steps[index].adds_noise:
            fresh = torch.randn(ours.shape, generator=replay, dtype=ours.dtype)
        ours = run.follow(index, ours, torch.tanh(ours), fresh)
        assert torch.allclose(ours, theirs.to(ours.dtype), atol=2e-5, rtol=1e-4), f"step {index}"


def test_a_learned_variance_is_the_schedulers():
    scheduler = DDPMScheduler.from_config(CONFIG, timestep_spacing="linspace", variance_type="learned_range")
    scheduler.set_timesteps(6)
    run = Trajectory("ddpm", CONFIG, 6, learned=True)
    ours = theirs = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    noise, replay = (torch.Generator().manual_seed(1) for _ in range(2))
    for index, t in enumerate(scheduler.timesteps):
        output = torch.cat([torch.tanh(theirs), torch.sin(theirs)], dim=1)
        theirs = scheduler.step(output, t, theirs, generator=noise).prev_sample
        fresh = torch.randn(ours.shape, generator=replay) if run.steps[index].adds_noise else None
        ours = run.follow(index, ours, torch.cat([torch.tanh(ours), torch.sin(ours)], dim=1), fresh)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_what_no_sampler_knows_is_refused():
    with pytest.raises(ModelError) as err:
        Trajectory("ddpm", {**CONFIG, "prediction_type": "sample"}, 5)
    assert 'predicts "sample"' in err.value.problem and "trained to predict noise" in err.value.fix


@pytest.mark.parametrize("which", ["tiny", "embedded"])
def test_the_fused_network_is_the_transformer(which, request):
    """Output and gradient; float32 rounding grows with the size of the activations, here below 100."""
    generator = request.getfixturevalue(which)
    assert isinstance(generator.network, Denoiser)
    plain = PlainDenoiser(generator.transformer)
    z = torch.randn(5, *generator.latent_shape, generator=torch.Generator().manual_seed(0))
    z.requires_grad_(True)
    t, rows = torch.tensor([0, 3, 500, 998, 999]), torch.tensor([0, 1, 7, 9, generator.null_class])
    found = []
    for network in (generator.network, plain):
        output = network(z, network.condition(t, rows))
        (gradient,) = torch.autograd.grad(output.square().sum(), z)
        found.append((output, gradient))
    (ours, slope), (theirs, their_slope) = found
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    assert (slope - their_slope).abs().max() <= 1e-4 * their_slope.abs().max()


def test_changed_weights_are_seen(tiny):
    before = tiny.denoise(torch.ones(1, 4, 8, 8), torch.tensor([5]), torch.tensor([0]))
    bias = tiny.transformer.proj_out_2.bias
    with torch.no_grad():
        bias += 1
        after = tiny.denoise(torch.ones(1, 4, 8, 8), torch.tensor([5]), torch.tensor([0]))
        bias -= 1
    assert torch.allclose(after, before + 1, atol=1e-4)


def test_an_unusual_network_takes_the_plain_path():
    transformer = DiTTransformer2DModel(
        num_attention_heads=1, attention_head_dim=8, in_channels=4, num_layers=1, sample_size=4,
        num_embeds_ada_norm=10, norm_num_groups=4, activation_fn="geglu",
    )  # fmt: skip
    generator = Generator(transformer, CONFIG)
    assert isinstance(generator.network, PlainDenoiser)
    latents = last(generator, Sampling(steps=2))
    assert latents.shape == (3, 4, 4, 4) and latents.isfinite().all()


@pytest.mark.parametrize("which", ["tiny", "embedded"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_loop_is_the_dit_pipeline(which, sampler, request, monkeypatch):
    """The gate of exactness: from the same noise, both halves of its batch alike, within 1e-4."""
    generator = request.getfixturevalue(which)
    tiny_variance = generator.learns_variance and sampler == "ddpm"
    if tiny_variance:  # the pipeline drops the learned variance; ours is told to as well
        monkeypatch.setattr(generator, "learns_variance", False)
    kind, options = SAMPLERS[sampler]
    pipeline = DiTPipeline(generator.transformer, _codec(generator), kind.from_config(
        generator.scheduler_config, **options
    ))  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    generators = [candidate_generator(seed) for seed in SEEDS]

    def fresh(shape, **_):
        return torch.cat([stacked_noise(generators, shape[1:])] * 2)

    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", fresh)
    undecoded = _Undecoded()
    monkeypatch.setattr(pipeline.vae, "decode", undecoded)
    pipeline([0, 5, 9], guidance_scale=2.0, generator=generators, num_inference_steps=10, output_type="pt")
    ours = last(generator, Sampling(sampler, steps=10, guidance=2.0))
    theirs = undecoded.sample * pipeline.vae.config.scaling_factor
    # A network of random numbers does not denoise: its latents grow, and rounding with them.
    size = float(ours.abs().max()) if which == "tiny" else 1.0
    assert (ours - theirs).abs().max() <= 1e-4 * size


class _Undecoded:
    """Keeps the pipeline's latents as they come to its decoder."""

    def __call__(self, z: torch.Tensor) -> _Undecoded:
        self.sample = z
        return self


def _codec(generator: Generator) -> AutoencoderKL:
    return AutoencoderKL(latent_channels=4, block_out_channels=(4,), norm_num_groups=2, scaling_factor=0.5)


def test_the_loop_is_algorithm_2_of_ddpm(embedded):
    """Written out once more, eagerly, over alpha-bar alone: Ho et al. 2020, with guidance."""
    kept = embedded.alphas_cumprod.double()
    times = np.linspace(0, 999, 8).round()[::-1].astype(int).tolist()
    generator = candidate_generator(7)
    z = torch.randn(1, *embedded.latent_shape, generator=generator).double()
    for t, before in zip(times, [*times[1:], None], strict=True):
        pair = [
            embedded.denoise(z.float(), torch.tensor([t]), torch.tensor([c]))
            for c in (3, embedded.null_class)
        ]
        eps = (pair[1] + 2.5 * (pair[0] - pair[1])).double()
        now, then = kept[t], kept[before] if before is not None else torch.tensor(1.0).double()
        beta = 1 - now / then
        mean = (z - beta / (1 - now).sqrt() * eps) / (1 - beta).sqrt()
        spread = ((1 - then) / (1 - now) * beta).sqrt()
        noise = torch.randn(1, *embedded.latent_shape, generator=generator) if t else torch.zeros_like(z)
        z = mean + spread * noise
    ours = last(embedded, Sampling(steps=8, guidance=2.5), [3], [7])
    assert torch.allclose(ours, z.float(), atol=1e-4)


def test_guidance_in_an_interval_is_guidance_elsewhere_none(tiny):
    """Never inside: unguided. Always inside: guided. Between: neither, and half the passes are saved."""
    off, on = last(tiny, Sampling("ddim", 6, 1.0)), last(tiny, Sampling("ddim", 6, 3.0))
    never = last(tiny, Sampling("ddim", 6, 3.0, interval=(2.0, 2.0)))
    middle = Sampling("ddim", 6, 3.0, interval=(0.3, 0.7))
    assert torch.allclose(never, off, atol=1e-5)
    assert not torch.allclose(last(tiny, middle), on, atol=1e-2)
    assert [middle.is_guided(t) for t in (0.1, 0.3, 0.5, 0.7, 0.9)] == [False, True, True, True, False]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_latent_does_not_depend_on_its_batch(tiny, sampler):
    how = Sampling(sampler, steps=5, guidance=2.0)
    together = last(tiny, how)
    for row, (label, seed) in enumerate(zip((0, 5, 9), SEEDS, strict=True)):
        assert torch.allclose(last(tiny, how, [label], [seed])[0], together[row], atol=2e-5)


RULES = {"mgd3": guided_by_modes, "dag": guided_by_difficulty}


def guided(generator: Generator, how: Sampling, rule: Rule, targets: torch.Tensor) -> torch.Tensor:
    *_, (_, latents) = generator.sample([0, 5, 9], SEEDS, how, Guide(rule, torch.tensor([0, 5, 9]), targets))
    return latents


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_pull_of_no_strength_or_after_its_stop_is_none_bit_for_bit(tiny, sampler, rule):
    how, targets = Sampling(sampler, steps=5, guidance=2.0), torch.ones(3, 4, 8, 8)
    plain = last(tiny, how).numpy().tobytes()
    for settings in ({"strength": 0.0, "stop": 0}, {"strength": 0.1, "stop": 4}):
        assert guided(tiny, how, partial(RULES[rule], **settings), targets).numpy().tobytes() == plain
    assert guided(tiny, how, partial(RULES[rule], stop=3), targets).numpy().tobytes() != plain


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_pull_brings_rows_nearer_to_their_own_targets(embedded, sampler, rule):
    """The same seeds, with classifier-free guidance in an interval; another row's target changes nothing."""
    how = Sampling(sampler, steps=20, guidance=2.0, interval=(0.2, 0.8))
    targets = last(embedded, how, seeds=[1, 2, 3])
    pulled = guided(embedded, how, partial(RULES[rule], stop=5), targets)
    gaps = [(found - targets).flatten(1).norm(dim=1).mean() for found in (pulled, last(embedded, how))]
    assert gaps[0] < 0.9 * gaps[1], gaps
    targets[2] = 0.0
    again = guided(embedded, how, partial(RULES[rule], stop=5), targets)
    assert torch.allclose(again[:2], pulled[:2], atol=1e-4) and not torch.allclose(
        again[2], pulled[2], atol=0.1
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_guide_is_told_each_step_before_it_is_taken(tiny, sampler):
    """Indices count down, sigma is that of the ancestral step, and the clean latent is the one of z_t."""
    told: list[Moment] = []

    def listen(moment: Moment) -> Pull:
        told.append(moment)
        return Pull()

    targets = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 4, 8, 8)
    guided(tiny, Sampling(sampler, steps=4, guidance=1.0), listen, targets)
    assert [moment.index for moment in told] == [3, 2, 1, 0]
    assert all(moment.targets is told[0].targets and moment.classes.tolist() == [0, 5, 9] for moment in told)
    assert torch.equal(told[0].targets, targets)
    bars, sigmas = ([getattr(moment, name) for moment in told] for name in ("alpha_bar", "sigma"))
    assert bars == sorted(bars)
    for now, then, sigma in zip(bars, bars[1:], sigmas, strict=False):
        if sampler == "ddpm":  # this network says it for each number of the latents
            assert sigma.shape == (3, 4, 8, 8)
        else:
            assert sigma == pytest.approx(((1 - then) / (1 - now) * (1 - now / then)) ** 0.5, rel=1e-3)
    t = torch.full((3,), Trajectory(sampler, CONFIG, 4).steps[0].t)
    eps = tiny.denoise(told[0].latents, t, told[0].classes)
    clean = (told[0].latents - (1 - bars[0]) ** 0.5 * eps) / bars[0] ** 0.5
    assert torch.allclose(told[0].clean, clean, rtol=1e-3, atol=1e-2)


def test_equation_10_by_one_step_written_out(embedded):
    """z_t moves to z_t + lambda (z_c - z_t) sigma_t, and the ancestral step is taken from there."""
    kept, times = embedded.alphas_cumprod.double(), [999, 946]
    generator = candidate_generator(SEEDS[0])
    z, noise = (torch.randn(1, *embedded.latent_shape, generator=generator).double() for _ in range(2))
    eps = embedded.denoise(z.float(), torch.tensor([999]), torch.tensor([3])).double()
    now, then = kept[times[0]], kept[times[1]]
    clean = (z - (1 - now).sqrt() * eps) / now.sqrt()
    beta = 1 - now / then
    sigma = ((1 - then) / (1 - now) * beta).sqrt()
    center = torch.full_like(z, 0.7)
    moved = z + 0.5 * (center - z) * sigma  # eq. 10
    wanted = then.sqrt() * beta / (1 - now) * clean + (now / then).sqrt() * (1 - then) / (1 - now) * moved
    wanted += sigma * noise
    guide = Guide(partial(guided_by_difficulty, strength=0.5, stop=0), torch.tensor([3]), center.float())
    how = Sampling(steps=20, guidance=1.0)
    assert [step.t for step in Trajectory("ddpm", embedded.scheduler_config, 20).steps[:2]] == times
    _, found = next(embedded.sample([3], SEEDS[:1], how, guide))
    _, unguided = next(embedded.sample([3], SEEDS[:1], how))
    assert torch.allclose(found, wanted.float(), atol=1e-4)
    assert not torch.allclose(unguided, wanted.float(), atol=1e-2)


def test_mode_guidance_by_one_step_written_out(embedded):
    """DDPM: the mean gains lambda sigma_t (m - x0). DDIM: eps loses sqrt(1 - a) lambda (m - x0), and x0 follows."""
    generator = candidate_generator(SEEDS[0])
    z = torch.randn(1, *embedded.latent_shape, generator=generator)
    mode = torch.full_like(z, 0.7)
    guide = Guide(partial(guided_by_modes, strength=0.5, stop=0), torch.tensor([3]), mode)
    for sampler in ("ddpm", "ddim"):
        how = Sampling(sampler, steps=2, guidance=1.0)
        (_, found), _ = embedded.sample([3], SEEDS[:1], how, guide)
        (_, plain), _ = embedded.sample([3], SEEDS[:1], how)
        first, second = Trajectory(sampler, embedded.scheduler_config, 2).steps
        eps = embedded.denoise(z, torch.tensor([first.t]), torch.tensor([3]))
        clean = (z - first.noise * eps) / first.signal
        if sampler == "ddpm":
            wanted = plain + 0.5 * first.sigma * (mode - clean)
        else:
            eps = eps - first.noise * 0.5 * (mode - clean)
            wanted = second.signal * (z - first.noise * eps) / first.signal + second.noise * eps
        assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max())), sampler


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_run_begins_at_its_targets_with_the_noise_of_its_first_step(embedded, sampler):
    """Written out for that step, which is of first order; without skipped steps it is a plain run, bit for bit."""
    how, label = Sampling(sampler, steps=4, guidance=1.0, skipped=2), [3]
    guide = Guide(no_pull, torch.tensor(label), torch.full((1, *embedded.latent_shape), 0.7))
    generator = candidate_generator(SEEDS[0])
    noise, fresh = (torch.randn(1, *embedded.latent_shape, generator=generator) for _ in range(2))
    step, after = Trajectory(sampler, embedded.scheduler_config, 4).steps[2:]
    z = step.signal * 0.7 + step.noise * noise
    eps = embedded.denoise(z, torch.tensor([step.t]), torch.tensor(label))
    clean = (z - step.noise * eps) / step.signal
    wanted = after.signal * clean + after.noise * eps
    if sampler == "ddpm":
        wanted = step.clean * clean + step.latent * z + step.sigma * fresh
    found = list(embedded.sample(label, SEEDS[:1], how, guide))
    assert [number for number, _ in found] == [3, 4] and torch.allclose(found[0][1], wanted, atol=1e-4)
    whole = replace(how, skipped=0)
    *_, (_, latents) = embedded.sample(label, SEEDS[:1], whole, guide)
    assert torch.equal(latents, last(embedded, whole, label, SEEDS[:1]))


def test_the_conditioning_in_pieces_is_the_conditioning_at_once(tiny, monkeypatch):
    whole = last(tiny, Sampling(steps=6))
    monkeypatch.setattr("psr_studio.models.generator.TABLE_BYTES", 1)
    assert torch.allclose(last(tiny, Sampling(steps=6)), whole, atol=1e-5)


def test_denoising_in_micro_batches_is_denoising_at_once(tiny, monkeypatch):
    whole = last(tiny, Sampling(steps=4, guidance=2.0))
    monkeypatch.setattr(tiny.memory, "size", 4)
    assert torch.allclose(last(tiny, Sampling(steps=4, guidance=2.0)), whole, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch compiles for a CPU with g++")
def test_the_compiled_block_is_the_block(tiny, monkeypatch):
    """One compilation serves all batches of a size, and all blocks too; before PyTorch 2.7 each block has its own."""
    how = Sampling(steps=2, guidance=2.0)
    eager = last(tiny, how)
    monkeypatch.setattr(tiny, "compiled", True)
    torch._dynamo.reset()
    assert torch.allclose(last(tiny, how), eager, atol=1e-4 * float(eager.abs().max()))
    per_block = torch.__version__ < (2, 7)
    n_blocks = len(tiny.transformer.transformer_blocks)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == (n_blocks if per_block else 1)


def test_without_a_compiler_the_block_is_not_compiled_and_one_line_says_so(tiny, monkeypatch):
    how = Sampling(steps=2, guidance=2.0)
    eager = last(tiny, how)
    monkeypatch.setattr(tiny, "compiled", True)
    torch._dynamo.reset()
    broken = {"cpp.cxx": (None, "/nowhere/g++"), "force_disable_caches": True}
    with torch._inductor.config.patch(broken):
        assert torch.allclose(last(tiny, how), eager, atol=1e-5 * float(eager.abs().max()))
    assert "cannot be compiled here" in tiny.take_notice() and tiny.take_notice() == ""


def test_the_codec_decodes_as_the_autoencoder_does():
    bundle = load_bundle("fashion-mnist")
    codec: Codec = bundle.codec(torch.device("cpu"))
    z = torch.randn(3, *codec.latent_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        full = codec.vae.decode(z / codec.scale).sample
        ours = codec.decode(z)
    assert torch.allclose(ours, full[..., 2:30, 2:30], atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_library_warns_when_a_path_is_laid_out(sampler):
    """Under `PYTHONWARNINGS=error` a warning would end the step."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trajectory(sampler, CONFIG, 10)
