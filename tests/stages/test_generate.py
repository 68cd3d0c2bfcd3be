"""Pool: whole parts, one seed per candidate, and the same bytes however often the run was interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from steps import bytes_of, kill_after_part
from tiny import CLASS_NAMES, LATENT, SIZE, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.devices import candidate_seed
from psr_studio.core.errors import ModelError, RecipeError, StudioError
from psr_studio.stages.batches import plan_groups, spans, units_done
from psr_studio.stages.generate import stage as pool
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import Workspace


def generated(root: Path, bundle: Path, **changes) -> Workspace:
    """A closed workspace with a pool."""
    with Studio(root, tiny_recipe(bundle, **changes), replace_recipe=True) as studio:
        finish(studio.generate())
    return studio.workspace


def test_every_class_gets_its_candidates_in_order(tmp_path, tiny_bundle):
    """18 = 3 classes x 6 candidates; ids, seeds and shapes follow from the recipe alone."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, pool__batch_size=8)) as studio:
        events = finish(studio.generate())
        found = studio.pool
        wanted = [(c, i) for c in range(3) for i in range(6)]
        assert found.candidate_ids.tolist() == [candidate_id(c, i) for c, i in wanted]
        assert found.seeds.tolist() == [candidate_seed(0, c, i) for c, i in wanted]
        assert found.latents.shape == (18, *LATENT) and found.latents.dtype == np.float32
        assert found.images.shape == (18, SIZE, SIZE, 1) and found.images.dtype == np.uint8
        assert found.settings["sampler"] == "ddpm" and found.settings["steps"] == 3
    assert [e.done for e in events] == sorted(e.done for e in events), "done never falls"
    assert events[-1].done == events[-1].total == 18
    assert sum(e.part_done for e in events) == 6, "one event for each part of three"
    assert any(len(e.previews) and not e.part_done for e in events), "pictures show while they are made"


def test_the_stored_pictures_are_the_decoded_latents(tmp_path, tiny_bundle):
    import torch

    ws = generated(tmp_path / "ws", tiny_bundle)
    codec = load_bundle(tiny_bundle).codec(torch.device("cpu"))
    found = ws.pool()
    decoded = codec.decode_uint8(torch.from_numpy(found.latents.copy()))
    assert np.abs(found.images.astype(int) - decoded).max() <= 1, "batches of another size round otherwise"


def test_a_second_run_does_nothing(tmp_path, tiny_bundle):
    generated(tmp_path / "ws", tiny_bundle)
    before = bytes_of(tmp_path / "ws")
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        (event,) = finish(studio.generate())
    assert (event.done, event.resumed, event.message) == (
        18,
        18,
        "The pool is complete: 18 candidates of 3 classes.",
    )
    assert bytes_of(tmp_path / "ws") == before


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, tiny_bundle):
    """SIGKILL after two of six parts; batches of 4 mix classes and cut parts, and must form again alike."""
    kill_after_part(tmp_path / "killed", tiny_bundle, "pool", steps=3, n_parts=2)
    left = bytes_of(tmp_path / "killed" / "pool")
    assert 2 <= len(left) < 6
    generated(tmp_path / "killed", tiny_bundle)
    generated(tmp_path / "whole", tiny_bundle)
    assert bytes_of(tmp_path / "killed" / "pool") == bytes_of(tmp_path / "whole" / "pool")


