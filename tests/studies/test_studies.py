"""Studies: the papers' tables and figures from one command, resumed cell by cell, with nothing hidden in the report."""

from __future__ import annotations

import csv
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import finish, run_python, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import ModelError, RecipeError, SelectionError, StudioError, WorkspaceError
from psr_studio.recipe.load import load_recipe
from psr_studio.recipe.schema import TEST_SETS
from psr_studio.stages.batches import FinishParts
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.select.choice import select
from psr_studio.stages.select.scored import read_scored
from psr_studio.storage.ledger import Ledger
from psr_studio.studies import published
from psr_studio.studies.entries import HERE, Entry, of_the_same_data, published_entries
from psr_studio.studies.figures import study_figure
from psr_studio.studies.report import conditions, report_paths, write_report
from psr_studio.studies.results import results
from psr_studio.studies.study import cells, pool_recipes
from psr_studio.studies.table import STUDIES, find_study

LABELS = STUDIES["labels"]
SMALL = {"study__budgets": [1, 2], "evaluate__n_seeds": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, scored_workspace, tiny_bundle) -> Path:
    """A workspace in which the study of the labels is finished; tests must not change it."""
    root = Path(shutil.copytree(scored_workspace, tmp_path_factory.mktemp("study") / "ws"))
    with Studio(root, tiny_recipe(tiny_bundle, **SMALL)) as studio:
        finish(studio.study("labels"))
    return root


@pytest.fixture
def opened(tmp_path, finished, tiny_bundle):
    with Studio(Path(shutil.copytree(finished, tmp_path / "ws"))) as studio:
        yield studio


def lines_of(studio: Studio, name: str) -> list[dict[str, str]]:
    with report_paths(studio.workspace, STUDIES[name])[1].open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def trained(studio: Studio) -> dict[str, tuple]:
    """What each student came to."""
    return {
        r.inputs_hash: (r.seed, r.last, r.best, r.curve, r.confusion, r.ece, r.n_images)
        for r in studio.workspace.ledger.evaluations()
    }


def test_a_student_is_trained_once_for_all_test_sets(tmp_path, scored_workspace, tiny_bundle, monkeypatch):
    """To the same bits as trained for each; stopped in between, it is trained again for those that are missing."""
    study, small = STUDIES["validation-sets"], {**SMALL, "study__budgets": [1]}
    trainings, train, add = [], Trainer.train, Ledger.add_evaluation

    def counted(self, arm, seed):
        trainings.append((self.recipe.evaluate.test_set, arm.form))
        return train(self, arm, seed)

    def found(name, workers=None):
        root = tmp_path / name
        if not root.exists():
            shutil.copytree(scored_workspace, root)
        trainings.clear()
        with Studio(root, tiny_recipe(tiny_bundle, **small), replace_recipe=True) as studio:
            studio.workers = workers
            events = [e for e in finish(studio.study(study.name)) if e.stage == "study"]
            assert [e.done for e in events] == sorted(e.done for e in events)
            assert events[-1].done == events[-1].total == 3 * len(trained(studio))
            assert len(trained(studio)) == len(studio.workspace.ledger.evaluations())
            return trained(studio), lines_of(studio, study.name), list(trainings)

    monkeypatch.setattr(Trainer, "train", counted)
    with monkeypatch.context() as apart:
        apart.setattr(evaluate, "TEST_SETS", ())
        each = found("each")
    once = found("once")
    assert once[:2] == each[:2] and len({kept[1] for kept in each[0].values()}) > 1
    assert len(each[2]) == len(each[0]) == 4 * len(once[2]) and {name for name, _ in once[2]} == {"original"}
    assert found("shared", ThreadWorkers(1)) == once

    noted = []

    def full(self, record):
        if len(noted) == 2:
            raise WorkspaceError("The disk is full.", "Free some of it.")
        add(self, record)
        noted.append(record)

    with monkeypatch.context() as broken, pytest.raises(WorkspaceError):
        broken.setattr(Ledger, "add_evaluation", full)
        found("stopped")
    again = found("stopped")
    assert again[:2] == once[:2] and sorted(form for _, form in again[2]) == sorted(
        form for _, form in once[2]
    )
    assert again[2][-1] == (TEST_SETS[2], "selected"), "trained for the first of those that are missing"


