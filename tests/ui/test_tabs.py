"""The tabs fill every component they announce, at every stage of a workspace, without a browser."""

from __future__ import annotations

import re
import shutil
import time
from functools import partial
from html import unescape
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from tiny import finish, tiny_recipe

from psr_studio.app.curation import SelectChange
from psr_studio.app.recent import recent
from psr_studio.app.studio import Studio
from psr_studio.core.errors import ModelError, OvertakenError, RecipeError, SelectionError, StudioError
from psr_studio.recipe.keys import keys
from psr_studio.recipe.schema import PROTOCOL_NUMBERS, WAYS
from psr_studio.ui.page import build_page
from psr_studio.ui.panels.picker import LIVE, SelectionPicker, settings_of
from psr_studio.ui.panels.topbar import TopBar
from psr_studio.ui.screen import Screen
from psr_studio.ui.tabs.curate import CuratePool, CurateTab, saved_status
from psr_studio.ui.tabs.evaluate import EvaluateTab
from psr_studio.ui.tabs.export import ExportTab
from psr_studio.ui.tabs.pool import PoolTab
from psr_studio.ui.tabs.refine import RefineTab
from psr_studio.ui.words import as_error


def drawn(screen: Screen) -> dict[str, str]:
    """Every pane's values as one text; each must have a value per component, and a version that is stable."""
    tabs = {t.__name__: t(screen) for t in (TopBar, PoolTab, CurateTab, RefineTab, EvaluateTab, ExportTab)}
    with gr.Blocks():
        for tab in tabs.values():
            tab.build()
    panes = {**tabs, "CuratePool": CuratePool(tabs["CurateTab"])}
    for name in ("PoolTab", "RefineTab", "EvaluateTab", "ExportTab"):
        panes[f"{name}.jobs"] = tabs[name].jobs
        panes["by class"] = tabs["EvaluateTab"].by_class
        panes["helped"] = tabs["EvaluateTab"].helped
        panes |= {
            f"{name} {key}": part
            for key, part in zip(tabs[name].settings.controls, tabs[name].settings.parts(), strict=True)
        }
    texts = {}
    for name, pane in panes.items():
        values = pane.values()
        assert len(values) == len(pane.outputs), name
        assert repr(pane.version()) == repr(pane.version()), name
        texts[name] = unescape(" ".join(str(v.value) if hasattr(v, "value") else str(v) for v in values))
    return texts


def test_an_empty_workspace_says_what_to_press(tmp_path, tiny_bundle):
    screen = Screen(Studio(tmp_path / "empty", tiny_recipe(tiny_bundle)))
    try:
        texts = drawn(screen)
    finally:
        screen.close()
    assert 'Press "Generate"' in texts["PoolTab"] and "Pool: missing" in texts["PoolTab"]
    assert 'Press "Refine"' in texts["RefineTab"] and 'Press "Evaluate"' in texts["EvaluateTab"]
    assert 'Press "Export"' in texts["ExportTab"]


def test_a_finished_workspace_shows_pairs_curves_table_and_zip(screen):
    studio = screen.studio
    for stage in (studio.refine, studio.evaluate, studio.export):
        finish(stage())
    texts = drawn(screen)
    assert texts["RefineTab"].count("psr-pair") >= 2 and "moved" in texts["RefineTab"]
    for arm in ("refined", "selected", "random real", "generate-and-use", "hard"):
        assert arm in texts["EvaluateTab"], "an accuracy never stands alone"
    assert "#tab=curate&class=1" in texts["by class"] and "taken for" in texts["by class"]
    assert "±" in texts["EvaluateTab"] and "set.zip" in texts["ExportTab"]
    assert "'fresh'" in texts["TopBar"] and "'missing'" not in texts["TopBar"]


def below(node: dict) -> set[int]:
    """The components in a part of the page."""
    return {node["id"]}.union(*(below(child) for child in node.get("children", ())))