def test_a_closed_generator_keeps_whole_parts_only(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        events = studio.generate()
        while not next(events).part_done:
            pass
        events.close()
        status = pool.status(studio.workspace, studio.recipe, studio.bundle)
        assert (status.state, status.reason) == ("partial", "1 of 6 pool parts are there.")
        assert not list(studio.workspace.root.rglob(".tmp-*"))
        resumed = finish(studio.generate())
        assert resumed[0].done == resumed[0].resumed == 3


def test_the_batch_size_changes_nothing_but_rounding(tmp_path, tiny_bundle):
    """Every candidate starts from its own seed: alone or in a batch of 64 its latent is the same.

    The networks sample in bfloat16 where the CPU has it (8 bits: a relative step of 2^-8), so the tolerance
    is a few of those steps on values of about 3; float32 would allow 1e-5.
    """
    alone = generated(tmp_path / "alone", tiny_bundle, pool__batch_size=1).pool()
    together = generated(tmp_path / "together", tiny_bundle, pool__batch_size=64).pool()
    assert np.array_equal(alone.seeds, together.seeds)
    assert np.abs(alone.latents - together.latents).max() < 0.05


def test_starting_noise_is_the_same_bit_for_bit_in_any_batch():
    from psr_studio.core.devices import candidate_generator, stacked_noise

    seeds = [candidate_seed(0, c, i) for c in range(3) for i in range(4)]
    together = stacked_noise([candidate_generator(s) for s in seeds], LATENT)
    for row in (0, 5, 11):
        alone = stacked_noise([candidate_generator(seeds[row])], LATENT)
        assert (together[row] == alone[0]).all()


@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++"])
def test_other_samplers_run_too(tmp_path, tiny_bundle, sampler):
    ws = generated(tmp_path / "ws", tiny_bundle, pool__sampler=sampler, pool__pool_size=2, select__ipc=1)
    assert np.isfinite(ws.pool().latents).all() and len(ws.pool()) == 6


def test_a_larger_pool_keeps_what_is_there(tmp_path, tiny_bundle):
    generated(tmp_path / "ws", tiny_bundle)
    before = bytes_of(tmp_path / "ws" / "pool")
    generated(tmp_path / "ws", tiny_bundle, pool__pool_size=9)
    after = bytes_of(tmp_path / "ws" / "pool")
    assert before.items() <= after.items() and len(after) == 9


def test_a_smaller_pool_drops_what_is_beyond(tmp_path, tiny_bundle):
    generated(tmp_path / "ws", tiny_bundle)
    ws = generated(tmp_path / "ws", tiny_bundle, pool__pool_size=3)
    assert ws.pool().counts.tolist() == [3, 3, 3] and not ws.pool().broken


def test_another_part_size_leaves_a_whole_pool(tmp_path, tiny_bundle):
    generated(tmp_path / "ws", tiny_bundle, pool__part_size=2)
    ws = generated(tmp_path / "ws", tiny_bundle, pool__part_size=4)
    assert ws.pool().counts.tolist() == [6, 6, 6] and not ws.pool().broken


def test_other_settings_make_the_pool_stale_and_the_next_run_replaces_it(tmp_path, tiny_bundle):
    first = generated(tmp_path / "ws", tiny_bundle)
    bundle, changed = load_bundle(tiny_bundle), tiny_recipe(tiny_bundle, pool__guidance_scale=3.0)
    assert pool.status(first, tiny_recipe(tiny_bundle, pool__batch_size=2), bundle).state == "fresh"
    assert pool.status(first, changed, bundle).state == "stale"
    before = first.pool().latents.copy()
    second = generated(tmp_path / "ws", tiny_bundle, pool__guidance_scale=3.0)
    assert pool.status(second, changed, bundle).state == "fresh"
    assert not np.array_equal(before, second.pool().latents)


def test_guidance_left_out_is_the_bundles_own(tmp_path, tiny_bundle):
    """A recipe without the key makes the same pool as one with the bundle's value."""
    bundle, first = load_bundle(tiny_bundle), tiny_recipe(tiny_bundle, pool__guidance_scale=None)
    assert bundle.guidance == pool.inputs(first, bundle)["guidance"] == 4.0, "of a bundle that names none"
    bundle.index["guidance"] = 1.5
    named = tiny_recipe(tiny_bundle, pool__guidance_scale=1.5)
    assert pool.inputs(first, bundle)["guidance"] == 1.5
    assert pool.inputs(first, bundle) == pool.inputs(named, bundle)
    assert pool.inputs(tiny_recipe(tiny_bundle, pool__guidance_scale=2.0), bundle)["guidance"] == 2.0


def test_the_shipped_demo_pool_is_fresh_with_and_without_the_key(tmp_path):
    with Studio(tmp_path / "ws", "fashion-mnist", demo=True) as studio:
        for guidance in (None, 1.5):
            studio.set({"pool.guidance_scale": guidance})
            assert studio.status()["pool"].state == studio.status()["score"].state == "fresh"


def test_some_classes_only(tmp_path, tiny_bundle):
    ws = generated(tmp_path / "ws", tiny_bundle, pool__classes=[2, 0])
    assert ws.pool().counts.tolist() == [6, 0, 6]


def test_a_class_the_bundle_lacks_is_named(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, pool__classes=[1, 7])) as studio:
        with pytest.raises(RecipeError) as err:
            finish(studio.generate())
    assert err.value.problem == '"pool.classes" names class 7, but the classes of "tiny" are 0 to 2.'
    assert err.value.fix == 'Correct "pool.classes", or leave it out to generate all classes.'