def test_a_dead_worker_costs_its_student_and_a_study_that_was_stopped_goes_on(
    tmp_path, scored_workspace, tiny_bundle, opened
):
    """One dies over its first student, the next is asked to stop after one: only that one is kept."""
    root = Path(shutil.copytree(scored_workspace, tmp_path / "shared"))
    with Studio(root, tiny_recipe(tiny_bundle, **SMALL)) as shared:
        threads = shared.workers = ThreadWorkers(1)
        events, said = shared.study("labels"), []
        while not said or not (said[-1].part_done and said[-1].stage == "study"):
            said.append(next(events))
            if said[-1].stage == "study" and said[-1].message.startswith("Starting"):
                threads.dies = frozenset({threads.started})
        with pytest.raises(FinishParts):
            events.throw(FinishParts())
            finish(events)
        told = [e.message for e in said if "fell over" in e.message]
        assert told == [
            'A worker fell over. The epochs of refined, seed 0, in the cell "teacher labels, 1 a class, convnet-3" '
            "are made again."
        ]
        n_started = threads.started
        assert len(trained(shared)) == 1
        done = finish(shared.study("labels"))
        assert trained(shared) == trained(opened) and lines_of(shared, "labels") == lines_of(opened, "labels")
        counts = [e.done for e in done if e.stage == "study"]
        assert (
            counts[-1] == done[-1].total == 42 and counts[1:] == sorted(counts[1:]) and done[-1].resumed == 3
        )
        finish(shared.study("labels"))
        assert threads.started == n_started + 1, "what is refined starts nobody, nor what is finished"


def test_workers_refine_and_train_and_the_report_is_written_when_a_cell_is_finished(
    tmp_path, scored_workspace, tiny_bundle
):
    study, small = STUDIES["main-table"], {**SMALL, "study__budgets": [1]}
    found = []
    for name, workers in (("alone", None), ("shared", ThreadWorkers(1))):
        root = Path(shutil.copytree(scored_workspace, tmp_path / name))
        with Studio(root, tiny_recipe(tiny_bundle, **small)) as studio:
            studio.workers = workers
            events, written = [], []
            for event in studio.study(study.name):
                events.append(event)
                written.append(report_paths(studio.workspace, study)[1].is_file())
            assert written[-2:] == [True, True]
            found.append((lines_of(studio, study.name), trained(studio)))
    assert {e.stage for e in events if "1 worker: " in e.message} == {"refine", "study"}
    assert found[0] == found[1] and any(line["images"] for line in found[0][0])


def test_every_cell_stands_beside_its_controls_with_its_conditions(opened):
    lines = lines_of(opened, "labels")
    assert {(line["images"], line["images per class"], line["labels"]) for line in lines} == {
        (images, ipc, labels)
        for ipc in "12"
        for images, labels in (
            ("teacher labels", "teacher, tau 1.5"),
            ("hard labels", "hard"),
            ("random real", "teacher, tau 1.5"),
            ("generate-and-use", "teacher, tau 1.5"),
            ("random real, hard labels", "hard"),
            ("generate-and-use, hard labels", "hard"),
        )
    }
    assert len(lines) == 12 and {line["missing"] for line in lines} == {""}
    for line in lines:
        assert line["protocol"] == "psr-kd"
        assert (line["n"], line["epochs"], line["student"]) == ("1", "3", "convnet-3") and line["set"]
        assert 0 <= float(line["top-1 last epoch, %"]) <= 100


def test_the_report_is_one_file_that_needs_no_network(opened):
    page = report_paths(opened.workspace, LABELS)[0].read_text(encoding="utf-8")
    outside = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:link|img|iframe)|src=|https?://", outside)
    assert "<script src" not in page and "Plotly.newPlot" in page
    for said in (
        "All 4 cells of this study are finished.",
        "What differs",
        "random real",
        "Figure 7",
        "tau 1.5",
        "top-1 after the last epoch on 18 test images",
        "batches of 256; epochs: 3",
    ):
        assert said in outside, said


def test_conditions_name_the_test_images_that_students_were_tested_on(opened):
    study = STUDIES["validation-sets"]
    opened.set({"study.budgets": [1, 2], "evaluate.batch_size": "rded"})
    found = conditions(opened.study_results(study.name), opened.recipe, opened.bundle)
    assert found["accuracy"] == (
        'top-1 after the last epoch on test images; test images of the set "random"; test images of the set "easy"; '
        'test images of the set "scale"'
    )
    assert "batches of " in found["training"]


