"""Pools guided by influence (IGD): nearer to what real images teach, kept once, and refused where they cannot be."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TRAIN_PER_CLASS, finish, run_python, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.real_latents import finished
from psr_studio.bundles.surrogates import surrogate_of
from psr_studio.core.errors import ModelError, RecipeError
from psr_studio.core.stopping import Stopped, stopped_by
from psr_studio.method.guidance import Guide
from psr_studio.method.guidances.igd import guided_by_influence
from psr_studio.models import surrogate as surrogate_module
from psr_studio.models.generator import Sampling
from psr_studio.models.levels import from_uint8
from psr_studio.models.surrogate import GradientGap, new_surrogate, weight_gradient
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.generate import targets

INFLUENCED = {
    "pool__guidance": "igd", "pool__steps": 4, "pool__igd__stop": 0, "pool__igd__depth": 2, "pool__igd__epochs": 3,
}  # fmt: skip
CPU, TASK = torch.device("cpu"), (0, 1, 2)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def made(root: Path, bundle: Path, **changes) -> tuple[np.ndarray, list[str]]:
    """The latents of a pool that is generated now, and what was said of it."""
    with Studio(root, tiny_recipe(bundle, **{**INFLUENCED, **changes}), replace_recipe=True) as studio:
        said = [event.message for event in finish(studio.generate())]
        return studio.pool.latents.copy(), said


@pytest.fixture(scope="module")
def learned(tmp_path_factory, tiny_bundle) -> tuple[GradientGap, np.ndarray]:
    """The gap of the tiny bundle, and the weights of its surrogate."""
    opened = load_bundle(tiny_bundle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSR_STUDIO_HOME", str(tmp_path_factory.mktemp("learned")))
        surrogate = surrogate_of(opened, TASK, 2, 10)
        weights = finished(surrogate.weights(CPU))
        wanted = {c: torch.from_numpy(finished(surrogate.gradient(c, weights, CPU))) for c in TASK}
    network = new_surrogate(2, len(TASK), opened.image_shape)
    gap = GradientGap(network, torch.from_numpy(weights), wanted, TASK, opened.codec(CPU).decode)
    return gap, weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_bundle) -> tuple[Path, np.ndarray, list[str]]:
    """A folder with a pool in "ws" and what was kept for others in "home", its latents, and what was said of it."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSR_STUDIO_HOME", str(folder / "home"))
        return folder, *made(folder / "ws", tiny_bundle)


def sampled(bundle: Path, guide: Guide | None, classes: Sequence[int]) -> torch.Tensor:
    generator = load_bundle(bundle).generator(CPU, torch.float32)
    how = Sampling(steps=10, guidance=2.0)
    *_, (_, latents) = generator.sample(classes, range(len(classes)), how, guide)
    return latents


def test_the_gradients_of_a_guided_pool_are_nearer_to_those_of_its_class_than_the_same_seeds(
    tiny_bundle, learned
):
    """With classifier-free guidance; the mean gap over classes and moments of the surrogate."""
    gap, _ = learned
    classes = [c for c in TASK for _ in range(2)]
    rule = partial(guided_by_influence, gap=gap, groups=torch.zeros(6), strength=200.0, stop=0, deviation=0.0)
    guide = Guide(rule, torch.tensor(classes), torch.empty(6, 0))
    steered, plain = (
        np.mean([float(gap.of(x, c).detach()) for x, c in zip(found.split(1), classes, strict=True)])
        for found in (sampled(tiny_bundle, guide, classes), sampled(tiny_bundle, None, classes))
    )
    assert steered < 0.92 * plain, (steered, plain)


def test_a_class_teaches_the_mean_gradient_of_its_real_images(tiny_bundle, learned):
    gap, weights = learned
    images, labels = load_bundle(tiny_bundle).train_subset
    shown, ones = from_uint8(images[labels == 1]), torch.ones(TRAIN_PER_CLASS, dtype=torch.int64)
    assert len(weights) == 4
    for moment, found in zip(torch.from_numpy(weights), gap.wanted[1], strict=True):
        torch.testing.assert_close(found, weight_gradient(gap.network, moment, shown, ones))


def test_a_gradient_says_how_many_images_more_were_read(tiny_bundle, monkeypatch):
    monkeypatch.setattr(surrogate_module, "AT_ONCE", 5)
    surrogate = surrogate_of(load_bundle(tiny_bundle), TASK, 2, 1)
    weights = finished(surrogate.weights(CPU))
    assert list(surrogate.gradient(1, weights, CPU)) == [5, 5, TRAIN_PER_CLASS - 10]


