"""`python app.py`: what it refuses and how it says so, the login, and the token of our own routes."""

from __future__ import annotations

import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient
from running import run_app, running_app
from serving import HERE
from tiny import tiny_recipe

from psr_studio.cli.main import main as command_line
from psr_studio.core.errors import StudioError
from psr_studio.recipe.toml import to_toml
from psr_studio.ui.guard.listen import address, bind, read_login
from psr_studio.ui.guard.temporary import own_temporary_folder
from psr_studio.ui.server import build_app

ROUTES = ("/psr/curate/state", "/psr/curate/points.bin", "/psr/image/0.png", "/psr/sheet/0.png")


@pytest.fixture
def preset(tmp_path: Path, tiny_bundle: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(to_toml(tiny_recipe(tiny_bundle)), encoding="utf-8")
    return path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with bind("127.0.0.1", 0) as sock:
        yield sock.getsockname()[1]


def test_help_names_every_argument():
    shown = run_app("--help").stdout
    for name in ("--workspace", "--preset", "--host", "--port", "--auth", "--allowed-host", "--root-path",
                 "--no-browser", "--device"):  # fmt: skip
        assert name in shown


def test_a_port_in_use_is_said_before_anything_is_made(taken_port, tmp_path):
    run = run_app("--port", taken_port, "--workspace", tmp_path / "ws", "--no-browser")
    assert run.returncode == 2
    assert run.stderr.startswith(f"Problem: Port {taken_port} on 127.0.0.1 cannot be used: ")
    assert f"choose another port with --port, such as {taken_port + 1}." in run.stderr
    assert "Traceback" not in run.stderr and not (tmp_path / "ws").exists()


def test_the_command_takes_the_same_flags_as_app_py(taken_port, tmp_path, capsys):
    """`psr-studio app` opens the screen from a wheel too, where there is no app.py."""
    shown = run_app("--help").stdout
    with pytest.raises(SystemExit):
        command_line(["app", "--help"])
    flags = [set(re.findall(r"--[\w-]+", text)) for text in (shown, capsys.readouterr().out)]
    assert flags[0] == flags[1]
    assert command_line(["app", "--port", str(taken_port), "--workspace", str(tmp_path / "ws")]) == 2
    assert f"Port {taken_port} on 127.0.0.1 cannot be used: " in capsys.readouterr().err


def test_a_login_without_a_password_is_refused():
    with pytest.raises(StudioError) as caught:
        read_login("anna")
    assert caught.value.problem == "--auth names no user and password: it must be written as user:password."
    assert read_login(None) is None and read_login("anna:a:b") == ("anna", "a:b")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path, preset):
    run = run_app(
        "--port", 0, "--workspace", tmp_path / "ws", "--preset", preset, "--device", "cuda", "--no-browser"
    )
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert 'A GPU ("cuda") was asked for' in run.stderr and 'Set "Device" to "auto" or "cpu"' in run.stderr
    assert not (tmp_path / "ws").exists(), "a refusal leaves nothing behind"


def test_a_workspace_that_is_open_elsewhere_is_refused(studio):
    run = run_app("--port", 0, "--workspace", studio.workspace.root, "--no-browser")
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert str(studio.workspace.root) in run.stderr and len(run.stderr.strip().splitlines()) == 2


def test_uploads_have_no_place_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(StudioError, match="No folder for uploads can be made in"), own_temporary_folder():
        pass


def test_an_unknown_preset_names_the_near_one(tmp_path):
    run = run_app("--port", 0, "--workspace", tmp_path / "ws", "--preset", "fashion-mnst", "--no-browser")
    assert run.returncode == 2 and 'Did you mean "fashion-mnist"?' in run.stderr


def test_a_fresh_workspace_opens_on_the_demo_pool_and_the_page_answers(tmp_path, preset, monkeypatch):
    """Also where Gradio's folder in the shared temporary one is not ours: its own is private, and gone at the end.

    And whatever proxy the environment names: the libraries of the page would ask it, or fall over one that they do
    not know.
    """
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "gradio").touch()  # nothing can be made in it
    monkeypatch.setenv("TMPDIR", str(shared))
    with running_app(tmp_path / "ws", "--preset", preset) as url:
        with direct.open(url, timeout=60) as page:
            assert page.status == 200 and b"PSR Studio" in page.read()
        [own] = shared.glob("psr-studio-*")
        assert own.stat().st_mode & 0o777 == 0o700 and list(own.iterdir())
        assert sorted(path.name for path in (tmp_path / "ws" / "pool").iterdir()) == [
            "class=0",
            "class=1",
            "class=2",
        ]
    assert not own.exists()


