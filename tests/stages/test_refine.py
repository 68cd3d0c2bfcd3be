"""Refine: eq. 9 and 10 on many latents at once, each as if it were alone."""

from __future__ import annotations

import copy
import re
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from steps import bytes_of, kill_after_part
from tiny import finish, full_studio, tiny_recipe

from psr_studio.core.devices import candidate_generator, candidate_seed, reproducible
from psr_studio.core.errors import ModelError, SelectionError, WorkspaceError
from psr_studio.method.refinement import adaptive_weight, respaced_timesteps
from psr_studio.models.levels import from_uint8, to_uint8
from psr_studio.models.memory import MicroBatches
from psr_studio.recipe.schema import CaO2Objective, Recipe, RefineRecipe
from psr_studio.stages.refine.loop import Selected, refine_batch
from psr_studio.stages.refine.stage import Refiner, inputs, open_networks


def changed(how: RefineRecipe, **values: Any) -> RefineRecipe:
    return how.model_copy(update=values)


HOW = changed(Recipe().refine, n_steps=4, kl_steps=2, lr=0.001)


@pytest.fixture(scope="module")
def opened(scored_workspace, tiny_bundle, tmp_path_factory):
    """The networks in float32 and the six picks, as the stage makes them."""
    import shutil

    from psr_studio.app.studio import Studio

    root = shutil.copytree(scored_workspace, tmp_path_factory.mktemp("refine") / "ws")
    with Studio(root, tiny_recipe(tiny_bundle)) as studio:
        work = Refiner(
            studio.workspace, studio.recipe, studio.bundle, studio.workspace.ledger.selection("current")
        )
        yield work.nets, work.selected_rows(studio.selection().candidate_ids.tolist())