def test_a_finished_study_trains_nobody_again(opened):
    before = [(record.inputs_hash, record.created) for record in opened.workspace.ledger.evaluations()]
    pictures = {path: path.stat().st_mtime_ns for path in opened.workspace.root.rglob("*.parquet")}
    last = finish(opened.study("labels"))[-1]
    assert (last.done, last.total, last.resumed) == (42, 42, 42)
    assert [
        (record.inputs_hash, record.created) for record in opened.workspace.ledger.evaluations()
    ] == before
    assert {path: path.stat().st_mtime_ns for path in opened.workspace.root.rglob("*.parquet")} == pictures


def test_more_seeds_cost_only_the_difference(opened):
    before = {record.inputs_hash for record in opened.workspace.ledger.evaluations()}
    finish(opened.study("labels", **{"evaluate.n_seeds": 2, "study.budgets": [1]}))
    after = opened.workspace.ledger.evaluations()
    assert {r.seed for r in after if r.inputs_hash not in before} == {1}
    assert {line["n"] for line in lines_of(opened, "labels")} == {"2"}


KILLED = """
from pathlib import Path
from psr_studio.app.studio import Studio
with Studio(sys.argv[1]) as studio:
    for event in studio.study("labels"):
        print(event.stage, int(event.part_done), flush=True)
"""


def test_a_killed_study_goes_on_and_ends_with_the_same_numbers(
    tmp_path, scored_workspace, tiny_bundle, opened
):
    root = Path(shutil.copytree(scored_workspace, tmp_path / "killed"))
    Studio(root, tiny_recipe(tiny_bundle, **SMALL | {"study__budgets": [1]})).close()
    process = run_python(KILLED, root)
    parts = 0
    for line in process.stdout:
        parts += line.split() == ["study", "1"]
        if parts == 2:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with Studio(root) as studio:
        kept = {record.inputs_hash: record.created for record in studio.workspace.ledger.evaluations()}
        assert 0 < len(kept) < 7
        finish(studio.study("labels"))
        records = studio.workspace.ledger.evaluations()
        assert len(records) == len({record.inputs_hash for record in records}), "no student twice"
        assert {r.inputs_hash: r.created for r in records if r.inputs_hash in kept} == kept
        whole = [line for line in lines_of(opened, "labels") if line["images per class"] == "1"]
        assert lines_of(studio, "labels") == whole


def test_a_study_that_is_not_finished_says_what_is_missing(opened):
    opened.set({"study.budgets": [1, 2, 3]})
    found = results(opened.workspace, opened.recipe, opened.bundle, LABELS)
    assert [result.finished for result in found] == [True] * 4 + [False] * 2
    page, _ = write_report(opened.workspace, opened.recipe, opened.bundle, LABELS)
    text = page.read_text(encoding="utf-8")
    assert "4 of 6 cells are finished" in text and "Missing: teacher labels at 3, convnet-3" in text
    missing = [line for line in lines_of(opened, "labels") if line["missing"]]
    assert {(line["images"], line["missing"]) for line in missing} == {
        ("teacher labels", "1 of 1 students"),
        ("hard labels", "1 of 1 students"),
    }


def test_what_was_chosen_by_other_rules_does_not_count(opened):
    """Results follow the rules of the recipe, not the name of a selection."""
    assert all(result.finished for result in opened.study_results("labels"))
    opened.set({"select.psr.gamma": 5.0})
    assert not any(result.rows for result in opened.study_results("labels"))


def test_a_pool_that_has_grown_leaves_finished_cells_finished(opened):
    """A larger study adds parts to the pool; what was chosen from the first of it stays chosen."""
    opened.set({"pool.pool_size": 12})
    for run in (opened.generate, opened.score):
        finish(run())
    assert len(opened.pool) == 36 and all(result.finished for result in opened.study_results("labels"))


def test_pins_vetoes_and_locks_move_no_study(opened):
    name = cells(LABELS, opened.recipe, opened.bundle)[2].selection
    record = opened.workspace.ledger.selection(name)
    other = next(c for c in opened.pool.candidate_ids.tolist() if c not in record.candidate_ids)
    opened.curation.mark([record.picks[0][0]], "veto")
    opened.curation.mark([other], "pin")
    opened.curation.set_locked([1])
    assert all(result.finished for result in opened.study_results("labels"))
    opened.workspace.ledger.delete_selection(name)
    finish(opened.study("labels"))
    assert opened.workspace.ledger.selection(name).picks == record.picks