def test_a_script_selects_pins_and_runs_steps_over_the_network(tmp_path, preset):
    from gradio_client import Client

    with running_app(tmp_path / "ws", "--preset", preset) as url:
        client = Client(url, verbose=False)
        sliders = {"alpha": 1.0, "beta": 0.0, "gamma": 2.0, "ipc": 2, "temperature": 1.5}
        picks = client.predict(**sliders, api_name="/select")["picks"]
        assert [len(ids) for ids in picks.values()] == [2, 2, 2]
        outsider = next(i for i in range(6) if i not in picks["boot"])
        assert outsider in client.predict([outsider], "pin", api_name="/mark")["picks"]["boot"]
        assert client.predict("mine", api_name="/save")["images"] == 6
        job = client.predict("export", {"export.refined": False}, api_name="/run")
        deadline = time.monotonic() + 60
        while (state := client.predict(api_name="/jobs")[0])["status"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert state["id"] == job and state["status"] == "done"
    assert (tmp_path / "ws" / "exports" / "set.zip").is_file()


def test_the_page_says_that_it_opens_before_its_scripts_have_run(screen):
    """In the page as it is sent, packed or not; other answers pass as they are."""
    texts: dict[str, str] = {}
    with TestClient(build_app(screen), base_url=HERE) as client:
        for packed in ("br, gzip", "identity"):
            page = client.get("/", headers={"Accept-Encoding": packed})
            assert page.status_code == 200 and int(page.headers["content-length"]) == len(page.content)
            head = page.text.partition("</head>")[0]
            assert "PSR Studio is opening" in head and "prefers-color-scheme: dark" in head
            for link in re.findall(r'<link rel="(?:modulepreload|preload)"[^>]* href="(psr/[^"]+)"', head):
                first = client.get(link, headers={"Accept-Encoding": packed})
                assert (first.headers.get("Content-Encoding") == "gzip") == ("gzip" in packed)
                assert texts.setdefault(link, first.text) == first.text, "packed or not, it is the same"
                again = client.get(link, headers={"If-None-Match": first.headers["ETag"]})
                assert (first.status_code, again.status_code) == (200, 304) and not again.content
            assert {"modulepreload", "preload"} <= set(
                re.findall(r'rel="(\w+)"[^>]* href="psr/static/workbench', head)
            )
            assert client.post("/psr/static/workbench.js").status_code == 405
        assert "is opening" not in client.get("/config").text


@pytest.mark.parametrize("route", ROUTES)
def test_our_routes_ask_for_the_token(screen, route):
    with TestClient(build_app(screen), base_url=HERE) as client:
        for headers in (
            {},
            {"X-PSR-Token": "guess"},
            {"X-PSR-Token": "géss".encode("latin-1").decode("latin-1")},
        ):
            response = client.get(route, headers={k: v.encode("utf-8") for k, v in headers.items()})
            assert response.status_code == 401
            assert response.json()["problem"] == "This address needs the token of the page."
        assert client.get(route, params={"token": screen.token}).status_code == 200


def test_with_a_login_the_token_alone_is_not_enough(screen):
    with TestClient(build_app(screen, ("anna", "secret")), base_url=HERE) as client:
        given = {"token": screen.token}
        for route in ROUTES:
            response = client.get(route, params=given)
            assert response.status_code == 401 and response.json()["problem"] == "You are not logged in."
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "anna", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "anna", "password": "secret"}).status_code == 200
        for route in ROUTES:
            assert client.get(route, params=given).status_code == 200


def test_addresses_shown_can_be_opened_on_this_machine():
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")):
        with bind(host, 0) as sock:
            assert address(sock) == f"http://{shown}:{sock.getsockname()[1]}/"
    with pytest.raises(StudioError) as caught:
        bind("127.0.0.1", 99999)
    assert caught.value.problem.startswith("Port 99999 on 127.0.0.1 cannot be used")
    with pytest.raises(StudioError):
        bind("no such host", 0)


def test_small_packets_are_sent_at_once():
    """asyncio switches the waiting off only for sockets that say that they are TCP, and accepted ones inherit it."""
    with bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP
