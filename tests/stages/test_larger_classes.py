"""Single classes with a larger pool: only they are touched, and a later run of the step keeps them."""

from __future__ import annotations

import pytest
from steps import bytes_of
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import RecipeError
from psr_studio.stages.generate.plan import sizes_of


def test_only_the_named_classes_are_touched_and_they_stay(studio):
    root = studio.workspace.root / "pool"
    before = bytes_of(root)
    events = finish(studio.generate(sizes=[0, 10, 0], only=[1]))
    assert studio.pool.counts.tolist() == [6, 10, 6]
    assert events[-1].total == 10, "candidates of that class alone are counted"
    assert {name: bytes_of(root)[name] for name in before} == before, "what was there keeps its bytes"
    finish(studio.generate())
    assert studio.pool.counts.tolist() == [6, 10, 6], "the step itself keeps the larger class"
    assert studio.status()["pool"].state == "fresh" and studio.status()["score"].state == "partial"
    finish(studio.generate(sizes=None))
    assert bytes_of(root) == before, "without it the pool is what it was"


def test_one_class_after_another_gives_the_bytes_of_all_at_once(studio, tiny_bundle, tmp_path):
    """Groups span classes here, and who is computed beside whom decides the last bit of a product."""
    finish(studio.generate(sizes=[0, 10, 0], batch_size=16))
    with Studio(tmp_path / "other", tiny_recipe(tiny_bundle)) as other:
        told = []
        for class_id in (2, 1, 0):
            told += [e.message for e in other.generate(sizes=[0, 10, 0], batch_size=16, only=[class_id])]
        assert any('"boot", "T-shirt/top"' in words for words in told), "a group holds more than its class"
        assert bytes_of(other.workspace.root / "pool") == bytes_of(studio.workspace.root / "pool")


def test_a_class_is_never_smaller_than_the_pool_size(tiny_bundle):
    recipe = tiny_recipe(tiny_bundle, pool__sizes=[2, 0, 7])
    assert sizes_of(recipe, load_bundle(str(tiny_bundle))) == [6, 6, 7]


def test_another_number_of_sizes_than_classes_is_refused(tiny_bundle):
    with pytest.raises(RecipeError) as caught:
        sizes_of(tiny_recipe(tiny_bundle, pool__sizes=[7]), load_bundle(str(tiny_bundle)))
    assert caught.value.problem == '"pool.sizes" has 1 numbers, but "tiny" has 3 classes.'
    assert caught.value.fix == "Write 3 numbers, 0 for a class of pool_size, or leave it out."


def test_asking_what_a_smaller_pool_costs_removes_nothing(studio):
    finish(studio.generate(sizes=[0, 10, 0]))
    before = bytes_of(studio.workspace.root / "pool")
    studio.set({"pool.sizes": None})
    studio.estimate("pool")
    assert bytes_of(studio.workspace.root / "pool") == before and len(studio.pool) == 22