def test_the_first_of_a_pool_are_the_pool_of_that_size(tmp_path, tiny_bundle):
    """A cell of M candidates chooses from a larger pool just what it would from one of its own.

    Candidates are made and scored one at a time: batches of another size round otherwise.
    """
    one = {"pool__part_size": 1, "pool__batch_size": 1, "score__batch_size": 1}
    found = []
    for size in (6, 4):
        with Studio(tmp_path / str(size), tiny_recipe(tiny_bundle, pool__pool_size=size, **one)) as studio:
            for run in (studio.generate, studio.score):
                finish(run())
            found.append(read_scored(studio.workspace, studio.recipe, studio.bundle).first(4))
            pictures = [scored.pool.images_at([0, 5, 11]) for scored in found]
    part, alone = found
    assert part.candidate_ids.tolist() == alone.candidate_ids.tolist() and part.counts.tolist() == [4, 4, 4]
    assert np.array_equal(part.logits, alone.logits) and np.array_equal(part.pool.latents, alone.pool.latents)
    assert np.array_equal(*pictures)
    for selector in ("psr", "k-center", "random", "dgs"):
        rules = studio.recipe.select.changed({"selector": selector})
        assert select(part, rules).candidate_ids == select(alone, rules).candidate_ids, selector


@pytest.mark.parametrize("preset", ["fashion-mnist", "imagewoof-dit", "imagewoof-dit-dgs"])
def test_every_study_is_cells_of_the_recipe(preset):
    """All budgets, levels and students are valid settings, and no two cells are one selection by different rules."""
    recipe = load_recipe(preset)
    bundle = load_bundle(recipe.bundle)
    for study in STUDIES.values():
        found = cells(study, recipe, bundle)
        students = {cell.student for cell in found}
        assert len(found) == len(study.budgets) * len(study.levels) * len(students)
        assert len({(cell.level.name, cell.ipc) for cell in found}) == len({cell.selection for cell in found})
        sizes = {name: int(made_by.pool.pool_size) for name, made_by in pool_recipes(found).items()}
        assert all(cell.n_candidates <= sizes[cell.pool] for cell in found)
        assert sizes.keys() == {cell.pool for cell in found}
        assert all(cell.recipe.evaluate.controls for cell in found), "an accuracy never stands alone"
    (woof,) = {cell.student for cell in cells(LABELS, recipe, bundle)}
    assert woof == recipe.evaluate.student
    transfer = {cell.student for cell in cells(STUDIES["transfer"], recipe, bundle)}
    assert {"resnetap-10", "resnet-18"} < transfer


def test_single_signals_leave_the_others_out():
    recipe = load_recipe("fashion-mnist")
    bundle = load_bundle(recipe.bundle)
    weights = {
        (cell.level.name, cell.ipc): tuple(cell.recipe.select.weights)
        for cell in cells(STUDIES["signals"], recipe, bundle)
    }
    assert weights["Rel", 10] == (3.0, 0.0, 0.0) and weights["Div", 50] == (0.0, 0.0, 3.0)
    assert weights["Div and Unc", 10] == (0.0, 1.0, 0.5) and weights["Rel, Div and Unc", 50] == (
        0.5,
        1.0,
        3.0,
    )


def test_papers_lines_stand_in_the_figure_of_the_same_data_and_student_only():
    woof, fashion = load_bundle("imagewoof-dit"), load_bundle("fashion-mnist")
    targets = STUDIES["targets"]
    assert len(published_entries(targets)) == 15
    assert of_the_same_data(targets, fashion, ["resnetap-10"]) == []
    assert of_the_same_data(targets, woof, ["convnet-6"]) == []
    same = of_the_same_data(targets, woof, ["resnetap-10"])
    assert {(e.images, e.mean, e.std) for e in same if e.ipc == 20} == {
        ("hill", 42.7, 0.7), ("ground", 41.7, 0.3), ("slope", 44.3, 0.3), ("cliff", 42.7, 0.8), ("scale", 45.5, 0.4),
    }  # fmt: skip
    tens = [p for p in published.WOOF.rows if (p.ipc, p.student) == (10, "ResNetAP-10")]
    assert {p.images: p.mean for p in tens}["DiT-Ours"] == 42.0 and "RDED" not in {p.images for p in tens}
    assert all(0 < e.mean < 100 for study in STUDIES.values() for e in published_entries(study))