def test_a_tab_is_filled_when_it_is_opened_and_no_other_with_it(screen):
    """Whatever an event has filled once costs at every later event, so the first picture would wait for all tabs."""
    page = build_page(screen)
    config = page.get_config_file()
    kinds = {part["id"]: part["type"] for part in config["components"]}
    tabs = next(node for node in config["layout"]["children"] if kinds[node["id"]] == "tabs")["children"]
    inside = {tab["id"]: below(tab) for tab in tabs}
    drawn: dict[int, set[int]] = {}
    for event in config["dependencies"]:
        names = {name for _, name in event["targets"]}
        assert "load" not in names, "nothing is filled with the page"
        filled = set().union(*inside.values()).intersection(event["outputs"])
        if names == {"select"} and filled:
            drawn[event["targets"][0][0]] = filled
        elif names == {"tick"}:
            assert filled in drawn.values(), "a timer fills what the opening of its tab has filled"
    assert drawn.keys() == inside.keys()
    assert all(filled <= inside[tab] for tab, filled in drawn.items())


def test_what_stopped_the_pool_is_shown_though_scoring_fell_with_it(tmp_path, tiny_bundle):
    """The step that waited is newer, but says nothing."""
    screen = Screen(Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)))
    try:
        (screen.studio.workspace.root / "pool").write_text("a file where a folder should be")
        first = screen.submit("pool", {})
        second = screen.submit("score", {}, after=first)
        while screen.worker.active():
            time.sleep(0.05)
        states = [screen.worker.latest(stage).state for stage in ("pool", "score")]
        assert states == ["failed", "cancelled"] and second > first
        shown = PoolTab(screen).jobs.job()
        assert shown.stage == "pool" and shown.problem
    finally:
        screen.close()


def test_versions_change_with_what_is_shown(screen):
    with gr.Blocks():
        tab = RefineTab(screen)
        tab.build()
    before = tab.version()
    finish(screen.studio.refine())
    screen.forget_status()
    assert tab.version() != before


def test_while_a_job_waits_or_runs_only_it_says_what_is_left(screen):
    with gr.Blocks():
        tabs = PoolTab(screen), RefineTab(screen)
        for tab in tabs:
            tab.build()
    said = [tabs[0].values()[1], tabs[1].values()[0]]
    assert "All 18 candidates" in said[0] and "To do: 6 pictures" in said[1]
    before = [tab.version() for tab in tabs]
    with screen.worker.lock:  # the jobs wait as long as it is held
        screen.submit("pool", {"pool.seed": 5})
        screen.submit("refine", {"refine.n_steps": 5})
        said = [tabs[0].values()[1], tabs[1].values()[0]]
        assert "candidates" not in said[0] and "To do" not in said[1]
        assert "Press" not in (text := unescape(tabs[1].values()[1])) and "They are being made" in text
        assert all(tab.version() != known for tab, known in zip(tabs, before, strict=True))


def test_evaluate_counts_the_students_before_any_selection_is_saved(screen):
    """The first press may start hours of work, so that it must be said before."""
    with gr.Blocks():
        tab = EvaluateTab(screen)
        tab.build()
    (count,) = re.findall(r"To do: (\d+) students", tab.values()[0])
    screen.studio.set({"select.name": "new"})
    screen.forget_status()
    state = tab.values()[0]
    assert "There is no selection" in unescape(state) and f"To do: {count} students" in state
    n = screen.studio.recipe.evaluate.n_seeds
    screen.studio.set({"evaluate.full": True, "evaluate.compare": ["current"]})
    assert f"To do: {int(count) + 2 * n} students" in tab.values()[0]
    screen.studio.set({"select.name": "current", "evaluate.compare": ["gone"]})
    assert "To do" not in tab.values()[0], "of what is refused nothing is counted"


def test_evaluate_speaks_of_the_forms_that_it_shows(screen):
    """The recipe names "refined" by default; where nothing is refined it is neither proposed nor missed."""
    with gr.Blocks():
        tab = EvaluateTab(screen)
        tab.build()
    assert tab.settings.shown()["evaluate.arms"] == ["selected"]
    state = unescape(tab.values()[0])
    assert "No student is trained." in state and "not refined" not in state and "To do: " in state
    assert 'Press "Evaluate"' in unescape(tab.values()[1])
    with screen.worker.lock:
        screen.submit("evaluate", {"evaluate.arms": ["selected"]})
        text = unescape(tab.values()[1])
    assert "Press" not in text and "being trained" in text


