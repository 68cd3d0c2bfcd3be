"""A server application over a screen, and its answers read."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from psr_studio.ui.curate.pack import unpack
from psr_studio.ui.screen import Screen
from psr_studio.ui.server import build_app

HERE = "http://127.0.0.1"
SELECT = {"alpha": 1.0, "beta": 0.5, "gamma": 2.0, "ipc": 3, "temperature": 1.5}


def client_of(screen: Screen) -> TestClient:
    """A client with the token of the page; use it in a `with` block."""
    return TestClient(build_app(screen), base_url=HERE, headers={"X-PSR-Token": screen.token})


def answer(response: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays of a packed answer."""
    assert response.status_code == 200, response.text
    return unpack(response.content)


def told(response: Any) -> Any:
    """A JSON answer."""
    assert response.status_code == 200, response.text
    return response.json()


def refusal(response: Any) -> tuple[str, str]:
    """Problem and fix of a refused request."""
    assert 400 <= response.status_code < 500, response.status_code
    return response.json()["problem"], response.json()["fix"]


def select(client: TestClient, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Select with the sliders of `SELECT`, over them `changes`."""
    return answer(client.post("/psr/curate/select", json={**SELECT, **changes}))
