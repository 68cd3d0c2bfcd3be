"""More like this: variations hang on their parent, and come to the same bytes however they are made."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from steps import bytes_of
from tiny import finish, run_python, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.embedded import bundles
from psr_studio.cli.main import main
from psr_studio.core.errors import RecipeError, StudioError
from psr_studio.stages import generate
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.generate.plan import plan
from psr_studio.workers import driver

# Of a candidate, in two parts; of one of these; and of another class.
ASKED = ["1000002 x 5 at 0.5", "1900004 x 2 at 0.4", "1 x 2 at 1"]
SLOW = {"pool__steps": 10, "pool__variations": ASKED}
KILLED = """
from pathlib import Path
from tiny import tiny_recipe
from psr_studio.app.studio import Studio
root, bundle, *asked = sys.argv[1:]
with Studio(root, tiny_recipe(Path(bundle), pool__steps=10, pool__variations=asked)) as studio:
    for event in studio.generate():
        if event.part_done:
            print(event.done, flush=True)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_bundle) -> Path:
    root = tmp_path_factory.mktemp("whole") / "ws"
    with Studio(root, tiny_recipe(tiny_bundle, **SLOW)) as studio:
        finish(studio.generate())
    return root


def test_variations_say_whose_they_are_and_each_has_its_own_seed(whole, tiny_bundle):
    with Studio(whole) as studio:
        found = studio.pool
        assert found.counts.tolist() == [8, 13, 6] and studio.status()["pool"].state == "fresh"
        varied = np.flatnonzero(found.is_variation)
        parents, strengths = found.parents_at(varied)
        assert found.candidate_ids[varied].tolist() == [900000, 900001, *range(1900000, 1900007)]
        assert parents.tolist() == [1] * 2 + [1000002] * 5 + [1900004] * 2
        assert strengths.tolist() == [1] * 2 + [0.5] * 5 + [0.4] * 2
        assert len(set(found.seeds.tolist())) == len(found)
        assert found.parents_at([0])[0].tolist() == [-1]
        assert not found.first(6).is_variation.any(), "the first of a class are drawn, not derived"


def test_workers_make_the_bytes_of_one_process_in_as_many_passes_as_variations_hang_on_each_other(
    tmp_path, tiny_bundle, whole
):
    threads = ThreadWorkers(2)
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, **SLOW)) as studio:
        events = finish(driver.run(threads, generate.STAGE, studio.workspace, studio.recipe, studio.bundle))
        assert not (studio.workspace.root / driver.TOKEN).exists()
    starts = [event.message for event in events if event.message.startswith("Starting")]
    assert len(starts) == 3, "parents, variations, and those of variations"
    assert [e.done for e in events] == sorted(e.done for e in events) and events[-1].done == 27
    assert bytes_of(tmp_path / "ws" / "pool") == bytes_of(whole / "pool")


def test_a_run_that_is_killed_among_variations_goes_on_to_the_same_bytes(tmp_path, tiny_bundle, whole):
    n_parts = 7
    process = run_python(KILLED, tmp_path / "ws", tiny_bundle, *ASKED)
    assert process.stdout is not None
    for _ in range(n_parts):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    there = bytes_of(tmp_path / "ws" / "pool")
    assert n_parts <= len([name for name in there if ".tmp-" not in name]) < 10
    with Studio(tmp_path / "ws") as studio:
        finish(studio.generate())
    assert bytes_of(tmp_path / "ws" / "pool") == bytes_of(whole / "pool")


def test_a_pool_that_grows_keeps_them_and_one_without_their_parent_leaves_them_out(
    tmp_path, tiny_bundle, whole
):
    shutil.copytree(whole, tmp_path / "ws")
    with Studio(tmp_path / "ws") as studio:
        before = bytes_of(studio.workspace.root / "pool")
        finish(studio.generate(sizes=[0, 9, 0]))
        now = bytes_of(studio.workspace.root / "pool")
        assert studio.pool.counts.tolist() == [8, 16, 6] and len(now) == len(before) + 1
        assert {name: now[name] for name in before} == before
        said = [event.message for event in studio.generate(sizes=None, pool_size=3) if event.lasting]
        assert studio.pool.counts.tolist() == [5, 10, 3], "candidates 1 and 1000002 are still there"
        finish(studio.generate(pool_size=2))
        assert studio.pool.counts.tolist() == [4, 2, 2]
        said = [event.message for event in studio.generate(pool_size=2)]
        assert said[0] == "Without 7 variations of candidates such as 1000002: they are not in this pool."
        finish(studio.generate(pool_size=6))
        assert bytes_of(studio.workspace.root / "pool") == before, "the recipe has not forgotten them"