def test_sets_from_elsewhere_are_named_by_their_paths_and_looked_at_before_a_job_begins(
    screen, tmp_path, monkeypatch
):
    for name in ("00_boot", "01_T-shirt-top", "02_dress"):
        for folder in ("set", "other"):
            (tmp_path / folder / name).mkdir(parents=True)
            Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / folder / name / "0.png")
    monkeypatch.chdir(tmp_path)
    with gr.Blocks():
        tab = EvaluateTab(screen)
        tab.build()
    shown = {
        **tab.settings.shown(),
        "evaluate.n_seeds": 1,
        "evaluate.controls": False,
        "evaluate.test_set": "random",
    }

    def press(path: str, tested: str = "other/") -> None:
        values = {**shown, "evaluate.sets": [path], "evaluate.test_images": tested}
        tab.on_evaluate(tab.picker.proposed(), *values.values(), "")

    with pytest.raises(StudioError) as caught:
        press("nowhere")
    assert str(tmp_path / "nowhere") in caught.value.problem and caught.value.fix
    assert screen.worker.newest() is None and screen.studio.recipe.evaluate.sets == ()
    with pytest.raises(StudioError) as caught:
        press("set", "set/")
    assert caught.value.problem.startswith(f'The test images in "{tmp_path / "set"}" are those of the set ')
    fix = 'Name others in "Test images", or leave it empty: the bundle has its own.'
    assert unescape(str(as_error(caught.value).message)).endswith(fix)
    press(" set ")
    job = screen.worker.wait(screen.worker.newest().id, 60)
    assert job.state == "done", job.problem
    asked = screen.studio.recipe.evaluate
    assert (asked.sets, asked.test_images) == ((str(tmp_path / "set"),), str(tmp_path / "other"))
    assert [row.arm for row in screen.studio.table()] == ["selected", "set"]


def test_the_forms_of_a_job_stay_as_they_were_asked_for_while_it_waits(screen):
    """Refining may end meanwhile: what is shown is what the students are trained on."""
    with gr.Blocks():
        tab = EvaluateTab(screen)
        tab.build()
    with screen.worker.lock:  # it waits as long as it is held
        job = screen.submit("evaluate", {"evaluate.arms": ["selected"]})
        finish(screen.studio.refine())
        screen.forget_status()
        assert tab.settings.shown()["evaluate.arms"] == ["selected"]
        screen.worker.stop_now(job)
    assert tab.settings.shown()["evaluate.arms"] == ["refined", "selected"]


def test_a_stopped_job_that_finished_nothing_promises_nothing(screen):
    panel = EvaluateTab(screen).jobs
    with screen.worker.lock:  # it waits as long as it is held
        screen.worker.stop_now(screen.submit("evaluate", {}))
    said = unescape(panel.values()[0].value)
    assert 'Nothing was finished: press "Evaluate" to begin again.' in said and "stays" not in said


def test_a_moved_slider_is_said_to_be_unsaved(screen):
    assert saved_status(screen).state == "fresh"
    screen.workbench.select(SelectChange.model_validate({"gamma": 0.0, "beta": 9.0, "ipc": 4}))
    found = saved_status(screen)
    assert found.state == "stale" and found.reason == '"current" differs from the screen.'
    screen.studio.curation.save("mine")
    screen.forget_status()
    assert saved_status(screen).state == "fresh"


def test_what_was_saved_under_another_name_counts_as_saved(screen):
    screen.studio.curation.save("mine")
    screen.workbench.select(SelectChange.model_validate({"gamma": 0.0, "beta": 9.0, "ipc": 4}))
    screen.studio.curation.save("other")
    screen.forget_status()
    screen.workbench.restore("mine")
    found = saved_status(screen)
    assert found.state == "fresh" and found.reason == '"mine", 6 images; the steps have "other".'