def last(nets, selected: Selected, how) -> tuple[torch.Tensor, torch.Tensor]:
    """Refined latents and the loss traces (n, L)."""
    steps = list(refine_batch(nets, selected, how, temperature=1.5))
    return steps[-1][1], torch.stack([losses for _, _, losses in steps], dim=1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_batch_is_many_problems_at_once(opened, optimizer):
    """The sum of losses has, for each latent, the gradient of its own: batched equals one at a time.

    Float32 sums in another order differ by a few 1e-7 of the values (about 3); four steps of size 1e-3 carry
    that on. Adam divides by the gradient's size, so an element near zero may differ by a step's fraction.
    """
    nets, selected = opened
    how = changed(HOW, optimizer=optimizer)
    together, traces = last(nets, selected, how)
    for row in range(len(selected.classes)):
        alone, trace = last(nets, selected.take(slice(row, row + 1)), how)
        assert torch.allclose(together[row], alone[0], atol=2e-5)
        assert torch.allclose(traces[row], trace[0], rtol=1e-4, atol=1e-4)


def test_the_step_is_plain_gradient_descent_on_eq_9(opened):
    """z - eta * dL/dz, with dL/dz by central differences of eq. 9 written out; float32 allows about 1 %."""
    nets, selected = opened
    one = selected.take(slice(0, 1))
    how = changed(HOW, n_steps=1, kl_steps=1)
    moved = last(nets, one, how)[0]
    generator = candidate_generator(candidate_seed(0, one.noise_seeds[0], 0))
    t = torch.randint(nets.generator.n_train_steps, (1,), generator=generator)
    noise = torch.randn(1, *one.latents.shape[1:], generator=generator)
    kept = nets.generator.alphas_cumprod[t].view(-1, 1, 1, 1)
    weight = 0.5 * (0.1 + (1 - one.confidence) * (2.0 - 0.1))
    assert torch.allclose(weight, adaptive_weight(one.confidence))

    def loss(z: torch.Tensor) -> float:
        noisy = kept.sqrt() * z + (1 - kept).sqrt() * noise
        denoising = (noise - nets.generator.denoise(noisy, t, one.classes)).square().sum()
        log_q = torch.log_softmax(nets.teacher(nets.codec.decode(z).clamp(-1, 1))[0] / 1.5, dim=1)
        kl = (one.soft_labels * (one.soft_labels.log() - log_q)).sum()
        return float(denoising + weight * kl)

    gradient = (one.latents - moved) / how.lr
    with torch.no_grad():
        for index in [(0, 0, 0, 0), (0, 1, 3, 2), (0, 3, 5, 5)]:
            step = torch.zeros_like(one.latents)
            step[index] = 0.02
            numeric = (loss(one.latents + step) - loss(one.latents - step)) / 0.04
            assert gradient[index] == pytest.approx(numeric, rel=0.02, abs=0.02)


def test_the_objective_of_cao2_by_one_step_written_out(opened):
    """One noise for all steps, few timesteps, mean square and largest error, Adam: its first step is lr * sign."""
    nets, selected = opened
    how = changed(HOW, objective="cao2", n_steps=3)
    moved, trace = last(nets, selected, how)
    assert not torch.equal(moved, selected.latents)
    _, first, _ = next(refine_batch(nets, selected, how, temperature=1.5))
    for row in range(len(selected.classes)):
        one = selected.take(slice(row, row + 1))
        generator = candidate_generator(candidate_seed(0, one.noise_seeds[0], 0))
        noise = torch.randn(1, *one.latents.shape[1:], generator=generator)
        t = torch.randint(1, 12, (1,), generator=generator)
        kept = nets.generator.alphas_cumprod[t].view(-1, 1, 1, 1)
        z = one.latents.clone().requires_grad_(True)
        error = noise - nets.generator.denoise(kept.sqrt() * z + (1 - kept).sqrt() * noise, t, one.classes)
        loss = error.square().mean() + 10 * error.abs().max()
        (gradient,) = torch.autograd.grad(loss, z)
        assert trace[row, 0] == pytest.approx(loss.item(), rel=1e-4)
        clear = gradient[0].abs() > 1e-4
        step = (first - selected.latents)[row]
        assert torch.allclose(step[clear], -6e-4 * gradient[0].sign()[clear], atol=2e-5)  # a sum rounds so


def test_cao2_as_its_code_has_it_adds_the_noise_of_a_step_of_fifty_and_asks_without_a_class(opened):
    """Timesteps 20 to 224 of 1000; the network is told 1 to 11, and row `null_class` of its table."""
    nets, selected = opened
    steps = respaced_timesteps(1000, 50)
    assert (steps[0], steps[1], steps[11], steps[-1]) == (0, 20, 224, 999)
    how = changed(HOW, objective="cao2", n_steps=1, cao2=CaO2Objective(variant="code"))
    _, _, losses = next(refine_batch(nets, selected, how, temperature=1.5))
    alphas = nets.generator.alphas_cumprod[respaced_timesteps(len(nets.generator.alphas_cumprod), 50)]
    for row, seed in enumerate(selected.noise_seeds):
        one = selected.take(slice(row, row + 1))
        generator = candidate_generator(candidate_seed(0, seed, 0))
        noise = torch.randn(1, *one.latents.shape[1:], generator=generator)
        t = torch.randint(1, 12, (1,), generator=generator)
        kept = alphas[t].view(-1, 1, 1, 1)
        nobody = torch.full_like(one.classes, nets.generator.null_class)
        error = noise - nets.generator.denoise(
            kept.sqrt() * one.latents + (1 - kept).sqrt() * noise, t, nobody
        )
        loss = error.square().mean() + 10 * error.abs().max()
        assert losses[row].item() == pytest.approx(loss.item(), rel=1e-4)


def test_an_objective_that_is_not_chosen_changes_no_hash_and_the_chosen_one_does(studio):
    """Refined pictures from before there was a choice stay fresh."""
    record = studio.workspace.ledger.selection("current")

    def settings(**values):
        recipe = studio.recipe.with_values({f"refine.{name}": value for name, value in values.items()})
        return inputs(studio.pool, recipe, studio.bundle, record, 0)["settings"]

    assert settings() == settings(**{"cao2.lr": 0.1})
    assert set(settings()) == {"n_steps", "kl_steps", "lr", "lam", "w_min", "w_max", "optimizer", "seed"}
    assert settings(objective="cao2") != settings(objective="cao2", **{"cao2.lr": 0.1})
    assert "variant" not in settings(objective="cao2")
    assert settings(objective="cao2", **{"cao2.variant": "code"})["variant"] == "code"
    finish(studio.refine(objective="cao2"))
    assert studio.status()["refine"].state == "fresh"


def test_a_gpu_is_asked_for_the_same_sums_each_time_and_only_meanwhile():
    flags = torch.are_deterministic_algorithms_enabled, lambda: torch.backends.cudnn.deterministic
    with reproducible(torch.device("cuda")):  # it only sets what a GPU would look at
        assert [flag() for flag in flags] == [True, True]
    assert [flag() for flag in flags] == [False, False]
    with reproducible(torch.device("cpu")):
        assert [flag() for flag in flags] == [False, False]


def test_each_pass_may_have_micro_batches_of_its_own(opened):
    """The two gradients add, so cutting either into single latents changes rounding only."""
    nets, selected = opened
    whole, _ = last(nets, selected, HOW)
    cut = replace(nets, denoising=MicroBatches("refining", 2), labels=MicroBatches("the label term of", 1))
    assert torch.allclose(last(cut, selected, HOW)[0], whole, atol=2e-5)


def test_no_weight_asks_for_a_gradient(opened):
    """Frozen before the graph is built, or a step would cost three passes for two."""
    nets, selected = opened
    last(nets, selected, HOW)
    weights = [*nets.generator.transformer.parameters(), *nets.codec.parameters(), *nets.teacher.parameters()]
    assert not any(weight.requires_grad or weight.grad is not None for weight in weights)


def test_the_label_counts_in_the_last_steps_only(opened):
    """With R = 0 a wrong label changes nothing; with R = 1 it changes the last loss alone."""
    nets, selected = opened
    wrong = replace(selected, soft_labels=selected.soft_labels.roll(1, dims=1))
    assert torch.equal(
        last(nets, selected, changed(HOW, kl_steps=0))[0], last(nets, wrong, changed(HOW, kl_steps=0))[0]
    )
    a, b = (last(nets, s, changed(HOW, kl_steps=1))[1] for s in (selected, wrong))
    assert torch.equal(a[:, :-1], b[:, :-1]) and (a[:, -1] < b[:, -1]).all()


def test_the_label_term_reads_pictures_as_they_are_kept(opened):
    """A decode beyond [-1, 1] counts as clamped: its label is that of the picture of 8 bits, up to half a level."""
    nets, selected = replace(opened[0], codec=copy.deepcopy(opened[0].codec)), opened[1]
    nets.codec.vae.decoder.conv_out.weight.data.mul_(6)  # so that it paints black and white
    with torch.no_grad():
        decoded = nets.codec.decode(selected.latents)
        logits = nets.teacher(from_uint8(to_uint8(decoded)))[0]
        unclamped = nets.teacher(decoded)[0]
    assert (decoded.abs() > 1.2).float().mean() > 0.1
    weights, q = adaptive_weight(selected.confidence), selected.soft_labels
    without, with_label = (last(nets, selected, changed(HOW, n_steps=1, kl_steps=n))[1][:, 0] for n in (0, 1))
    kept, raw = ((torch.xlogy(q, q) - q * torch.log_softmax(z / 1.5, 1)).sum(1) for z in (logits, unclamped))
    assert torch.allclose(with_label - without, weights * kept, rtol=0.02, atol=0.01)
    assert not torch.allclose(weights * raw, weights * kept, rtol=0.02, atol=0.01)


def test_the_networks_are_frozen_and_in_float32(studio):
    nets = open_networks(studio.workspace, studio.recipe, studio.bundle)
    for net in (nets.generator.transformer, nets.codec, nets.teacher):
        assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
        assert not any(part.training for part in net.modules() if not list(part.children()))


def test_refined_pictures_are_decoded_latents_and_traces_are_kept(studio):
    events = finish(studio.refine(lr=0.01))
    assert [e.done for e in events] == sorted(e.done for e in events)
    assert [e.part_done for e in events].count(True) == 3 and events[-1].done == events[-1].total == 6
    assert any("loss" in e.metrics for e in events)
    found, chosen = studio.refined(), studio.selection()
    assert found.candidate_ids.tolist() == chosen.candidate_ids.tolist()
    assert found.traces.shape == (6, 4) and (found.traces > 0).all()
    moved = np.abs(found.latents - studio.pool.latents[chosen.positions]).reshape(6, -1).max(axis=1)
    assert (moved > 0).all()
    codec = studio.bundle.codec(torch.device("cpu"))
    assert np.array_equal(found.images, codec.decode_uint8(torch.from_numpy(found.latents.copy())))
    assert studio.status()["refine"].state == "fresh"


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, scored_workspace, tiny_bundle):
    """Classes of two picks in batches of four: a batch holds two classes, one of them already written."""
    import shutil

    from psr_studio.app.studio import Studio

    for name in ("killed", "whole"):
        shutil.copytree(scored_workspace, tmp_path / name)
    kill_after_part(tmp_path / "killed", tiny_bundle, "refine", steps=4)
    assert 1 <= len(bytes_of(tmp_path / "killed" / "refined")) < 3
    for name in ("killed", "whole"):
        recipe = tiny_recipe(tiny_bundle, pool__steps=4)
        with Studio(tmp_path / name, recipe, replace_recipe=True) as studio:
            finish(studio.refine())
    assert bytes_of(tmp_path / "killed" / "refined") == bytes_of(tmp_path / "whole" / "refined")


