"""How a request is refused: a status and two sentences, as text where the page would stand and as JSON for a script."""

from __future__ import annotations

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from psr_studio.core.errors import StudioError
from psr_studio.ui.curate.pack import NO_STORE
from psr_studio.ui.words import on_screen

POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class Refused(StudioError):
    """A request that is not answered; `status` is what HTTP calls the reason."""

    def __init__(self, problem: str, fix: str, status: int) -> None:
        super().__init__(problem, fix)
        self.status = status


def told(err: StudioError, status: int) -> JSONResponse:
    """An error as our own scripts read it, and in `detail` as Gradio's do."""
    problem, fix = on_screen(err.problem), on_screen(err.fix)
    content = {"problem": problem, "fix": fix, "detail": f"{problem} {fix}"}
    return JSONResponse(content, status, NO_STORE)  # a browser keeps a 410 for good that does not say so


async def refuse(err: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with its refusal instead of passing it on."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": err.problem[:120]})
        return
    page = scope["path"] in ("", "/")
    answer: Response = PlainTextResponse(str(err), err.status, NO_STORE) if page else told(err, err.status)
    await answer(scope, receive, send)
