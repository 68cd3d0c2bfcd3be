"""No request can make the page read a file, or fetch an address, that was not uploaded to it."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from serving import HERE, told
from tiny import CLASS_NAMES, SIZE

from psr_studio.app.studio import Studio
from psr_studio.ui.panels.new_project import NewProjectPanel
from psr_studio.ui.server import build_app

FAR = "http://psr-studio.invalid/picture.png"
SECRET = "what only its owner may read"
NESTED: tuple[Callable[[Any], Any], ...] = (lambda v: v, lambda v: [[v]], lambda v: {"a": {"b": [1, v]}})


def file_data(path: str) -> dict[str, Any]:
    """How Gradio writes a file in JSON."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gradio's temporary folder, of this test alone."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return tmp_path / "uploads"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were looked up; nothing leaves this machine."""
    names: list[str] = []

    async def refuse(self: Any, host: str, *rest: Any, **options: Any) -> Any:
        names.append(host)
        raise OSError("no network in tests")

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", refuse)
    return names


@pytest.fixture
def page(screen: Any, folder: Path) -> Iterator[TestClient]:
    with TestClient(build_app(screen), base_url=HERE) as client:
        yield client


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_no_handler_reads_a_file_or_an_address(page, folder, secret, screen, asked):
    """Every input of every handler, in every way to call it; 101 inputs when this was written."""
    paths = ["/etc/passwd", str(secret), str(screen.studio.workspace.root / "recipe.toml"), f"file://{secret}", FAR,
             f"{folder}/../secret.txt", "secret.txt", "~/.netrc", FAR.replace("http", "HTTPS")]  # fmt: skip
    blocks = page.app.state.page.blocks
    tried = 0
    for fn in blocks.fns.values():
        for place in range(len(fn.inputs)):
            for way in ("queue/join", f"call/{fn.api_name}", f"run/{fn.api_name}", f"api/{fn.api_name}/"):
                wrap, path = NESTED[tried % len(NESTED)], paths[tried % len(paths)]
                data: list[Any] = [None] * len(fn.inputs)
                data[place] = wrap(file_data(path))
                body = {"data": data, "fn_index": fn._id, "session_hash": "a"}
                response = page.post(f"/gradio_api/{way}", json=body)
                assert response.status_code == 403, (way, fn.api_name, path, response.text)
                assert response.json()["problem"].startswith(f'The request names the file "{path}"')
                tried += 1
    assert tried > 100 and not asked and SECRET.encode() not in contents(folder)


def test_the_other_ways_in_are_shut_too(page, secret, asked):
    """By name, in the data of an event, as text that two readers could read differently, and by address."""
    hidden = file_data(str(secret))
    for way, body in (
        ("call/v2/save", {"name": hidden}),
        ("queue/join", {"data": [], "fn_index": 52, "session_hash": "a", "event_data": {"x": [hidden]}}),
        ("component_server", {"data": hidden, "component_id": 1, "session_hash": "a", "fn_name": "ls"}),
    ):
        assert page.post(f"/gradio_api/{way}", json=body).status_code == 403, way
    twice = f'{{"data": ["x"], "data": [{json.dumps(hidden)}], "session_hash": "a"}}'
    for kind in ("application/json", "text/plain", "application/vnd.api+json", ""):
        for text in (twice, twice.encode("utf-16")):
            response = page.post("/gradio_api/run/save", content=text, headers={"Content-Type": kind})
            assert response.status_code == 403, kind
    form = {"Content-Type": "multipart/form-data; boundary=x"}  # read by the uploads alone
    assert page.post("/gradio_api/run/save", content=twice, headers=form).status_code == 422
    assert page.post("/gradio_api/run/save", content="[" * 100_000).status_code == 400
    for start in ("file=", "file/"):
        for path in (str(secret), FAR, "https:/psr-studio.invalid/x"):
            assert page.get(f"/gradio_api/{start}{path}").status_code == 403
            assert page.head(f"/gradio_api/{start}{path}").status_code in (403, 405)
    assert not asked


def packed_set(*folders: str, n: int = 1) -> bytes:
    """A zip with n pictures in each folder."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name in folders:
            for i in range(n):
                picture = io.BytesIO()
                Image.fromarray(np.full((SIZE, SIZE), i, np.uint8)).save(picture, "PNG")
                target.writestr(f"{name.replace('/', ' ')}/{i}.png", picture.getvalue())
    return packed.getvalue()


def saved(values: np.ndarray) -> bytes:
    """An .npy file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def uploaded(page: TestClient, name: str, data: bytes) -> dict[str, Any]:
    """Upload a file, and name it as the page's scripts do."""
    [path] = told(page.post("/gradio_api/upload", files={"files": (name, data)}))
    assert page.get(f"/gradio_api/file={path}").content == data
    return {**file_data(path), "url": f"{HERE}/gradio_api/file={path}"}


def pressed(page: TestClient, handler: str, *given: Any) -> Response:
    """Call the handler of this name that has as many inputs."""
    found = next(
        fn
        for fn in page.app.state.page.blocks.fns.values()
        if str(fn.api_name).startswith(handler) and len(fn.inputs) == len(given)
    )
    body = {"data": [*given], "fn_index": found._id, "session_hash": "a"}
    return page.post(f"/gradio_api/run/{found.api_name}", json=body)