def entry(images: str, ipc: int, mean: float | None, student: str = "convnet-3") -> Entry:
    return Entry(
        HERE, images, False, ipc, student, 2 * ipc, mean, 0.5, missing="" if mean else "3 of 3 students"
    )


def test_the_heatmap_frames_the_best_of_each_budget_and_leaves_gaps_open():
    found = [entry("1K", 1, 50.0), entry("2K", 1, 60.0), entry("1K", 10, 70.0), entry("2K", 10, None)]
    rows = [replace(e, row=object()) if e.mean else e for e in found]
    figure = study_figure(STUDIES["pool-size"], rows)
    assert [list(row) for row in figure.data[0].z] == [[50.0, 70.0], [60.0, None]]
    assert [(shape.x0, shape.y0) for shape in figure.layout.shapes] == [(-0.5, 0.5), (0.5, -0.5)]
    assert "Missing: 2K at 10, convnet-3." in figure.layout.title.text


def test_bars_stand_by_student_and_lines_break_where_a_cell_is_missing():
    bars = study_figure(STUDIES["transfer"], [entry("PSR", 10, 40.0), entry("PSR", 10, 50.0, "resnet-18")])
    assert [(list(bar.x), list(bar.y)) for bar in bars.data] == [(["convnet-3", "resnet-18"], [40.0, 50.0])]
    ours = [replace(entry("psr", ipc, mean), row=object()) for ipc, mean in ((1, 40.0), (50, 60.0))]
    lines = study_figure(STUDIES["selectors"], [ours[0], entry("psr", 10, None), ours[1]])
    assert list(lines.data[0].y) == [40.0, None, 60.0] and lines.data[0].connectgaps is False


def test_at_one_budget_each_set_has_a_row_and_controls_stand_below():
    """Lines would be points above each other, of equal colours."""
    control = replace(entry("random real", 10, 50.0), control=True, row=object())
    ours = [replace(entry(name, 10, mean), row=object()) for name, mean in (("psr", 50.0), ("dgs", 40.0))]
    printed = entry("psr", 50, 60.0)
    figure = study_figure(STUDIES["selectors"], [control, *ours, entry("k-center", 10, None), printed])
    drawn = {rows.name: list(zip(rows.y, rows.x, strict=True)) for rows in figure.data}
    assert drawn == {
        "sets": [("psr", 50.0), ("dgs", 40.0), ("k-center", None)],
        "controls": [("random real", 50.0)],
        "published": [],
    }
    assert figure.layout.yaxis.categoryarray == ("random real", "k-center", "dgs", "psr")


def test_an_unknown_study_names_the_near_one():
    with pytest.raises(StudioError) as err:
        find_study("selector")
    assert err.value.problem.startswith('There is no study "selector". Studies: selectors, budgets, ')
    assert err.value.fix.startswith('Did you mean "selectors"?')


def test_what_no_cell_can_be_is_said_before_anything_is_made(studio):
    before = sorted(studio.workspace.root.rglob("*"))
    with pytest.raises(ModelError, match='There is no student "convnet-x"'):
        studio.study("labels", students=["convnet-x"])
    with pytest.raises(ModelError, match="halves the picture 6 times"):
        studio.study("labels", students=["convnet-6"])
    with pytest.raises(RecipeError, match='"study.budgets" is 0'):
        studio.study("labels", budgets=[0])
    assert [p for p in sorted(studio.workspace.root.rglob("*")) if p.name != "recipe.toml"] == [
        p for p in before if p.name != "recipe.toml"
    ]


def test_a_pool_that_cannot_grow_is_too_small_for_a_study(studio):
    """An imported pool stays as it is."""
    from psr_studio.studies import running

    recipe = studio.recipe.with_values({"study.budgets": [4]})
    with pytest.raises(SelectionError) as err:
        finish(running.run(studio.workspace, recipe, studio.bundle, LABELS))
    assert err.value.problem == 'Class "boot" has 6 candidates, but a cell of this study chooses from 8.'
    assert "study.budgets" in err.value.fix
