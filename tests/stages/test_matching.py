"""Refinement by distribution matching: the gradient of a whole class, DSA alike on both sides, its labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.devices import candidate_seed
from psr_studio.models.augment import dsa
from psr_studio.models.levels import NormalisedImages
from psr_studio.models.memory import MicroBatches
from psr_studio.stages.evaluate.arms import plan_arms
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.refine.loop import refine_batch
from psr_studio.stages.refine.matching import Matching, matched, siamese
from psr_studio.stages.refine.stage import Refiner, batches_of, inputs

STEPS = 3


@pytest.fixture
def refiner(scored_workspace, tiny_bundle, tmp_path):
    import shutil

    root = shutil.copytree(scored_workspace, tmp_path / "ws")
    changes = {"refine__objective": "match", "refine__n_steps": STEPS, "refine__match.real_images": 5}
    recipe = tiny_recipe(tiny_bundle, **changes)
    with Studio(root, recipe, replace_recipe=True) as studio:
        finish(studio.select())
        record = studio.workspace.ledger.selection("current")
        yield Refiner(studio.workspace, studio.recipe, studio.bundle, record), studio


def picked(work, studio):
    return work.selected_rows(studio.selection().candidate_ids.tolist())


def test_both_sides_are_augmented_alike_and_each_image_as_the_others():
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = set()
    for seed in range(12):
        found = siamese(images, seed)
        alone = [dsa(x[None], torch.Generator().manual_seed(seed))[0] for x in images]
        assert torch.equal(found, torch.stack(alone))
        assert torch.equal(siamese(images.flip(0), seed), found.flip(0)), "no image has a draw of its own"
        seen.add(bool(torch.equal(found, images)))
    assert False in seen


def test_the_first_step_is_adams_on_the_squared_distance_of_mean_features(refiner):
    """Loss and gradient of a class, written out with one graph over all its latents: a first step is lr * sign."""
    work, studio = refiner
    chosen, how = picked(work, studio), studio.recipe.refine
    to = work.nets.matching
    _, moved, losses = next(refine_batch(work.nets, chosen, how, 1.5))
    images, labels = studio.bundle.train_subset
    for class_id in range(3):
        own = chosen.classes == class_id
        seed = candidate_seed(how.seed, class_id + 1, 1)
        network = to.network(candidate_seed(how.seed, 0, 1))
        rows = np.flatnonzero(labels == class_id)
        drawn = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:5].numpy()]
        real = torch.from_numpy(images[drawn]).permute(0, 3, 1, 2).float() / 255
        wanted = network(siamese((real - 0.5) / 0.25, seed)).flatten(1).mean(0)
        z = chosen.latents[own].clone().requires_grad_(True)
        pixels = (work.nets.codec.decode(z).clamp(-1, 1) + 1) / 2
        loss = (network(siamese((pixels - 0.5) / 0.25, seed)).flatten(1).mean(0) - wanted).square().sum()
        (gradient,) = torch.autograd.grad(loss, z)
        assert losses[own].tolist() == pytest.approx([loss.item()] * int(own.sum()), rel=1e-4)
        clear = gradient.abs() > 1e-6  # Adam adds 1e-8 to its size
        step = (moved - chosen.latents)[own]
        assert torch.allclose(step[clear], -how.match.lr * gradient.sign()[clear], atol=2e-4)


def test_neither_chunks_nor_other_classes_change_it(refiner):
    work, studio = refiner
    chosen, how = picked(work, studio), studio.recipe.refine
    *_, (_, together, _) = refine_batch(work.nets, chosen, how, 1.5)
    for rows in batches_of(chosen, how):
        assert len(set(chosen.classes[rows].tolist())) == 1, "a class is a batch"
        work.nets.matching.memory.size = 1
        *_, (_, alone, _) = refine_batch(work.nets, chosen.take(rows), how, 1.5)
        assert torch.allclose(alone, together[rows], atol=3 * how.match.lr * 0.1)
    assert isinstance(work.nets.matching.memory, MicroBatches)


def test_matching_brings_the_means_together(refiner):
    """Towards pictures of another class, by ten networks and draws that no step had, the same before and after."""
    work, studio = refiner
    chosen, pool = picked(work, studio), studio.pool
    images = NormalisedImages.of(
        torch.from_numpy(pool.images_at(range(len(pool)))), (0.5, 0.25), torch.device("cpu")
    )
    rows = {c: torch.from_numpy(np.flatnonzero(pool.labels == (c + 1) % 3)) for c in range(3)}
    nets = replace(work.nets, matching=Matching(images, rows, n_real=6))
    table = studio.recipe.refine.match.model_copy(update={"lr": 0.05})
    how = studio.recipe.refine.model_copy(update={"n_steps": 40, "match": table})
    *_, (_, moved, _) = refine_batch(nets, chosen, how, 1.5)
    pull = matched(nets.codec, nets.matching, chosen.classes, how.seed)
    nearer = [float((pull(k, chosen.latents)[0] - pull(k, moved)[0]).mean()) for k in range(100, 110)]
    assert np.mean(nearer) > 0 and sum(one > 0 for one in nearer) >= 8, nearer


def test_nothing_is_mirrored_where_students_mirror_nothing(refiner, monkeypatch):
    work, studio = refiner
    drawn = []

    def spy(images, draws, mirrored=True):
        drawn.append(mirrored)
        return dsa(images, draws, mirrored)

    monkeypatch.setattr("psr_studio.stages.refine.matching.dsa", spy)
    record = studio.workspace.ledger.selection("current")
    for mirrored in (True, False):
        recipe = studio.recipe.with_values({"evaluate.mirrored": mirrored})
        work = Refiner(studio.workspace, recipe, studio.bundle, record)
        drawn.clear()
        list(refine_batch(work.nets, picked(work, studio), recipe.refine, 1.5))
        assert set(drawn) == {mirrored}, "real and generated pictures alike"


def test_labels_are_kept_or_the_teachers_of_what_pictures_have_become(refiner):
    _, studio = refiner
    finish(studio.refine())
    assert studio.status()["refine"].state == "fresh"
    kept = refined_labels(studio)
    assert np.array_equal(kept, studio.scores.logits_at(studio.selection().positions))
    finish(studio.refine(**{"refine.match.labels": "anew"}))
    anew = refined_labels(studio)
    wanted, _ = studio.bundle.teacher(torch.device("cpu")).predict(torch.from_numpy(studio.refined().images))
    assert np.allclose(anew, wanted.numpy(), atol=1e-5) and not np.array_equal(anew, kept)
    finish(studio.export(refined=True, zip=False))
    from safetensors.numpy import load_file

    folder = studio.workspace.export_path(studio.recipe.export.name)
    tau = torch.softmax(torch.from_numpy(anew) / 1.5, dim=1).numpy()
    written = load_file(folder / "soft_labels.safetensors")
    assert any(np.allclose(value, tau, atol=1e-5) for value in written.values() if value.shape == tau.shape)


def refined_labels(studio):
    studio.set({"evaluate.arms": ["refined"], "evaluate.controls": False})
    (arm,) = plan_arms(studio.workspace, studio.recipe, studio.bundle)
    return Trainer(studio.workspace, studio.recipe, studio.bundle).data_of(arm, 0)[2]


def test_only_matching_reads_its_settings_and_the_real_images(refiner):
    _, studio = refiner
    record = studio.workspace.ledger.selection("current")

    def made_from(mirrored=True, **values):
        values = {f"refine.{name}": value for name, value in values.items()}
        recipe = studio.recipe.with_values({"evaluate.mirrored": mirrored, **values})
        return inputs(studio.pool, recipe, studio.bundle, record, 0)

    assert made_from()["real images"] == studio.bundle.identity("data")
    assert made_from() == made_from(lr=0.5) != made_from(**{"match.lr": 0.5})
    assert "real images" not in made_from(objective="psr")
    assert made_from(mirrored=False) == {**made_from(), "mirrored": False}, "mirrored ones count as before"
    assert "mirrored" not in made_from()
    assert made_from(mirrored=False, objective="psr") == made_from(objective="psr")