def test_what_was_uploaded_can_be_imported_and_read_back(page, screen, folder):
    """The Import panel, as its scripts do it: upload pictures and soft labels, then name them to the handlers."""
    pictures = uploaded(page, "set.zip", packed_set(*CLASS_NAMES))
    labels = uploaded(page, "../../soft.npy", saved(np.eye(3, dtype=np.float32)))
    rest = ["", 0, True, False, False, None, "", "", False, "", None, ""]
    looked = pressed(page, "on_look", "", pictures, *rest, labels)
    assert looked.status_code == 200 and "soft labels from &quot;soft.npy&quot;" in told(looked)["data"][0]
    two = uploaded(page, "two.npy", saved(np.eye(2, dtype=np.float32)))
    refused = pressed(page, "on_look", "", pictures, *rest, two)
    assert "two.npy&quot; holds no single tensor" in refused.text
    named = uploaded(page, "soft.pkl", b"no labels")
    assert "Invalid file type" in pressed(page, "on_look", "", pictures, *rest, named).text
    assert not any(str(folder) in answer.text for answer in (looked, refused))
    assert pressed(page, "on_import", "", pictures, *rest, labels).status_code == 200
    job = screen.worker.wait(screen.worker.newest().id, 60)
    assert job.state == "done" and "Imported 3 pictures" in job.message
    assert 'soft labels from "soft.npy"' in job.message and str(folder) not in job.message


def test_an_upload_is_called_by_its_name(page, folder):
    """Where the server keeps it is nobody's business: neither what was found nor what is wrong says it."""
    for names, words in (
        (("apple", "plum"), "Pictures in fruit.zip"),
        (("1", "3"), "The classes of &quot;fruit.zip&quot; are the numbers 1, 3 and so on, with gaps."),
    ):
        pictures = uploaded(page, "fruit.zip", packed_set(*names))
        answer = pressed(page, "on_look", "fruit", "", pictures, "", None, 0, "").text
        assert words in answer and str(folder) not in answer


def test_a_project_is_made_of_uploads_alone(page, screen, folder):
    """Pictures and real pictures, by one way: looked at, made, and both in the project."""
    given = [
        uploaded(page, f"{name}.zip", packed_set(*CLASS_NAMES, n=n)) for name, n in (("made", 2), ("real", 5))
    ]
    fields = ["fruit", "", given[0], "", given[1], SIZE, ""]
    looked = pressed(page, "on_look", *fields).text
    assert (
        "Pictures in made.zip" in looked
        and "Real pictures in real.zip" in looked
        and str(folder) not in looked
    )
    root = screen.studio.workspace.root.parent / "fruit"
    assert not root.exists()
    *_, last = NewProjectPanel(screen).on_make(*(each["path"] if each in given else each for each in fields))
    assert "Imported 6 pictures of 3 classes" in last
    with Studio(root, create=False) as studio:
        assert [len(studio.pool), len(studio.bundle.test_set[1])] == [6, 3]
        assert str(folder) not in studio.bundle.path.read_text(), "uploads are gone when the process ends"


def test_a_path_and_an_upload_for_one_thing_are_refused(page, folder):
    """Neither is taken in silence."""
    packed = uploaded(page, "made.zip", packed_set(*CLASS_NAMES))
    rest = ["", 0, True, False, False, None, "", "", False, "", None]
    for given, field in (
        (["fruit", "/pictures", packed, "", None, 0, ""], "Pictures"),
        (["fruit", "/pictures", None, "/real", packed, 0, ""], "Real pictures"),
        (["/pictures", packed, *rest, "", None], "Pictures"),
    ):
        assert f"&quot;{field}&quot; has a path and an upload" in pressed(page, "on_look", *given).text


def bare(launched: bool) -> FastAPI:
    """A page of one button that gives back what it is given, mounted as ours is."""
    with gr.Blocks() as page:
        gr.Button().click(lambda text: text, [box := gr.Textbox()], box, api_name="echo")
    page.has_launched = launched
    return gr.mount_gradio_app(FastAPI(), page, path="/")


def echo(app: FastAPI, path: str) -> None:
    with TestClient(app, base_url=HERE) as client:
        body = {"data": [file_data(path)], "session_hash": secrets.token_hex(4)}
        client.post("/gradio_api/run/echo", json=body)


def test_gradio_alone_would_give_them_out(folder, secret, asked):
    """Why the guards are there. When a line here fails, Gradio has changed: see which of them it still needs.

    Mounted, it copies any file into the folder from which it serves; as if launched it does not, but still fetches.
    """
    echo(bare(launched=True), str(secret))
    assert SECRET.encode() not in contents(folder)
    echo(bare(launched=False), str(secret))
    assert SECRET.encode() in contents(folder)
    echo(bare(launched=True), FAR)
    assert asked == ["psr-studio.invalid"]


def test_behind_the_guard_gradio_checks_for_itself(page, folder, secret):
    """The second lock: the mounted application alone, without what stands before it."""
    body = {"data": [file_data(str(secret))], "session_hash": "a"}
    with TestClient(page.app.state.page, base_url=HERE) as inner:
        response = inner.post("/gradio_api/run/save", json=body)
    assert response.status_code == 500 and "was not uploaded by a user" in response.text
    assert SECRET.encode() not in contents(folder)