def test_a_lasso_is_proposed_until_a_step_works_on_something_else(screen):
    picker = SelectionPicker(screen)
    before = picker.version()
    screen.workbench.save_positions([1, 7, 9], "lassoed")
    assert picker.proposed().startswith("lassoed\0") and picker.version() != before
    screen.studio.set(picker.use("current"))
    assert picker.proposed().startswith("current\0")


def test_order_and_temperature_belong_to_what_is_refined(screen):
    screen.workbench.select(SelectChange.model_validate({"ipc": 6}))
    screen.workbench.save("current")
    finish(screen.studio.refine())
    screen.forget_status()
    picker = SelectionPicker(screen)
    assert picker.is_refined(LIVE)
    whole = set(screen.workbench.candidate_ids())
    for other, back in (
        ({"selector": "herding"}, {"selector": "psr"}),
        ({"temperature": 4.0}, {"temperature": 1.5}),
    ):
        screen.workbench.select(SelectChange.model_validate(other))
        assert set(screen.workbench.candidate_ids()) == whole
        assert not picker.is_refined(LIVE)
        assert saved_status(screen).reason == '"current" differs from the screen.'
        screen.workbench.select(SelectChange.model_validate(back))
        assert picker.is_refined(LIVE)


def proposed(pane) -> str:
    """The words of a dropdown on the choice that it proposes."""
    (dropdown,) = pane.values()
    return next(words for words, value in dropdown.choices if value == dropdown.value)


def test_every_tab_proposes_the_same_selection_and_says_what_it_is(screen):
    with gr.Blocks():
        tabs = [tab(screen) for tab in (RefineTab, EvaluateTab, ExportTab)]
        for tab in tabs:
            tab.build()
    assert {proposed(tab.picker) for tab in tabs} == {"current: 6 images, not refined"}
    screen.workbench.select(SelectChange.model_validate({"ipc": 1}))
    assert 'shows another selection than "current"' in tabs[0].picker.values()[0].info
    screen.workbench.save("small")
    assert {proposed(tab.picker) for tab in tabs} == {"small: 3 images, not refined"}
    finish(screen.studio.refine())
    screen.forget_status()
    assert {proposed(tab.picker) for tab in tabs} == {"small: 3 images, refined"}


def test_refined_pictures_are_proposed_where_there_are_some_and_refused_where_not(screen):
    with gr.Blocks():
        evaluate, export = EvaluateTab(screen), ExportTab(screen)
        for tab in (evaluate, export):
            tab.build()

    def defaults() -> tuple[list[str], bool]:
        return (
            evaluate.settings.shown()["evaluate.arms"],
            export.settings.shown()["export.refined"],
        )

    assert defaults() == (["selected"], False)
    given = {
        **export.settings.shown(),
        "export.refined": True,
    }
    assert 'Untick "Refined pictures"' in unescape(export.on_dry_run("current", *given.values(), ""))
    with pytest.raises(SelectionError) as caught:
        export.on_export("current", *given.values(), "")
    assert caught.value.fix == 'Untick "Refined pictures", or press "Refine" on its tab first.'
    assert screen.worker.newest() is None, "no job begins, so it is said once"
    finish(screen.studio.refine())
    screen.forget_status()
    assert defaults() == (["refined", "selected"], True)


def test_a_pool_is_replaced_only_when_that_is_said(screen, tmp_path):
    """What goes is counted; the old pool can be kept; fractions of a candidate are refused, not rounded."""
    with gr.Blocks():
        tab = PoolTab(screen)
        tab.build()
    scoring, settings = list(tab.scoring.shown().values()), tab.settings.shown()

    def press(**changes) -> list:
        values = {**settings, **{f"pool.{key}": value for key, value in changes.items()}}
        return tab.on_generate(*scoring, False, *values.values())

    *_, card, words, name = press(steps=settings["pool.steps"] + 1)
    n, root = len(screen.studio.pool), screen.studio.workspace.root
    assert card.visible and screen.worker.newest() is None
    assert f"{n} of {n} candidates with their scores, the pictures of 1 saved selection go." in unescape(
        words
    )
    assert name.value == f"{root.name}-1"
    with pytest.raises(RecipeError) as caught:
        press(pool_size=7.5)
    assert caught.value.problem == '"pool.pool_size" is 7.5, but it must be a whole number.'
    assert screen.worker.newest() is None
    *_, card, _, _ = press(pool_size=7)
    assert not card.visible and screen.worker.newest().stage == "pool", "more candidates replace none"