def test_latents_that_are_not_finite_are_refused(tmp_path, tiny_bundle):
    """A guidance of 50 at float range ends in infinities only if the weights do: break one weight."""
    import shutil

    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny_bundle, tmp_path / "broken")
    path = next((broken / "generator" / "transformer").glob("*.safetensors"))
    weights = load_file(path)
    weights["proj_out_2.bias"][:] = float("nan")
    save_file(weights, path, {"format": "pt"})
    with Studio(tmp_path / "ws", tiny_recipe(broken)) as studio:
        with pytest.raises(ModelError) as err:
            finish(studio.generate())
        assert len(studio.pool) == 0
    assert "latents of class" in err.value.problem and "not finite numbers" in err.value.problem
    assert err.value.fix == 'Lower "pool.guidance_scale", or check the weights with `psr-studio doctor`.'


def test_a_gpu_that_is_not_there(tmp_path, tiny_bundle):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, device="cuda")) as studio:
        with pytest.raises(StudioError, match=r'A GPU \("cuda"\) was asked for'):
            finish(studio.generate())


def test_groups_hold_whole_units_and_do_not_pass_the_batch_size():
    assert plan_groups([3, 3, 3, 3], 7) == [[0, 1], [2, 3]]
    assert plan_groups([9, 1, 1], 4) == [[0], [1, 2]], "a unit larger than a batch stands alone"
    assert plan_groups([], 4) == []
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = rng.integers(1, 9, rng.integers(1, 12)).tolist()
        batch = int(rng.integers(1, 12))
        groups = plan_groups(sizes, batch)
        assert [unit for group in groups for unit in group] == list(range(len(sizes)))
        assert all(len(g) == 1 or sum(sizes[u] for u in g) <= batch for g in groups)


def test_what_is_done_never_falls():
    """A group of 60: 57 while it is computed, the last 3 as its parts are written, then exactly 60."""
    computing = [units_done(0, 60, share / 10) for share in range(11)]
    writing = [units_done(0, 60, 1, written) for written in (12, 24, 36, 48, 60)]
    assert computing + writing == sorted(computing + writing)
    assert (computing[-1], writing[-1], units_done(40, 7, 1, 7)) == (57, 60, 47)


def test_spans_cover_every_item_once():
    assert [list(range(9)[s]) for s in spans(9, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert spans(0, 4) == []


def test_there_is_an_event_to_stop_at_after_every_step(tmp_path, tiny_bundle):
    """Between two of them lies one forward of one batch: so stopping is quick."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, pool__steps=20, pool__batch_size=64)) as studio:
        events = studio.generate()
        count = 0
        while not (event := next(events)).part_done:
            count += "Denoising" in event.message
        events.close()
    assert count == 20
    assert event.message == 'Wrote 3 candidates of "boot".' and CLASS_NAMES[0] == "boot"
