"""Another workspace behind the same address: whole or not at all, and no page of the one before writes into it."""

from __future__ import annotations

import gc
import shutil
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import browser_page, idle
from fastapi.testclient import TestClient
from running import running_app
from serving import HERE, SELECT, refusal, told

from psr_studio.app.recent import note_opened, recent
from psr_studio.app.studio import Studio
from psr_studio.core.errors import JobError
from psr_studio.ui.desk import Desk, Wish
from psr_studio.ui.guard.opening import Gate
from psr_studio.ui.screen import Screen
from psr_studio.ui.server import build_app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def other(tmp_path: Path, scored_workspace: Path) -> Path:
    return Path(shutil.copytree(scored_workspace, tmp_path / "other"))


@pytest.fixture
def desk(home: Path, studio: Studio) -> Iterator[Desk]:
    def open_screen(wish: Wish) -> Screen:
        return Screen(Studio(wish.path, wish.preset, create=wish.makes))

    found = Desk(
        Screen(studio),
        lambda screen, own: build_app(screen, desk=own),
        open_screen,
        lambda screen: note_opened(screen.studio.workspace.root),
    )
    yield found
    found.close()


@pytest.fixture
def page(desk: Desk) -> Iterator[TestClient]:
    with TestClient(desk, base_url=HERE) as client:
        yield client


def token(screen: Screen) -> dict[str, str]:
    return {"X-PSR-Token": screen.token}


def event(opening: str) -> str:
    return f"/at/{opening}/gradio_api/queue/join"


def test_another_workspace_takes_the_place_and_the_old_page_is_refused(page, desk, other):
    first = desk.screen
    assert page.get(f"/at/{first.opening}/config").status_code == 200
    assert f"at/{first.opening}" in page.get("/").text
    assert told(page.post("/psr/workspaces/open", json={"path": str(other)}, headers=token(first))) == {
        "here": str(other)
    }
    second = desk.screen
    assert second.studio.workspace.root == other and second.opening != first.opening
    before = second.studio.curation.rules().ipc, second.studio.workspace.ledger.pinned()
    for response in (
        page.post("/psr/curate/select", json={**SELECT, "ipc": 1}, headers=token(first)),
        page.post("/psr/curate/mark", json={"positions": [0], "mark": "pin"}, headers=token(first)),
        page.get("/psr/workspaces/shown", headers=token(first)),
        page.post(event(first.opening), json={"fn_index": 0, "data": [], "session_hash": "old"}),
    ):
        assert response.status_code == 410
        assert refusal(response)[0] == 'The workspace "other" was opened here since this page was drawn.'
        assert response.headers["Cache-Control"] == "no-store", "or a browser answers the next page with it"
    assert (second.studio.curation.rules().ipc, second.studio.workspace.ledger.pinned()) == before
    told(page.get("/psr/curate/state", headers=token(second)))
    assert told(page.get("/psr/workspaces/shown", headers=token(second)))["here"] == str(other)
    shutil.rmtree(first.studio.workspace.root)  # nothing holds it any more


def test_the_one_before_is_let_go_and_can_be_opened_again(page, desk, other):
    root = desk.screen.studio.workspace.root
    told(page.get("/psr/curate/state", headers=token(desk.screen)))
    old = desk.screen.studio
    drawn = desk.served.app.state.page
    things = (old.curation.scored, old.bundle.teacher("cpu"), old.pool, desk.screen, drawn, drawn.blocks)
    held = [weakref.ref(thing) for thing in things]
    del old, drawn, things
    desk.open(Wish(other))
    end = time.monotonic() + 20
    while any(ref() for ref in held) and time.monotonic() < end:
        told(page.get("/psr/workspaces", headers=token(desk.screen)))  # the thread that answered lets go then
        gc.collect()
    assert [ref() for ref in held] == [None] * 6, (
        "pictures, scores, networks and pages of two workspaces do not pile up"
    )
    listed = told(page.get("/psr/workspaces", headers=token(desk.screen)))
    assert [row["path"] for row in listed["recent"]] == [str(root)] and listed["here"] == str(other)
    desk.open(Wish(root))
    assert desk.screen.studio.workspace.root == root and recent()[0].path == root


