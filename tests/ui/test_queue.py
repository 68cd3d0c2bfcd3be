"""The queue of jobs: in order, each can be cancelled, the one that runs is stopped in time."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from browsing import browser_page, open_tab
from serving import refusal, serving, told

LONG = {"pool.steps": 1000, "pool.sampler": "ddpm"}  # a step that is not over before it is stopped
SECONDS = 5.0  # what "Stop now" promises


def until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_jobs_stand_in_order_and_each_can_be_cancelled(client, screen):
    pool = screen.submit("pool", LONG)
    score = screen.submit("score", {}, after=pool)
    export = screen.submit("export", {})
    until(lambda: screen.worker.snapshot(pool).done >= 0 and screen.worker.snapshot(pool).state == "running")
    jobs = told(client.get("/psr/jobs"))
    assert [(job["id"], job["state"]) for job in jobs] == [
        (pool, "running"), (score, "queued"), (export, "queued"),
    ]  # fmt: skip
    assert jobs[0]["resumes"] and jobs[1]["facts"] == 'waits for "Generate", and falls with it'
    assert jobs[2]["facts"] == "waits, number 3 in the queue"
    left = told(client.post(f"/psr/jobs/{export}/stop", json={"how": "now"}))
    assert [job["id"] for job in left] == [pool, score]
    told(client.post(f"/psr/jobs/{pool}/stop", json={"how": "after part"}))
    assert told(client.get("/psr/jobs"))[0]["stopping"] == "after part"
    asked = time.monotonic()
    told(client.post(f"/psr/jobs/{pool}/stop", json={"how": "now"}))
    until(lambda: not screen.worker.active(), SECONDS)
    assert time.monotonic() - asked < SECONDS
    states = [screen.worker.snapshot(job).state for job in (pool, score, export)]
    assert states == ["cancelled"] * 3 and told(client.get("/psr/jobs")) == []


def test_a_stop_of_another_kind_is_refused(client):
    assert client.post("/psr/jobs/1/stop", json={"how": "at once"}).status_code == 422
    assert client.get("/psr/jobs", headers={"X-PSR-Token": "x"}).status_code == 401
    assert refusal(client.get("/psr/jobs", headers={"X-PSR-Token": "x"}))[0]


@pytest.mark.browser
def test_the_pill_opens_the_queue_and_evaluate_stops_in_time(
    tmp_path: Path, scored_workspace: Path, chromium
):
    """Students of two thousand epochs: five seconds after "Stop now" nothing runs."""
    root = shutil.copytree(scored_workspace, tmp_path / "ws")
    with serving(root) as url, browser_page(chromium) as page:
        page.goto(f"{url}#tab=evaluate")
        page.locator("#psr-tab-evaluate").get_by_label("Epochs").fill("2000")
        page.click("#psr-evaluate")
        page.locator(".psr-pill[data-state='running']").wait_for()
        open_tab(page, "pool")
        page.click("#psr-score")
        page.click(".psr-pill")
        rows = page.locator(".psr-queue li")
        rows.nth(1).wait_for()
        assert rows.nth(0).get_attribute("data-state") == "running"
        rows.nth(1).get_by_role("button", name="Cancel").click()
        page.wait_for_function("document.querySelectorAll('.psr-queue li').length === 1")
        rows.nth(0).get_by_role("button", name="Stop now").click()
        asked = time.monotonic()
        page.get_by_role("button", name="Last: Training students stopped.").wait_for()
        assert time.monotonic() - asked < SECONDS
        assert not page.complaints, page.complaints
