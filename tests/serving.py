"""A server application over a screen, and its answers read; served on a port of its own for a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from psr_studio.app.studio import Studio
from psr_studio.ui.curate.pack import unpack
from psr_studio.ui.guard.listen import address, bind
from psr_studio.ui.screen import Screen
from psr_studio.ui.server import build_app

HERE = "http://127.0.0.1"
SELECT = {"alpha": 1.0, "beta": 0.5, "gamma": 2.0, "ipc": 3, "temperature": 1.5}


def client_of(screen: Screen) -> TestClient:
    """A client with the token of the page; use it in a `with` block."""
    return TestClient(build_app(screen), base_url=HERE, headers={"X-PSR-Token": screen.token})


@contextmanager
def home_at(folder: Path) -> Iterator[None]:
    """What the machine remembers lies there meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSR_STUDIO_HOME", str(folder))
        yield


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The page of a workspace, served by a thread of this process; yields its address.

    It spares the start of `running_app`, which imports all libraries anew.
    """
    with home_at(root.parent / "home"), bind("127.0.0.1", 0) as sock, Studio(root) as studio:
        screen = Screen(studio, studio.device_words)
        config = uvicorn.Config(build_app(screen), log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([sock],), name="test-server", daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            screen.warm_up()
            yield address(sock)
        finally:
            server.should_exit = True
            thread.join()
            screen.close()


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