def test_the_old_pool_that_is_kept_is_in_the_list_of_workspaces(screen, monkeypatch):
    told, root = [], screen.studio.workspace.root
    monkeypatch.setenv("PSR_STUDIO_HOME", str(root.parent / "home"))
    monkeypatch.setattr(gr, "Info", lambda words, **_: told.append(unescape(words)))
    with gr.Blocks() as page:
        tab = PoolTab(screen)
        tab.build()
        tab.connect()
    keep = next(event.fn for event in page.fns.values() if getattr(event.fn, "__name__", "") == "keep")
    keep("old", *tab.scoring.shown().values(), False, *tab.settings.shown().values())
    kept = root.parent / "old"
    assert recent()[0].path == kept and f'"{kept}"' in told[0] and "`" not in told[0]


def test_the_way_of_sampling_is_that_of_the_recipe_and_of_the_fields(screen):
    """Also where the recipe was changed elsewhere since the page was built."""
    with gr.Blocks() as page:
        tab = PoolTab(screen)
        tab.build()
        tab.connect()
    (pane,) = (pane for pane in tab.panes() if pane.outputs == [tab.way])
    for name, values in WAYS.items():
        screen.studio.set(values)
        assert pane.values() == [name] == [pane.version()]
    screen.studio.set({"pool.steps": 7})
    assert pane.values() == [None]
    (follows,) = (event for event in page.fns.values() if event.outputs == [tab.way])
    assert follows.fn(*WAYS["draft"].values()) == "draft" and follows.fn("ddim", 7, 0.0, 1.0) is None


def test_only_what_counts_for_crops_shows_where_they_fill_the_pool(screen):
    with gr.Blocks():
        tab = PoolTab(screen)
        tab.build()
    button, *groups = tab.on_source("crops")
    assert button.interactive and not any(group.visible for group in groups)
    assert all(group.visible for group in tab.on_source("generator")[1:])

    def is_in_one(control) -> bool:
        return control is not None and (control in tab.of_generator or is_in_one(control.parent))

    hidden = {key for key, control in tab.settings.controls.items() if is_in_one(control)}
    counts = {
        "pool.pool_size",
        "pool.source",
        "pool.seed",
        "pool.part_size",
        "pool.classes",
        *keys("pool.crops"),
    }
    assert set(tab.settings.controls) - hidden == counts and is_in_one(tab.way)


def test_an_empty_field_of_a_guidance_shows_what_holds(screen):
    screen.studio.set({"pool.steps": 50})
    with gr.Blocks() as page:
        tab = PoolTab(screen)
        tab.build()
        tab.connect()
    fields = {key: control.placeholder for key, control in tab.settings.controls.items() if is_left_out(key)}
    shown = {"pool.mgd3.stop": "25", "pool.dag.stop": "25", "pool.igd.stop": "29", "pool.igd.start": "45"}
    assert fields == shown
    (event,) = (e for e in page.fns.values() if e.outputs == [tab.settings.controls[key] for key in shown])
    assert [number.placeholder for number in event.fn(10)] == ["5", "5", "5", "9"]
    assert all("placeholder" not in number for number in event.fn(None)), "while no number is typed"


def is_left_out(key: str) -> bool:
    return key.startswith("pool.") and key.endswith((".stop", ".start"))


def test_a_step_never_works_on_what_another_page_saved_under_the_name_since(screen):
    picker = SelectionPicker(screen)
    first, shown = picker.proposed(), screen.workbench.fingerprint()
    screen.workbench.select(SelectChange.model_validate({"ipc": 1}))
    screen.workbench.save("current")
    before = screen.studio.recipe
    with pytest.raises(OvertakenError) as caught:
        picker.use(first)
    assert caught.value.problem == '"current" was saved anew on another page and has 3 images now.'
    with pytest.raises(OvertakenError):
        picker.use(LIVE, shown)
    assert screen.studio.recipe == before and len(screen.studio.selection()) == 3
    assert picker.use(picker.proposed())["select.ipc"] == 1
    assert picker.use(LIVE, screen.workbench.fingerprint()) == {"select.name": "current"}


