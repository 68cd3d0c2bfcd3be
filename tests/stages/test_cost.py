"""What a step is said to cost: images, seconds, bytes; and writing beside the next batch changes nothing."""

from __future__ import annotations

import math
import re
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import StudioError, WorkspaceError
from psr_studio.models.generator import Generator, Sampling
from psr_studio.stages import cost, speeds
from psr_studio.stages.batches import Beside
from psr_studio.stages.cost import Cost, import_cost, per_row
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.table import STAGES


def test_the_line_names_images_seconds_and_bytes():
    cost = Cost(1200, 83.4, 3 * 2**30 // 2, 20 * 2**30, "cuda")
    assert cost.text == "Cost: 1,200 images, about 1 min 23 s, 1.50 GiB on disk, 20.00 GiB of GPU memory."
    assert Cost(1, 2.0, 0, None, "cpu", "students").text == "Cost: 1 student, about 2.0 s."
    small = Cost(6, 0.42, 30_000, None, "cpu")
    assert small.text == "Cost: 6 images, about 0.4 s, 0.029 MiB on disk."


def test_time_per_row_stops_growing_the_batch_when_it_takes_long():
    sizes: list[int] = []

    def work(n: int) -> None:
        sizes.append(n)
        time.sleep(0.05 * n)

    assert per_row(work, 1000, torch.device("cpu"), math.inf) == pytest.approx(0.05, rel=0.5)
    assert max(sizes) == 16, "64 rows would take 3.2 s"


def test_a_first_call_that_takes_long_is_not_what_the_others_take(monkeypatch):
    """It packs weights, compiles, or wakes a device."""
    monkeypatch.setattr(cost, "LONGEST", 0.2)
    calls: list[int] = []

    def work(n: int) -> None:
        calls.append(n)
        time.sleep(0.4 if len(calls) == 1 else 0.001 * n)

    assert per_row(work, 8, torch.device("cpu"), math.inf) < 0.01
    assert max(calls) == 8


def test_what_other_programs_add_to_some_calls_is_no_part_of_the_time():
    """The quickest of several calls counts."""
    calls: list[int] = []

    def work(n: int) -> None:
        calls.append(n)
        time.sleep(0.001 if len(calls) % 3 == 0 else 0.05)

    assert per_row(work, 1, torch.device("cpu"), math.inf) < 0.02


def test_what_is_added_to_each_call_is_not_multiplied_by_the_rows(monkeypatch):
    """A call of one row and one of 64 take alike: then the batch grows although a call takes long."""
    monkeypatch.setattr(cost, "LONGEST", 0.04)
    assert per_row(lambda n: time.sleep(0.03), 64, torch.device("cpu"), math.inf) < 0.03 / 16


def test_a_step_that_is_soon_done_is_measured_by_two_calls_each_of_its_smallest_and_largest_batch():
    calls: list[int] = []
    per_row(calls.append, 64, torch.device("cpu"), 100)
    assert calls == [1, 1, 64, 64]


def test_a_compiled_network_is_measured_at_the_batch_of_the_run_only(tmp_path, tiny_bundle, monkeypatch):
    """Another batch would be compiled anew, which takes a minute."""
    recipe = tiny_recipe(tiny_bundle, pool__pool_size=8, pool__steps=4, pool__classes=(0,))
    seen: set[int] = set()
    own = Generator.predict_noise

    def counted(self: Generator, z: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        seen.add(len(z))
        return own(self, z, *rest)

    monkeypatch.setattr(Generator, "predict_noise", counted)
    monkeypatch.setattr(torch, "compile", lambda block: block)
    with Studio(tmp_path / "ws", recipe.with_values({"pool.compiled": True})) as studio:
        assert studio.estimate("pool").images == 8
    assert len(seen) == 1


def test_a_pool_costs_what_it_was_said_to(tmp_path, tiny_bundle):
    recipe = tiny_recipe(tiny_bundle, pool__pool_size=20, pool__part_size=10)
    with Studio(tmp_path / "ws", recipe) as studio:
        said = studio.estimate("pool")
        events = finish(studio.generate())
        files = list((studio.workspace.root / "pool").rglob("*.parquet"))
        assert studio.estimate("pool").images == 0, "nothing is left to make"
    assert said.images == events[-1].done == 60
    written = sum(path.stat().st_size for path in files)
    assert said.disk_bytes == pytest.approx(written, rel=0.25)
    assert said.seconds > 0
    assert any(event.lasting and event.message.startswith("Cost: 60 images") for event in events)


def test_the_cost_stays_on_the_card_until_the_job_knows_its_own_pace(studio):
    """The line comes with one event, the card keeps it below those that follow; one time left is said, not two."""
    from psr_studio.app.jobs import JobState
    from psr_studio.ui.markup import job_card

    running = JobState(1, "pool", "running", done=3, total=6, message="Denoising.", cost="Cost: 6 images.")
    assert "Cost: 6 images." in job_card(running, "") and "Denoising." in job_card(running, "")
    assert "Cost" not in job_card(replace(running, eta_seconds=20.0), "")
    assert "Cost" not in job_card(replace(running, state="cancelled"), "")
    assert sum(event.lasting for event in studio.refine()) == 1


def test_refinement_costs_what_it_was_said_to(studio):
    said = studio.estimate("refine")
    events = finish(studio.refine())
    assert said.images == events[-1].done == 6
    assert said.seconds > 0
    assert refine.cost(studio.workspace, studio.recipe, studio.bundle).images == 6


def test_scoring_costs_what_it_was_said_to(studio):
    shutil.rmtree(studio.workspace.root / "scores")
    said = studio.estimate("score")
    events = finish(studio.score())
    written = sum(path.stat().st_size for path in (studio.workspace.root / "scores").rglob("*.parquet"))
    assert said.images == events[-1].done == len(studio.pool)
    assert said.disk_bytes == pytest.approx(written, rel=0.25)
    assert any(event.lasting and event.message.startswith("Cost: ") for event in events)
    assert said.seconds > 0


def test_a_student_with_batch_norm_has_a_cost_too(studio):
    studio.set({"evaluate.student": "timm:resnet18", "evaluate.epochs": 1, "evaluate.arms": ["selected"]})
    assert studio.estimate("evaluate").seconds > 0


def test_an_evaluation_costs_what_it_was_said_to(studio):
    studio.set({"evaluate.epochs": 2, "evaluate.arms": ["selected"]})
    said = studio.estimate("evaluate")
    events = finish(studio.evaluate())
    assert said.text.startswith(f"Cost: {events[-1].total // 2} students, about ") and said.disk_bytes == 0
    assert said.seconds > 0
    assert [event.message for event in events if event.lasting][0].startswith("Cost: ")


@pytest.mark.parametrize("proxy", ["knn", "student"])
def test_a_search_costs_what_it_was_said_to(studio, proxy):
    """At most: a setting that picks like an earlier one is not judged again."""
    studio.set({"tune.proxy": proxy, "tune.trials": 4, "tune.student_epochs": 2})
    said = studio.estimate("tune")
    events = finish(studio.tune())
    assert said.text.startswith("Cost: 4 settings, about ")
    assert said.seconds > 0
    studio.set({"tune.trials": 2})
    assert studio.estimate("tune").images == 2, "fewer than there are: what all of them would cost"
    assert [event.message for event in events if event.lasting][0].startswith("Cost: 4 settings")


def test_an_import_costs_what_it_was_said_to(tmp_path, tiny_bundle):
    for name in ("boot", "dress"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(20):
            noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "set" / name / f"{i}.png")
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        events = list(studio.import_pool(tmp_path / "set"))
        written = sum(path.stat().st_size for path in (studio.workspace.root / "pool").rglob("*.parquet"))
    told = [event.message for event in events if event.lasting]
    assert len(told) == 1 and told[0].startswith("Cost: 40 images, about ")
    said = float(re.search(r"([\d.]+) MiB on disk", told[0])[1]) * 2**20
    assert said == pytest.approx(written, rel=0.25)


def test_the_time_of_a_step_is_in_proportion_to_its_units(studio):
    """Twice the images, steps, passes, epochs or trials are twice the time; what a unit takes is another kind."""
    ws, bundle = studio.workspace, studio.bundle
    shutil.rmtree(ws.root / "scores")
    shutil.rmtree(ws.root / "pool")

    def ratio(stage: str, **changes) -> float:
        before, after = (
            STAGES[stage].size(ws, recipe, bundle)
            for recipe in (studio.recipe, studio.recipe.with_values(changes))
        )
        assert before.kind == after.kind
        return after.units / before.units

    assert ratio("pool", **{"pool.pool_size": 12}) == 2 == ratio("pool", **{"pool.steps": 6})
    assert ratio("pool", **{"pool.guidance_scale": 1.0}) == 0.5, "a guided step takes two passes"
    varied = {"pool.pool_size": 6, "pool.variations": ["1 x 9 at 0.67"]}
    assert ratio("pool", **varied) == pytest.approx(1 + 9 / 18 * 2 / 3), "two of three steps"
    influenced = studio.recipe.with_values({"pool.guidance": "igd", "pool.igd.stop": 1})
    kinds = [STAGES["pool"].size(ws, recipe, bundle).kind for recipe in (studio.recipe, influenced)]
    assert kinds[0] != kinds[1], "its gradients cost more than the steps"


def test_the_next_estimate_is_what_the_last_run_took(studio, monkeypatch):
    """Kept by stage, device, workers and kind; of the same work the very seconds, of other work in proportion."""
    monkeypatch.setattr(speeds, "SHORTEST_RUN", 0.0)
    studio.set({"evaluate.arms": ["selected"]})
    *_, event = studio.evaluate()
    studio.set({"evaluate.seed": 50})
    said = studio.estimate("evaluate")
    assert said.seconds == pytest.approx(event.seconds, rel=0.25), "as many students again"
    ws, recipe, bundle = studio.workspace, studio.recipe, studio.bundle
    twice = recipe.with_values({"evaluate.n_seeds": 4})
    sizes = [STAGES["evaluate"].size(ws, r, bundle) for r in (recipe, twice)]
    seconds = [speeds.seconds(ws, "evaluate", recipe, size) for size in sizes]
    assert seconds[1] == pytest.approx(2 * seconds[0]) and sizes[1].items == 2 * sizes[0].items
    assert speeds.seconds(ws, "evaluate", recipe, sizes[0], "2 workers") is None
    assert speeds.seconds(ws, "evaluate", recipe.with_values({"device": "auto"}), sizes[0]) is None
    told = [event.message for event in studio.evaluate() if event.lasting]
    assert told == [said.text], "the step says what the page said before"


def test_one_trained_student_tells_how_long_the_others_take(studio, monkeypatch):
    """Though the evaluation is stopped then."""
    monkeypatch.setattr(speeds, "SHORTEST_RUN", 0.0)
    ws, recipe, bundle = (
        studio.workspace,
        studio.recipe.with_values({"evaluate.arms": ["selected"]}),
        studio.bundle,
    )
    size = STAGES["evaluate"].size(ws, recipe, bundle)
    (ws.root / "cache" / "speeds.json").unlink(missing_ok=True)
    assert speeds.seconds(ws, "evaluate", recipe, size) is None
    events = studio.evaluate(arms=["selected"])
    next(event for event in events if event.part_done)
    events.close()
    assert speeds.seconds(ws, "evaluate", recipe, size) > 0


def test_a_step_without_a_cost_is_named(studio):
    with pytest.raises(ValueError, match="pool, score, refine, evaluate, tune"):
        studio.estimate("select")


def test_half_the_guidance_saves_a_quarter_of_the_passes():
    assert Sampling(steps=50).n_guided == 50
    assert Sampling(steps=50, guidance=1.0).n_guided == 0
    assert Sampling(steps=10, interval=(0.2, 0.8)).n_guided == 6


def test_writing_beside_the_next_batch_gives_the_same_pool(tmp_path, tiny_bundle, monkeypatch):
    """As on a GPU: bytes, order and counts are those of a run that waits for each file."""
    from steps import bytes_of

    with Studio(tmp_path / "inline", tiny_recipe(tiny_bundle)) as studio:
        inline = finish(studio.generate())
    monkeypatch.setattr(pool, "overlaps", lambda device_type: True)
    with Studio(tmp_path / "beside", tiny_recipe(tiny_bundle)) as studio:
        beside = finish(studio.generate())
    assert bytes_of(tmp_path / "beside" / "pool") == bytes_of(tmp_path / "inline" / "pool")
    assert [e.done for e in beside] == sorted(e.done for e in beside) and beside[-1].done == 18
    written = [[e.message for e in events if e.part_done] for events in (inline, beside)]
    assert written[0] == written[1] and len(written[0]) == 6


def test_an_error_beside_is_raised_before(tmp_path):
    def breaks():
        yield 1
        raise WorkspaceError("The disk is full.", "Free some.")

    with pytest.raises(WorkspaceError, match="disk is full"), Beside[int](True) as beside:
        assert list(beside.run(breaks())) == []
        list(beside.run(iter([2])))
    with Beside[int](True) as beside:
        assert list(beside.run(iter([1, 2]))) == []
        assert list(beside.run(iter([3]))) == [1, 2]
        assert list(beside.rest()) == [3] and list(beside.rest()) == []
    assert threading.active_count() >= 1
    with Beside[int](False) as inline:
        assert list(inline.run(iter([1, 2]))) == [1, 2] and list(inline.rest()) == []


def test_a_source_that_vanishes_while_it_is_looked_at_is_said_as_ever(tmp_path, tiny_bundle):
    for name in ("boot", "dress"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("L", (12, 12)).save(tmp_path / "set" / name / "0.png")
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        events = studio.import_pool(tmp_path / "set")
        next(events)
        (tmp_path / "set" / "boot" / "0.png").unlink()
        with pytest.raises(StudioError):
            finish(events)


def test_broken_pictures_do_not_hide_the_cost(tmp_path, tiny_bundle):
    (tmp_path / "set" / "boot").mkdir(parents=True)
    (tmp_path / "set" / "boot" / "0.png").write_bytes(b"no picture")
    for i in range(1, 6):
        Image.new("L", (12, 12), 40 * i).save(tmp_path / "set" / "boot" / f"{i}.png")
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        events = finish(studio.import_pool(tmp_path / "set", skip_broken=True))
    assert any(event.lasting for event in events) and events[-1].message.startswith("Imported 5 pictures")


def test_the_codec_gets_its_pictures_where_it_is(tiny_bundle):
    """As on a GPU; here on a device without numbers, which refuses what lies elsewhere."""
    codec = load_bundle(str(tiny_bundle)).codec("cpu").to("meta")
    pictures = np.zeros((4, 12, 12, 1), np.uint8)
    assert import_cost(lambda n: pictures[:n], codec, 2, 10, 1).images == 10