@pytest.mark.parametrize(
    ("path", "preset", "words"),
    [
        ("nothing", None, "nothing"),
        ("run", None, "is the one that is open"),
        ("other", "fashion-mnist", "is not empty"),
        ("new", "no-such-preset", 'no preset "no-such-preset"'),
    ],
)
def test_what_cannot_be_opened_leaves_all_as_it_was(page, desk, other, tmp_path, path, preset, words):
    before = desk.screen
    asked = {"path": str(tmp_path / path), "preset": preset}
    problem, fix = refusal(page.post("/psr/workspaces/open", json=asked, headers=token(before)))
    assert words in problem and fix
    assert desk.screen is before and not (tmp_path / "new").exists()
    told(page.get("/psr/curate/state", headers=token(before)))
    job = before.submit("score", {})
    assert before.worker.wait(job, 30).state == "done", "jobs are taken again"


def test_a_new_workspace_is_made_from_a_preset(page, desk, tmp_path):
    asked = {"path": str(tmp_path / "new"), "preset": "fashion-mnist"}
    told(page.post("/psr/workspaces/open", json=asked, headers=token(desk.screen)))
    assert (
        desk.screen.studio.recipe.bundle == "fashion-mnist" and (tmp_path / "new" / "recipe.toml").is_file()
    )


def test_a_name_is_looked_for_where_the_open_workspace_lies(page, desk, other):
    asked = page.post("/psr/workspaces/open", json={"path": "other"}, headers=token(desk.screen))
    assert told(asked) == {"here": str(other)}


def test_it_is_refused_while_a_job_waits_or_runs(page, desk, other):
    screen = desk.screen
    job = screen.submit("pool", {"pool.steps": 1000, "pool.sampler": "ddpm"})
    asked = page.post("/psr/workspaces/open", json={"path": str(other)}, headers=token(screen))
    problem, fix = refusal(asked)
    assert problem == "A job waits or runs in this workspace, which would end with it." and "Stop now" in fix
    assert desk.screen is screen
    screen.worker.stop_now(job)
    screen.worker.wait(job, 30)


def test_no_event_is_answered_while_a_page_is_built_and_none_is_cut_off():
    gate = Gate()
    with gate.entered():
        assert not gate.close(0.01), "one is inside"
        with pytest.raises(JobError), gate.entered():
            pass
    assert gate.close(0.01)
    gate.reopen()
    with gate.entered():
        pass


def test_a_timer_that_ticks_meanwhile_is_told_that_nothing_has_changed(page, desk):
    """A status of 500 would stand in the console of the browser; a press is told."""
    fns = desk.served.app.state.page.blocks.fns.values()
    tick = next(fn for fn in fns if any(event == "tick" for _, event in fn.targets))
    body = {"data": [None], "fn_index": tick._id, "session_hash": "a"}
    desk.screen.gate.close(1.0)
    answer = page.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == [{"__type__": "update"}] * len(tick.outputs)
    desk.screen.gate.reopen()
    assert any(
        value != {"__type__": "update"}
        for value in page.post("/gradio_api/run/predict", json=body).json()["data"]
    )


def test_the_list_outlives_damage_and_holds_what_is_there(home, other, tmp_path):
    note_opened(other)
    note_opened(tmp_path / "gone")
    assert [found.path for found in recent()] == [other]
    (home / "workspaces.json").write_text("[{")
    assert recent() == []
    note_opened(other)
    assert [found.path for found in recent()] == [other]


@pytest.mark.browser
def test_a_page_opens_another_workspace_and_the_other_page_is_told(
    tmp_path: Path, scored_workspace: Path, chromium
):
    first, second = (Path(shutil.copytree(scored_workspace, tmp_path / name)) for name in ("one", "two"))
    with running_app(first) as url, browser_page(chromium) as page, browser_page(chromium) as left:
        for shown in (page, left):
            shown.goto(url)
            idle(shown)
        page.click(".psr-top-project")
        page.get_by_label("Folder of a workspace").fill(str(tmp_path / "nowhere"))
        page.get_by_role("button", name="Open", exact=True).click()
        page.locator(".psr-menu [role=alert]").get_by_text("nowhere").wait_for()
        page.get_by_label("Folder of a workspace").fill(str(second))
        began = time.monotonic()
        page.get_by_role("button", name="Open", exact=True).click()
        page.locator(".psr-top-project", has_text="two").wait_for()
        print(f"switched after {time.monotonic() - began:.1f} s")
        idle(page)
        left.get_by_text('The workspace "two" was opened here').first.wait_for()
        ground = left.locator(".psr-cover").evaluate("node => getComputedStyle(node).backgroundColor")
        assert ground not in ("transparent", "rgba(0, 0, 0, 0)"), "the words stand on a ground of their own"
        left.get_by_role("button", name="Show it").click()
        left.locator(".psr-top-project", has_text="two").wait_for()
        idle(left)
        page.click(".psr-top-project")
        page.locator(".psr-recent").get_by_text("one", exact=True).wait_for()
        assert not page.complaints, page.complaints