def test_choosing_a_saved_selection_makes_its_settings_the_recipe_s(screen):
    screen.workbench.select(SelectChange.model_validate({"ipc": 4, "gamma": 9.0}))
    screen.studio.curation.save("wide")
    screen.workbench.select(SelectChange.model_validate({"ipc": 1}))
    picker = SelectionPicker(screen)
    screen.studio.set(picker.use(LIVE))
    assert screen.studio.recipe.select.ipc == 1 and screen.studio.recipe.select.name == "current"
    screen.studio.set(picker.use("wide"))
    assert screen.studio.recipe.select.ipc == 4 and screen.studio.recipe.value("select.psr.gamma") == 9.0
    record = screen.studio.workspace.ledger.selection("wide")
    assert settings_of(record, screen.studio.recipe)["select.name"] == "wide"
    assert screen.studio.status()["select"].state == "fresh"


def test_a_job_that_names_a_bundle_that_is_not_there_changes_nothing(screen):
    before = screen.studio.recipe
    with pytest.raises(ModelError, match='There is no bundle "nope"'):
        screen.submit("select", {"bundle": "nope"})
    assert screen.studio.recipe == before == screen.studio.workspace.recipe
    assert screen.worker.wait(screen.submit("select", {}), 60).state == "done"


def test_a_bundle_that_goes_away_costs_the_jobs_that_need_it(tmp_path, tiny_bundle):
    """The folder is renamed while the page is open: jobs fail with its name, and once it is back they run."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    screen = Screen(Studio(tmp_path / "ws", tiny_recipe(bundle)))
    try:
        gone = bundle.rename(tmp_path / "gone")
        screen.studio._bundle = None  # as in a process that had opened another one
        jobs = [screen.worker.submit("pool"), screen.worker.submit("score")]
        for job in jobs:
            state = screen.worker.wait(job, 60)
            assert state.state == "failed" and str(bundle) in state.problem
        gone.rename(bundle)
        assert screen.worker.wait(screen.submit("pool", {}), 60).state == "done"
    finally:
        screen.close()


def test_numbers_by_rule_are_those_of_the_budget_that_is_worked_on(screen):
    """The pool that "Generate" makes follows the slider; the epochs follow the selection that is chosen."""
    studio = screen.studio
    studio.set({"pool.pool_size": "3K", "evaluate.epochs": "minimax"})
    studio.curation.set(ipc=1)
    studio.curation.save("one")
    screen.workbench.select(SelectChange.model_validate({"ipc": 4}))
    studio.set({"pool.pool_size": "3K"})
    with gr.Blocks():
        pool, evaluate = PoolTab(screen), EvaluateTab(screen)
        pool.build()
        evaluate.build()
    shown = pool.settings.shown()
    assert shown["pool.pool_size"] == 12
    assert studio.recipe.with_values(pool.as_shown(list(shown.values()))).pool.pool_size == 12
    proposed = evaluate.picker.proposed()
    assert proposed.startswith("one") and evaluate.settings.shown()["evaluate.epochs"] == 3000
    given = [3000, *(studio.recipe.value(key) for key in PROTOCOL_NUMBERS[1:])]
    assert evaluate.on_selection("current", "psr-kd", *given) == [2000, *given[1:]]
    assert evaluate.on_selection(LIVE, "psr-kd", *given) == [2000, *given[1:]]
    read = evaluate.settings.read(
        [2000 if key == "evaluate.epochs" else v for key, v in evaluate.settings.shown().items()],
        evaluate.picker.budget(LIVE),
    )
    assert studio.recipe.with_values({**read, "select.ipc": 20, "pool.pool_size": 60}).evaluate.epochs == 1500
    studio.set({"evaluate.epochs": 7})
    typed = [9, *given[1:]]
    assert evaluate.on_selection("current", "psr-kd", *typed) == typed, "what is no rule stays as it is typed"


def test_a_protocol_brings_its_numbers_and_its_line(screen):
    """By the images per class of the chosen selection; a rule is kept as one, and what was set otherwise stays, but for
    the points of the curve, which a preset may have set for its own protocol.
    """
    studio = screen.studio
    studio.set({"evaluate.lr": 0.02, "evaluate.epochs": 300, "evaluate.n_checks": 5})
    with gr.Blocks():
        evaluate = EvaluateTab(screen)
        evaluate.build()
    line, *numbers = evaluate.on_protocol("current", "rded")
    assert "The teacher labels every mixed batch anew" in line
    now = dict(zip(PROTOCOL_NUMBERS, numbers, strict=True))
    assert (now["evaluate.batch_size"], now["evaluate.n_checks"], now["evaluate.lr"]) == (50, 6, 0.02)
    shown = {**evaluate.settings.shown(), "evaluate.protocol": "rded", **now}
    read = evaluate.settings.read(list(shown.values()), evaluate.picker.budget("current"))
    recipe = studio.recipe.with_values({**read, "select.ipc": 1})
    assert recipe.evaluate.batch_size == 10, "it follows the images per class"
    assert evaluate.values()[-1] != line and "stored with each image" in evaluate.values()[-1]


def test_students_are_offered_from_their_one_table(screen, tmp_path, tiny_bundle):
    """ConvNet-6, which the papers evaluate with at 256 pixels, too; none that such small pictures cannot fill."""

    def offered(screen: Screen) -> list[str]:
        with gr.Blocks():
            tab = EvaluateTab(screen)
            tab.build()
        return [name for name, _ in tab.settings.controls["evaluate.student"].choices]

    assert offered(screen) == ["convnet-3", "resnetap-10", "resnet-18"]
    large = Screen(Studio(tmp_path / "large", "imagewoof-dit"))
    try:
        assert offered(large) == [f"convnet-{d}" for d in (3, 4, 5, 6)] + ["resnetap-10", "resnet-18"]
    finally:
        large.close()


def test_a_selection_of_another_pool_is_marked_as_such(screen):
    studio = screen.studio
    picker = SelectionPicker(screen)
    assert [words for words, _ in picker.choices()][1] == "current: 6 images, not refined"
    finish(studio.generate(seed=7))
    finish(studio.score())
    screen.forget_status()
    assert [words for words, _ in picker.choices()][1] == "current: 6 images, of another pool"


def test_an_export_that_begins_takes_away_what_was_said_of_the_one_before(screen):
    tab = ExportTab(screen)
    with gr.Blocks():
        tab.build()
    values = {**tab.settings.shown(), "export.refined": False}
    assert tab.on_export(tab.picker.proposed(), *values.values(), "") == ""
    screen.worker.wait(screen.worker.newest().id, 30)


def test_a_seed_is_shown_only_where_it_made_the_picture(screen, tmp_path):
    studio = screen.studio
    shown = screen.workbench.candidate(0)
    assert shown["seed"] == str(studio.pool.seeds[0])
    folder = tmp_path / "pictures"
    for class_id in range(len(studio.bundle.class_names)):
        made = folder / str(class_id)
        made.mkdir(parents=True)
        for k in range(3):
            (made / f"{k}.png").write_bytes(studio.pool.png(6 * class_id + k))
    finish(studio.import_pool(folder, replace=True))
    finish(studio.score())
    assert screen.workbench.candidate(0)["seed"] == ""


def test_a_press_leaves_its_card_to_what_draws_it_so_that_no_late_answer_shows_what_was_before(screen):
    """The answer of a press may come after the timer's, with the job as it was before: waiting for ever."""
    drawn_by = [
        event.fn
        for event in build_page(screen).fns.values()
        if any((output.elem_id or "").startswith("psr-job-") for output in event.outputs)
    ]
    assert len(drawn_by) > 10 and all(isinstance(draw, partial) for draw in drawn_by)
