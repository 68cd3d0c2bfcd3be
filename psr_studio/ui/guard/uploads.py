"""Files named in requests: only what was uploaded here may be named.

Gradio takes a value such as {"path": ..., "meta": {"_type": "gradio.FileData"}} in the input of any handler for a file,
copies what lies at the path, or at the URL, into its temporary folder, and gives it out again. So such a value, and
the address of a file, must lie in this folder already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from psr_studio.ui.guard.refusal import Refused, refuse

API = "/gradio_api/"
FILE_ADDRESSES = (f"{API}file=", f"{API}file/")


class OnlyUploads:
    """Passes on requests that name no file but uploaded ones.

    Args:
        folder: Gradio's temporary folder.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self.folder = folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(API):
            await self.app(scope, receive, send)
            return
        try:
            self._check_address(scope["path"])
            if _has_values(scope):
                body = await _whole(receive)
                values = _read(body)
                self._check(values)
                # What was read is what is passed on, not the text that it was read from.
                scope, receive = _with_body(scope, receive, json.dumps(values).encode() if body else body)
        except Refused as err:
            await refuse(err, scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check_address(self, path: str) -> None:
        for start in FILE_ADDRESSES:
            if path.startswith(start):
                self._check({"path": path[len(start) :], "meta": None})

    def _check(self, values: Any) -> None:
        for path in _named_files(values):
            if not self._is_upload(path):
                raise Refused(
                    f'The request names the file "{path}", which was not uploaded here.',
                    'Upload the file; to import one from this machine, fill in "Pictures".',
                    403,
                )

    def _is_upload(self, path: Any) -> bool:
        try:
            return isinstance(path, str) and Path(path).resolve().is_relative_to(self.folder)
        except (OSError, ValueError, RuntimeError):
            return False


def _named_files(values: Any) -> Iterator[Any]:
    """The paths of all files in a JSON value, at any depth."""
    left = [values]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "path" in value and "meta" in value:
                yield value["path"]
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _has_values(scope: Scope) -> bool:
    """Forms bring files with them; everything else that is sent is JSON."""
    kind = Headers(scope=scope).get("content-type", "")
    return scope["method"] not in ("GET", "HEAD", "OPTIONS") and not kind.startswith("multipart/form-data")


def _read(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError) as err:
        raise Refused(
            "The body of the request is not JSON, and here it must be.",
            "Send it as Gradio's own client does.",
            400,
        ) from err


async def _whole(receive: Receive) -> bytes:
    parts = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break  # the client is gone
        parts += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(parts)


def _with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return {**scope, "headers": headers}, again
