"""With a login, nothing but the login answers before it; and passwords cannot be tried fast."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serving import HERE

from psr_studio.ui.guard.login import FIRST_PAUSE, MOST_WAITING, OPEN, OPEN_FOLDERS
from psr_studio.ui.server import build_app

LOGIN = {"username": "anna", "password": "secret"}


@pytest.fixture
def page(screen: Any) -> Iterator[TestClient]:
    with TestClient(build_app(screen, ("anna", "secret")), base_url=HERE) as client:
        yield client


def calls(page: TestClient) -> Iterator[tuple[str, str]]:
    """Method and path of everything that can be called, Gradio's and ours, with "0" for each parameter."""
    for app in (page.app, page.app.state.page):
        for path, methods in app.openapi()["paths"].items():
            yield from ((method.upper(), re.sub(r"{[^}]*}", "0", path)) for method in methods)


def test_nothing_answers_without_the_login_but_the_login(page):
    """Gradio asks for it on most of its routes only: its schema, cancel, reset and heartbeat answered to everybody."""
    every = {
        *calls(page),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/psr/"),
        ("GET", "/%2Fconfig"),
    }
    assert len(every) > 90
    for method, path in every:
        if path not in OPEN and not path.startswith(OPEN_FOLDERS) and path != "/login/":
            response = page.request(method, path, json={})
            assert response.status_code == 401, (method, path)
            assert method == "HEAD" or response.json()["problem"] == "You are not logged in."


def test_the_page_of_the_login_says_nothing_of_the_studio(page, screen):
    shown = page.get("/").text
    assert '"auth_required":true' in shown
    for word in (screen.token, "api_name=", "/select", "psr-tab"):
        assert word not in shown, word
    assert page.post("/login", data=LOGIN).status_code == 200
    assert "api_name=" in page.get("/").text and screen.token in page.get("/").text


def test_wrong_logins_wait_longer_each_time_and_nothing_else_waits(page):
    """A pause before the second, twice that before the third; meanwhile pages are answered; a right one ends it."""
    wrong = {**LOGIN, "password": "guess"}
    began = time.monotonic()
    took = []
    for _ in range(2):
        assert page.post("/login", data=wrong).status_code == 400
        took.append(time.monotonic() - began)
    assert took[1] - took[0] >= FIRST_PAUSE
    answers: list[float] = []
    third = threading.Thread(target=lambda: answers.append(page.post("/login", data=wrong).status_code))
    third.start()
    time.sleep(FIRST_PAUSE / 2)
    assert page.get("/theme.css").status_code == 200 and not answers
    third.join()
    assert answers == [400] and time.monotonic() - began >= 3 * FIRST_PAUSE
    assert page.post("/login", data=LOGIN).status_code == 200
    began = time.monotonic()
    assert page.post("/login", data=wrong).status_code == 400
    assert time.monotonic() - began < 4 * FIRST_PAUSE, "the fourth wrong one in a row would wait that long"


def test_few_logins_wait_at_a_time(page):
    """Else guesses that are sent side by side would wait side by side."""
    page.post("/login", data={})
    waiting = [
        threading.Thread(target=page.post, args=("/login",), kwargs={"data": LOGIN})
        for _ in range(MOST_WAITING)
    ]
    for one in waiting:
        one.start()
    time.sleep(FIRST_PAUSE / 2)
    response = page.post("/login", data=LOGIN)
    assert response.status_code == 429 and response.json()["fix"].startswith("Try again in")
    for one in waiting:
        one.join()
    assert page.post("/login", data=LOGIN).status_code == 200