def test_no_direction_of_many_lowers_the_gap_as_its_gradient_does(learned):
    gap, _ = learned
    drawn = torch.Generator().manual_seed(0)
    clean = torch.randn(1, 4, 6, 6, generator=drawn)
    ways = [-gap(clean, torch.tensor([2])), *(torch.randn(1, 4, 6, 6, generator=drawn) for _ in range(20))]
    found = [float(gap.of(clean + 0.5 * way / way.norm(), 2).detach()) for way in ways]
    assert found[0] < min(found[1:]) and found[0] < float(gap.of(clean, 2).detach())


def test_a_step_is_left_between_two_of_its_rows(learned, monkeypatch):
    gap, _ = learned
    decoded, decode = [], gap.decode

    def counted(latents: torch.Tensor) -> torch.Tensor:
        decoded.append(len(latents))
        return decode(latents)

    monkeypatch.setattr(gap, "decode", counted)
    with stopped_by(lambda: len(decoded) == 2), pytest.raises(Stopped):
        gap(torch.zeros(5, 4, 6, 6), torch.zeros(5, dtype=torch.int64))
    assert decoded == [1, 1]


def test_the_surrogate_is_trained_once_for_all_workspaces(tmp_path, tiny_bundle, own_home, whole):
    folder, first, said = whole
    shutil.copytree(folder / "home", own_home)
    assert f"Cost: 3 passes of a surrogate over {3 * TRAIN_PER_CLASS} real images, about" in " ".join(said)
    assert "Trained the surrogate in 3 of 3 passes." in said
    (size,) = (folder / "ws" / targets.FOLDER).iterdir()
    (held,) = [
        words for words in said if words.startswith("The surrogate and the gradients of 3 classes take")
    ]
    assert 0.8 < float(re.search(r"([0-9.]+) MiB", held)[1]) * 2**20 / size.stat().st_size < 1.2, held
    (weights,) = own_home.glob("real/surrogate-*/weights.npy")
    before = weights.stat().st_mtime_ns
    second, said = made(tmp_path / "second", tiny_bundle)
    assert not any("the surrogate" in words or "passes" in words for words in said)
    assert weights.stat().st_mtime_ns == before
    assert first.tobytes() == second.tobytes()
    with Studio(tmp_path / "second") as studio:
        assert targets.steered_to(studio.pool, 3) == "Influence (IGD)"
        assert studio.status()["pool"].state == "fresh"


@pytest.mark.parametrize(
    "damage",
    [lambda values: values[:, :-1], lambda values: values[:-1], None],
    ids=["of another network", "of other moments", "cut off"],
)
def test_a_damaged_surrogate_is_trained_anew(tmp_path, tiny_bundle, own_home, whole, damage, caplog):
    """And so are the gradients of a class found anew."""
    shutil.copytree(whole[0] / "home", own_home)
    (weights,) = own_home.glob("real/surrogate-*/weights.npy")
    gradient = min(own_home.glob("real/surrogate-*/class=1-*.npy"))
    before = [path.read_bytes() for path in (weights, gradient)]
    for path in (weights, gradient):
        if damage is None:
            path.write_bytes(path.read_bytes()[:-40])
        else:
            np.save(path, damage(np.load(path)))
    _, said = made(tmp_path / "second", tiny_bundle, pool__pool_size=2, select__ipc=1)
    assert "Trained the surrogate in 3 of 3 passes." in said
    assert [path.read_bytes() for path in (weights, gradient)] == before
    assert len(caplog.records) == 2


# Trains a surrogate with a checkpoint after every pass, so that a test can kill it anywhere.
TRAIN = """
from pathlib import Path
import torch
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.surrogates import surrogate_of
from psr_studio.core import checkpoints
checkpoints.SECONDS_BETWEEN = 0.0
for epoch in surrogate_of(load_bundle(Path(sys.argv[1])), (0, 1, 2), 2, 60).weights(torch.device("cpu")):
    print(epoch, flush=True)
"""


def test_a_surrogate_that_was_killed_and_then_stopped_ends_with_the_same_weights(
    tmp_path, tiny_bundle, own_home, monkeypatch
):
    """Killed without warning after pass 10 of 60, before the second moment that is kept is past, stopped after 40, when
    the rate has fallen, then to the end; no checkpoint is left."""
    process = run_python(TRAIN, tiny_bundle)
    next(line for line in process.stdout if line == "10\n")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    surrogate = surrogate_of(load_bundle(tiny_bundle), TASK, 2, 60)
    assert not surrogate.path.exists() and surrogate.path.with_name("training.pt").exists()
    passes = surrogate.weights(CPU)
    assert 11 <= next(passes) < 40 and next(epoch for epoch in passes if epoch == 40)
    passes.close()
    assert list(surrogate.weights(CPU)) == list(range(41, 61)), "where it was closed, not a minute before"
    assert [path.name for path in surrogate.path.parent.iterdir()] == ["weights.npy"]
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "another"))
    again = surrogate_of(load_bundle(tiny_bundle), TASK, 2, 60)
    assert finished(again.weights(CPU)).tobytes() == np.load(surrogate.path).tobytes()


