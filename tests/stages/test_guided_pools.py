"""Guided pools: steered to real images, the same bytes however they are made, and reported where they cannot be."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from steps import bytes_of, rescore
from tiny import TRAIN_PER_CLASS, finish, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.embedded import EmbeddedBundle
from psr_studio.bundles.real_images import difficulty_over
from psr_studio.core.errors import ModelError, RecipeError
from psr_studio.core.stopping import Stopped, stopped_by
from psr_studio.method.bins import bin_of, histogram
from psr_studio.method.difficulty import target_counts
from psr_studio.method.guidance import Guide
from psr_studio.method.guidances.dag import smoothed_alike
from psr_studio.method.guidances.guidance import Real, Targets
from psr_studio.method.guidances.registry import GUIDANCES
from psr_studio.method.signals import difficulty
from psr_studio.method.smoothing import choose_thresholds, ends, smooth_between
from psr_studio.models.generator import Sampling
from psr_studio.recipe.load import load_recipe
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.generate import targets
from psr_studio.stages.select.steering import steered
from psr_studio.ui.panels.estimate import cost_note, cost_text
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.pool import PoolTab
from psr_studio.ui.words import label

STEERED = {
    "pool__steps": 4, "pool__mgd3__stop": 0, "pool__dag__stop": 0, "pool__d4m__strength": 0.5, "pool__igd__stop": 0,
    "pool__igd__depth": 2, "pool__igd__epochs": 1,
}  # fmt: skip
NOTHING = {"mgd3": 0.0, "dag": 0.0, "d4m": 1.0, "igd": 0.0}  # strengths that leave a pool as without guidance
TARGETED = [name for name, guidance in GUIDANCES.items() if guidance.place]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def made(root: Path, bundle: Path, guidance: str, **changes) -> tuple[np.ndarray, list[str]]:
    """The latents of a pool that is generated now, and what was said of it."""
    with Studio(
        root, tiny_recipe(bundle, pool__guidance=guidance, **{**STEERED, **changes}), replace_recipe=True
    ) as studio:
        said = [event.message for event in finish(studio.generate())]
        return studio.pool.latents.copy(), said


@dataclass(frozen=True)
class Kept:
    """A guided pool that tests share: they look at it, or take a copy of it and of what was kept for others."""

    root: Path
    home: Path
    said: list[str]

    def copy(self, root: Path, home: Path) -> Path:
        shutil.copytree(self.home, home)
        return shutil.copytree(self.root, root)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, tiny_bundle) -> Callable[..., Kept]:
    """A factory: `kept(guidance, **changes)` is made once, in a home of its own."""
    pools: dict[str, Kept] = {}

    def pool_of(guidance: str, **changes) -> Kept:
        key = f"{guidance} {sorted(changes.items())}"
        if key not in pools:
            folder = tmp_path_factory.mktemp("kept")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PSR_STUDIO_HOME", str(folder / "home"))
                _, said = made(folder / "ws", tiny_bundle, guidance, **changes)
            pools[key] = Kept(folder / "ws", folder / "home", said)
        return pools[key]

    return pool_of


def random_targets(guidance: str, n: int = 6, **settings) -> Targets:
    rng = np.random.default_rng(0)
    real = Real(torch.randn(40, 1, 2, 2), rng.random(40) ** 6, rng.random(500) ** 6)
    found = GUIDANCES[guidance]
    return found.place(real, n, found.parameters(**settings))


@pytest.mark.parametrize("guidance", TARGETED)
def test_a_guided_pool_says_where_each_candidate_was_steered(tmp_path, tiny_bundle, guidance):
    """Four targets for six candidates: the fifth takes the first target again."""
    limit = {f"pool__{guidance}__{GUIDANCES[guidance].count}": 4}
    recipe = tiny_recipe(tiny_bundle, pool__guidance=guidance, **STEERED, **limit)
    with Studio(tmp_path / "ws", recipe) as studio:
        finish(studio.generate())
        found = studio.pool
        aims, intervals = found.steering_at(range(len(found)))
        assert aims.tolist() == [0, 1, 2, 3, 0, 1] * 3
        assert ((intervals == -1) == (guidance != "dag")).all()
        words = targets.steered_to(found, 3)
        assert words.startswith(f"{GUIDANCES[guidance].title}, target 4")
        assert ("difficulty" in words) == (guidance == "dag")
        assert found.settings["steering"]["strength"] == getattr(recipe.pool, guidance).strength
        assert studio.status()["pool"].state == "fresh"


def test_the_pool_tab_draws_what_was_asked_for_and_what_came_out(tmp_path, tiny_bundle, kept):
    """Three histograms of the six candidates of a class; nothing for other pools, or before a pool is scored."""
    limit = {"pool__dag__centers": 3, "pool__guidance": "dag", **STEERED}
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, **limit)) as studio:
        finish(studio.generate())
        screen = Screen(studio)
        tab = PoolTab(screen)
        assert not tab.draw_histogram(1).visible
        finish(studio.score())
        drawn = tab.draw_histogram(1)
        found = steered(studio.workspace, studio.curation.scored, 1)
        assert [counts.sum() for counts in found] == [6, 6, 6]
        values, owners = studio.bundle.original_difficulty((0, 1, 2))
        assert np.array_equal(found.asked, 2 * target_counts(histogram(values[owners == 1]), 3))
        assert drawn.visible and '"asked for"' in drawn.value["plot"].replace("\\", "")
        screen.close()
    with Studio(shutil.copytree(kept("mgd3").root, tmp_path / "modes")) as studio:
        finish(studio.score())
        assert steered(studio.workspace, studio.curation.scored, 1) is None


def test_an_unguided_pool_is_as_it_was_before_there_were_guidances(tmp_path, tiny_bundle):
    """No column and no key more, whatever stands in the tables of guidances that are not chosen."""
    bundle = load_bundle(tiny_bundle)
    plain = tiny_recipe(tiny_bundle)
    assert pool.inputs(plain, bundle) == pool.inputs(
        tiny_recipe(tiny_bundle, pool__dag__strength=2.0), bundle
    )
    assert set(pool.inputs(plain, bundle)) == {"stage", "generator", "sampler", "steps", "guidance", "seed"}
    made(tmp_path / "ws", tiny_bundle, "none")
    with Studio(tmp_path / "ws") as studio:
        assert studio.pool.steering_at([0])[0].tolist() == [-1] and targets.steered_to(studio.pool, 0) == ""
        assert not (studio.workspace.root / targets.FOLDER).exists()


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm-solver++"])
@pytest.mark.parametrize("guidance", GUIDANCES)
def test_a_strength_of_nothing_makes_the_pool_without_guidance_bit_for_bit(
    tmp_path, tiny_bundle, kept, guidance, sampler
):
    few = {"pool__sampler": sampler, "pool__pool_size": 2, "select__ipc": 1}
    none = {f"pool__{guidance}__strength": NOTHING[guidance]}
    steered, _ = made(tmp_path / "steered", tiny_bundle, guidance, **few, **none)
    with Studio(shutil.copytree(kept("none", **few).root, tmp_path / "plain")) as studio:
        assert steered.tobytes() == studio.pool.latents.tobytes()


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_workers_resumes_and_a_lost_home_give_the_same_bytes(tmp_path, tiny_bundle, own_home, kept, guidance):
    """Targets lie in the workspace: what goes on there needs nothing that is kept for others.

    In processes of their own: see `tests/workers/test_ray.py`.
    """
    whole = kept(guidance).root
    wanted = bytes_of(whole / "pool")
    resumed = shutil.copytree(whole, tmp_path / "resumed")
    (resumed / "pool" / "class=1" / "part-00001.parquet").unlink()
    made(resumed, tiny_bundle, guidance)
    assert bytes_of(resumed / "pool") == wanted and not own_home.exists()
    recipe = tiny_recipe(tiny_bundle, pool__guidance=guidance, **STEERED)
    with Studio(tmp_path / "shared", recipe) as studio:
        studio.workers = ThreadWorkers(2)
        finish(studio.generate())
    assert bytes_of(tmp_path / "shared" / "pool") == wanted


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_a_pool_that_grows_keeps_what_it_had_and_ends_as_the_larger_one(
    tmp_path, tiny_bundle, own_home, kept, guidance
):
    """One class by "Generate more", then all by the pool size, past the ten targets of a class."""
    root = kept(guidance).copy(tmp_path / "ws", own_home) / "pool"
    with Studio(tmp_path / "ws") as studio:
        for n, (larger, only) in enumerate((({"sizes": [0, 12, 0]}, [1]), ({"pool_size": 15}, None))):
            before = bytes_of(root)
            finish(studio.generate(**larger, only=only))
            assert studio.status()["pool"].state == "fresh" and before.items() < bytes_of(root).items()
            anew = {f"pool__{key}": value for key, value in larger.items()}
            made(tmp_path / f"anew-{n}", tiny_bundle, guidance, **anew)
            assert bytes_of(root) == bytes_of(tmp_path / f"anew-{n}" / "pool")


def test_intervals_are_over_difficulty_joined_with_uncertainty(tmp_path, own_home, kept):
    """A share of 1 is as if entropies were the difficulties; one of 0 is made from nothing new, so that pools stay."""
    rng = np.random.default_rng(0)
    latents, hard, unsure = torch.randn(40, 1, 2, 2), rng.random(40) ** 6, rng.random(40) ** 2
    place, params = GUIDANCES["dag"].place, GUIDANCES["dag"].parameters
    joint = place(Real(latents, hard, None, unsure), 8, params(uncertainty=1.0))
    alone = place(Real(latents, unsure), 8, params())
    assert joint.intervals.tolist() == alone.intervals.tolist() and torch.equal(joint.latents, alone.latents)
    assert "uncertainty" not in params().read(50) and params(uncertainty=0.5).read(50)["uncertainty"] == 0.5
    kept("dag", pool__dag__uncertainty=0.5).copy(tmp_path / "ws", own_home)
    assert len(list((own_home / "real").glob("uncertainty-*/*.npy"))) == 3
    with Studio(tmp_path / "ws") as studio:
        finish(studio.score())
        assert studio.pool.settings["steering"]["uncertainty"] == 0.5
        found = steered(studio.workspace, studio.curation.scored, 1)
        measured = studio.curation.scored.measure(0.5)[studio.pool.labels == 1]
        assert found.achieved.tolist() == np.bincount(bin_of(measured), minlength=10).tolist()


def test_equal_difficulties_are_smoothed_alike_at_hand_and_among_all():
    """Those at hand are a part of the originals, with other quantiles."""
    original = np.random.default_rng(0).random(500) ** 6
    at_hand, whole, between = smoothed_alike(original[:30], original)
    np.testing.assert_array_equal(at_hand, whole[:30])
    assert between == ends(original, *choose_thresholds(original))


def test_variations_are_no_part_of_what_became_of_a_steered_pool(tmp_path, tiny_bundle):
    made(tmp_path / "ws", tiny_bundle, "dag")
    with Studio(tmp_path / "ws") as studio:
        finish(studio.score())
        before = steered(studio.workspace, studio.curation.scored, 1)
        first = int(studio.pool.candidate_ids[studio.pool.labels == 1][0])
        finish(studio.variations(first, 3))
        finish(studio.score())
        after = steered(studio.workspace, studio.curation.scored, 1)
        assert (studio.pool.labels == 1).sum() == before.steered.sum() + 3
        for now, then in zip(after, before, strict=True):
            np.testing.assert_array_equal(now, then)


def test_what_came_out_is_smoothed_as_what_was_asked_for(tmp_path, tiny_bundle):
    """By the ends of the original images: those fed back would give the histogram that was asked for."""
    made(tmp_path / "ws", tiny_bundle, "dag", pool__dag__counts="smoothed")
    with Studio(tmp_path / "ws") as studio:
        finish(studio.score())
        spread = np.tile(np.linspace(0.05, 0.95, 6), 3)
        own = np.eye(3, dtype=bool)[studio.pool.labels]
        rescore(studio, np.log(np.where(own, 1 - spread[:, None], spread[:, None] / 2)))
        scored, original = studio.curation.scored, studio.bundle.original_difficulty((0, 1, 2))
        values = original[0][original[1] == 1]
        low, high = ends(values, *choose_thresholds(values))
        raw = scored.difficulty[scored.labels == 1]
        expected = (np.log(raw / low) / np.log(high / low)).clip(0, 1)
        found = steered(studio.workspace, scored, 1)
        assert found.achieved.tolist() == np.bincount(bin_of(expected), minlength=10).tolist()
        assert found.achieved.tolist() != np.bincount(bin_of(raw), minlength=10).tolist()
        asked = targets.asked(studio.workspace, scored.pool, 1)
        whole = target_counts(histogram(smooth_between(values, *asked.ends)), 10)
        np.testing.assert_allclose(found.asked, 0.6 * whole)
        assert "smoothed difficulty" in targets.steered_to(scored.pool, 0)


def test_real_images_are_encoded_once_for_all_workspaces(tmp_path, tiny_bundle, own_home, kept):
    first = kept("mgd3").said
    shutil.copytree(kept("mgd3").home, own_home)
    _, second = made(tmp_path / "second", tiny_bundle, "dag")
    assert f"Cost: {3 * TRAIN_PER_CLASS} real images to encode" in " ".join(first)
    assert "Encoded 36 of 36 real images." in first
    assert not any("encode" in words.lower() for words in second)


def test_what_comes_before_the_first_candidate_says_its_cost(kept):
    said = kept("dag", pool__dag__uncertainty=0.5).said
    words = " ".join(said)
    assert words.count("Cost: 36 real images to score") == 2 == said.count("Scored 36 of 36 real images.")
    assert "Cost: 3 classes to cluster" in words and "Clustered 3 of 3 classes." in said
    said = kept("igd").said
    assert "Cost: 36 real images to take gradients of" in " ".join(said)
    assert "Took gradients of 36 of 36 real images." in said


@pytest.mark.parametrize("guidance", TARGETED)
def test_a_search_for_targets_stops_between_its_rounds(tmp_path, tiny_bundle, guidance):
    asked: list[bool] = []
    recipe = tiny_recipe(tiny_bundle, pool__guidance=guidance, **STEERED)
    with Studio(tmp_path / "ws", recipe) as studio, stopped_by(lambda: bool(asked)), pytest.raises(Stopped):
        for event in studio.generate():
            asked += [True] * event.message.startswith("Finding 10 targets")
    assert asked and not (tmp_path / "ws" / targets.FOLDER).exists()


def test_opening_the_codec_is_not_taken_for_the_pace_of_encoding(tmp_path, tiny_bundle, monkeypatch):
    """It takes a second once; counted with the first third of the images it would promise three."""
    codec, opened = EmbeddedBundle.codec, []

    def slow_to_open(bundle, device):
        if not opened:
            time.sleep(1)
        opened.append(device)
        return codec(bundle, device)

    monkeypatch.setattr(EmbeddedBundle, "codec", slow_to_open)
    _, said = made(tmp_path / "ws", tiny_bundle, "mgd3")
    (cost,) = [words for words in said if words.startswith("Cost: 36 real images to encode")]
    assert float(re.search(r"about ([\d.]+) s,", cost)[1]) < 3, cost


def test_other_settings_of_a_guidance_make_the_pool_stale(tmp_path, tiny_bundle, kept):
    shutil.copytree(kept("mgd3").root, tmp_path / "ws")
    for changes in (
        {"pool__mgd3__strength": 0.2}, {"pool__mgd3__stop": 1}, {"pool__mgd3__modes": 3}, {"pool__guidance": "dag"},
        {"pool__guidance": "none"}, {"pool__guidance": "d4m"}, {"pool__guidance": "igd"},
    ):  # fmt: skip
        recipe = tiny_recipe(tiny_bundle, **{"pool__guidance": "mgd3", **STEERED, **changes})
        with Studio(tmp_path / "ws", recipe, replace_recipe=True) as studio:
            assert studio.status()["pool"].state == "stale", changes


def test_targets_that_no_candidate_came_of_are_removed_when_others_are_written(tmp_path, tiny_bundle):
    """Those of the parts that still stand are kept, crops among them: a run may be stopped before it replaces them."""
    folder, written = tmp_path / "ws" / targets.FOLDER, []
    for changes in (
        {"pool__guidance": "mgd3"}, {"pool__guidance": "dag"}, {"pool__source": "crops"}, {"pool__guidance": "igd"},
        {"pool__guidance": "d4m"},
    ):  # fmt: skip
        before = set(folder.glob("*"))
        recipe = tiny_recipe(tiny_bundle, **STEERED, **changes)
        with Studio(tmp_path / "ws", recipe, replace_recipe=True) as studio:
            finish(studio.generate())
        (new,) = set(folder.glob("*")) - before
        written.append(new)
        assert set(folder.glob("*")) == set(written[-2:])


def test_damaged_targets_are_made_anew_and_the_pool_stays(tmp_path, tiny_bundle, own_home, kept, caplog):
    """Those of the workspace, and those that are kept for all, which they would be taken from."""
    kept("dag").copy(tmp_path / "ws", own_home)
    before, everywhere = bytes_of(tmp_path / "ws"), bytes_of(own_home)
    (file,) = (tmp_path / "ws" / targets.FOLDER).iterdir()
    (shared,) = own_home.glob("real/targets-*/*.parquet")
    for broken in ([file], [file, shared]):
        for path in broken:
            path.write_bytes(path.read_bytes()[:-40])
        _, said = made(tmp_path / "ws", tiny_bundle, "dag")
        assert said[-1].startswith("The pool is complete: ") and bytes_of(tmp_path / "ws") == before
        assert bytes_of(own_home) == everywhere
        assert any("Finding" in words for words in said) == (shared in broken)
    (record,) = caplog.records
    assert str(shared) in record.message and "is made anew" in record.message


@pytest.mark.parametrize("changes", [{"pool__guidance": "mgd3"}, {"pool__source": "crops"}])
def test_what_is_made_of_real_images_is_made_once_for_all_workspaces(
    tmp_path, tiny_bundle, own_home, changes
):
    """Of the same settings."""
    first = ("Finding", "Encoded", "Scored", "Cost: 180 crops")
    for name, again in (("first", False), ("second", True), ("other", False)):
        other = {"pool__mgd3__modes": 3, "pool__crops__crops": 4} if name == "other" else {}
        with Studio(tmp_path / name, tiny_recipe(tiny_bundle, **STEERED, **changes, **other)) as studio:
            said = [event.message for event in finish(studio.generate())]
        assert any(words.startswith(first) for words in said) != again, said
    assert bytes_of(tmp_path / "second" / "pool") == bytes_of(tmp_path / "first" / "pool")
    assert bytes_of(tmp_path / "second" / "targets") == bytes_of(tmp_path / "first" / "targets")
    assert len(list(own_home.glob("real/targets-*/*"))) == 2


def test_damaged_latents_of_real_images_are_made_anew_and_said_once(
    tmp_path, tiny_bundle, own_home, kept, caplog
):
    """One cut off, and one of fewer images than there are now; the others are read."""
    kept("mgd3").copy(tmp_path / "first", own_home)
    (targets_of_all,) = own_home.glob("real/targets-*")
    shutil.rmtree(targets_of_all)
    cut, fewer, whole = sorted(own_home.glob("real/latents-*/*.npy"))
    before = [path.read_bytes() for path in (cut, fewer)]
    cut.write_bytes(before[0][:-40])
    np.save(fewer, np.load(fewer)[1:])
    kept = whole.stat().st_mtime_ns
    _, said = made(tmp_path / "second", tiny_bundle, "mgd3")
    assert "Encoded 24 of 24 real images." in said
    assert bytes_of(tmp_path / "second" / "pool") == bytes_of(tmp_path / "first" / "pool")
    assert [path.read_bytes() for path in (cut, fewer)] == before and whole.stat().st_mtime_ns == kept
    assert [record.message for record in caplog.records] == [
        f"{path} is damaged, or of other data, and is made anew." for path in (cut, fewer)
    ]


def test_what_became_of_the_shares_is_said_in_each_workspace(tmp_path, tiny_bundle, monkeypatch):
    """Also where the targets were found for another one."""
    place = targets.GUIDANCES["dag"].place

    def short(*given):
        return replace(place(*given), moved=((9, 0, 2),))

    monkeypatch.setitem(targets.GUIDANCES, "dag", replace(targets.GUIDANCES["dag"], place=short))
    first, second = (made(tmp_path / name, tiny_bundle, "dag")[1] for name in ("first", "second"))
    told = [[words for words in said if "has fewer real images here" in words] for said in (first, second)]
    assert told[0] == told[1] and "2 of them come from" in told[0][0]
    assert not any(words.startswith("Finding") for words in second)


# Laws of where a pool goes


HOW = Sampling(steps=10, guidance=1.5)


@dataclass(frozen=True, eq=False)
class World:
    """T-shirts of Fashion-MNIST, as many easy as hard ones, and N candidates of the same seeds for each guidance."""

    real: Real
    found: dict[str, tuple[np.ndarray, np.ndarray, Targets | None]]  # latents, difficulties, targets

    def away(self, guidance: str, aims: np.ndarray) -> float:
        """Mean distance of the candidates from some targets."""
        latents = self.found[guidance][0]
        return float(np.linalg.norm((latents - aims).reshape(len(aims), -1), axis=1).mean())


@pytest.fixture(scope="module")
def shirts() -> World:
    cpu, shirt, n = torch.device("cpu"), 0, 20
    bundle = load_bundle("fashion-mnist")
    generator, codec, teacher = bundle.generator(cpu, torch.float32), bundle.codec(cpu), bundle.teacher(cpu)
    images, labels = bundle.train_subset
    own = images[labels == shirt]
    hard, _ = difficulty_over(teacher, own, np.full(len(own), shirt), range(10))
    rows = np.concatenate([np.flatnonzero(bin_of(hard) == k)[:6] for k in range(10)])
    real = Real(torch.from_numpy(codec.encode_uint8(own[rows])), hard[rows])
    found: dict[str, tuple[np.ndarray, np.ndarray, Targets | None]] = {}
    for name in ("none", *TARGETED):
        guide, aims, how = None, None, HOW
        if name != "none":
            guidance = GUIDANCES[name]
            more = {"mgd3": {"stop": 0}, "dag": {"stop": 0, "pull": "clean"}, "d4m": {}}[name]
            params = guidance.parameters.model_validate({"strength": 0.5, **more})
            how = replace(HOW, skipped=params.skipped(HOW.steps))
            aims = guidance.place(real, n, params)
            guide = Guide(guidance.rule(params, HOW.steps), torch.full((n,), shirt), aims.latents)
        *_, (_, latents) = generator.sample([shirt] * n, range(n), how, guide)
        logits, _ = teacher.predict(torch.from_numpy(codec.decode_uint8(latents)))
        found[name] = (latents.numpy(), difficulty(logits.numpy(), np.full(n, shirt)), aims)
    return World(real, found)


@pytest.mark.parametrize("guidance", TARGETED)
def test_a_steered_pool_is_nearer_to_its_targets_than_the_same_seeds(shirts, guidance):
    aims = shirts.found[guidance][2].latents.numpy()
    assert shirts.away(guidance, aims) < 0.8 * shirts.away("none", aims)


def test_the_difficulties_of_a_pool_steered_by_difficulty_are_nearer_to_those_asked_for(shirts):
    """By the sum of absolute differences of the ten shares.

    Of shirts, with as many hard real images as easy ones and a strong pull; others: docs/studies/guided-pools.md.
    """
    asked = np.array(shirts.found["dag"][2].shares)
    gaps = {name: np.abs(histogram(shirts.found[name][1]) - asked).sum() for name in ("none", "dag")}
    assert gaps["dag"] < 0.6 * gaps["none"], gaps


def test_centres_sum_to_the_budget_and_each_beginning_spreads_over_the_intervals():
    found = random_targets("dag", 20)
    assert len(found.latents) == len(found.intervals) == sum(found.asked) == 20
    shares = np.bincount(found.intervals, minlength=10) / 20
    for n in (5, 10):
        assert np.abs(np.bincount(found.intervals[:n], minlength=10) / n - shares).max() <= 1 / n


def test_counts_follow_the_raw_distribution_or_the_smoothed_one():
    """Most of the data is easy: smoothing spreads it."""
    raw, smoothed = (random_targets("dag", 20, counts=how) for how in ("raw", "smoothed"))
    expected = histogram(np.random.default_rng(0).random(540)[40:] ** 6) * 20
    assert np.abs(np.array(raw.asked) - expected).max() < 1
    assert np.var(smoothed.asked) < np.var(raw.asked)


def test_rounding_and_intervals_without_images_are_reported(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    shares = tuple([0.94] + [0.0] * 7 + [0.02, 0.04])
    found = Targets(torch.zeros(9, 1), np.zeros(9, np.int64), shares, (9, *[0] * 9), ((1, 0, 2),))
    rounded, moved = targets.report(bundle, {0: found})
    assert rounded == (
        'Difficulty 0.8 to 0.9 of "boot" gets no target: 2.0% of its real images have it, and 2.0% of 9 targets is '
        "0.18, rounded to 0. The same holds for 1 more interval."
    )
    assert moved == (
        'Difficulty 0.1 to 0.2 of "boot" has fewer real images here than targets, so 2 of them come from difficulty '
        "0.0 to 0.1."
    )
    assert not list(targets.report(bundle, {0: random_targets("mgd3")}))


# What cannot be


def test_fewer_real_images_than_targets_are_named(tmp_path, tiny_bundle):
    with pytest.raises(RecipeError) as err:
        made(tmp_path / "ws", tiny_bundle, "mgd3", pool__mgd3__modes=20)
    assert err.value.problem == 'Class "boot" has 12 real images, but 20 targets are asked for.'
    assert err.value.fix == 'Set "pool.mgd3.modes" to 12 or less: candidates take the targets in turn.'
    made(tmp_path / "ws", tiny_bundle, "mgd3", pool__pool_size=20, pool__mgd3__modes=12)
    with Studio(tmp_path / "ws") as studio:
        with pytest.raises(RecipeError, match="12 real images, but 13 targets"):
            studio.generate(**{"pool.mgd3.modes": 13})
        with pytest.raises(RecipeError, match="The surrogate halves its pictures 9 times"):
            studio.generate(guidance="igd", **{"pool.igd.depth": 9})
        assert studio.recipe.pool.mgd3.modes == 12 and studio.status()["pool"].state == "fresh", (
            "nothing is kept"
        )
        with pytest.raises(RecipeError, match="12 real images, but 13 targets"):
            studio.study("selectors", **{"pool.mgd3.modes": 13, "evaluate.n_seeds": 7})
        assert studio.recipe.evaluate.n_seeds != 7
        asked = studio.recipe.with_values({"pool.mgd3.modes": 13})
        with pytest.raises(RecipeError, match="13 targets"):
            cost_text(studio.workspace, asked, studio.bundle)


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_a_class_without_real_images_is_named_with_a_way_out(tmp_path, tiny_bundle, guidance, monkeypatch):
    monkeypatch.setattr("psr_studio.bundles.real_latents.n_real", lambda bundle, c: 0 if c == 1 else 12)
    with pytest.raises(RecipeError) as err:
        made(tmp_path / "ws", tiny_bundle, guidance)
    needed = 1 if guidance == "igd" else 10
    assert err.value.problem == (
        f'Class "T-shirt/top" has no real images, but "pool.guidance" needs {needed} or more of each class.'
    )
    assert err.value.fix == 'Name the other classes in "pool.classes", or set "pool.guidance" to "none".'


def test_without_real_images_the_ways_to_get_them_are_named():
    bundle = load_bundle("imagenette-dit")
    with pytest.raises(ModelError) as err:
        targets.need_real_images(bundle)
    assert "images" in err.value.problem and "psr-studio weights imagenette-dit --images" in err.value.fix


def test_a_stop_outside_the_schedule_is_refused_with_a_way_out():
    with pytest.raises(RecipeError) as err:
        Recipe().with_values({"pool.guidance": "dag", "pool.steps": 10, "pool.dag.stop": 25})
    assert err.value.problem == '"pool.dag.stop" is 25, more than "pool.steps", which is 10.'
    assert err.value.fix == 'Lower "pool.dag.stop" to 5, half of the steps, or raise "pool.steps".'
    assert Recipe().with_values({"pool.guidance": "dag", "pool.dag.stop": 50}).pool.dag.stop == 50, (
        "guides no step"
    )
    assert Recipe().with_values({"pool.steps": 10, "pool.dag.stop": 25}).pool.dag.stop == 25, (
        "it is not chosen"
    )


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_what_is_left_out_goes_with_any_number_of_steps(guidance):
    """With 50 it is what was printed, and names the pool as if it were written; a draft is steered as long."""
    draft = load_recipe("fashion-mnist-draft").with_values({"pool.guidance": guidance})
    told = {"d4m": "from prototypes by the last 7 of 10 steps"}
    assert draft.pool.steering.told(10) == told.get(guidance, "steered in the first 4 of 10 steps (9 to 6)")
    left_out = Recipe().with_values({"pool.guidance": guidance})
    printed = {"mgd3": {"stop": 25}, "dag": {"stop": 25}, "d4m": {}, "igd": {"start": 45, "stop": 29}}[
        guidance
    ]
    written = left_out.with_values({f"pool.{guidance}.{key}": n for key, n in printed.items()})
    bundle = load_bundle("fashion-mnist")
    assert pool.inputs(left_out, bundle) == pool.inputs(written, bundle)
    assert printed.items() <= pool.inputs(left_out, bundle)["steering"].items()
    for steps in (1, 2, 3, 7, 1000):
        left_out.with_values({"pool.steps": steps})


@pytest.mark.parametrize(
    "guidance, setting, value, problem, fix",
    [
        ("mgd3", "strength", 0, "is 0, which steers nothing.", 'Raise "{}" to steer the pool.'),
        ("dag", "stop", 9, "is 9, which steers nothing: steps count down, of 10 from 9.", 'Lower "{}" to 8 or less.'),
        ("igd", "strength", 0, "is 0, which steers nothing.", 'Raise "{}" to steer the pool.'),
        ("d4m", "strength", 1, "is 1, which steers nothing: of a prototype only noise is left.", 'Lower "{}".'),
    ],
)  # fmt: skip
def test_a_guidance_that_steers_nothing_says_why(
    tmp_path, tiny_bundle, guidance, setting, value, problem, fix
):
    """As the job and the command line print it; the line of the cost has it on screen."""
    key = f"pool.{guidance}.{setting}"
    changes = {"pool.guidance": guidance, "pool.steps": 10, key: value}
    idle = Recipe().with_values(changes).pool.idle
    assert idle == f'"{key}" {problem} {fix.format(key)}'
    assert not Recipe().with_values({**changes, "pool.source": "crops"}).pool.idle
    assert not Recipe().with_values({"pool.guidance": guidance}).pool.idle
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle).with_values(changes)) as studio:
        events = pool.prepare(studio.workspace, studio.recipe, studio.bundle)
        assert next(event for event in events if event.lasting).message == idle
        screen = Screen(studio)
        assert f"{label(key)}&quot; {problem}" in cost_note(screen, studio.recipe)
        screen.close()


def test_a_start_after_the_last_step_is_refused_with_a_way_out():
    with pytest.raises(RecipeError) as err:
        Recipe().with_values({"pool.guidance": "d4m", "pool.steps": 10, "pool.d4m.strength": 0.04})
    assert (
        err.value.problem == '"pool.d4m.strength" is 0.04, which takes none of the 10 steps of "pool.steps".'
    )
    assert err.value.fix == 'Raise "pool.d4m.strength" to 0.1 or more, which takes at least one.'
    least = Recipe().with_values({"pool.guidance": "d4m", "pool.steps": 10, "pool.d4m.strength": 0.1})
    assert least.pool.skipped == 9 and Recipe().with_values({"pool.guidance": "d4m"}).pool.skipped == 15


def test_steps_that_are_not_taken_cost_nothing(tiny_bundle):
    """35 of 50 steps, of which those of less noise than a fifth are not guided."""
    recipe = Recipe().with_values(
        {"pool.guidance": "d4m", "pool.guided_from": 0.2, "pool.guidance_scale": 2.0}
    )
    assert pool.passes(recipe, load_bundle(tiny_bundle), recipe.pool.skipped) == pytest.approx(35 + 25)
    assert recipe.pool.steering.told(50) == "from prototypes by the last 35 of 50 steps"
    how = Sampling(steps=50, interval=(0.2, 1.0), skipped=recipe.pool.skipped)
    assert (how.taken, how.n_guided) == (35, 25)


def test_a_number_for_the_guidance_is_its_scale_as_in_recipes_from_before():
    recipe = Recipe().with_values({"pool.guidance": 2.5})
    assert (recipe.pool.guidance, recipe.pool.guidance_scale) == ("none", 2.5)