def test_what_makes_it_stale(studio):
    finish(studio.refine())
    studio.set({"refine.batch_size": 3})
    assert studio.status()["refine"].state == "fresh", "the batch size changes nothing but rounding"
    studio.set({"refine.lr": 0.002})
    assert studio.status()["refine"].state == "stale"
    studio.set({"refine.lr": 0.001})
    finish(studio.select(ipc=1))
    assert studio.status()["refine"].state == "stale", "another selection of the same name"
    finish(studio.refine())
    assert len(studio.refined()) == 3 and studio.status()["refine"].state == "fresh"


def test_without_a_selection_there_is_nothing_to_refine(tmp_path, tiny_bundle):
    from psr_studio.app.studio import Studio

    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        with pytest.raises(SelectionError) as err:
            finish(studio.refine())
        with pytest.raises(WorkspaceError, match="There are no refined latents"):
            studio.refined()
    assert err.value.problem == "No selection is saved in this workspace."


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "bias",
            lambda values: torch.full_like(values, torch.nan),
            r"left the finite numbers in step 1 \(6 of 6 losses\)",
        ),
        (
            "weight",
            lambda values: 1e4 * values,
            r"diverged by step \d: a latent has \S+ times its length, 2 is the most",
        ),
    ],
)
def test_a_refinement_that_diverges_is_named(tmp_path, scored_workspace, tiny_bundle, name, change, words):
    """The last layer of the denoiser changed after the pool was made; nothing is written."""
    from safetensors.torch import load_file, save_file

    from psr_studio.app.studio import Studio

    broken = shutil.copytree(tiny_bundle, tmp_path / "broken")
    path = next((broken / "generator" / "transformer").glob("*.safetensors"))
    weights = load_file(path)
    weights[f"proj_out_2.{name}"] = change(weights[f"proj_out_2.{name}"])
    save_file(weights, path, {"format": "pt"})
    shutil.copytree(scored_workspace, tmp_path / "ws")
    with Studio(tmp_path / "ws", tiny_recipe(broken), replace_recipe=True) as studio:
        with pytest.raises(ModelError) as err:
            finish(studio.refine())
        assert studio.status()["refine"].state == "missing"
    assert re.fullmatch(rf'Refining from class "boot" on {words}\.', err.value.problem), err.value.problem
    assert err.value.fix == 'Lower "refine.lr" (now 0.001); classes that are done are kept.'


def test_a_larger_batch_than_the_selection(tmp_path, tiny_bundle):
    """One batch for all, one for each: the same latents up to rounding."""
    a = full_studio(tmp_path / "a", tiny_bundle, refine__batch_size=64)
    b = full_studio(tmp_path / "b", tiny_bundle, refine__batch_size=1)
    with a, b:
        finish(a.refine())
        finish(b.refine())
        assert np.allclose(a.refined().latents, b.refined().latents, atol=2e-5)
