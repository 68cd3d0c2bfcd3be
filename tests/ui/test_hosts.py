"""Whom the studio answers, and what it tells browsers about its answers."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from running import run_app
from serving import HERE
from starlette.websockets import WebSocketDisconnect

from psr_studio.core.errors import StudioError
from psr_studio.ui.guard.hosts import Hosts
from psr_studio.ui.guard.listen import bind, read_root_path, warning
from psr_studio.ui.server import SESSIONS, build_app

EVIL = "evil.example"
PROXY = Hosts().behind(["studio.example:8443", "other.example"])


@pytest.fixture
def page(screen: Any) -> Iterator[TestClient]:
    with TestClient(build_app(screen), base_url=HERE, headers={"X-PSR-Token": screen.token}) as client:
        yield client


def test_a_name_that_was_not_given_gets_nothing(page):
    """A site whose name points at this machine would otherwise read the page and, with its token, everything."""
    for route in (
        "/",
        "/config",
        "/psr/curate/state",
        "/psr/static/curate.js",
        "/gradio_api/info",
        "/theme.css",
    ):
        for headers in (
            {"Host": EVIL}, {"Host": f"{EVIL}:7860"}, {"X-Forwarded-Host": EVIL}, {"Host": ""},
            {"Host": "127.0.0.1@" + EVIL},
        ):  # fmt: skip
            response = page.get(route, headers=headers)
            assert response.status_code == 421 and "--allowed-host" in response.text, (route, headers)
    said = page.get("/", headers={"Host": EVIL}).text
    assert said.splitlines() == [
        f'PSR Studio does not answer to the name "{EVIL}".',
        "Open it at the address that it printed when it started, or start it with --allowed-host and this name if the "
        "name is yours.",
    ]
    for host in ("localhost", "127.0.0.1:7860", "[::1]:9000", "LOCALHOST:1", "localhost."):
        assert page.get("/", headers={"Host": host}).status_code == 200, host
    assert EVIL not in page.get("/", headers={"X-Gradio-Server": f"http://{EVIL}"}).text


@pytest.mark.parametrize(
    ("hosts", "taken", "refused"),
    [
        (Hosts(), ("localhost:80", "[::1]"), ("10.0.0.5", "0.0.0.0", "127.1", "localhost.evil.example", "")),
        (Hosts().also("lab.example", "10.0.0.5"), ("LAB.example:1", "10.0.0.5:1"), ("10.0.0.6", EVIL)),
        (Hosts().also("0.0.0.0", "0.0.0.0"), ("10.0.0.5", "[fe80::1]:1", socket.gethostname()), (EVIL, "1.evil")),
        (Hosts().also("", "0.0.0.0"), ("10.0.0.5", "localhost"), (EVIL,)),
        (Hosts().also("::", "::"), ("10.0.0.5", "[::1]"), (EVIL,)),
        (PROXY, ("studio.example", "other.example:1", "localhost"), (EVIL, "studio.example.evil", "a b", "x/y", "a:b")),
    ],
)  # fmt: skip
def test_which_hosts_are_answered(hosts, taken, refused):
    """Those listened on, those named, and numeric addresses where it listens on all of them."""
    assert all(map(hosts.answers_to, taken)) and not any(map(hosts.answers_to, refused))


def test_which_pages_are_ours():
    """A page stands at the host that its request names, or at a proxy's; port and scheme count."""
    here = ["localhost:7860"]
    assert Hosts().takes_from("http://localhost:7860", here)
    assert Hosts().takes_from("http://localhost:7860/some/page?x", here)
    assert Hosts().takes_from("https://lab.example", ["lab.example:443"])
    for other in (
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:7860",
        "null",
        "",
        "http://[x",
        "about:",
    ):
        assert not Hosts().takes_from(other, here), other
    assert PROXY.takes_from("https://studio.example:8443", here) and PROXY.takes_from(
        "https://other.example", here
    )
    assert not PROXY.takes_from("https://studio.example", here)


@pytest.mark.parametrize("name", ["http://x", "x/y", "*", "*.example.org", "", "x y", "x:port", "user@x"])
def test_what_is_no_name_of_a_host_is_refused(name):
    with pytest.raises(StudioError) as caught:
        Hosts().behind([name])
    assert caught.value.problem.startswith(f'--allowed-host "{name}" is no name of a host')


