"""The addresses of the Curate workbench. Answers are JSON, packed arrays (`pack`) or PNG; see `curation`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from psr_studio.ui.curation import Curation

PACKED = "application/octet-stream"
NO_STORE = {"Cache-Control": "no-store"}
KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}  # addresses carry the version of the pool


class SelectBody(BaseModel):
    """Slider values; what is left out stays as it is."""

    alpha: float | None = None
    beta: float | None = None
    gamma: float | None = None
    ipc: int | None = None
    temperature: float | None = None
    selector: str | None = None


class MarkBody(BaseModel):
    """Candidates to mark: "pin", "veto" or "clear"."""

    positions: list[int]
    mark: str
    reason: str = ""


def curate_router(curation: Curation) -> APIRouter:
    """The routes under `psr/curate`."""
    routes = APIRouter(prefix="/curate")

    @routes.get("/state")
    def state() -> dict[str, Any]:
        return curation.state()

    @routes.get("/points.bin")
    def points() -> Response:
        return _packed(curation.points())

    @routes.get("/map.bin")
    def newer_map(have: str = "") -> Response:
        body = curation.newer_map(have)
        return _packed(body) if body is not None else Response(status_code=204, headers=NO_STORE)

    @routes.get("/sprites/{class_id}.png")
    def sprites(class_id: int, v: str = "") -> Response:
        return Response(curation.sheet(class_id), media_type="image/png", headers=KEEP if v else NO_STORE)

    @routes.get("/candidate/{position}")
    def candidate(position: int) -> dict[str, Any]:
        return curation.candidate(position)

    @routes.post("/select")
    def select(body: SelectBody) -> Response:
        return _packed(curation.select(body.model_dump(exclude_none=True)))

    @routes.post("/mark")
    def mark(body: MarkBody) -> Response:
        return _packed(curation.mark(body.positions, body.mark, body.reason))

    @routes.post("/undo")
    def undo() -> Response:
        return _packed(curation.undo())

    @routes.post("/redo")
    def redo() -> Response:
        return _packed(curation.redo())

    return routes


def _packed(body: bytes) -> Response:
    return Response(body, media_type=PACKED, headers=NO_STORE)