def test_what_a_variation_is_made_from_names_its_parent_and_the_strength(tiny_bundle):
    """Every part of the pool has a hash of its own; those that hang on what changes change with it, no other."""

    def hashes(**changes) -> list[str]:
        recipe, bundle = tiny_recipe(tiny_bundle, **changes), load_bundle(tiny_bundle)
        return [pool.part_hash(recipe, bundle, part) for part in plan(recipe, bundle)]

    plain = hashes()
    before = hashes(pool__variations=["1 x 2 at 0.5"])
    assert before[:6] == plain and len(before) == 7
    other = [hashes(pool__variations=[text])[-1] for text in ("2 x 2 at 0.5", "1 x 2 at 0.4", "1 x 3 at 0.5")]
    assert len({before[-1], *other, *plain}) == 10
    resized = hashes(pool__variations=["1 x 2 at 0.5"], pool__part_size=4)
    assert resized[-1] != before[-1], "its parent came of another batch"


@pytest.mark.skipif("fashion-mnist" not in bundles(), reason="the embedded models are not there")
def test_a_weak_variation_lies_nearer_to_its_parent_than_others_of_the_class(tmp_path):
    """In the features of the teacher, on average; and the nearer, the weaker."""
    small = {
        "pool.pool_size": 8,
        "pool.part_size": 8,
        "pool.steps": 10,
        "pool.classes": (0,),
        "device": "cpu",
    }
    asked = {"pool.variations": ["3 x 6 at 0.2", "3 x 6 at 0.6"]}
    with Studio(tmp_path / "ws", "fashion-mnist", **small, **asked, ipc=2) as studio:
        finish(studio.generate())
        finish(studio.score())
        scored = studio.curation.scored
        apart = scored.apart(scored.embeddings[3], scored.embeddings)
        parents, strengths = scored.pool.parents_at(range(scored.n))
        weak, strong = (apart[strengths == s].mean() for s in (0.2, 0.6))
        others = np.delete(apart[parents < 0], 3).mean()
        assert weak < 0.7 * others and weak < strong < others


def test_the_named_candidate_gets_variations_that_are_scored(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.generate())
        finish(studio.score())
        before = bytes_of(studio.workspace.root / "pool")
        events = finish(studio.variations(2000001, 4, 0.5))
        assert {event.stage for event in events} == {"pool", "score"}
        assert studio.curation.scored.n == 22 and studio.recipe.pool.variations == ("2000001 x 4 at 0.5",)
        assert before.items() < bytes_of(studio.workspace.root / "pool").items()
        for count, strength, named in ((4, 1.5, '"Strength" (--strength)'), (0, 0.5, '"How many" (--count)')):
            with pytest.raises(RecipeError) as out_of_range:
                studio.variations(2000001, count, strength)
            assert named in out_of_range.value.fix and "pool.variations" not in str(out_of_range.value)
        studio.set({"pool.steps": 4})
        with pytest.raises(StudioError) as refused:
            studio.variations(2000001)
        assert refused.value.problem.startswith('10 candidates of "dress" came of other settings')
        studio.set({"pool.steps": 3})
        with pytest.raises(StudioError, match=r"Candidate 77 is not in the pool of 22 candidates\."):
            studio.variations(77)


def test_a_class_may_spend_its_variations_too(tiny_bundle):
    """More images than are drawn are refused, but where variations make up for them."""
    of_one = {"pool__variations": ["1000001 x 3 at 0.5"], "select__ipc": 6}
    assert tiny_recipe(tiny_bundle, **of_one, select__budgets=[0, 9, 0]).select.budgets == (0, 9, 0)
    for budgets in ([7, 0, 0], [0, 10, 0]):
        with pytest.raises(RecipeError, match="select.budgets"):
            tiny_recipe(tiny_bundle, **of_one, select__budgets=budgets)


@pytest.mark.parametrize(
    "text", ["twelve", "1 x 0 at 0.5", "1 x 2 at 0", "1 x 2 at 1.5", "1 x 200000 at 0.5", "-1 x 2 at 0.5"]
)
def test_what_names_no_variations_is_refused(tiny_bundle, text):
    with pytest.raises(RecipeError) as refused:
        tiny_recipe(tiny_bundle, pool__variations=[text])
    assert refused.value.problem.startswith(f'"{text}" in "pool.variations" names no variations')
    assert 'Write it as "12 x 8 at 0.5"' in refused.value.fix


def test_the_command_line_makes_them_and_prints_their_parents(tmp_path, tiny_bundle, capsys):
    root = str(tmp_path / "ws")
    with Studio(root, tiny_recipe(tiny_bundle)) as studio:
        finish(studio.generate())
    assert main(["variations", "1000001", "-w", root, "--count", "2", "--strength", "0.4", "-q"]) == 0
    assert capsys.readouterr().out == "Variations of 1000001: 1900000, 1900001\n"
    assert main(["candidates", "-w", root, "--where", "class T-shirt/top"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    at = header.split(",").index("parent")
    assert [row.split(",")[at] for row in rows] == [""] * 6 + ["1000001"] * 2
