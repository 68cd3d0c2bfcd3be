"""tiny-dit: the structure of the real thing, so that every step of the papers' setting runs without weights."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from tiny import finish

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.devices import candidate_generator, candidate_seed, stacked_noise
from psr_studio.method.guidance import classifier_free_guidance
from psr_studio.models.generator import Sampling
from psr_studio.models.tiny import SCHEDULE, build_autoencoder, build_teacher, build_transformer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bundle():
    return load_bundle("tiny-dit")


def test_it_has_the_parts_of_the_real_thing(bundle):
    generator, codec, teacher = bundle.generator(CPU, torch.float32), bundle.codec(CPU), bundle.teacher(CPU)
    config = generator.transformer.config
    assert config.num_embeds_ada_norm == 1000 and config.out_channels == 2 * config.in_channels == 8
    assert generator.learns_variance and generator.null_class == 10
    assert generator.class_rows.tolist() == [193, 182, 258, 162, 155, 167, 159, 273, 207, 229, 1000]
    assert codec.scale == 0.18215 and codec.latent_shape == (4, 8, 8) and bundle.image_shape == (64, 64, 3)
    assert teacher.backbone.num_classes == 1000 and teacher.config.crop_pct == 0.875
    assert (bundle.guidance, bundle.guided_channels) == (4.0, 3)


def test_no_tensor_is_zero_and_equal_seeds_give_equal_networks():
    for build in (build_transformer, build_autoencoder, lambda: build_teacher((0, 1))):
        first, second = build(), build()
        for one, two in zip(first.parameters(), second.parameters(), strict=True):
            assert one.any() and torch.equal(one, two)


@torch.no_grad()
def test_a_learned_variance_is_sampled_as_dits_own_code_does(bundle):
    """An eager loop by the book: guide three channels, keep the variance of the class, step between the bounds."""
    generator = bundle.generator(CPU, torch.float32)
    classes, seeds = [3, 7], [candidate_seed(0, c, 0) for c in (3, 7)]
    how = Sampling(steps=6, guidance=4.0, guided_channels=3)
    *_, (_, ours) = generator.sample(classes, seeds, how)

    scheduler = DDPMScheduler.from_config(
        SCHEDULE, timestep_spacing="linspace", variance_type="learned_range"
    )
    scheduler.set_timesteps(6)
    generators = [candidate_generator(seed) for seed in seeds]
    z = stacked_noise(generators, (4, 8, 8))
    rows = torch.tensor([162 if c == 3 else 273 for c in classes])
    for t in scheduler.timesteps:
        conditional = generator.transformer(z, t.expand(2), rows).sample
        null = generator.transformer(z, t.expand(2), torch.tensor([1000, 1000])).sample
        output = classifier_free_guidance(conditional, null, 4.0, 3)
        z = scheduler.step(output, t, z, generator=generators).prev_sample
    assert torch.allclose(ours, z, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_guiding_all_channels_is_another_pool(bundle):
    generator = bundle.generator(CPU, torch.float32)
    made = [
        list(generator.sample([0], [1], Sampling(steps=3, guided_channels=n)))[-1][1] for n in (3, 4, None)
    ]
    assert not torch.allclose(made[0], made[1]) and torch.allclose(made[1], made[2])


def test_every_step_runs_on_it(tmp_path):
    small = {"pool.pool_size": 3, "pool.steps": 3, "select.ipc": 1, "refine.n_steps": 2, "refine.kl_steps": 1,
             "evaluate.epochs": 1, "evaluate.n_seeds": 1, "evaluate.n_checks": 1, "evaluate.student": "convnet-2",
             "pool.classes": [0, 4, 9], "device": "cpu"}  # fmt: skip
    with Studio(tmp_path / "ws", "tiny-dit", **small) as studio:
        assert studio.bundle.name == "tiny-dit"
        for step in (
            studio.generate,
            studio.score,
            studio.select,
            studio.refine,
            studio.evaluate,
            studio.export,
        ):
            finish(step())
        assert {state.state for state in studio.status().values()} == {"fresh"}
        assert studio.pool.settings["guided_channels"] == 3
        assert studio.scores.logits.shape == (9, 10)
        card = (studio.workspace.root / "exports" / "set" / "README.md").read_text()
        assert "CC0-1.0 (random numbers)" in card


def test_guided_channels_change_the_pool_only_where_they_are_named(tiny_bundle):
    from tiny import tiny_recipe

    from psr_studio.stages.generate import stage as pool

    plain = load_bundle(tiny_bundle)
    assert "guided_channels" not in pool.inputs(tiny_recipe(tiny_bundle), plain)
    assert pool.inputs(tiny_recipe(tiny_bundle, pool__guided_channels=3), plain)["guided_channels"] == 3
    tiny = load_bundle("tiny-dit")
    assert pool.guided_channels(tiny_recipe(tiny_bundle), tiny) == 3
    assert pool.guided_channels(tiny_recipe(tiny_bundle, pool__guided_channels=0), tiny) is None