def test_candidates_deviate_within_their_part_whatever_the_batch(tmp_path, tiny_bundle, own_home, whole):
    """The first of a part has none before it; a batch smaller than a part changes nothing but rounding."""
    folder, latents, _ = whole
    shutil.copytree(folder / "home", own_home)
    apart = latents.reshape(3, 6, *latents.shape[1:])[:, :3].reshape(
        9, *latents.shape[1:]
    )  # the first part of each
    alone, _ = made(tmp_path / "alone", tiny_bundle, pool__pool_size=3, pool__igd__deviation=0.0)
    small, _ = made(tmp_path / "small", tiny_bundle, pool__pool_size=3, pool__batch_size=1)
    moved = np.abs(apart - alone).reshape(9, -1).max(axis=1) > 1e-4
    assert moved.tolist() == [False, True, True] * 3
    np.testing.assert_allclose(small, apart, atol=1e-3)


def test_another_surrogate_makes_the_pool_stale_and_another_size_does_not(tmp_path, tiny_bundle, whole):
    shutil.copytree(whole[0] / "ws", tmp_path / "ws")
    for changes, state in (
        ({"pool__igd__epochs": 2}, "stale"), ({"pool__igd__depth": 1}, "stale"),
        ({"pool__igd__deviation": 1.0}, "stale"), ({"pool__pool_size": 9}, "partial"),
    ):  # fmt: skip
        recipe = tiny_recipe(tiny_bundle, **{**INFLUENCED, **changes})
        with Studio(tmp_path / "ws", recipe, replace_recipe=True) as studio:
            assert studio.status()["pool"].state == state, changes


# What cannot be


def test_a_surrogate_too_deep_for_the_pictures_is_refused_with_a_way_out(tmp_path, tiny_bundle):
    with pytest.raises(RecipeError) as err:
        made(tmp_path / "ws", tiny_bundle, pool__igd__depth=4)
    problem = "The surrogate halves its pictures 4 times, but those of 12 pixels can be halved 3 times."
    assert err.value.problem == problem
    assert err.value.fix == 'Set "pool.igd.depth" to 3 or less, or leave it out.'


def test_without_real_images_the_ways_to_get_them_are_named():
    recipe = Recipe().with_values({"bundle": "imagenette-dit", "pool.guidance": "igd"})
    bundle = load_bundle("imagenette-dit")
    with pytest.raises(ModelError) as err:
        targets.check(recipe, bundle, range(10))
    assert "images" in err.value.problem and "psr-studio weights imagenette-dit --images" in err.value.fix


def test_a_pull_that_ends_before_it_begins_is_refused_with_a_way_out():
    with pytest.raises(RecipeError) as err:
        Recipe().with_values({"pool.guidance": "igd", "pool.igd.start": 20})
    assert err.value.problem == '"pool.igd.start" is 20, not above the stop of the pull, which is 29.'
    assert err.value.fix == 'Raise "pool.igd.start" to 30 or more: steps count down.'
    recipe = Recipe().with_values({"pool.guidance": "igd"})
    with pytest.raises(RecipeError) as err:
        recipe.with_values({"pool.igd.stop": 45})
    assert err.value.problem == '"pool.igd.stop" is 45, not below the start of the pull, which is 45.'
    assert err.value.fix == 'Lower "pool.igd.stop" to 44 or less: steps count down.'
    assert err.value.key == "pool.igd.stop", "the one that was set"
    assert recipe.pool.steering.told(50) == "steered in 16 of 50 steps (45 to 30)"


def test_a_start_outside_the_schedule_is_refused_with_a_way_out():
    recipe = Recipe().with_values({"pool.guidance": "igd", "pool.steps": 10})
    with pytest.raises(RecipeError) as err:
        recipe.with_values({"pool.igd.start": 45})
    assert err.value.problem == '"pool.igd.start" is 45, more than "pool.steps", which is 10.'
    assert err.value.fix == 'Lower "pool.igd.start" to 9, the published share, or raise "pool.steps".'
    assert (
        recipe.with_values({"pool.igd.start": 9}).pool.steering.told(10)
        == "steered in the first 4 of 10 steps (9 to 6)"
    )
