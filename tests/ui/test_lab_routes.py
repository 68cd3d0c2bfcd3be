"""The routes of the curation lab over a real server application on the tiny bundle: 3 classes of 6 candidates."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from serving import answer, client_of, refusal, select, told

from psr_studio.cli.main import main as command_line
from psr_studio.core.errors import JobError

LAB = "/psr/curate"


def post(client, path, **body):
    return client.post(f"{LAB}/{path}", json=body)


def state(client):
    return told(client.get(f"{LAB}/state"))


def picks_of(arrays, class_id):
    return arrays["picks"][arrays["pick_class"] == class_id].tolist()


# State and settings


def test_the_state_describes_every_selector_and_how_the_screen_stands(client, screen):
    found = state(client)
    names = [s["name"] for s in found["selectors"]]
    assert names[:2] == ["psr", "dgs"] and {"k-center", "herding", "cao2"} <= set(names)
    target = next(p for p in found["selectors"][1]["parameters"] if p["name"] == "target")
    assert target["kind"] == "choice" and "drawn" in target["choices"] and target["help"]
    assert found["settings"]["selector"] == "psr" and len(found["settings"]["drawn"]) == 10
    assert found["budgets"] == [2, 2, 2] and found["own_budgets"] == {} and found["locked"] == []
    assert found["has_original"] is True and found["project"] == screen.studio.workspace.root.name
    assert [s["name"] for s in found["selections"]] == ["current"]


def test_every_selector_answers_with_full_classes(client):
    for selector in state(client)["selectors"]:
        header, arrays = select(client, selector=selector["name"])
        assert header["settings"]["selector"] == selector["name"]
        assert header["counts"] == [3, 3, 3], selector["name"]
        assert len(np.unique(arrays["picks"])) == 9


def test_settings_of_every_kind_are_kept_and_undone_one_by_one(client):
    before = state(client)["settings"]
    drawn = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    for body in ({"selector": "dgs"}, {"target": "drawn"}, {"drawn": drawn}, {"within_bin": "psr"}):
        header, _ = answer(post(client, "select", **body))
    assert header["settings"]["drawn"] == drawn and header["settings"]["target"] == "drawn"
    for _ in range(4):
        header, _ = answer(client.post(f"{LAB}/undo"))
    assert header["settings"] == before and header["undo"] is None


def test_a_value_outside_its_range_is_refused_and_changes_nothing(client):
    before = state(client)
    refused = {
        "Selector": {"selector": "dgz"},
        "Keep to the original": {"lam": 2.0},
        "Drawn": {"drawn": [1, 2]},
        "Allocation": {"allocation": "odd"},
        "At least": {"floor": 0},
    }
    for label, body in refused.items():
        problem, fix = refusal(post(client, "select", **body))
        assert f'"{label}"' in problem and fix
    assert state(client) == before


def test_the_hash_names_what_is_on_screen(client):
    first = state(client)["shown"]
    header, _ = select(client)
    assert header["shown"] == state(client)["shown"] != first
    client.post(f"{LAB}/undo")
    assert state(client)["shown"] == first


def test_a_page_that_shows_another_selection_changes_and_saves_nothing(client):
    """Two pages, one selection: what the first knew of it, the second has changed."""
    first = state(client)["shown"]
    header, _ = select(client, ipc=2)
    before = state(client)
    asked = {
        "select": {"ipc": 3},
        "mark": {"positions": [0], "mark": "pin"},
        "swap": {"out": 0, "into": 1},
        "undo": {},
        "redo": {},
        "selections": {"name": "mine"},
        "selections/mine/restore": {},
        "export_positions": {"name": "mine", "positions": [0, 1]},
    }
    for path, body in asked.items():
        answer = client.post(f"{LAB}/{path}", json=body, headers={"X-PSR-Shown": first})
        assert answer.status_code == 409, path
        assert answer.json()["problem"].startswith("Another page has changed the selection (alpha 3 to"), path
    assert state(client) == before
    assert client.post(f"{LAB}/undo", headers={"X-PSR-Shown": header["shown"]}).status_code == 200


def test_means_compare_a_selection_with_the_one_before(client, screen):
    first, _ = select(client)
    second, arrays = select(client, alpha=0.0, beta=10.0, gamma=0.0, ipc=2)
    assert set(second["means"]) == {"reliability", "entropy", "difficulty", "diversity"}
    for name, (before, after) in second["means"].items():
        assert before == first["means"][name][1]
        if name != "diversity":
            scored = screen.studio.curation.scored
            values = scored.difficulty if name == "difficulty" else getattr(scored.signals(1.5), name)
            wanted = values[arrays["picks"]].mean()
            assert after == pytest.approx(wanted, abs=1e-6)


def test_what_dgs_lacks_beside_its_substitutes_is_an_empty_slot(client):
    bars = [0.0] * 9 + [1.0]
    answer(post(client, "mark", positions=[0], mark="veto"))
    header, _ = select(client, selector="dgs", target="drawn", drawn=bars, ipc=6)
    moved = [sum(r["count"] for r in header["substituted"] if r["class_id"] == c) for c in range(3)]
    empty = [short - n for short, n in zip(header["shortfall"], moved, strict=True)]
    assert empty == [6 - n for n in header["counts"]] == [1, 0, 0] and sum(moved) > 0
    assert "1 left empty" in header["message"] and header["selector"] == "dgs"


# Budgets and locks


def test_a_budget_by_hand_moves_only_its_class(client):
    _, before = select(client)
    header, after = answer(post(client, "select", own_budgets={"1": 5}))
    assert header["budgets"] == [3, 5, 3] == header["counts"] and header["own_budgets"] == {"1": 5}
    for class_id in (0, 2):
        assert picks_of(after, class_id) == picks_of(before, class_id)
    header, _ = answer(post(client, "select", own_budgets={"1": 0}))
    assert header["own_budgets"] == {"1": 0} and header["counts"] == [3, 0, 3] and header["spread"]
    answer(client.post(f"{LAB}/undo"))
    header, _ = answer(post(client, "select", own_budgets={"1": None}))
    assert header["budgets"] == [3, 3, 3] and header["own_budgets"] == {}
    header, _ = answer(client.post(f"{LAB}/undo"))
    assert header["own_budgets"] == {"1": 5}


def test_allocation_by_gain_keeps_the_total(client):
    header, arrays = select(client, allocation="gain", floor=1, ceiling=5)
    assert sum(header["budgets"]) == 9 == header["picked"]
    assert min(header["budgets"]) >= 1 and max(header["budgets"]) <= 5
    header, _ = answer(post(client, "select", ceiling=None))
    assert header["settings"]["ceiling"] is None


def test_a_locked_class_keeps_its_picks_whatever_the_sliders_do(client):
    _, before = select(client)
    header, _ = answer(post(client, "select", locked=[2]))
    assert header["locked"] == [2] and header["undo"]
    header, after = select(client, alpha=0.0, beta=0.0, gamma=8.0, ipc=2)
    assert picks_of(after, 2) == picks_of(before, 2) and header["counts"] == [2, 2, 3]
    header, after = answer(post(client, "select", locked=[]))
    assert header["locked"] == [] and header["counts"] == [2, 2, 2]


def test_classes_that_are_not_there_are_refused(client):
    for response in (
        post(client, "select", own_budgets={"9": 2}),
        post(client, "select", locked=[9]),
        client.get(f"{LAB}/distributions?class_id=9"),
        post(client, "generate_more", classes=[9], pool_size=8),
    ):
        problem, fix = refusal(response)
        assert problem.startswith("There is no class 9") and fix


# Marks


def test_a_swap_is_one_action(client):
    _, before = select(client)
    out = picks_of(before, 0)[-1]
    into = next(p for p in range(6) if p not in picks_of(before, 0))
    header, after = answer(post(client, "swap", out=out, into=into))
    assert into in after["picks"] and out not in after["picks"]
    assert header["pinned"] == [into] and header["vetoed"] == [out]
    header, back = answer(client.post(f"{LAB}/undo"))
    assert header["pinned"] == header["vetoed"] == []
    np.testing.assert_array_equal(back["picks"], before["picks"])


def test_a_swap_between_classes_is_refused(client):
    problem, fix = refusal(post(client, "swap", out=0, into=17))
    assert "a swap takes two candidates of one class" in problem and fix
    assert state(client)["pinned"] == []


def test_the_history_lists_what_was_done_and_undone(client):
    answer(post(client, "mark", positions=[4], mark="veto", reason="blurred"))
    select(client)
    client.post(f"{LAB}/undo")
    listed = told(client.get(f"{LAB}/history?limit=5"))
    assert listed == told(client.get(f"{LAB}/history?limit=1{30 * '0'}"))
    assert [row["undone"] for row in listed] == [True, False]
    assert listed[1]["description"] == "veto candidate 4" and listed[1]["created"] > 0


# Named selections


def test_a_selection_is_saved_with_a_note_restored_with_its_marks_and_deleted(client):
    answer(post(client, "mark", positions=[4], mark="pin"))
    _, first = select(client)
    saved = told(post(client, "selections", name="pinned", note="with a pin"))
    assert saved["images"] == 9 and saved["current"] and saved["note"] == "with a pin"
    answer(post(client, "mark", positions=[4], mark="veto"))
    _, second = select(client, gamma=0.0, ipc=2)
    header, back = answer(client.post(f"{LAB}/selections/pinned/restore"))
    np.testing.assert_array_equal(back["picks"], first["picks"])
    assert header["pinned"] == [4] and header["ipc"] == 3 and header["undo"] == 'restore "pinned"'
    _, undone = answer(client.post(f"{LAB}/undo"))
    np.testing.assert_array_equal(undone["picks"], second["picks"])
    assert told(client.patch(f"{LAB}/selections/pinned", json={"note": "better"}))["note"] == "better"
    assert told(client.delete(f"{LAB}/selections/pinned")) == {"name": "pinned"}
    assert [row["name"] for row in told(client.get(f"{LAB}/selections"))] == ["current"]
    problem, _ = refusal(client.delete(f"{LAB}/selections/pinned"))
    assert problem.startswith('There is no selection "pinned".')


def test_saving_again_without_a_note_keeps_the_old_one(client):
    told(post(client, "selections", name="mine", note="why"))
    assert told(post(client, "selections", name="mine"))["note"] == "why"
    assert told(post(client, "selections", name="mine", note=""))["note"] == ""


@pytest.mark.parametrize("name", ["live", "a/b", " "])
def test_names_that_cannot_be_used_are_refused(client, name):
    for path, more in (("selections", {}), ("export_positions", {"positions": [0]})):
        problem, fix = refusal(post(client, path, name=name, **more))
        assert problem and fix
    assert [row["name"] for row in told(client.get(f"{LAB}/selections"))] == ["current"]


def test_marked_out_candidates_become_a_selection_that_can_be_exported(client, screen):
    made = told(post(client, "export_positions", positions=[9, 1, 7], name="lassoed"))
    assert (made["name"], made["images"]) == ("lassoed", 3)
    chosen = screen.studio.workspace.ledger.selection("lassoed")
    assert chosen.candidate_ids == [screen.studio.curation.scored.candidate_ids[p] for p in (1, 9, 7)]
    from psr_studio.ui.panels.picker import settings_of

    screen.studio.set(settings_of(chosen, screen.studio.recipe))
    assert screen.studio.status()["select"].state == "fresh"
    list(screen.studio.export(refined=False, zip=False))
    folder = screen.studio.workspace.export_path("set")
    assert len(list(folder.rglob("*.png"))) == 3


def test_two_selections_beside_each_other(client):
    _, first = select(client)
    told(post(client, "selections", name="first"))
    _, second = select(client, alpha=0.0, beta=10.0, gamma=0.0, ipc=2)
    header, arrays = answer(client.get(f"{LAB}/compare?a=first&b=live"))
    a, b = set(first["picks"].tolist()), set(second["picks"].tolist())
    assert set(np.flatnonzero(arrays["in_a"]).tolist()) == a
    assert set(np.flatnonzero(arrays["in_b"]).tolist()) == b
    assert header["overlap"] == len(a & b) and header["jaccard"] == pytest.approx(len(a & b) / len(a | b))
    rows = header["per_class"]
    assert sum(row["only_a"] + row["both"] for row in rows) == header["a"]["n"] == 9
    assert header["a"]["name"] == "first" and set(header["b"]["means"]) == {
        "reliability", "entropy", "difficulty", "diversity",
    }  # fmt: skip
    assert header["a"]["accuracy"] == []
    problem, _ = refusal(client.get(f"{LAB}/compare?a=first&b=nobody"))
    assert problem.startswith('There is no selection "nobody".')


# Panels


def test_distributions_count_every_candidate_and_every_pick(client):
    select(client, selector="dgs", target="ground")
    whole = told(client.get(f"{LAB}/distributions"))
    assert sum(whole["raw"]["pool"]) == 18 == sum(whole["smoothed"]["pool"]) == whole["n"]["pool"]
    assert sum(whole["raw"]["picked"]) == 9 == sum(whole["target"]) and len(whole["edges"]) == 11
    parts = [told(client.get(f"{LAB}/distributions?class_id={c}")) for c in range(3)]
    for kind in ("original", "pool", "picked"):
        assert np.sum([p["raw"][kind] for p in parts], axis=0).tolist() == whole["raw"][kind]
    assert all(1 <= p["vendi"] <= 3 for p in parts), "three picks are at most three pictures"
    geometric = np.exp(np.mean(np.log([p["vendi"] for p in parts])))
    assert geometric <= whole["vendi"] <= 9, "entropy is concave"
    select(client, selector="psr")
    assert told(client.get(f"{LAB}/distributions"))["target"] is None, "only DGS aims at one"


def test_sufficiency_speaks_of_every_class(client):
    rows = told(client.get(f"{LAB}/sufficiency"))
    assert [row["class_id"] for row in rows] == [0, 1, 2]
    assert all(row["verdict"] in ("enough", "more would pay", "too small") for row in rows)
    assert all(row["sentence"] and 0 <= row["gain_kept"] <= 1 for row in rows)


def test_duplicates_are_relative_distances_to_the_nearest_other(client, screen):
    header, arrays = answer(client.get(f"{LAB}/duplicates.bin"))
    assert 0 < header["threshold"] < 1 and len(arrays["near"]) == 18 and (arrays["near"] >= 0).all()


def test_the_command_makes_the_selection_on_screen(client, screen, tiny_bundle):
    _, arrays = select(client, selector="dgs", target="hill", ipc=2)
    wanted = screen.studio.curation.scored.candidate_ids[arrays["picks"]].tolist()
    line = shlex.split(told(client.get(f"{LAB}/command"))["command"])
    assert line[:2] == ["psr-studio", "select"]
    screen.close()
    assert command_line([*line[1:], "-q"]) == 0
    from psr_studio.app.studio import Studio

    with Studio(screen.studio.workspace.root) as again:
        assert again.workspace.ledger.selection("from-command").candidate_ids == wanted


def test_more_candidates_for_a_class_are_generated_and_scored(client, screen):
    job = told(post(client, "generate_more", classes=[1], pool_size=9))["job"]
    assert screen.worker.wait(job, 120).state == "done"
    score = screen.worker.active() or [screen.worker.latest("score")]
    assert screen.worker.wait(score[0].id, 120).state == "done"
    assert state(client)["counts"] == [6, 9, 6]
    problem, fix = refusal(post(client, "generate_more", classes=[1], pool_size=9))
    assert problem == "9 candidates per class are asked for, but these classes have 9 or more."
    assert fix == "Ask for more than 9."


def test_the_workbench_stays_while_new_candidates_wait_and_then_says_what_they_changed(client, screen):
    first, arrays = select(client, ipc=5)
    ids = screen.studio.curation.scored.candidate_ids
    shown, before = set(ids[arrays["picks"]]), state(client)["pool"]
    for _ in screen.studio.generate(sizes=[0, 12, 0]):
        pass
    now = state(client)
    assert (now["n"], now["shown"]) == (18, first["shown"])
    assert now["waiting"] == "6 new candidates wait for their scores and are not shown yet."
    assert screen.worker.wait(told(post(client, "score"))["job"], 120).state == "done"
    now = state(client)
    assert (now["n"], now["waiting"]) == (24, "") and now["before"]["pool"] == before
    ids = screen.studio.curation.scored.candidate_ids
    assert set(ids[now["before"]["picks"]]) == shown
    _, arrays = select(client, ipc=5)
    assert set(ids[arrays["picks"]]) - shown == set(ids[arrays["added"]])
    assert shown - set(ids[arrays["picks"]]) == set(ids[arrays["dropped"]])


def test_a_refused_generate_more_leaves_the_recipe_as_it_was(client, screen):
    """The step runs already, held up here by a lock of ours."""
    before = screen.studio.recipe
    for busy in ("pool", "score"):
        with screen.worker.lock:  # no job begins while it is held
            held = screen.worker.submit(busy)
            problem, _ = refusal_of(screen, classes=[1], pool_size=9)
            assert problem == f'The step "{busy}" is already running.'
            assert screen.studio.recipe == before == screen.studio.workspace.recipe
            assert screen.worker.newest().id == held, "nothing was queued that could still change it"
            screen.worker.stop_now(held)
        assert [job.stage for job in screen.worker.active()] == []


def refusal_of(screen, **asked):
    with pytest.raises(JobError) as caught:
        screen.generate_more(**asked)
    return caught.value.problem, caught.value.fix


@pytest.mark.parametrize(
    "path", ["state", "selections", "history", "command", "duplicates.bin", "sufficiency"]
)
def test_the_lab_asks_for_the_token(screen, path):
    with client_of(screen) as client:
        response = client.get(f"{LAB}/{path}", headers={"X-PSR-Token": "wrong"})
    assert response.status_code == 401
