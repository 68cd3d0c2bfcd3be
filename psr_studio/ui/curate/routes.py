"""The addresses of the Curate workbench. Answers are JSON, packed arrays (`pack`) or PNG; see `workbench`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel

from psr_studio.app.curation import SelectChange
from psr_studio.ui.curate.pack import NO_STORE, packed
from psr_studio.ui.curate.workbench import Workbench

# What the page shows that asks, see `Workbench.as_seen`; a script may leave it out.
Shown = Annotated[str, Header(alias="X-PSR-Shown")]
KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}  # addresses carry the version of the pool


class MarkBody(BaseModel):
    """Candidates to mark: "pin", "veto" or "clear"."""

    positions: list[int]
    mark: str
    reason: str = ""


def curate_router(workbench: Workbench) -> APIRouter:
    """The routes under `psr/curate`."""
    routes = APIRouter(prefix="/curate")

    @routes.get("/state")
    def state() -> dict[str, Any]:
        return workbench.state()

    @routes.get("/points.bin")
    def points() -> Response:
        return packed(workbench.points())

    @routes.get("/map.bin")
    def newer_map(have: str = "") -> Response:
        body = workbench.newer_map(have)
        return packed(body) if body is not None else Response(status_code=204, headers=NO_STORE)

    @routes.get("/maps/{kind}.bin")
    def map_of(kind: str) -> Response:
        return packed(workbench.map_of(kind))

    @routes.get("/sprites/{class_id}.png")
    def sprites(class_id: int, v: str = "") -> Response:
        return Response(workbench.sheet(class_id), media_type="image/png", headers=KEEP if v else NO_STORE)

    @routes.get("/image/{position}.png")
    def image(position: int, v: str = "") -> Response:
        return Response(workbench.picture(position), media_type="image/png", headers=KEEP if v else NO_STORE)

    @routes.get("/candidate/{position}")
    def candidate(position: int) -> dict[str, Any]:
        return workbench.candidate(position)

    @routes.get("/real/{position}")
    def real(position: int, look: bool = False) -> dict[str, Any]:
        return workbench.near_real(position, look)

    @routes.get("/real_image/{row}.png")
    def real_image(row: int, v: str = "") -> Response:
        return Response(workbench.real_picture(row), media_type="image/png", headers=KEEP if v else NO_STORE)

    @routes.post("/select")
    def select(change: SelectChange, shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.select(change))

    @routes.post("/mark")
    def mark(body: MarkBody, shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.mark(body.positions, body.mark, body.reason))

    @routes.post("/undo")
    def undo(shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.undo())

    @routes.post("/redo")
    def redo(shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.redo())

    return routes