def test_orders_of_other_pages_are_refused(page, screen):
    """Marks, uploads and events; a browser says where a request comes from, and scripts cannot change what it says."""
    ways: dict[str, dict[str, Any]] = {
        "/psr/curate/mark": {"json": {"positions": [0], "mark": "veto"}},
        "/gradio_api/upload": {"files": {"files": ("a.zip", b"x")}},
        "/gradio_api/queue/join": {"json": {"data": [], "fn_index": 52, "session_hash": "a"}},
        "/gradio_api/run/jobs": {"json": {"data": []}},
    }
    for way, body in ways.items():
        for headers in (
            {"Origin": f"http://{EVIL}"}, {"Origin": "null"}, {"Origin": f"{HERE}:3000"}, {"Origin": "http://localhost"},
            {"Referer": f"http://{EVIL}/page"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
            {"Origin": HERE, "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        ):  # fmt: skip
            response = page.post(way, headers=headers, **body)
            assert response.status_code == 403 and "--allowed-host" in response.json()["fix"], (way, headers)
        for headers in (
            {},
            {"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
            {"Referer": f"{HERE}/#tab=pool"},
        ):
            assert page.post(way, headers=headers, **body).status_code == 200, (way, headers)
    assert screen.studio.curation.history(10)[0]["description"]  # the three that were taken, and no more
    assert len(screen.studio.curation.history(20)) == 1


def test_other_pages_can_open_ours_but_read_nothing(page):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert page.get("/", headers=link).status_code == 200
    for route in ("/logout", "/psr/curate/state", "/gradio_api/heartbeat/a"):
        assert page.get(route, headers=link).status_code == 403
    for headers in (
        {"Origin": f"http://{EVIL}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ):
        for route in ("/", "/config", "/theme.css"):
            response = page.get(route, headers=headers)
            assert response.status_code == 403 and "access-control-allow-origin" not in response.headers
    asks = {"Origin": f"http://{EVIL}", "Access-Control-Request-Method": "POST"}
    response = page.options("/gradio_api/upload", headers=asks)
    assert response.status_code == 403 and "access-control-allow-origin" not in response.headers


def test_sockets_are_opened_to_our_page_only(page):
    """There is none yet; who asks for one is checked before anybody looks for it."""
    for headers, code in (
        ({"Origin": f"http://{EVIL}"}, 1008),
        ({"Host": EVIL}, 1008),
        ({"Origin": HERE}, 1000),
    ):
        with (
            pytest.raises(WebSocketDisconnect) as caught,
            page.websocket_connect("ws://127.0.0.1/x", headers=headers),
        ):
            pass
        assert caught.value.code == code


def test_browsers_are_told_what_the_answers_may_do(page):
    """Not framed, not guessed at, not told to others; scripts only from here or with the nonce of this one answer."""
    nonces = set()
    for route in (
        "/",
        "/",
        "/theme.css",
        "/psr/static/curate.js",
        "/config",
        "/psr/curate/state",
        "/no such page",
    ):
        headers = page.get(route).headers
        assert headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["frame-ancestors"] == "'none'" and policy["default-src"] == "'self'"
        assert "'unsafe-inline'" not in policy["script-src"]
        nonces |= set(re.findall(r"'nonce-(.+?)'", policy["script-src"]))
    assert len(nonces) == 2 and nonces.isdisjoint({""})
    assert page.get("/", headers={"Host": EVIL}).headers["X-Frame-Options"] == "DENY"
    whole = page.get("/").text
    assert whole.count("<script") == whole.count('<script nonce="') > 3


@pytest.mark.parametrize("front", ["", "/team/psr"])
def test_a_proxy_may_take_its_path_off_or_leave_it(screen, front):
    """All addresses in the page are relative to it, or made from where the browser stands; all are answered."""
    app = build_app(screen, hosts=PROXY, root_path="/team/psr")
    headers = {"X-PSR-Token": screen.token, "Host": "127.0.0.1:7860", "Origin": "https://other.example"}
    with TestClient(app, base_url="http://127.0.0.1", headers=headers, follow_redirects=False) as client:
        whole = client.get(f"{front}/").text
        assert "window.gradio_config.root = new URL('at/" in whole
        found = re.findall(r'(?:href|src)="([^"{]+)"', whole.partition("</script>")[2])
        assert len(found) > 5 and not [address for address in found if address.startswith(("/", "http"))]
        for address in (*found, "gradio_api/info", "psr/image/0.png", "theme.css", "config"):
            assert client.get(f"{front}/{address}").status_code == 200, address
        body = {"data": [], "session_hash": "a"}
        assert client.post(f"{front}/gradio_api/run/jobs", json=body).status_code == 200
        body = {"data": [], "fn_index": 52, "session_hash": "a"}
        assert client.post(f"{front}/gradio_api/queue/join", json=body).status_code == 200
        bare = client.get("/team/psr?__theme=dark")
        assert bare.status_code == 307 and bare.headers["Location"] == "/team/psr/?__theme=dark"
        assert client.get("/team/psrx").status_code == 404


def test_which_paths_a_proxy_may_use():
    for given, read in (
        ("", ""),
        ("/", ""),
        ("/team/psr/", "/team/psr"),
        ("team", "/team"),
        ("/~anna/v1.2", "/~anna/v1.2"),
    ):
        assert read_root_path(given) == read
    for text in ("http://x/team", "/a b", "/../x", "/a//b", "/a?b", "/psr/x", "/assets"):
        with pytest.raises(StudioError) as caught:
            read_root_path(text)
        assert caught.value.problem.startswith("--root-path")


def test_listening_to_others_without_a_login_is_warned_of(tmp_path):
    run = run_app(
        "--workspace", tmp_path / "ws", "--port", 0, "--preset", "no such preset", "--host", "0.0.0.0"
    )
    assert run.stderr.startswith("Warning: whoever reaches port") and "--auth USER:PASSWORD" in run.stderr
    for host, warned in (("", True), ("127.0.0.1", False), ("localhost", False)):
        with bind(host, 0) as sock:
            assert bool(warning(sock)) is warned


def test_pages_that_were_closed_are_forgotten(page):
    """Gradio keeps half a megabyte of every page that was ever opened, ten thousand of them by default."""
    for number in range(SESSIONS + 3):
        page.post("/gradio_api/run/jobs", json={"data": [], "session_hash": f"page {number}"})
    assert len(page.app.state.page.state_holder.session_data) == SESSIONS
